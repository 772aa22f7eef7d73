//! How far a run's code has come, for whoever watches the thread that advances it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts how often a run's code was given the thread. A cheap handle that any thread may read while the run is advanced: a
/// count that stands still is that of code that does not give the thread back.
#[derive(Debug, Clone, Default)]
pub struct Pulse {
    beats: Arc<AtomicU64>,
}

impl Pulse {
    /// How often so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    pub(crate) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }
}
