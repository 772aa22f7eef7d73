//! Appending: one lock per partition puts the batches in order, numbers and writes them. When they become visible is the
//! matter of `flush`.

use std::io;
use std::sync::{Arc, Weak};

use bytes::BytesMut;

use super::batch::{self, Batch};
use super::files;
use super::partition::{Partition, Status};
use super::producers::{ProducerSnapshot, Producers, SequenceCheck, SequenceFault};
use super::segment::{Segment, WriteFault};
use super::store::Store;
use crate::sync;

/// A topic may allow larger segments, but deleted records only make room by whole segments.
const FILE_SEGMENT_BYTES_MAX: u64 = 128 << 20;
const MEMORY_SEGMENT_BYTES_MAX: u64 = 1 << 20;

/// What the writer of a partition knows beyond what readers see.
pub(super) struct Appender {
    pub producers: Producers,
    /// The offset of the next record.
    pub end: i64,
    /// Segments that hold more than is known to be synced, in order.
    pub unsynced: Vec<Arc<Segment>>,
    /// Complete segments without an index file yet, with the producers known at their ends.
    pub unsealed: Vec<(Arc<Segment>, Vec<ProducerSnapshot>)>,
    /// Whether files were made that a loss of power would take from the directory.
    pub is_directory_unsynced: bool,
    /// Whether the partition is in the flush queue or being flushed.
    pub is_queued: bool,
    /// Whether the directory says that the log ends where it did when the broker last stopped.
    pub has_clean_stop: bool,
}

impl Appender {
    fn note_unsynced(&mut self, segment: &Arc<Segment>) {
        if !self.unsynced.last().is_some_and(|last| Arc::ptr_eq(last, segment)) {
            self.unsynced.push(segment.clone());
        }
    }
}

