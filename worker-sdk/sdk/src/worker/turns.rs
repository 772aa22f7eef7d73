//! Turns: how many are served at a time, and who waits for one.
//!
//! A turn is given back wherever it is dropped, also by a thread that nobody waits for any more, and whoever serves is told
//! then ([`Turns::freed`]): none that waits is forgotten.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The turns, and what waits for one, in order.
pub(crate) struct Turns<J> {
    free: Arc<Semaphore>,
    freed: Arc<Notify>,
    waiting: VecDeque<J>,
}

/// A turn, until it is dropped.
pub(crate) struct Turn {
    permit: Option<OwnedSemaphorePermit>,
    freed: Arc<Notify>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // It is free before anybody hears of it.
        drop(self.permit.take());
        self.freed.notify_one();
    }
}

impl<J> Turns<J> {
    pub(crate) fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), freed: Arc::new(Notify::new()), waiting: VecDeque::new() }
    }

    /// A turn for a job. Without one the job waits.
    pub(crate) fn take(&mut self, job: J) -> Option<(J, Turn)> {
        match Arc::clone(&self.free).try_acquire_owned() {
            Ok(permit) => Some((job, Turn { permit: Some(permit), freed: Arc::clone(&self.freed) })),
            Err(_) => {
                self.waiting.push_back(job);
                None
            }
        }
    }

    /// The job that has waited longest, if there is a turn for it.
    pub(crate) fn next(&mut self) -> Option<J> {
        if self.free.available_permits() == 0 { None } else { self.waiting.pop_front() }
    }

    /// Resolves when a turn was given back since the last time.
    pub(crate) fn freed(&self) -> impl Future<Output = ()> + use<J> {
        let freed = Arc::clone(&self.freed);
        async move { freed.notified().await }
    }

    /// Takes out the jobs that wait in vain.
    pub(crate) fn give_up(&mut self, in_vain: impl Fn(&J) -> bool) -> Vec<J> {
        let (given_up, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(in_vain);
        self.waiting = waiting;
        Vec::from(given_up)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn who_waits_is_served_whenever_the_turn_comes_back() {
        let mut turns = Turns::new(1);
        let (_, turn) = turns.take("first").unwrap();
        assert!(turns.take("second").is_none() && turns.take("third").is_none());
        // What the first one did is known, and its turn is not back yet.
        assert_eq!(turns.next(), None);
        assert!(turns.freed().now_or_never().is_none());
        drop(turn);
        assert!(turns.freed().now_or_never().is_some());
        let second = turns.next().unwrap();
        let (second, turn) = turns.take(second).unwrap();
        assert_eq!((second, turns.next()), ("second", None));
        drop(turn);
        assert!(turns.freed().now_or_never().is_some());
        assert_eq!(turns.next(), Some("third"));
    }

    #[test]
    fn who_waits_in_vain_is_taken_out() {
        let mut turns = Turns::new(0);
        for number in 0..4 {
            assert!(turns.take(number).is_none());
        }
        assert_eq!(turns.give_up(|number| number % 2 == 0), [0, 2]);
        assert_eq!(turns.give_up(|_| true), [1, 3]);
    }
}
