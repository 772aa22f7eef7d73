//! Who is alive, by the records of the `workers` topic alone (R28).
//!
//! A worker is lost when other beacons in its partition have gone on for a while without one of its own. How long that
//! is, the broker's timestamps say: not the reader's clock, so a slow reader loses nobody. The time between two records
//! counts for a second at most, so a log that nobody could write to for a while, or a leader whose clock is ahead of the
//! one before, loses nobody either: after it, everybody has the whole time again.

use std::collections::{BTreeMap, BTreeSet};

use tidewright_schemas::{Beacon, TaskKind, WorkerBeacon, WorkerQueue, WorkerStanding, worker_key};

use crate::io::LogRecord;

/// The longest time between two records that counts: nodes write twice as often, and workers as often.
const GAP_MAX_MS: u64 = 1_000;
/// A beacon that is larger is none.
const BEACON_BYTES_MAX: usize = 16 * 1024;
/// Workers that are known at the same time. Those beyond are not watched: their timeouts watch their attempts.
const WORKERS_MAX: usize = 10_000;
/// How long one that is gone is remembered, so that all that counts as running there is taken from it.
const REMEMBERED_MS: u64 = 3_600_000;

/// Who is alive.
#[derive(Debug)]
pub struct Presence {
    silence_ms: u64,
    logs: BTreeMap<u32, Log>,
    workers: BTreeMap<String, Known>,
    overflowed: bool,
}

/// The time of one partition.
#[derive(Debug, Default)]
struct Log {
    /// The broker's latest timestamp.
    latest_ms: u64,
    /// The sum of the times between records, each capped.
    elapsed_ms: u64,
}

#[derive(Debug)]
struct Known {
    beacon: WorkerBeacon,
    partition: u32,
    /// The partition's time when it was last heard.
    heard_at_ms: u64,
    /// The broker's timestamp of its last beacon.
    last_seen_ms: u64,
    /// Since when it is found gone, on the reader's monotonic clock.
    gone_since_ms: Option<u64>,
}

/// Whether a worker is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It is.
    Alive,
    /// It said that it left.
    Left,
    /// It fell silent.
    Lost,
}

/// A worker and how it was last heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSeen {
    /// Its last beacon.
    pub beacon: WorkerBeacon,
    /// Whether it is there.
    pub life: Life,
    /// The broker's timestamp of its last beacon, in milliseconds since 1970.
    pub last_seen_ms: u64,
}

impl Presence {
    /// Nobody is known yet. A worker is lost after it was silent for so long.
    #[must_use]
    pub fn new(silence_ms: u64) -> Self {
        Self { silence_ms, logs: BTreeMap::new(), workers: BTreeMap::new(), overflowed: false }
    }

    /// Takes the next record of a partition. What is no beacon passes time all the same.
    pub fn take(&mut self, partition: u32, record: &LogRecord) {
        let log = self.logs.entry(partition).or_default();
        if log.latest_ms > 0 {
            log.elapsed_ms += record.timestamp_ms.saturating_sub(log.latest_ms).min(GAP_MAX_MS);
        }
        log.latest_ms = log.latest_ms.max(record.timestamp_ms);
        let heard_at_ms = log.elapsed_ms;
        match (beacon(record), record.value.is_some()) {
            (Some(beacon), _) => {
                let last_seen_ms = record.timestamp_ms;
                self.heard(Known { beacon, partition, heard_at_ms, last_seen_ms, gone_since_ms: None });
            }
            (None, false) => self.forget(record.key.as_deref().unwrap_or_default()),
            (None, true) => {}
        }
    }

    fn heard(&mut self, known: Known) {
        let incarnation = known.beacon.worker.incarnation.clone();
        if self.workers.len() >= WORKERS_MAX && !self.workers.contains_key(&incarnation) {
            if !std::mem::replace(&mut self.overflowed, true) {
                tracing::warn!("more than {WORKERS_MAX} workers write beacons; those beyond are not watched");
            }
            return;
        }
        self.workers.insert(incarnation, known);
    }

