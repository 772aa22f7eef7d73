//! Committed offsets, in memory and in their journal. Changes go one after the other through the journal; readers take only
//! the state, so that nobody who reads waits for the disk.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};

use super::ledger::{CommittedOffset, Entry, Ledger, Place};
use crate::error::BrokerError;
use crate::log::journal::Journal;
use crate::sync;

const JOURNAL: &str = "offsets.journal";

pub(crate) struct Offsets {
    journal: Mutex<Journal<Entry>>,
    ledger: RwLock<Ledger>,
}

/// The right to change offsets, held while it is decided whether to.
pub(crate) struct Change<'a> {
    journal: MutexGuard<'a, Journal<Entry>>,
    ledger: &'a RwLock<Ledger>,
}

impl Offsets {
    pub(crate) fn in_memory() -> Self {
        Self { journal: Mutex::new(Journal::none()), ledger: RwLock::default() }
    }

    /// A group that had members when the broker stopped counts as deserted from `now_ms` on, until they come back.
    pub(crate) fn open(root: &Path, now_ms: i64) -> Result<Self, BrokerError> {
        let (journal, entries) = Journal::open(&root.join(JOURNAL))?;
        let mut ledger = Ledger::default();
        entries.into_iter().for_each(|entry| ledger.apply(entry));
        ledger.desert_all(now_ms);
        Ok(Self { journal: Mutex::new(journal), ledger: RwLock::new(ledger) })
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Ledger> {
        sync::read(&self.ledger)
    }

    pub(crate) fn group(&self, group: &str) -> BTreeMap<Place, CommittedOffset> {
        self.read().group(group).map(|group| group.places.clone()).unwrap_or_default()
    }

    pub(crate) fn change(&self) -> Change<'_> {
        Change { journal: sync::lock(&self.journal), ledger: &self.ledger }
    }

    /// Whether the journal has become longer than what it tells is worth.
    pub(crate) fn is_bloated(&self) -> bool {
        sync::lock(&self.journal).is_bloated(self.read().entries())
    }

    /// Brings the journal down to what is live. Commits go on meanwhile. Called by one thread at a time.
    pub(crate) fn compact(&self) -> io::Result<()> {
        let (rewrite, snapshot) = {
            let journal = sync::lock(&self.journal);
            (journal.begin_rewrite()?, self.read().snapshot())
        };
        let Some(mut rewrite) = rewrite else { return Ok(()) };
        rewrite.write(&snapshot)?;
        sync::lock(&self.journal).finish_rewrite(rewrite, snapshot.len())
    }
}

impl Change<'_> {
    pub(crate) fn ledger(&self) -> RwLockReadGuard<'_, Ledger> {
        sync::read(self.ledger)
    }

    /// Kept once this returns.
    pub(crate) fn record(&mut self, entries: Vec<Entry>) -> io::Result<()> {
        self.journal.append(&entries)?;
        let mut ledger = sync::write(self.ledger);
        entries.into_iter().for_each(|entry| ledger.apply(entry));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(topic: &str, offset: i64) -> Entry {
        let place = Place { topic: topic.to_owned(), partition: 0 };
        let committed = CommittedOffset { offset, leader_epoch: 0, metadata: String::new(), at_ms: 5 };
        Entry::CommittedAt { group: "g".to_owned(), place, committed }
    }

    fn size(root: &Path) -> u64 {
        std::fs::metadata(root.join(JOURNAL)).unwrap().len()
    }

    #[test]
    fn the_last_commit_counts_also_after_a_restart_and_a_rewrite() {
        let root = tempfile::tempdir().unwrap();
        let offsets = Offsets::open(root.path(), 0).unwrap();
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
        let offsets = Offsets::open(root.path(), 0).unwrap();
        let group = offsets.group("g");
        assert_eq!(group.values().map(|committed| committed.offset).collect::<Vec<_>>(), [12_000]);
    }

    #[test]
    fn commits_during_rewrites_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let offsets = Offsets::open(root.path(), 0).unwrap();
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
        assert_eq!(Offsets::open(root.path(), 0).unwrap().group("g"), live);
    }
}
