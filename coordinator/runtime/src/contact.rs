//! Whether this node may still believe that its partitions are its own (R17).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When the group's coordinator was last heard.
#[derive(Debug)]
pub(crate) struct Contact {
    last: Mutex<Option<Instant>>,
    session_timeout: Duration,
}

impl Contact {
    pub(crate) fn new(session_timeout: Duration) -> Self {
        Self { last: Mutex::new(None), session_timeout }
    }

    pub(crate) fn heard(&self, at: Option<Instant>) {
        if at.is_some() {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = at;
        }
    }

    pub(crate) fn is_fresh(&self) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|at| at.elapsed() < self.session_timeout)
    }
}
