//! Simulated partitions: append-only logs with holes.
//!
//! A record is here once it is visible to readers. What a broker may lose of what nobody has acknowledged is a record
//! that is not here yet; so truncated tails need no code of their own.

use std::collections::BTreeMap;

use tidewright_owner::{BacklogKey, LogBounds, LogRecord};
use tidewright_schemas::TaskKind;

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Commands(u32),
    History(u32),
    Tasks(BacklogKey, u32),
    Replies(u32),
    DeadLetters,
    Control(String),
    Workers,
}

impl Place {
    /// How many kinds of partitions may stall, each by itself.
    pub(crate) const KINDS: u8 = 7;

    /// Which kind of partition it is.
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Self::Replies(_) => 0,
            Self::DeadLetters => 1,
            Self::Tasks(key, _) if key.kind == TaskKind::Workflow => 2,
            Self::Tasks(..) => 3,
            Self::Commands(_) => 4,
            Self::Control(_) => 5,
            Self::Workers => 6,
            Self::History(_) => Self::KINDS,
        }
    }
}

/// A record on its way to a partition.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) to: Place,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// Whether it is nothing that an owner may act on.
    pub(crate) garbage: bool,
}

impl Parcel {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name)?;
        std::str::from_utf8(&found.1).ok()
    }
}

/// The offset asked for is not in the log.
#[derive(Debug)]
pub(crate) struct OutOfRange;

#[derive(Debug, Default)]
pub(crate) struct SimLog {
    pub(crate) start: u64,
    pub(crate) end: u64,
    records: BTreeMap<u64, LogRecord>,
    /// When tombstones that are left were first cleaned: whoever follows the log has a while from then to read them.
    cleaned_ms: BTreeMap<u64, u64>,
}

/// How tombstones are treated when a log is compacted.
pub(crate) struct Tombstones {
    /// Those from here on are too young to go.
    pub(crate) below: u64,
    /// How long they stay after they were first cleaned.
    pub(crate) live_ms: u64,
    pub(crate) now_ms: u64,
}

impl Tombstones {
    /// All of them stay.
    pub(crate) const KEPT: Self = Self { below: 0, live_ms: 0, now_ms: 0 };
}

impl SimLog {
    pub(crate) fn bounds(&self) -> LogBounds {
        LogBounds { start: self.start, end: self.end }
    }

    pub(crate) fn append(&mut self, timestamp_ms: u64, parcel: Parcel) -> u64 {
        let offset = self.end;
        let Parcel { key, value, headers, .. } = parcel;
        self.records.insert(offset, LogRecord { offset, timestamp_ms, key, value, headers });
        self.end += 1;
        offset
    }

    /// Offsets that no reader ever sees: the marks of a client's transaction.
    pub(crate) fn skip(&mut self, count: u64) {
        self.end += count;
    }

    /// At most `limit` records from `from`, and the offset to go on from.
    pub(crate) fn read(&self, from: u64, limit: usize) -> Result<(Vec<LogRecord>, u64), OutOfRange> {
        if from < self.start || from > self.end {
            return Err(OutOfRange);
        }
        let records: Vec<_> = self.records.range(from..).take(limit).map(|(_, record)| record.clone()).collect();
        let next = match records.last() {
            Some(last) if records.len() == limit => last.offset + 1,
            _ => self.end,
        };
        Ok((records, next))
    }

    pub(crate) fn at(&self, offset: u64) -> Option<&LogRecord> {
        self.records.get(&offset)
    }

    pub(crate) fn iter_from(&self, from: u64) -> impl Iterator<Item = &LogRecord> {
        self.records.range(from..).map(|(_, record)| record)
    }

    /// The first offset from which on a record is as young as this, or younger.
    pub(crate) fn end_of_older_than(&self, timestamp_ms: u64) -> u64 {
        self.records
            .values()
            .find(|record| record.timestamp_ms >= timestamp_ms)
            .map_or(self.end, |record| record.offset)
    }

    pub(crate) fn delete_below(&mut self, offset: u64) {
        let offset = offset.min(self.end);
        if offset > self.start {
            self.start = offset;
            self.records = self.records.split_off(&offset);
        }
    }

    /// Cuts the log off, acknowledged or not.
    pub(crate) fn truncate(&mut self, end: u64) {
        self.records.split_off(&end);
        self.end = self.end.min(end);
        self.start = self.start.min(self.end);
    }

    /// Keeps the latest record of each key below `point`; tombstones whose time is over go, too. Returns how many records
    /// went.
    pub(crate) fn compact(&mut self, point: u64, tombstones: &Tombstones) -> usize {
        let mut latest: BTreeMap<&[u8], u64> = BTreeMap::new();
        for (offset, record) in self.records.range(..point) {
            latest.insert(record.key.as_deref().unwrap_or_default(), *offset);
        }
        let mut gone = Vec::new();
        for (offset, record) in self.records.range(..point) {
            let superseded = latest.get(record.key.as_deref().unwrap_or_default()) != Some(offset);
            let is_over = record.value.is_none() && {
                let first = self.cleaned_ms.get(offset);
                let is_read = first.is_some_and(|first| first + tombstones.live_ms <= tombstones.now_ms);
                self.cleaned_ms.entry(*offset).or_insert(tombstones.now_ms);
                is_read && *offset < tombstones.below
            };
            if superseded || is_over {
                gone.push(*offset);
            }
        }
        for offset in &gone {
            self.records.remove(offset);
            self.cleaned_ms.remove(offset);
        }
        gone.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(key: &str, value: Option<&str>) -> Parcel {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let (key, value) = (Some(bytes(key)), value.map(bytes));
        Parcel { to: Place::History(0), key, value, headers: Vec::new(), garbage: false }
    }

    #[test]
    fn compaction_keeps_the_latest_of_each_key_and_the_tail() {
        let mut log = SimLog::default();
        for (key, value) in [("a", Some("1")), ("b", Some("1")), ("a", None), ("b", Some("2")), ("a", Some("3"))] {
            log.append(0, parcel(key, value));
        }
        let left = |log: &SimLog| log.iter_from(0).map(|r| r.offset).collect::<Vec<_>>();
        let at = |now_ms| Tombstones { below: 3, live_ms: 10, now_ms };
        log.compact(4, &at(100));
        assert_eq!(left(&log), [2, 3, 4]);
        log.compact(4, &at(109));
        assert_eq!(left(&log), [2, 3, 4], "whoever reads from before the first cleaning has a while to see it");
        log.compact(4, &at(110));
        assert_eq!(left(&log), [3, 4]);
        let (records, next) = log.read(0, 1).unwrap();
        assert_eq!((records[0].offset, next), (3, 4));
        assert!(log.read(6, 1).is_err());
    }
}
