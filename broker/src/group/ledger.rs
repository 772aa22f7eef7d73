//! What groups have committed, as it follows from the entries of the journal: for each group its offsets, its protocol type
//! and since when nobody is in it.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommittedOffset {
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
    /// When it was committed, in milliseconds since 1970.
    pub at_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    pub topic: String,
    pub partition: i32,
}

/// As the first version of the journal had it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UntimedOffset {
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Entry {
    Committed {
        group: String,
        place: Place,
        committed: UntimedOffset,
    },
    TopicForgotten {
        topic: String,
    },
    CommittedAt {
        group: String,
        place: Place,
        committed: CommittedOffset,
    },
    /// Who uses a group that has offsets: members of this protocol type, or nobody since then.
    Used {
        group: String,
        usage: Usage,
    },
    GroupForgotten {
        group: String,
    },
    OffsetForgotten {
        group: String,
        place: Place,
    },
}

/// The default is that of a group that never had members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub protocol_type: String,
    /// `None` while it has members, and where it never had any.
    pub deserted_since_ms: Option<i64>,
}

#[derive(Debug, Default)]
pub(crate) struct GroupOffsets {
    pub places: BTreeMap<Place, CommittedOffset>,
    pub usage: Usage,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    by_group: HashMap<String, GroupOffsets>,
    /// About what `by_group` takes.
    bytes: usize,
}

fn bytes_of(place: &Place, committed: &CommittedOffset) -> usize {
    size_of::<(Place, CommittedOffset)>() + place.topic.len() + committed.metadata.len()
}

