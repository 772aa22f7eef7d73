//! Wakes one thread that waits for something to do, or for a time.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::sync;

#[derive(Default)]
struct State {
    has_rung: bool,
    is_stopped: bool,
}

#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    changed: Condvar,
}

impl Bell {
    pub(crate) fn wake(&self) {
        let mut state = sync::lock(&self.state);
        if !state.has_rung {
            state.has_rung = true;
            self.changed.notify_all();
        }
    }

    /// Ends all waiting for ever.
    pub(crate) fn stop(&self) {
        sync::lock(&self.state).is_stopped = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        sync::lock(&self.state).is_stopped
    }

    /// Waits until it rings, but at least `min` and at most `max`.
    pub(crate) fn wait(&self, min: Duration, max: Duration) {
        let begun = Instant::now();
        let mut state = sync::lock(&self.state);
        loop {
            let until = if state.has_rung { min } else { max.max(min) };
            let left = until.saturating_sub(begun.elapsed());
            if state.is_stopped || left.is_zero() {
                state.has_rung = false;
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Gives way to others for that long, unless it is to stop.
    pub(crate) fn pause(&self, time: Duration) {
        let begun = Instant::now();
        let mut state = sync::lock(&self.state);
        while !state.is_stopped && begun.elapsed() < time {
            let left = time.saturating_sub(begun.elapsed());
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
