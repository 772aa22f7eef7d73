//! Committed offsets, in memory and in their journal.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::BrokerError;
use crate::log::journal::Journal;

const JOURNAL: &str = "offsets.journal";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommittedOffset {
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    pub topic: String,
    pub partition: i32,
}

#[derive(Debug, Serialize, Deserialize)]
enum Entry {
    Committed { group: String, place: Place, committed: CommittedOffset },
    TopicForgotten { topic: String },
}

pub(crate) struct Offsets {
    by_group: HashMap<String, BTreeMap<Place, CommittedOffset>>,
    /// About what `by_group` takes.
    bytes: usize,
    journal: Journal<Entry>,
}

fn bytes_of(place: &Place, committed: &CommittedOffset) -> usize {
    size_of::<(Place, CommittedOffset)>() + place.topic.len() + committed.metadata.len()
}

impl Offsets {
    pub(crate) fn in_memory() -> Self {
        Self { by_group: HashMap::new(), bytes: 0, journal: Journal::none() }
    }

    pub(crate) fn open(root: &Path) -> Result<Self, BrokerError> {
        let (journal, entries) = Journal::open(&root.join(JOURNAL))?;
        let mut offsets = Self { by_group: HashMap::new(), bytes: 0, journal };
        for entry in entries {
            offsets.apply(entry);
        }
        Ok(offsets)
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Committed { group, place, committed } => {
                let places = self.by_group.entry(group).or_default();
                self.bytes += bytes_of(&place, &committed);
                if let Some(before) = places.get(&place) {
                    self.bytes -= bytes_of(&place, before);
                }
                places.insert(place, committed);
            }
            Entry::TopicForgotten { topic } => {
                for places in self.by_group.values_mut() {
                    places.retain(|place, committed| {
                        let stays = place.topic != topic;
                        self.bytes -= if stays { 0 } else { bytes_of(place, committed) };
                        stays
                    });
                }
                self.by_group.retain(|_, places| !places.is_empty());
            }
        }
    }

    pub(crate) fn group(&self, group: &str) -> Option<&BTreeMap<Place, CommittedOffset>> {
        self.by_group.get(group)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn groups(&self) -> usize {
        self.by_group.len()
    }

    /// Kept once this returns.
    pub(crate) fn commit(&mut self, group: &str, commits: Vec<(Place, CommittedOffset)>) -> io::Result<()> {
        let entry = |(place, committed)| Entry::Committed { group: group.to_owned(), place, committed };
        self.record(commits.into_iter().map(entry).collect())
    }

    /// A topic of the same name that comes later starts without these offsets.
    pub(crate) fn forget_topic(&mut self, topic: &str) -> io::Result<()> {
        let known = self.by_group.values().any(|places| places.keys().any(|place| place.topic == topic));
        match known {
            true => self.record(vec![Entry::TopicForgotten { topic: topic.to_owned() }]),
            false => Ok(()),
        }
    }

    fn record(&mut self, entries: Vec<Entry>) -> io::Result<()> {
        self.journal.append(&entries)?;
        entries.into_iter().for_each(|entry| self.apply(entry));
        let live = self.by_group.values().map(BTreeMap::len).sum();
        if self.journal.is_bloated(live) {
            self.journal.rewrite(&self.snapshot())?;
        }
        Ok(())
    }

    fn snapshot(&self) -> Vec<Entry> {
        let of_group = |(group, places): (&String, &BTreeMap<Place, CommittedOffset>)| {
            let entry = |(place, committed): (&Place, &CommittedOffset)| Entry::Committed {
                group: group.clone(),
                place: place.clone(),
                committed: committed.clone(),
            };
            places.iter().map(entry).collect::<Vec<_>>()
        };
        self.by_group.iter().flat_map(of_group).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(topic: &str) -> Place {
        Place { topic: topic.to_owned(), partition: 0 }
    }

    fn committed(offset: i64) -> CommittedOffset {
        CommittedOffset { offset, leader_epoch: 0, metadata: String::new() }
    }

    #[test]
    fn the_last_commit_counts_also_after_a_restart_and_a_rewrite() {
        let root = tempfile::tempdir().unwrap();
        let mut offsets = Offsets::open(root.path()).unwrap();
        for offset in 0..12_000 {
            offsets.commit("g", vec![(place("a"), committed(offset))]).unwrap();
        }
        offsets.commit("g", vec![(place("b"), committed(7))]).unwrap();
        offsets.forget_topic("b").unwrap();
        let size = std::fs::metadata(root.path().join(JOURNAL)).unwrap().len();
        assert!(size < 12_000 * 20, "{size}");
        assert_eq!(offsets.bytes(), bytes_of(&place("a"), &committed(0)));
        let offsets = Offsets::open(root.path()).unwrap();
        let group = offsets.group("g").unwrap();
        assert_eq!(group.get(&place("a")), Some(&committed(11_999)));
        assert_eq!(group.len(), 1);
    }
}