impl Ledger {
    pub(crate) fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Committed { group, place, committed } => {
                let UntimedOffset { offset, leader_epoch, metadata } = committed;
                self.insert(group, place, CommittedOffset { offset, leader_epoch, metadata, at_ms: i64::MAX });
            }
            Entry::CommittedAt { group, place, committed } => self.insert(group, place, committed),
            Entry::TopicForgotten { topic } => self.forget_topic(&topic),
            Entry::OffsetForgotten { group, place } => self.forget(&group, &place),
            Entry::GroupForgotten { group } => {
                if let Some(gone) = self.by_group.remove(&group) {
                    self.bytes -=
                        gone.places.iter().map(|(place, committed)| bytes_of(place, committed)).sum::<usize>();
                }
            }
            Entry::Used { group, usage } => {
                if let Some(found) = self.by_group.get_mut(&group) {
                    found.usage = usage;
                }
            }
        }
    }

    fn insert(&mut self, group: String, place: Place, committed: CommittedOffset) {
        let places = &mut self.by_group.entry(group).or_default().places;
        self.bytes += bytes_of(&place, &committed);
        if let Some(before) = places.get(&place) {
            self.bytes -= bytes_of(&place, before);
        }
        places.insert(place, committed);
    }

    fn forget_topic(&mut self, topic: &str) {
        for group in self.by_group.values_mut() {
            group.places.retain(|place, committed| {
                let stays = place.topic != topic;
                self.bytes -= if stays { 0 } else { bytes_of(place, committed) };
                stays
            });
        }
        self.by_group.retain(|_, group| !group.places.is_empty());
    }

    fn forget(&mut self, name: &str, place: &Place) {
        let Some(group) = self.by_group.get_mut(name) else { return };
        if let Some(gone) = group.places.remove(place) {
            self.bytes -= bytes_of(place, &gone);
        }
        if group.places.is_empty() {
            self.by_group.remove(name);
        }
    }

    /// Times that are not known count from `now_ms` on.
    pub(crate) fn desert_all(&mut self, now_ms: i64) {
        for group in self.by_group.values_mut() {
            if !group.usage.protocol_type.is_empty() {
                group.usage.deserted_since_ms.get_or_insert(now_ms);
            }
            for committed in group.places.values_mut().filter(|committed| committed.at_ms == i64::MAX) {
                committed.at_ms = now_ms;
            }
        }
    }

    pub(crate) fn group(&self, group: &str) -> Option<&GroupOffsets> {
        self.by_group.get(group)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&String, &GroupOffsets)> {
        self.by_group.iter()
    }

    pub(crate) fn has_topic(&self, topic: &str) -> bool {
        self.by_group.values().any(|group| group.places.keys().any(|place| place.topic == topic))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn groups(&self) -> usize {
        self.by_group.len()
    }

    /// What nobody can want any more: offsets of a deserted group when it has been deserted for so long, and those of a
    /// group that never had members when they were committed so long ago. `is_in_use` tells of groups that have members.
    pub(crate) fn expired(&self, now_ms: i64, retention_ms: i64, is_in_use: impl Fn(&str) -> bool) -> Vec<Entry> {
        let is_old = |since_ms: i64| now_ms.saturating_sub(since_ms) >= retention_ms;
        let of_group = |(name, group): (&String, &GroupOffsets)| {
            let since = group.usage.deserted_since_ms;
            let gone = |(place, committed): (&Place, &CommittedOffset)| {
                let entry = Entry::OffsetForgotten { group: name.clone(), place: place.clone() };
                is_old(since.unwrap_or(i64::MIN).max(committed.at_ms)).then_some(entry)
            };
            group.places.iter().filter_map(gone).collect::<Vec<_>>()
        };
        self.by_group.iter().filter(|(name, _)| !is_in_use(name)).flat_map(of_group).collect()
    }

    /// As many entries as a snapshot has.
    pub(crate) fn entries(&self) -> usize {
        self.by_group.values().map(|group| group.places.len() + usize::from(group.usage != Usage::default())).sum()
    }

    pub(crate) fn snapshot(&self) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(self.entries());
        for (name, group) in &self.by_group {
            entries.extend(group.places.iter().map(|(place, committed)| Entry::CommittedAt {
                group: name.clone(),
                place: place.clone(),
                committed: committed.clone(),
            }));
            if group.usage != Usage::default() {
                entries.push(Entry::Used { group: name.clone(), usage: group.usage.clone() });
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(ledger: &mut Ledger, group: &str, topic: &str, at_ms: i64) {
        let place = Place { topic: topic.to_owned(), partition: 0 };
        let committed = CommittedOffset { offset: 1, leader_epoch: 0, metadata: "why".to_owned(), at_ms };
        ledger.apply(Entry::CommittedAt { group: group.to_owned(), place, committed });
    }

    fn used(ledger: &mut Ledger, group: &str, deserted_since_ms: Option<i64>) {
        let usage = Usage { protocol_type: "consumer".to_owned(), deserted_since_ms };
        ledger.apply(Entry::Used { group: group.to_owned(), usage });
    }

    fn after_expiry(ledger: &mut Ledger, now_ms: i64, in_use: &str) -> Vec<String> {
        ledger.expired(now_ms, 100, |group| group == in_use).into_iter().for_each(|entry| ledger.apply(entry));
        let mut left: Vec<String> = ledger.all().map(|(name, _)| name.clone()).collect();
        left.sort();
        left
    }

    #[test]
    fn offsets_expire_when_their_group_has_been_deserted_for_long() {
        let mut ledger = Ledger::default();
        for group in ["deserted", "busy", "simple"] {
            commit(&mut ledger, group, "t", 10);
        }
        used(&mut ledger, "deserted", Some(50));
        used(&mut ledger, "busy", None);
        commit(&mut ledger, "simple", "later", 60);
        assert_eq!(after_expiry(&mut ledger, 109, "busy"), ["busy", "deserted", "simple"]);
        assert_eq!(after_expiry(&mut ledger, 110, "busy"), ["busy", "deserted", "simple"]);
        assert_eq!(ledger.group("simple").unwrap().places.len(), 1);
        assert_eq!(after_expiry(&mut ledger, 150, "busy"), ["busy", "simple"]);
        assert_eq!(after_expiry(&mut ledger, 160, "busy"), ["busy"]);
    }

    #[test]
    fn members_that_a_restart_took_away_have_time_to_come_back() {
        let mut ledger = Ledger::default();
        commit(&mut ledger, "idle", "t", 10);
        used(&mut ledger, "idle", None);
        ledger.desert_all(1_000);
        assert_eq!(after_expiry(&mut ledger, 1_099, ""), ["idle"]);
        assert!(after_expiry(&mut ledger, 1_100, "").is_empty());
        assert_eq!(ledger.bytes(), 0);
    }

    #[test]
    fn a_snapshot_tells_everything() {
        let mut ledger = Ledger::default();
        commit(&mut ledger, "a", "t", 10);
        commit(&mut ledger, "b", "t", 10);
        used(&mut ledger, "b", Some(20));
        let snapshot = ledger.snapshot();
        assert_eq!(snapshot.len(), ledger.entries());
        let mut again = Ledger::default();
        snapshot.into_iter().for_each(|entry| again.apply(entry));
        assert_eq!(again.group("b").unwrap().usage, ledger.group("b").unwrap().usage);
        assert_eq!((again.groups(), again.bytes()), (2, ledger.bytes()));
    }
}
