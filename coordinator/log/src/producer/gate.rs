//! Waves: what is sent while earlier records of the same lane are on their way goes together once those have arrived.
//!
//! A batch costs a broker hardly more than a record, so whatever gathers meanwhile is one. And librdkafka must not be
//! given more than it can send: while an idempotent producer has five records of a partition in flight, its thread asks
//! again and again, without a pause, whether it may send what waits behind them.
//!
//! Nothing waits for a batch to fill: a lane with few records in flight is open. What waits in one that is stuck goes on
//! after a while, since a partition without a leader must not hold up its neighbours.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::delivery::Pending;
use super::link::Link;
use super::plain::Plain;
use crate::record::Record;

/// How many records a lane has in flight before more of them wait: fewer than librdkafka sends of one partition.
const IN_FLIGHT_MAX: usize = 4;
/// After so long what waits is handed over all the same.
const STUCK: Duration = Duration::from_millis(100);

/// Lanes: the records for one topic, since only librdkafka knows which partition a key belongs to.
#[derive(Default)]
pub(super) struct Gate {
    lanes: Mutex<HashMap<u64, Lane>>,
}

struct Lane {
    /// Handed over and not confirmed.
    in_flight: usize,
    /// When something last went through.
    moved: Instant,
    /// Whether what waited is being handed over: until that is done nothing may overtake it.
    opening: bool,
    waiting: Vec<Waiting>,
}

/// A record that waits. It keeps its client, which is destroyed only when everything was handed over.
struct Waiting {
    link: Arc<Link<Plain>>,
    record: Record,
    pending: Pending,
}

impl Waiting {
    fn hand_over(self) {
        self.link.enqueue(&self.record, self.pending);
    }
}

/// A record's place in its lane, which it leaves when it is confirmed or has failed.
pub(super) struct Place {
    pub(super) gate: Arc<Gate>,
    pub(super) lane: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.left(self.lane);
    }
}

impl Gate {
    fn lanes(&self) -> MutexGuard<'_, HashMap<u64, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a record belongs. That two lanes are taken for one harms nobody.
    pub(super) fn lane_of(record: &Record) -> u64 {
        let mut hasher = DefaultHasher::new();
        record.topic.hash(&mut hasher);
        hasher.finish()
    }

    /// Hands a record over, now or as soon as its lane is open. `pending` holds its place.
    pub(super) fn pass(&self, lane: u64, link: Arc<Link<Plain>>, record: Record, pending: Pending) {
        let waiting = Waiting { link, record, pending };
        let mut lanes = self.lanes();
        let lane = lanes.entry(lane).or_insert_with(|| Lane {
            in_flight: 0,
            moved: Instant::now(),
            opening: false,
            waiting: Vec::new(),
        });
        if lane.opening || !lane.waiting.is_empty() || lane.in_flight >= IN_FLIGHT_MAX {
            lane.waiting.push(waiting);
            return;
        }
        lane.in_flight += 1;
        drop(lanes);
        waiting.hand_over();
    }

    /// A record left: the last one opens the lane.
    fn left(&self, lane: u64) {
        let mut lanes = self.lanes();
        let Some(held) = lanes.get_mut(&lane) else { return };
        held.in_flight = held.in_flight.saturating_sub(1);
        held.moved = Instant::now();
        let is_empty = held.in_flight == 0 && !held.opening;
        if is_empty && held.waiting.is_empty() {
            lanes.remove(&lane);
        } else if is_empty {
            drop(lanes);
            self.open(lane);
        }
    }

    /// Opens lanes in which nothing has moved for a while.
    pub(super) fn open_stuck(&self) {
        let is_stuck = |lane: &Lane| !lane.opening && !lane.waiting.is_empty() && lane.moved.elapsed() >= STUCK;
        let stuck: Vec<_> = self.lanes().iter().filter(|(_, lane)| is_stuck(lane)).map(|(id, _)| *id).collect();
        stuck.into_iter().for_each(|lane| self.open(lane));
    }

    /// Hands over what waits. It is done outside the lock: a record that is refused leaves its lane at once.
    fn open(&self, lane: u64) {
        loop {
            let mut lanes = self.lanes();
            let Some(held) = lanes.get_mut(&lane).filter(|held| !held.opening) else { return };
            let wave = std::mem::take(&mut held.waiting);
            held.in_flight += wave.len();
            held.moved = Instant::now();
            held.opening = true;
            drop(lanes);
            wave.into_iter().for_each(Waiting::hand_over);
            let mut lanes = self.lanes();
            let Some(held) = lanes.get_mut(&lane) else { return };
            held.opening = false;
            if held.in_flight > 0 {
                return;
            }
            // All of it was refused or is confirmed already, and nobody else opens the lane.
            if held.waiting.is_empty() {
                lanes.remove(&lane);
                return;
            }
        }
    }
}
