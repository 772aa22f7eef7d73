//! A journal whose entries survive a loss of power as the policy says: with `every` whoever is answered waits for
//! [`SyncedJournal::synced`], and one sync of the flush queue's threads covers all entries that came meanwhile. No
//! sync holds the lock of those who write.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::context::LogContext;
use super::files;
use super::fsync::Flush;
use super::journal::Journal;
use super::waiters::Waiters;
use crate::error::BrokerError;
use crate::sync;

/// How far a journal had been written when an entry was behind it. The default is before everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark(u64);

#[derive(Debug, thiserror::Error)]
#[error("the journal could not be synced: it takes nothing until the broker is started again")]
pub(crate) struct Offline;

impl From<Offline> for io::Error {
    fn from(offline: Offline) -> Self {
        Self::other(offline)
    }
}

pub(crate) struct SyncedJournal<E> {
    context: LogContext,
    written: Mutex<Written<E>>,
    /// Held by whoever syncs, so that they take turns; taken before `written`, never by writers.
    turn: Mutex<()>,
    synced: AtomicU64,
    is_offline: AtomicBool,
    waiters: Waiters,
    /// Itself, for the flush queue.
    this: Weak<Self>,
}

struct Written<E> {
    journal: Journal<E>,
    /// Counts appends.
    mark: Mark,
    /// Whether the journal is in the flush queue or being flushed.
    is_queued: bool,
}

/// The right to add entries. What is decided while it is held is recorded in that order.
pub(crate) struct Writer<'a, E> {
    owner: &'a SyncedJournal<E>,
    written: MutexGuard<'a, Written<E>>,
}

impl<E: Serialize + DeserializeOwned + 'static> SyncedJournal<E> {
    pub(crate) fn in_memory(context: LogContext) -> Arc<Self> {
        Self::new(Journal::none(), context)
    }

    pub(crate) fn open(path: &Path, context: LogContext) -> Result<(Arc<Self>, Vec<E>), BrokerError> {
        let (journal, entries) = Journal::open(path)?;
        Ok((Self::new(journal, context), entries))
    }

    fn new(journal: Journal<E>, context: LogContext) -> Arc<Self> {
        let written = Written { journal, mark: Mark::default(), is_queued: false };
        Arc::new_cyclic(|this| Self {
            context,
            written: Mutex::new(written),
            turn: Mutex::new(()),
            synced: AtomicU64::new(0),
            is_offline: AtomicBool::new(false),
            waiters: Waiters::default(),
            this: this.clone(),
        })
    }

    pub(crate) fn writer(&self) -> Writer<'_, E> {
        Writer { owner: self, written: sync::lock(&self.written) }
    }

    /// Waits until what was written before the mark may be acknowledged.
    pub(crate) async fn synced(&self, mark: Mark) -> Result<(), Offline> {
        if !self.context.fsync.precedes_acknowledgement() {
            return Ok(());
        }
        let look = || match self.is_synced(mark) {
            true => Some(Ok(())),
            false => self.is_offline().then_some(Err(Offline)),
        };
        self.waiters.until(look).await
    }

    fn is_synced(&self, mark: Mark) -> bool {
        self.synced.load(Ordering::Acquire) >= mark.0
    }

    fn is_offline(&self) -> bool {
        self.is_offline.load(Ordering::Acquire)
    }

    /// Whether the journal has become longer than what it tells is worth, given how many entries a snapshot would have.
    pub(crate) fn is_bloated(&self, live: impl FnOnce() -> usize) -> bool {
        !self.is_offline() && sync::lock(&self.written).journal.is_bloated(live())
    }

    /// Puts a snapshot in place of everything so far; it is taken while nothing is written. Writing goes on meanwhile.
    /// Called by one thread at a time.
    pub(crate) fn compact(&self, snapshot: impl FnOnce() -> Vec<E>) -> io::Result<()> {
        let (rewrite, snapshot) = {
            let written = sync::lock(&self.written);
            (written.journal.begin_rewrite()?, snapshot())
        };
        let Some(mut rewrite) = rewrite else { return Ok(()) };
        rewrite.write(&snapshot)?;
        let _turn = sync::lock(&self.turn);
        // Nothing more is acknowledged during this turn, so all that is stands in the new file, synced, before it takes the
        // old one's name.
        let end = sync::lock(&self.written).journal.end()?;
        rewrite.catch_up(end)?;
        {
            let mut written = sync::lock(&self.written);
            if self.is_offline() {
                return Err(Offline.into());
            }
            written.journal.finish_rewrite(rewrite, snapshot.len())?;
        }
        self.sync_written(true);
        if self.is_offline() { Err(Offline.into()) } else { Ok(()) }
    }

    /// Syncs what was written before.
    pub(crate) fn flush(&self) {
        let _turn = sync::lock(&self.turn);
        self.sync_written(false);
    }

    /// After a failure nobody knows what the disk holds, so the journal takes nothing any more; the next start finds out.
    fn sync_written(&self, has_new_name: bool) {
        let (file, mark) = {
            let written = sync::lock(&self.written);
            (written.journal.file.clone(), written.mark)
        };
        let Some((path, file)) = file.filter(|_| !self.is_offline() && (has_new_name || !self.is_synced(mark))) else {
            return;
        };
        let synced = file.sync().and_then(|()| match path.parent().filter(|_| has_new_name) {
            Some(directory) => files::sync_directory(directory),
            None => Ok(()),
        });
        match synced {
            Ok(()) => self.synced.store(mark.0, Ordering::Release),
            Err(error) => {
                tracing::error!(journal = %path.display(), %error, "a journal takes nothing until the broker is started again: it could not be synced");
                self.is_offline.store(true, Ordering::Release);
            }
        }
        self.waiters.wake();
    }

    fn queue_flush(&self, written: &mut Written<E>) {
        let Some(delay) = self.context.fsync.delay() else { return };
        if !written.is_queued && !self.is_synced(written.mark) && !self.is_offline() {
            written.is_queued = true;
            let this: Weak<Self> = self.this.clone();
            self.context.flush_queue.push(this, delay);
        }
    }
}

impl<E: Serialize + DeserializeOwned + 'static> Flush for SyncedJournal<E> {
    fn flush_and_queue_again(self: Arc<Self>) {
        self.flush();
        let mut written = sync::lock(&self.written);
        written.is_queued = false;
        self.queue_flush(&mut written);
    }
}

impl<E: Serialize + DeserializeOwned + 'static> Writer<'_, E> {
    /// Adds entries in one write. They may be acknowledged once [`SyncedJournal::synced`] says so of the mark.
    pub(crate) fn append(&mut self, entries: &[E]) -> io::Result<Mark> {
        if entries.is_empty() || self.written.journal.file.is_none() {
            return Ok(Mark::default());
        }
        if self.owner.is_offline() {
            return Err(Offline.into());
        }
        self.written.journal.append(entries)?;
        self.written.mark.0 += 1;
        self.owner.queue_flush(&mut self.written);
        Ok(self.written.mark)
    }
}

#[cfg(test)]
#[path = "journal_sync_tests.rs"]
mod tests;
