//! The sparse index of one segment: where to start looking for an offset or a timestamp. It is kept in memory and, once its
//! segment is complete, in a file beside it together with the producers known at that point, so that a start reads only
//! the last segment of a partition.

use serde::{Deserialize, Serialize};

use super::batch::Batch;
use super::producers::ProducerSnapshot;
use super::segment::Progress;

/// Bytes of log between two entries.
pub(crate) const INTERVAL_BYTES: u64 = 4_096;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    offset: i64,
    position: u64,
    /// The greatest timestamp of the batches before this entry.
    max_timestamp_before: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Index {
    entries: Vec<Entry>,
    indexed_to: u64,
}

impl Index {
    /// Takes note of a batch about to stand at `position`; `max_timestamp` is that of all batches before it.
    pub(crate) fn note(&mut self, batch: &Batch, position: u64, max_timestamp: i64) {
        if position < self.indexed_to + INTERVAL_BYTES {
            return;
        }
        self.indexed_to = position;
        self.entries.push(Entry { offset: batch.base_offset, position, max_timestamp_before: max_timestamp });
    }

    /// A position at or before the batch that holds `offset`.
    pub(crate) fn position_of(&self, offset: i64) -> u64 {
        let after = self.entries.partition_point(|entry| entry.offset <= offset);
        after.checked_sub(1).map_or(0, |at| self.entries[at].position)
    }

    /// A position at or before the first batch that has a record as late as `timestamp`.
    pub(crate) fn position_of_timestamp(&self, timestamp: i64) -> u64 {
        let after = self.entries.partition_point(|entry| entry.max_timestamp_before < timestamp);
        after.checked_sub(1).map_or(0, |at| self.entries[at].position)
    }
}

/// What the file beside a complete segment says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedIndex {
    pub index: Index,
    pub progress: Progress,
    pub first_timestamp: i64,
    pub cleaned: Cleaned,
    /// The producers known at the end of the segment.
    pub producers: Vec<ProducerSnapshot>,
}

/// What compaction has done to a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cleaned {
    /// Below this offset no key has more than one record in the log's clean part.
    pub to: i64,
    /// Since when the tombstones that are left may have been read by who follows the log, ascending.
    pub tombstones: Vec<Tombstones>,
}

/// Tombstones at offsets below `to` (and not below that of the entry before) were first cleaned at that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tombstones {
    pub to: i64,
    pub cleaned_at_ms: i64,
}
