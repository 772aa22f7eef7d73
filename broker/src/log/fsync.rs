//! When what is written is made to survive a loss of power, and the threads that see to it.
//!
//! A log that has something to sync (that of a partition, or a journal) puts itself into the queue, at most once; a few
//! threads take logs out of it when they are due. So one sync covers everything that was appended since the last one,
//! whoever appended it.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::sync;

/// Files of as many logs are synced at the same time.
const THREADS: usize = 4;

/// When appended records are written through to the disk. Whatever the policy, the end of a broker's process, even by
/// `SIGKILL`, loses nothing: what these differ in is what a loss of power, or a crash of the operating system, can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Before they are acknowledged and can be read. One sync covers all that was appended meanwhile, so it costs time
    /// (that of a sync for each request of a connection) more than throughput. Nothing acknowledged is lost.
    Every,
    /// So long after they were appended; they are acknowledged at once. A loss of power takes at most about that much.
    Interval(Duration),
    /// When the operating system sees fit, often half a minute later, or when a segment is complete. This is what Apache
    /// Kafka does by default; there, replicas on other machines make up for it.
    Os,
}

impl Fsync {
    /// How long a written record may stay unsynced; `None` leaves it to the operating system.
    pub(crate) fn delay(self) -> Option<Duration> {
        match self {
            Self::Every => Some(Duration::ZERO),
            Self::Interval(interval) => Some(interval),
            Self::Os => None,
        }
    }

    pub(crate) fn precedes_acknowledgement(self) -> bool {
        self == Self::Every
    }
}

/// A log that is synced by the threads of the queue.
pub(crate) trait Flush: Send + Sync {
    /// Syncs what was written before. What was written meanwhile queues up again, behind the other logs.
    fn flush_and_queue_again(self: Arc<Self>);
}

#[derive(Default)]
struct Waiting {
    due: VecDeque<(Instant, Weak<dyn Flush>)>,
    is_stopped: bool,
}

/// Logs that have something to sync, in the order in which they are due.
#[derive(Default)]
pub(crate) struct FlushQueue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl FlushQueue {
    /// A log enters at most once until it is flushed, so the queue is no longer than there are logs.
    pub(crate) fn push(&self, log: Weak<dyn Flush>, delay: Duration) {
        let due = Instant::now() + delay;
        let mut waiting = sync::lock(&self.waiting);
        // Almost always behind all others, as most wait equally long.
        let at = waiting.due.partition_point(|(other, _)| *other <= due);
        waiting.due.insert(at, (due, log));
        drop(waiting);
        self.changed.notify_one();
    }

    /// Waits for the next log that is due; `None` when there will be no more.
    fn pop(&self) -> Option<Weak<dyn Flush>> {
        let mut waiting = sync::lock(&self.waiting);
        loop {
            if waiting.is_stopped {
                return None;
            }
            let wait = waiting.due.front().map(|(due, _)| due.saturating_duration_since(Instant::now()));
            waiting = match wait {
                None => self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return waiting.due.pop_front().map(|(_, log)| log),
                Some(wait) => self.changed.wait_timeout(waiting, wait).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    fn stop(&self) {
        sync::lock(&self.waiting).is_stopped = true;
        self.changed.notify_all();
    }
}

/// The threads that flush. They end when this is dropped; what is queued then stays unsynced.
pub(crate) struct Flusher {
    queue: Arc<FlushQueue>,
    threads: Vec<JoinHandle<()>>,
}

impl Flusher {
    pub(crate) fn start(queue: Arc<FlushQueue>) -> io::Result<Self> {
        let mut flusher = Self { queue, threads: Vec::with_capacity(THREADS) };
        for _ in 0..THREADS {
            let queue = flusher.queue.clone();
            let flush = move || {
                while let Some(log) = queue.pop() {
                    if let Some(log) = log.upgrade() {
                        log.flush_and_queue_again();
                    }
                }
            };
            flusher.threads.push(std::thread::Builder::new().name("tidewright-fsync".to_owned()).spawn(flush)?);
        }
        Ok(flusher)
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.queue.stop();
        for thread in self.threads.drain(..) {
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread that syncs the log panicked");
            }
        }
    }
}
