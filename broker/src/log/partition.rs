//! One partition: its segments, its producers and who waits for it. All appends go through one lock, which is what orders
//! the log; readers take only a snapshot of the list of segments.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;

use bytes::BytesMut;

use super::batch::{self, Batch};
use super::files;
use super::index::SealedIndex;
use super::producers::{Producers, SequenceCheck, SequenceFault};
use super::recovery::{self, Recovered};
use super::segment::{Read, Segment};
use super::store::Store;
use super::waiters::Waiters;
use crate::error::BrokerError;
use crate::sync;

/// A topic may allow larger segments, but deleted records only make room by whole segments.
const FILE_SEGMENT_BYTES_MAX: u64 = 128 << 20;
const MEMORY_SEGMENT_BYTES_MAX: u64 = 1 << 20;

pub(crate) struct Partition {
    directory: Option<PathBuf>,
    appender: Mutex<Producers>,
    /// Writes the last complete segment's index, once the segment is on the disk.
    sealing: Mutex<Option<JoinHandle<()>>>,
    segments: RwLock<Arc<[Arc<Segment>]>>,
    start: AtomicI64,
    end: AtomicI64,
    removed: AtomicBool,
    pub(crate) waiters: Waiters,
}

/// What of a topic's configuration an append needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AppendRules {
    pub segment_bytes: u64,
    /// Stamp records with the time of their append.
    pub log_append_time: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub base_offset: i64,
    pub log_append_time_ms: Option<i64>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    #[error("the partition has been removed")]
    Removed,
    #[error(transparent)]
    Sequence(#[from] SequenceFault),
    #[error(transparent)]
    Io(#[from] io::Error),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum TrimError {
    #[error("offset {requested} lies beyond the end of the log, {end}")]
    OutOfRange { requested: i64, end: i64 },
    #[error(transparent)]
    Io(#[from] io::Error),
}

pub(crate) enum ReadPlan {
    /// Nothing at this offset yet.
    AtEnd,
    Ready(Read),
    OutOfRange,
}

impl Partition {
    pub(crate) fn in_memory(producers_max: usize) -> Self {
        let empty = Recovered { segments: Vec::new(), start: 0, end: 0, producers: Producers::new(producers_max) };
        Self::from_recovered(None, empty)
    }

    /// Opens what the directory holds; the directory itself is made by the first append.
    pub(crate) fn open(directory: PathBuf, producers_max: usize) -> Result<Self, BrokerError> {
        let recovered = recovery::recover(&directory, producers_max)?;
        Ok(Self::from_recovered(Some(directory), recovered))
    }

    fn from_recovered(directory: Option<PathBuf>, recovered: Recovered) -> Self {
        Self {
            directory,
            appender: Mutex::new(recovered.producers),
            sealing: Mutex::new(None),
            segments: RwLock::new(recovered.segments.into()),
            start: AtomicI64::new(recovered.start),
            end: AtomicI64::new(recovered.end),
            removed: AtomicBool::new(false),
            waiters: Waiters::default(),
        }
    }

    /// The first offset that may be read.
    pub(crate) fn start(&self) -> i64 {
        self.start.load(Ordering::Acquire)
    }

    /// The offset of the next record; also the high watermark and the last stable offset.
    pub(crate) fn end(&self) -> i64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    pub(crate) fn segments(&self) -> Arc<[Arc<Segment>]> {
        sync::read(&self.segments).clone()
    }

    /// Appends one verified batch and wakes who waits. A duplicate of an idempotent producer is answered as the first time.
    pub(crate) fn append(
        &self,
        batch: Batch,
        bytes: &[u8],
        rules: AppendRules,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        let mut producers = sync::lock(&self.appender);
        if self.is_removed() {
            return Err(AppendError::Removed);
        }
        let stamped = rules.log_append_time.then_some(now_ms);
        if batch.is_idempotent()
            && let SequenceCheck::Duplicate { base_offset, timestamp } = producers.check(&batch)?
        {
            return Ok(Appended { base_offset, log_append_time_ms: stamped.map(|_| timestamp) });
        }
        let base_offset = self.end();
        let mut placed = BytesMut::from(bytes);
        batch::place(&mut placed, base_offset);
        let mut batch = Batch { base_offset, ..batch };
        if let Some(now_ms) = stamped {
            batch::stamp(&mut placed, batch.attributes, now_ms);
            batch.max_timestamp = now_ms;
        }
        let segment = self.segment_for(batch.bytes, rules.segment_bytes, &producers)?;
        segment.append(&batch, &placed.freeze(), &self.end)?;
        producers.note(&batch);
        drop(producers);
        self.waiters.wake();
        Ok(Appended { base_offset, log_append_time_ms: stamped })
    }

    /// The active segment, or a new one if the batch does not fit. Called by the holder of the appender's lock.
    fn segment_for(&self, bytes: usize, segment_bytes: u64, producers: &Producers) -> io::Result<Arc<Segment>> {
        let bytes_max = match self.directory {
            Some(_) => FILE_SEGMENT_BYTES_MAX,
            None => MEMORY_SEGMENT_BYTES_MAX,
        };
        let segments = self.segments();
        let active = segments.last();
        if let Some(active) = active {
            let size = active.size();
            if size == 0 || size + bytes as u64 <= segment_bytes.min(bytes_max) {
                return Ok(active.clone());
            }
        }
        let base_offset = self.end();
        let store = match &self.directory {
            None => Store::memory(),
            Some(directory) => {
                std::fs::create_dir_all(directory)?;
                Store::File(files::open_log(directory, base_offset)?)
            }
        };
        let segment = Arc::new(Segment::new(base_offset, store));
        *sync::write(&self.segments) = segments.iter().cloned().chain([segment.clone()]).collect();
        if let (Some(complete), Some(directory)) = (active, &self.directory) {
            self.seal(complete.clone(), directory.clone(), complete.seal(producers.snapshot()));
        }
        Ok(segment)
    }

    /// Appends do not wait for the disk: a thread does, which then writes the index by which recovery trusts the segment.
    fn seal(&self, segment: Arc<Segment>, directory: PathBuf, index: SealedIndex) {
        let mut sealing = sync::lock(&self.sealing);
        let before = sealing.take();
        let base_offset = segment.base_offset;
        let seal = move || {
            join(before);
            let sealed = segment.store.sync().and_then(|()| files::write_index(&directory, base_offset, &index));
            if let Err(error) = sealed {
                warn_unsealed(&directory, base_offset, &error);
            }
        };
        match std::thread::Builder::new().name("tidewright-seal".to_owned()).spawn(seal) {
            Ok(thread) => *sealing = Some(thread),
            Err(error) => tracing::warn!(base_offset, %error, "no thread to seal a segment; a start will read it"),
        }
    }

    pub(crate) fn plan_read(&self, offset: i64, bytes_max: usize, at_least_one: bool) -> ReadPlan {
        // The list before the start: where the start has moved and the list has not, the list still holds what is asked for.
        let segments = self.segments();
        if offset < self.start() || offset > self.end() {
            return ReadPlan::OutOfRange;
        }
        let after = segments.partition_point(|segment| segment.base_offset <= offset);
        let plan = after.checked_sub(1).and_then(|at| segments[at].plan_read(offset, bytes_max, at_least_one));
        plan.map_or(ReadPlan::AtEnd, ReadPlan::Ready)
    }

    /// Deletes the records before `offset`, or all of them for `None`, and returns the log's new start. Segments that lie
    /// before it as a whole are removed.
    pub(crate) fn trim(&self, offset: Option<i64>) -> Result<i64, TrimError> {
        let _appender = sync::lock(&self.appender);
        let end = self.end();
        let requested = offset.unwrap_or(end);
        if requested < 0 || requested > end {
            return Err(TrimError::OutOfRange { requested, end });
        }
        if requested <= self.start() {
            return Ok(self.start());
        }
        if let Some(directory) = self.directory.as_ref().filter(|_| !self.is_removed()) {
            files::write_log_start(directory, requested)?;
        }
        self.start.store(requested, Ordering::Release);
        self.drop_segments_before(requested)?;
        Ok(requested)
    }

    /// The last segment stays, so that a restart knows where the log goes on.
    fn drop_segments_before(&self, start: i64) -> io::Result<()> {
        let segments = self.segments();
        let complete = segments.len().saturating_sub(1);
        let dropped = segments[..complete].iter().take_while(|segment| segment.next_offset() <= start).count();
        *sync::write(&self.segments) = segments[dropped..].into();
        let Some(directory) = self.directory.as_ref().filter(|_| dropped > 0) else { return Ok(()) };
        join(sync::lock(&self.sealing).take());
        segments[..dropped].iter().try_for_each(|segment| files::remove_segment(directory, segment.base_offset))
    }

    /// Ends the partition: no append succeeds any more and who waits is woken to find out.
    pub(crate) fn remove(&self) -> io::Result<()> {
        {
            let _appender = sync::lock(&self.appender);
            self.removed.store(true, Ordering::Release);
        }
        self.waiters.wake();
        join(sync::lock(&self.sealing).take());
        self.directory.as_deref().map_or(Ok(()), files::remove_directory)
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        // Whoever opens the directory next has its files to themselves.
        join(sync::lock(&self.sealing).take());
    }
}

fn join(sealing: Option<JoinHandle<()>>) {
    if sealing.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("a thread that sealed a segment panicked; a start will read the segment");
    }
}

fn warn_unsealed(directory: &Path, base_offset: i64, error: &io::Error) {
    tracing::warn!(directory = %directory.display(), base_offset, %error, "cannot seal a segment; a start will read it");
}

#[cfg(test)]
#[path = "partition_tests.rs"]
mod tests;
