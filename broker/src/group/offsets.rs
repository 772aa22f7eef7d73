//! Committed offsets, in memory and in their journal. Changes go one after the other through the journal; readers take only
//! the state, so that nobody who reads waits for the disk.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, RwLock, RwLockReadGuard};

use super::ledger::{CommittedOffset, Entry, Ledger, Place};
use crate::error::BrokerError;
use crate::log::context::LogContext;
use crate::log::journal_sync::{Mark, Offline, SyncedJournal, Writer};
use crate::sync;

const JOURNAL: &str = "offsets.journal";

pub(crate) struct Offsets {
    journal: Arc<SyncedJournal<Entry>>,
    ledger: RwLock<Ledger>,
}

/// The right to change offsets, held while it is decided whether to.
pub(crate) struct Change<'a> {
    journal: Writer<'a, Entry>,
    ledger: &'a RwLock<Ledger>,
    mark: Mark,
}

impl Offsets {
    pub(crate) fn in_memory(context: LogContext) -> Self {
        Self { journal: SyncedJournal::in_memory(context), ledger: RwLock::default() }
    }

    /// A group that had members when the broker stopped counts as deserted from `now_ms` on, until they come back.
    pub(crate) fn open(root: &Path, now_ms: i64, context: LogContext) -> Result<Self, BrokerError> {
        let (journal, entries) = SyncedJournal::open(&root.join(JOURNAL), context)?;
        let mut ledger = Ledger::default();
        entries.into_iter().for_each(|entry| ledger.apply(entry));
        ledger.desert_all(now_ms);
        Ok(Self { journal, ledger: RwLock::new(ledger) })
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Ledger> {
        sync::read(&self.ledger)
    }

    pub(crate) fn group(&self, group: &str) -> BTreeMap<Place, CommittedOffset> {
        self.read().group(group).map(|group| group.places.clone()).unwrap_or_default()
    }

    pub(crate) fn change(&self) -> Change<'_> {
        Change { journal: self.journal.writer(), ledger: &self.ledger, mark: Mark::default() }
    }

    /// Waits until what a change recorded may be acknowledged.
    pub(crate) async fn synced(&self, mark: Mark) -> Result<(), Offline> {
        self.journal.synced(mark).await
    }

    /// Syncs everything, once nobody changes anything any more.
    pub(crate) fn stop(&self) {
        self.journal.flush();
    }

    /// Whether the journal has become longer than what it tells is worth.
    pub(crate) fn is_bloated(&self) -> bool {
        self.journal.is_bloated(|| self.read().entries())
    }

    /// Brings the journal down to what is live. Commits go on meanwhile. Called by one thread at a time.
    pub(crate) fn compact(&self) -> io::Result<()> {
        self.journal.compact(|| self.read().snapshot())
    }
}

impl Change<'_> {
    pub(crate) fn ledger(&self) -> RwLockReadGuard<'_, Ledger> {
        sync::read(self.ledger)
    }

    /// Kept once this returns, whatever becomes of this process.
    pub(crate) fn record(&mut self, entries: Vec<Entry>) -> io::Result<()> {
        self.mark = self.mark.max(self.journal.append(&entries)?);
        let mut ledger = sync::write(self.ledger);
        entries.into_iter().for_each(|entry| ledger.apply(entry));
        Ok(())
    }

    /// What must be synced before all of this change survives a loss of power, too.
    pub(crate) fn mark(&self) -> Mark {
        self.mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::fsync::Fsync;
    use crate::log::journal::Journal;

    fn commit(topic: &str, offset: i64) -> Entry {
        let place = Place { topic: topic.to_owned(), partition: 0 };
        let committed = CommittedOffset { offset, leader_epoch: 0, metadata: String::new(), at_ms: 5 };
        Entry::CommittedAt { group: "g".to_owned(), place, committed }
    }

    fn open(root: &Path) -> Result<Offsets, BrokerError> {
        Offsets::open(root, 0, LogContext::new(Fsync::Os, 10))
    }

    fn size(root: &Path) -> u64 {
        std::fs::metadata(root.join(JOURNAL)).unwrap().len()
    }

    #[test]
    fn the_last_commit_counts_also_after_a_restart_and_a_rewrite() {
        let root = tempfile::tempdir().unwrap();
        let offsets = open(root.path()).unwrap();
        for offset in 0..12_000 {
            offsets.change().record(vec![commit("a", offset)]).unwrap();
        }
        offsets.change().record(vec![commit("b", 7)]).unwrap();
        offsets.change().record(vec![Entry::TopicForgotten { topic: "b".to_owned() }]).unwrap();
        assert!(offsets.is_bloated());
        offsets.compact().unwrap();
        assert!(!offsets.is_bloated());
        assert!(size(root.path()) < 100, "{}", size(root.path()));
        offsets.change().record(vec![commit("a", 12_000)]).unwrap();
        let offsets = open(root.path()).unwrap();
        let group = offsets.group("g");
        assert_eq!(group.values().map(|committed| committed.offset).collect::<Vec<_>>(), [12_000]);
    }

    #[test]
    fn commits_during_rewrites_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let offsets = open(root.path()).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for offset in 0..5_000 {
                    let topic = (offset % 7).to_string();
                    offsets.change().record(vec![commit(&topic, offset)]).unwrap();
                }
            });
            while !writer.is_finished() {
                offsets.compact().unwrap();
                // What a kill right now would leave behind.
                let (_, entries) = Journal::<Entry>::open(&root.path().join(JOURNAL)).unwrap();
                assert!(entries.len() <= 5_000);
            }
        });
        let live = offsets.group("g");
        assert_eq!(live.len(), 7);
        assert_eq!(open(root.path()).unwrap().group("g"), live);
    }
}
