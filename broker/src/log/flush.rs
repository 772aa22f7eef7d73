//! Making a partition's log survive a loss of power, and visible where the policy wants that first. Nothing here holds the
//! appender's lock while the disk works, so appends go on meanwhile and the next sync covers all of them.

use std::io;
use std::sync::Arc;

use super::append::AppendError;
use super::files;
use super::fsync::Flush;
use super::partition::{Partition, Status};
use super::producers::ProducerSnapshot;
use super::segment::{Progress, Segment};
use crate::sync;

impl Flush for Partition {
    fn flush_and_queue_again(self: Arc<Self>) {
        self.flush();
        let mut appender = sync::lock(&self.appender);
        appender.is_queued = false;
        if self.status() == Status::Online {
            self.queue_flush(&mut appender);
        }
    }
}

/// What one flush is to make durable.
struct Work {
    segments: Vec<(Arc<Segment>, Progress)>,
    unsealed: Vec<(Arc<Segment>, Vec<ProducerSnapshot>)>,
    is_directory_unsynced: bool,
}

impl Partition {
    /// Waits until the batches before `next_offset` are committed.
    pub(crate) async fn committed(&self, next_offset: i64) -> Result<(), AppendError> {
        let look = || match self.status() {
            _ if self.end() >= next_offset => Some(Ok(())),
            Status::Online => None,
            Status::Removed => Some(Err(AppendError::Removed)),
            Status::Offline => Some(Err(AppendError::Offline)),
        };
        self.waiters.until(look).await
    }

    /// Syncs what was written before, makes it visible and seals what is complete. After a failure nobody knows what the
    /// disk holds: the operating system may drop what it could not write and report success the next time. So the
    /// partition goes offline, and the next start finds out from the disk.
    pub(crate) fn flush(&self) {
        // Whoever writes or removes files beside the log takes turns; neither appends nor reads do.
        let _upkeep = sync::lock(&self.upkeep);
        let work = self.take_work();
        if self.status() != Status::Online {
            return;
        }
        if let Err(error) = self.sync(&work) {
            return self.go_offline(&error);
        }
        for (segment, progress) in &work.segments {
            segment.reveal(*progress, &self.end);
        }
        self.waiters.wake();
        for (segment, producers) in work.unsealed {
            self.seal(&segment, producers);
        }
    }

    fn take_work(&self) -> Work {
        let mut appender = sync::lock(&self.appender);
        let unsynced = std::mem::take(&mut appender.unsynced);
        Work {
            segments: unsynced.into_iter().map(|segment| (segment.clone(), segment.written())).collect(),
            unsealed: std::mem::take(&mut appender.unsealed),
            is_directory_unsynced: std::mem::take(&mut appender.is_directory_unsynced),
        }
    }

    fn sync(&self, work: &Work) -> io::Result<()> {
        work.segments
            .iter()
            .filter(|(segment, _)| self.holds(segment))
            .try_for_each(|(segment, _)| segment.store.sync())?;
        match &self.directory {
            Some(directory) if work.is_directory_unsynced => files::sync_directory(directory),
            _ => Ok(()),
        }
    }

    /// Writes the index by which a start trusts a complete and synced segment.
    fn seal(&self, segment: &Arc<Segment>, producers: Vec<ProducerSnapshot>) {
        let Some(directory) = self.directory.as_ref().filter(|_| self.holds(segment)) else { return };
        match files::write_index(directory, segment.base_offset, &segment.seal(producers)) {
            Ok(()) => {
                segment.set_sealed();
                self.context.upkeep.wake();
            }
            Err(error) => {
                let (directory, base_offset) = (directory.display(), segment.base_offset);
                tracing::warn!(%directory, base_offset, %error, "cannot seal a segment; a start will read it");
            }
        }
    }

    /// Whether it has not been removed meanwhile.
    pub(super) fn holds(&self, segment: &Arc<Segment>) -> bool {
        self.segments().iter().any(|held| Arc::ptr_eq(held, segment))
    }

    /// Syncs everything and notes where the log ends, so that the next start need not read it.
    pub(crate) fn stop(&self) {
        self.flush();
        let _upkeep = sync::lock(&self.upkeep);
        let mut appender = sync::lock(&self.appender);
        let Some(directory) = self.directory.as_ref().filter(|_| self.status() == Status::Online) else { return };
        let segments = self.segments();
        let Some(active) = segments.last().filter(|_| !appender.has_clean_stop) else { return };
        let stop = (active.base_offset, active.seal(appender.producers.snapshot()));
        match active.store.sync().and_then(|()| files::write_clean_stop(directory, &stop)) {
            Ok(()) => appender.has_clean_stop = true,
            Err(error) => {
                tracing::warn!(directory = %directory.display(), %error, "cannot note the end of a log; a start will read it")
            }
        }
    }
}

#[cfg(test)]
#[path = "flush_tests.rs"]
mod tests;