    fn forget(&mut self, key: &[u8]) {
        if let Some(incarnation) = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix("worker/")) {
            self.workers.remove(incarnation);
        }
    }

    fn life(&self, known: &Known) -> Life {
        let silent_ms = self.logs.get(&known.partition).map_or(0, |log| log.elapsed_ms - known.heard_at_ms);
        match known.beacon.state {
            WorkerStanding::Left => Life::Left,
            WorkerStanding::Running | WorkerStanding::Leaving if silent_ms >= self.silence_ms => Life::Lost,
            WorkerStanding::Running | WorkerStanding::Leaving => Life::Alive,
        }
    }

    /// The incarnations that are gone, lost or left, each with the broker's latest time: what they had begun by then is
    /// nobody's any more.
    #[must_use]
    pub fn gone(&self) -> BTreeMap<String, u64> {
        let gone = self.workers.iter().filter(|(_, known)| self.life(known) != Life::Alive);
        gone.map(|(incarnation, known)| {
            let latest_ms = self.logs.get(&known.partition).map_or(known.last_seen_ms, |log| log.latest_ms);
            (incarnation.clone(), latest_ms)
        })
        .collect()
    }

    /// Everybody who is known, by incarnation.
    pub fn workers(&self) -> impl Iterator<Item = WorkerSeen> {
        self.workers.values().map(|known| WorkerSeen {
            beacon: known.beacon.clone(),
            life: self.life(known),
            last_seen_ms: known.last_seen_ms,
        })
    }

    /// Whether a worker that is alive takes tasks of a kind from a queue.
    #[must_use]
    pub fn serves(&self, kind: TaskKind, task_queue: &str) -> bool {
        self.workers.values().any(|known| {
            known.beacon.state == WorkerStanding::Running
                && known.beacon.task_queues.iter().any(|queue| {
                    let slots = match kind {
                        TaskKind::Workflow => queue.workflow_tasks,
                        TaskKind::Activity => queue.activities,
                    };
                    slots.is_some() && queue.task_queue == task_queue
                })
                && self.life(known) == Life::Alive
        })
    }

    /// Where activity tasks of a queue are taken by somebody who is alive: partitions, with how much room their worker has.
    #[must_use]
    pub fn activity_places(&self, task_queue: &str) -> Vec<(u32, u32)> {
        let of_queue = self.taking_activities().filter(|(_, queue, _)| queue.task_queue == task_queue);
        of_queue.flat_map(|(_, queue, free)| queue.activity_partitions.iter().map(move |at| (*at, free))).collect()
    }

    /// Those who would run an activity of a queue at once: their incarnations, with how many more each can run.
    #[must_use]
    pub fn free_for_activities(&self, task_queue: &str) -> Vec<(String, u32)> {
        let free = self.taking_activities().filter(|(_, queue, free)| queue.task_queue == task_queue && *free > 0);
        free.map(|(known, _, free)| (known.beacon.worker.incarnation.clone(), free)).collect()
    }

    /// The queues that somebody who is alive takes activity tasks from.
    #[must_use]
    pub fn activity_queues(&self) -> BTreeSet<String> {
        self.taking_activities().map(|(_, queue, _)| queue.task_queue.clone()).collect()
    }

    /// Who is alive and takes activity tasks, from which queue, and for how many more there is room.
    fn taking_activities(&self) -> impl Iterator<Item = (&Known, &WorkerQueue, u32)> {
        let alive = |known: &&Known| known.beacon.state == WorkerStanding::Running && self.life(known) == Life::Alive;
        self.workers.values().filter(alive).flat_map(|known| {
            let queues = known.beacon.task_queues.iter();
            queues.filter_map(move |queue| {
                queue.activities.map(|slots| (known, queue, slots.total.saturating_sub(slots.used)))
            })
        })
    }

    /// Forgets who has been gone for an hour of the reader's time, and names their partitions and keys, to be tombstoned. It counts
    /// from when this reader found them gone, so that one that starts late still takes from them what they had.
    pub fn expire(&mut self, mono_ms: u64) -> Vec<(u32, String)> {
        let gone = self.gone();
        let mut expired = Vec::new();
        for (incarnation, known) in &mut self.workers {
            if !gone.contains_key(incarnation) {
                known.gone_since_ms = None;
                continue;
            }
            let since_ms = *known.gone_since_ms.get_or_insert(mono_ms);
            if mono_ms.saturating_sub(since_ms) >= REMEMBERED_MS {
                expired.push((known.partition, incarnation.clone()));
            }
        }
        for (_, incarnation) in &expired {
            self.workers.remove(incarnation);
        }
        self.overflowed &= self.workers.len() >= WORKERS_MAX;
        expired.into_iter().map(|(partition, incarnation)| (partition, worker_key(&incarnation))).collect()
    }
}

/// The worker's beacon in a record. One that does not name itself is nobody's.
fn beacon(record: &LogRecord) -> Option<WorkerBeacon> {
    let value = record.value.as_deref().filter(|value| value.len() <= BEACON_BYTES_MAX)?;
    match serde_json::from_slice(value) {
        Ok(Beacon::WorkerBeacon(beacon)) => Some(beacon).filter(|beacon| !beacon.worker.incarnation.is_empty()),
        Ok(Beacon::NodeBeacon(_)) => None,
        Err(error) => {
            tracing::debug!(offset = record.offset, %error, "a record of the workers topic is no beacon");
            None
        }
    }
}

#[cfg(test)]
#[path = "presence_tests.rs"]
mod tests;
