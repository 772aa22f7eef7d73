//! The waker of a run's future. It only takes notes: whoever polls the future is decided by history, never by a waker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

/// Notes of who woke the run, and when.
#[derive(Debug, Default)]
pub(crate) struct RunWaker {
    woken: AtomicBool,
    active: AtomicBool,
    from_outside: AtomicBool,
}

impl RunWaker {
    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// Whether the future was woken since this was last asked.
    pub(crate) fn take_woken(&self) -> bool {
        self.woken.swap(false, Ordering::SeqCst)
    }

    /// While active, wakes and calls come from the workflow's own code.
    pub(crate) fn set_active(&self, active: bool) {
        self.active.store(active, Ordering::SeqCst);
    }

    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::SeqCst)
    }

    pub(crate) fn note_outsider(&self) {
        self.from_outside.store(true, Ordering::SeqCst);
    }

    pub(crate) fn was_woken_from_outside(&self) -> bool {
        self.from_outside.load(Ordering::SeqCst)
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
