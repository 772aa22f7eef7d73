//! The waker of a run's future. It only takes notes: whoever polls the future is decided by history, never by a waker.
//!
//! What a run's own code does happens on the thread that advances the run, while it does. Any other wake or call comes
//! from outside, also one that comes from another thread at the same time.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Wake, Waker};

thread_local! {
    /// The run that this thread advances; 0 is none.
    static ADVANCING: Cell<u64> = const { Cell::new(0) };
}

/// Called when something outside the workflow wakes it.
pub(crate) type Alarm = Box<dyn Fn() + Send + Sync>;

/// Notes of who woke the run, and when.
pub(crate) struct RunWaker {
    number: u64,
    woken: AtomicBool,
    from_outside: AtomicBool,
    alarm: OnceLock<Alarm>,
}

/// While it lives, this thread advances a run.
pub(crate) struct Advancing {
    before: u64,
}

impl Drop for Advancing {
    fn drop(&mut self) {
        ADVANCING.set(self.before);
    }
}

impl RunWaker {
    pub(crate) fn new() -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed) + 1,
            woken: AtomicBool::new(false),
            from_outside: AtomicBool::new(false),
            alarm: OnceLock::new(),
        }
    }

    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// Whether the future was woken since this was last asked.
    pub(crate) fn take_woken(&self) -> bool {
        self.woken.swap(false, Ordering::SeqCst)
    }

    /// Until the guard is dropped, wakes and calls on this thread come from the workflow's own code.
    pub(crate) fn advance(&self) -> Advancing {
        Advancing { before: ADVANCING.replace(self.number) }
    }

    pub(crate) fn is_active(&self) -> bool {
        // A thread that ends has no such value any more, and advances nothing.
        ADVANCING.try_with(|advancing| advancing.get() == self.number).unwrap_or(false)
    }

    pub(crate) fn note_outsider(&self) {
        if !self.from_outside.swap(true, Ordering::SeqCst)
            && let Some(alarm) = self.alarm.get()
        {
            alarm();
        }
    }

    pub(crate) fn was_woken_from_outside(&self) -> bool {
        self.from_outside.load(Ordering::SeqCst)
    }

    /// Sets what the first wake from outside calls; only the first one counts.
    pub(crate) fn set_alarm(&self, alarm: Alarm) {
        let _ = self.alarm.set(alarm);
    }
}

impl Wake for RunWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_active() {
            self.woken.store(true, Ordering::SeqCst);
        } else {
            self.note_outsider();
        }
    }
}

impl fmt::Debug for RunWaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunWaker").field("woken", &self.woken).field("from_outside", &self.from_outside).finish()
    }
}
