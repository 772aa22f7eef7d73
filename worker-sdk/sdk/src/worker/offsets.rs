//! Which records are done, for each partition: the offset that may be committed is the one below which all are (R24).

use std::collections::{BTreeMap, BTreeSet};

use tidewright_log::{Received, TopicPartition};

/// One record that was taken. It counts only for the assignment under which it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) partition: TopicPartition,
    offset: u64,
    assignment: u64,
}

/// The records that were taken and are not done.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    partitions: BTreeMap<TopicPartition, Progress>,
    assignments: u64,
}

#[derive(Debug)]
struct Progress {
    assignment: u64,
    open: BTreeSet<u64>,
    /// Offset after the last record that was taken.
    next: u64,
    committed: u64,
    /// What lies below was there before this worker: it may be a repeat (R25).
    end_at_assignment: u64,
}

impl Offsets {
    /// The partition is this worker's now. An unknown end makes every record a possible repeat.
    pub(crate) fn assigned(&mut self, partition: TopicPartition, end_offset: Option<u64>) {
        self.assignments += 1;
        let progress = Progress {
            assignment: self.assignments,
            open: BTreeSet::new(),
            next: 0,
            committed: 0,
            end_at_assignment: end_offset.unwrap_or(u64::MAX),
        };
        self.partitions.insert(partition, progress);
    }

    /// The partition is not this worker's any more: what is done of it from now on is for others to find out.
    pub(crate) fn gone(&mut self, partition: &TopicPartition) {
        self.partitions.remove(partition);
    }

    /// The partitions that are this worker's, by number.
    pub(crate) fn partitions(&self) -> Vec<u32> {
        self.partitions.keys().map(|partition| partition.partition).collect()
    }

    /// Takes a record. None if its partition is not assigned.
    pub(crate) fn take(&mut self, record: &Received) -> Option<Taken> {
        let partition = TopicPartition { topic: record.topic.clone(), partition: record.partition };
        let progress = self.partitions.get_mut(&partition)?;
        progress.open.insert(record.offset);
        progress.next = progress.next.max(record.offset + 1);
        let below_end = record.offset < progress.end_at_assignment;
        let position = Position { partition, offset: record.offset, assignment: progress.assignment };
        Some(Taken { position, below_end })
    }

    /// A record is done. Returns the offset to commit, if it moved.
    pub(crate) fn settle(&mut self, position: &Position) -> Option<u64> {
        let progress = self.partitions.get_mut(&position.partition)?;
        if progress.assignment != position.assignment {
            return None;
        }
        progress.open.remove(&position.offset);
        let done_below = progress.open.first().copied().unwrap_or(progress.next);
        (done_below > progress.committed).then(|| {
            progress.committed = done_below;
            done_below
        })
    }
}

/// A record that was taken.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) position: Position,
    /// Whether it was in the partition before the partition was this worker's.
    pub(crate) below_end: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> TopicPartition {
        TopicPartition { topic: "tasks".into(), partition: 3 }
    }

    fn record(offset: u64) -> Received {
        let topic = "tasks".into();
        Received { topic, partition: 3, offset, timestamp_ms: 0, key: None, value: None, headers: Vec::new() }
    }

    fn assigned(end: Option<u64>) -> Offsets {
        let mut offsets = Offsets::default();
        offsets.assigned(partition(), end);
        offsets
    }

    #[test]
    fn the_oldest_open_record_holds_the_commit() {
        let mut offsets = assigned(Some(0));
        let taken: Vec<_> = [7, 8, 10].map(|o| offsets.take(&record(o)).unwrap().position).into();
        assert_eq!(offsets.settle(&taken[1]), Some(7));
        assert_eq!(offsets.settle(&taken[2]), None);
        assert_eq!(offsets.settle(&taken[0]), Some(11));
        assert_eq!(offsets.settle(&taken[0]), None, "a second time changes nothing");
    }

    #[test]
    fn what_was_taken_under_an_earlier_assignment_does_not_count() {
        let mut offsets = assigned(Some(0));
        let old = offsets.take(&record(7)).unwrap().position;
        offsets.gone(&partition());
        assert_eq!(offsets.settle(&old), None);
        offsets.assigned(partition(), Some(8));
        offsets.take(&record(7)).unwrap();
        assert_eq!(offsets.settle(&old), None);
    }

    #[test]
    fn what_was_there_before_may_be_a_repeat() {
        let mut offsets = assigned(Some(8));
        assert!(offsets.take(&record(7)).unwrap().below_end);
        assert!(!offsets.take(&record(8)).unwrap().below_end);
        assert!(assigned(None).take(&record(1_000)).unwrap().below_end);
        assert!(Offsets::default().take(&record(1)).is_none());
    }
}
