//! One partition: its segments, its producers and who waits for it. Readers take only a snapshot of the list of segments;
//! `append` and `flush` hold what changes it.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use super::append::Appender;
pub(crate) use super::append::{AppendError, AppendRules};
use super::context::LogContext;
use super::files;
use super::producers::Producers;
use super::recovery::{self, Recovered};
use super::segment::{Read, Segment};
use super::waiters::Waiters;
use crate::error::BrokerError;
use crate::sync;

pub(crate) struct Partition {
    pub(super) directory: Option<PathBuf>,
    pub(super) context: LogContext,
    pub(super) appender: Mutex<Appender>,
    /// Held while files beside the log are written or removed; taken before the appender's lock, never by appends or reads.
    pub(super) upkeep: Mutex<()>,
    pub(super) segments: RwLock<Arc<[Arc<Segment>]>>,
    start: AtomicI64,
    pub(super) end: AtomicI64,
    status: AtomicU8,
    pub(crate) waiters: Waiters,
    pub(crate) upkeep_pause: Pause,
}

/// For how long nobody deletes or compacts after a failure.
#[derive(Default)]
pub(crate) struct Pause(AtomicI64);

impl Pause {
    pub(crate) fn set(&self, until_ms: i64) {
        self.0.store(until_ms, Ordering::Release);
    }

    /// `None` when it is over.
    pub(crate) fn until_ms(&self, now_ms: i64) -> Option<i64> {
        Some(self.0.load(Ordering::Acquire)).filter(|&until_ms| until_ms > now_ms)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    Online,
    /// Its storage failed. What the disk holds is found out by the next start.
    Offline,
    Removed,
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
    pub(crate) fn in_memory(context: LogContext) -> Self {
        let producers = Producers::new(context.producers_max);
        let empty = Recovered { segments: Vec::new(), start: 0, end: 0, producers, is_clean: false };
        Self::from_recovered(None, context, empty)
    }

    /// Opens what the directory holds; the directory itself is made by the first append.
    pub(crate) fn open(directory: PathBuf, context: LogContext) -> Result<Self, BrokerError> {
        let recovered = recovery::recover(&directory, context.producers_max)?;
        Ok(Self::from_recovered(Some(directory), context, recovered))
    }

    fn from_recovered(directory: Option<PathBuf>, context: LogContext, recovered: Recovered) -> Self {
        let appender = Appender {
            producers: recovered.producers,
            end: recovered.end,
            unsynced: Vec::new(),
            unsealed: Vec::new(),
            is_directory_unsynced: false,
            is_queued: false,
            has_clean_stop: recovered.is_clean,
        };
        Self {
            directory,
            context,
            appender: Mutex::new(appender),
            upkeep: Mutex::new(()),
            segments: RwLock::new(recovered.segments.into()),
            start: AtomicI64::new(recovered.start),
            end: AtomicI64::new(recovered.end),
            status: AtomicU8::new(Status::Online as u8),
            waiters: Waiters::default(),
            upkeep_pause: Pause::default(),
        }
    }

    /// How many bytes its segments take.
    pub(crate) fn size(&self) -> u64 {
        self.segments().iter().map(|segment| segment.visible().size).sum()
    }

    /// The first offset that may be read.
    pub(crate) fn start(&self) -> i64 {
        self.start.load(Ordering::Acquire)
    }

    /// The offset behind the last record that may be read: the high watermark and the last stable offset.
    pub(crate) fn end(&self) -> i64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn status(&self) -> Status {
        match self.status.load(Ordering::Acquire) {
            status if status == Status::Online as u8 => Status::Online,
            status if status == Status::Offline as u8 => Status::Offline,
            _ => Status::Removed,
        }
    }

    /// After a failure of which nobody knows what it left behind. Who waits finds out at once.
    pub(super) fn go_offline(&self, error: &io::Error) {
        let (online, offline) = (Status::Online as u8, Status::Offline as u8);
        if self.status.compare_exchange(online, offline, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            let directory = self.directory.as_deref().map(|directory| directory.display().to_string());
            tracing::error!(directory, %error, "a partition is offline until the broker is started again: its storage failed");
        }
        self.waiters.wake();
    }

    pub(crate) fn segments(&self) -> Arc<[Arc<Segment>]> {
        sync::read(&self.segments).clone()
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
        let _upkeep = sync::lock(&self.upkeep);
        let end = self.end();
        let requested = offset.unwrap_or(end);
        if requested < 0 || requested > end {
            return Err(TrimError::OutOfRange { requested, end });
        }
        if requested <= self.start() {
            return Ok(self.start());
        }
        if let Some(directory) = self.directory.as_ref().filter(|_| self.status() != Status::Removed) {
            files::write_log_start(directory, requested)?;
        }
        self.start.store(requested, Ordering::Release);
        self.drop_segments(requested)?;
        Ok(requested)
    }

    /// Removes what a deletion left because it was the active segment then.
    pub(super) fn drop_segments_before_start(&self) -> io::Result<()> {
        let _upkeep = sync::lock(&self.upkeep);
        self.drop_segments(self.start())
    }

    /// The last segment stays, so that a restart knows where the log goes on.
    fn drop_segments(&self, start: i64) -> io::Result<()> {
        let mut held = sync::write(&self.segments);
        let segments = held.clone();
        let complete = segments.len().saturating_sub(1);
        let dropped = segments[..complete].iter().take_while(|segment| segment.visible().next_offset <= start).count();
        *held = segments[dropped..].into();
        drop(held);
        let Some(directory) = self.directory.as_ref().filter(|_| dropped > 0) else { return Ok(()) };
        segments[..dropped].iter().try_for_each(|segment| files::remove_segment(directory, segment.base_offset))
    }

    /// Ends the partition: no append succeeds any more and who waits is woken to find out.
    pub(crate) fn remove(&self) -> io::Result<()> {
        {
            let _appender = sync::lock(&self.appender);
            self.status.store(Status::Removed as u8, Ordering::Release);
        }
        self.waiters.wake();
        let _upkeep = sync::lock(&self.upkeep);
        self.directory.as_deref().map_or(Ok(()), files::remove_directory)
    }
}

#[cfg(test)]
#[path = "partition_tests.rs"]
mod tests;
