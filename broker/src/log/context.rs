//! What all partitions of a broker have in common.

use std::sync::Arc;

use super::bell::Bell;
use super::fsync::{FlushQueue, Fsync};

#[derive(Clone)]
pub(crate) struct LogContext {
    pub fsync: Fsync,
    pub producers_max: usize,
    pub flush_queue: Arc<FlushQueue>,
    /// Wakes who enforces retention and compacts.
    pub upkeep: Arc<Bell>,
}

impl LogContext {
    pub(crate) fn new(fsync: Fsync, producers_max: usize) -> Self {
        Self { fsync, producers_max, flush_queue: Arc::default(), upkeep: Arc::default() }
    }
}