/// What of a topic's configuration an append needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AppendRules {
    pub segment_bytes: u64,
    /// A segment is complete when a record comes that is so much later than its first.
    pub segment_ms: i64,
    /// Stamp records with the time of their append.
    pub log_append_time: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub base_offset: i64,
    /// The offset behind the batch: it is committed when the log's visible end has come so far.
    pub next_offset: i64,
    pub log_append_time_ms: Option<i64>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    #[error("the partition has been removed")]
    Removed,
    #[error("the partition is offline after a failure of its storage, until the broker is started again")]
    Offline,
    #[error(transparent)]
    Sequence(#[from] SequenceFault),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Partition {
    /// Appends one verified batch. It is committed once [`Partition::end`] reaches `next_offset`, which may be at once. A
    /// duplicate of an idempotent producer is answered as the first time.
    pub(crate) fn append(
        self: &Arc<Self>,
        batch: Batch,
        bytes: &[u8],
        rules: AppendRules,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        let mut appender = sync::lock(&self.appender);
        match self.status() {
            Status::Online => {}
            Status::Removed => return Err(AppendError::Removed),
            Status::Offline => return Err(AppendError::Offline),
        }
        let stamped = rules.log_append_time.then_some(now_ms);
        if batch.is_idempotent()
            && let SequenceCheck::Duplicate { base_offset, timestamp } = appender.producers.check(&batch)?
        {
            let next_offset = base_offset + i64::from(batch.last_offset_delta) + 1;
            return Ok(Appended { base_offset, next_offset, log_append_time_ms: stamped.map(|_| timestamp) });
        }
        let base_offset = appender.end;
        let mut placed = BytesMut::from(bytes);
        batch::place(&mut placed, base_offset);
        let mut batch = Batch { base_offset, ..batch };
        if let Some(now_ms) = stamped {
            batch::stamp(&mut placed, batch.attributes, now_ms);
            batch.max_timestamp = now_ms;
        }
        let segment = self.segment_for(&batch, rules, &mut appender)?;
        match segment.append(&batch, &placed.freeze()) {
            Ok(()) => {}
            Err(WriteFault::Undone(error)) => return Err(error.into()),
            Err(WriteFault::Torn(error)) => {
                self.go_offline(&error);
                return Err(error.into());
            }
        }
        appender.producers.note(&batch);
        appender.end = batch.last_offset() + 1;
        let next_offset = appender.end;
        let is_visible = self.commit_or_queue(&segment, &mut appender);
        drop(appender);
        if is_visible {
            self.waiters.wake();
        }
        Ok(Appended { base_offset, next_offset, log_append_time_ms: stamped })
    }

    /// Makes what was written visible, unless it must be synced first, and sees to it that it will be synced.
    fn commit_or_queue(self: &Arc<Self>, segment: &Arc<Segment>, appender: &mut Appender) -> bool {
        let fsync = self.context.fsync;
        let is_visible = self.directory.is_none() || !fsync.precedes_acknowledgement();
        if is_visible {
            segment.reveal(segment.written(), &self.end);
        }
        if self.directory.is_none() {
            return is_visible;
        }
        if fsync.delay().is_some() {
            appender.note_unsynced(segment);
        }
        self.queue_flush(appender);
        is_visible
    }

    pub(super) fn queue_flush(self: &Arc<Self>, appender: &mut Appender) {
        let has_work = !appender.unsynced.is_empty() || !appender.unsealed.is_empty();
        if has_work && !appender.is_queued {
            appender.is_queued = true;
            let delay = self.context.fsync.delay().unwrap_or_default();
            let partition: Weak<Self> = Arc::downgrade(self);
            self.context.flush_queue.push(partition, delay);
        }
    }

    /// The active segment, or a new one if the batch does not belong into it.
    fn segment_for(&self, batch: &Batch, rules: AppendRules, appender: &mut Appender) -> io::Result<Arc<Segment>> {
        if let Some(active) = self.segments().last().filter(|active| !self.is_complete(active, batch, rules)) {
            self.forget_clean_stop(appender)?;
            return Ok(active.clone());
        }
        self.roll(appender)
    }

    fn is_complete(&self, active: &Segment, batch: &Batch, rules: AppendRules) -> bool {
        let size = active.written().size;
        if size == 0 {
            return false;
        }
        let bytes_max = match self.directory {
            Some(_) => FILE_SEGMENT_BYTES_MAX,
            None => MEMORY_SEGMENT_BYTES_MAX,
        };
        let is_full = size + batch.bytes as u64 > rules.segment_bytes.min(bytes_max);
        let first_timestamp = active.first_timestamp();
        // Without a timestamp nobody knows how long the segment has lasted.
        let has_lasted = first_timestamp >= 0 && batch.max_timestamp - first_timestamp > rules.segment_ms;
        is_full || has_lasted
    }

    /// Completes the active segment and starts a new one. The flush queue syncs the old one and then writes the index by
    /// which recovery trusts it.
    pub(super) fn roll(&self, appender: &mut Appender) -> io::Result<Arc<Segment>> {
        self.forget_clean_stop(appender)?;
        let store = match &self.directory {
            None => Store::memory(),
            Some(directory) => {
                files::create_directory(directory)?;
                appender.is_directory_unsynced = true;
                Store::file(files::open_log(directory, appender.end)?)
            }
        };
        let segment = Arc::new(Segment::new(appender.end, store));
        let mut segments = sync::write(&self.segments);
        match segments.last() {
            Some(complete) if self.directory.is_some() => {
                appender.note_unsynced(complete);
                appender.unsealed.push((complete.clone(), appender.producers.snapshot()));
            }
            Some(complete) => {
                complete.set_sealed();
                self.context.upkeep.wake();
            }
            None => {}
        }
        *segments = segments.iter().cloned().chain([segment.clone()]).collect();
        drop(segments);
        Ok(segment)
    }

    /// What the directory says of the last stop no longer holds once something is appended.
    fn forget_clean_stop(&self, appender: &mut Appender) -> io::Result<()> {
        if let Some(directory) = self.directory.as_ref().filter(|_| appender.has_clean_stop) {
            files::remove_clean_stop(directory)?;
            appender.has_clean_stop = false;
        }
        Ok(())
    }
}
