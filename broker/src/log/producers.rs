//! What a partition knows of its idempotent producers: enough to tell a new batch from a duplicate and from a gap. It
//! follows from the log alone, so recovery rebuilds it by noting every batch again.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::batch::{Batch, sequence_after};

/// As many batches as a producer may have in flight.
const REMEMBERED_BATCHES: usize = 5;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
    timestamp: i64,
}

/// One producer's last batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProducerSnapshot {
    producer_id: i64,
    epoch: i16,
    batches: VecDeque<Written>,
    /// When it last wrote, counted in batches of this partition.
    used_at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SequenceCheck {
    Append,
    /// It was written before, there.
    Duplicate {
        base_offset: i64,
        timestamp: i64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SequenceFault {
    #[error("the producer's epoch {epoch} is older than {current}, which has written since")]
    Fenced { epoch: i16, current: i16 },
    #[error("the batch starts with sequence number {sequence} where {expected} comes next")]
    OutOfOrder { sequence: i32, expected: i32 },
}

pub(crate) struct Producers {
    known: HashMap<i64, ProducerSnapshot>,
    /// By `used_at`, to forget the one that wrote least recently.
    by_use: BTreeMap<u64, i64>,
    used_at: u64,
    known_max: usize,
}

impl Producers {
    pub(crate) fn new(known_max: usize) -> Self {
        Self { known: HashMap::new(), by_use: BTreeMap::new(), used_at: 0, known_max }
    }

    /// Forgets all and knows these instead.
    pub(crate) fn replace(&mut self, snapshots: Vec<ProducerSnapshot>) {
        *self = Self::new(self.known_max);
        for snapshot in snapshots {
            self.used_at = self.used_at.max(snapshot.used_at);
            self.by_use.insert(snapshot.used_at, snapshot.producer_id);
            self.known.insert(snapshot.producer_id, snapshot);
        }
        self.forget_excess();
    }

    /// Where the last batch of each producer stands.
    pub(crate) fn last_batches(&self) -> HashMap<i64, i64> {
        let last = |known: &ProducerSnapshot| Some((known.producer_id, known.batches.back()?.base_offset));
        self.known.values().filter_map(last).collect()
    }

    pub(crate) fn snapshot(&self) -> Vec<ProducerSnapshot> {
        self.by_use.values().filter_map(|id| self.known.get(id)).cloned().collect()
    }

    /// Kafka's rule: a producer that is not known may start anywhere (its state may have been forgotten), a new epoch
    /// starts at 0, and a known one goes on without a gap.
    pub(crate) fn check(&self, batch: &Batch) -> Result<SequenceCheck, SequenceFault> {
        let Some(known) = self.known.get(&batch.producer_id) else {
            return Ok(SequenceCheck::Append);
        };
        if batch.producer_epoch < known.epoch {
            return Err(SequenceFault::Fenced { epoch: batch.producer_epoch, current: known.epoch });
        }
        let expected = if batch.producer_epoch > known.epoch {
            0
        } else if let Some(written) = known.find(batch) {
            return Ok(SequenceCheck::Duplicate { base_offset: written.base_offset, timestamp: written.timestamp });
        } else {
            known.batches.back().map_or(0, |last| sequence_after(last.last_sequence, 1))
        };
        match batch.base_sequence {
            sequence if sequence == expected => Ok(SequenceCheck::Append),
            sequence => Err(SequenceFault::OutOfOrder { sequence, expected }),
        }
    }

    /// Takes note of a batch that is in the log, with its final offset.
    pub(crate) fn note(&mut self, batch: &Batch) {
        if !batch.is_idempotent() {
            return;
        }
        self.used_at += 1;
        let used_at = self.used_at;
        let known = self.known.entry(batch.producer_id).or_insert_with(|| ProducerSnapshot {
            producer_id: batch.producer_id,
            epoch: batch.producer_epoch,
            batches: VecDeque::with_capacity(REMEMBERED_BATCHES),
            used_at,
        });
        self.by_use.remove(&known.used_at);
        self.by_use.insert(used_at, batch.producer_id);
        known.note(batch, used_at);
        self.forget_excess();
    }

    fn forget_excess(&mut self) {
        while self.known.len() > self.known_max {
            let Some((_, producer_id)) = self.by_use.pop_first() else { return };
            self.known.remove(&producer_id);
        }
    }
}

impl ProducerSnapshot {
    fn find(&self, batch: &Batch) -> Option<&Written> {
        let (first, last) = (batch.base_sequence, batch.last_sequence());
        self.batches.iter().find(|written| written.first_sequence == first && written.last_sequence == last)
    }

    fn note(&mut self, batch: &Batch, used_at: u64) {
        if batch.producer_epoch != self.epoch {
            self.epoch = batch.producer_epoch;
            self.batches.clear();
        }
        if self.batches.len() == REMEMBERED_BATCHES {
            self.batches.pop_front();
        }
        self.batches.push_back(Written {
            first_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence(),
            base_offset: batch.base_offset,
            timestamp: batch.max_timestamp,
        });
        self.used_at = used_at;
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::testing;
    use super::*;

    fn written(id: i64, epoch: i16, sequence: i32, base_offset: i64) -> Batch {
        let bytes = testing::batch(Some((id, epoch, sequence)), &[(1_000, b"a"), (1_000, b"b")]);
        Batch { base_offset, ..Batch::parse(&bytes).unwrap() }
    }

    #[test]
    fn a_known_producer_goes_on_without_a_gap() {
        let mut producers = Producers::new(10);
        assert_eq!(producers.check(&written(1, 0, 17, 0)), Ok(SequenceCheck::Append));
        producers.note(&written(1, 0, 17, 0));
        assert_eq!(producers.check(&written(1, 0, 19, 2)), Ok(SequenceCheck::Append));
        assert_eq!(
            producers.check(&written(1, 0, 21, 2)),
            Err(SequenceFault::OutOfOrder { sequence: 21, expected: 19 })
        );
    }

    #[test]
    fn any_of_the_last_five_batches_is_a_duplicate() {
        let mut producers = Producers::new(10);
        for n in 0..6 {
            producers.note(&written(1, 0, n * 2, i64::from(n) * 2));
        }
        for n in 1..6 {
            let check = producers.check(&written(1, 0, n * 2, 99)).unwrap();
            assert_eq!(check, SequenceCheck::Duplicate { base_offset: i64::from(n) * 2, timestamp: 1_000 });
        }
        assert!(producers.check(&written(1, 0, 0, 99)).is_err());
    }

    #[test]
    fn a_new_epoch_starts_at_zero_and_fences_the_old_one() {
        let mut producers = Producers::new(10);
        producers.note(&written(1, 0, 0, 0));
        assert!(producers.check(&written(1, 1, 2, 2)).is_err());
        assert_eq!(producers.check(&written(1, 1, 0, 2)), Ok(SequenceCheck::Append));
        producers.note(&written(1, 1, 0, 2));
        assert_eq!(producers.check(&written(1, 0, 2, 4)), Err(SequenceFault::Fenced { epoch: 0, current: 1 }));
    }

    #[test]
    fn the_least_recent_producer_is_forgotten_also_after_a_restore() {
        let mut producers = Producers::new(2);
        for id in [1, 2, 1, 3] {
            producers.note(&written(id, 0, 0, 0));
        }
        let snapshot = producers.snapshot();
        producers.replace(snapshot);
        assert_eq!(producers.check(&written(2, 0, 50, 0)), Ok(SequenceCheck::Append));
        assert!(producers.check(&written(1, 0, 50, 0)).is_err());
        assert!(producers.check(&written(3, 0, 50, 0)).is_err());
    }
}
