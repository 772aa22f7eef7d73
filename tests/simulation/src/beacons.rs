//! Who says that it is alive, and what nodes make of it (R28).

use std::collections::BTreeMap;

use tidewright_core::workflow_of_worker;
use tidewright_owner::presence::Presence;
use tidewright_owner::{Destination, Input, Outbound};
use tidewright_schemas::{Beacon, Command, NodeBeacon, WorkerBeacon, WorkerStanding};

use crate::log::{Parcel, Place};
use crate::violation::{Checked, ensure, violation};
use crate::world::World;

const WORKER_INTERVAL_MS: u64 = 300;
const NODE_INTERVAL_MS: u64 = 150;
/// After this long in a healthy world nothing counts as running in a worker that is dead.
const TAKEN_WITHIN_MS: u64 = 30_000;

/// What is known of the beacons that landed, by the world's own clock.
#[derive(Default)]
pub(crate) struct Beacons {
    /// When the record at each offset landed, and whose it is if it is a worker's.
    landed: Vec<(u64, Option<String>)>,
    /// Workers that will never speak again, and since when.
    dead: BTreeMap<String, u64>,
    healthy_since_ms: Option<u64>,
}

/// What a node has read of them.
pub(crate) struct Watch {
    presence: Presence,
    next: u64,
}

impl Watch {
    pub(crate) fn new(silence_ms: u64) -> Self {
        Self { presence: Presence::new(silence_ms), next: 0 }
    }
}

impl World {
    /// A beacon lands, unless its topic stalls: then it waits, and the next one is not due before.
    fn beacon_lands(&mut self, beacon: &Beacon, worker: Option<String>) -> bool {
        if self.is_stalled(&Place::Workers) {
            return false;
        }
        let parcel = Parcel {
            to: Place::Workers,
            key: Some(beacon.key().into_bytes()),
            value: Some(beacon.to_json()),
            headers: Vec::new(),
            garbage: false,
        };
        let timestamp_ms = self.broker_ms();
        self.log(&Place::Workers).append(timestamp_ms, parcel);
        self.beacons.landed.push((self.mono_ms, worker));
        true
    }

    pub(crate) fn worker_speaks(&mut self, at: usize) {
        if self.workers[at].beacon_due_ms > self.mono_ms {
            return;
        }
        let worker = self.workers[at].identity.clone();
        let incarnation = worker.incarnation.clone();
        let (state, task_queues) = (WorkerStanding::Running, Vec::new());
        let beacon = WorkerBeacon { worker, state, started_at_ms: 0, sdk: None, build_id: None, task_queues };
        if self.beacon_lands(&beacon.into(), Some(incarnation)) {
            self.workers[at].beacon_due_ms = self.mono_ms + WORKER_INTERVAL_MS;
            self.workers[at].has_spoken = true;
        }
    }

    /// The node speaks, and reads a little of what the others say.
    pub(crate) fn node_speaks(&mut self, node: usize) {
        if self.nodes[node].beacon_due_ms <= self.mono_ms {
            let beacon = Beacon::from(NodeBeacon { node: node.to_string() });
            if self.beacon_lands(&beacon, None) {
                self.nodes[node].beacon_due_ms = self.mono_ms + NODE_INTERVAL_MS;
            }
        }
        let limit = if self.healthy { 1_000 } else { self.dice.below(6) };
        let from = self.nodes[node].watch.next;
        if let Ok((records, next)) = self.log(&Place::Workers).read(from, limit)
            && limit > 0
        {
            let watch = &mut self.nodes[node].watch;
            records.iter().for_each(|record| watch.presence.take(0, record));
            watch.next = next;
        }
    }

    /// The worker says that it has left.
    pub(crate) fn worker_says_goodbye(&mut self, at: usize) {
        let worker = self.workers[at].identity.clone();
        let incarnation = worker.incarnation.clone();
        let (state, task_queues) = (WorkerStanding::Left, Vec::new());
        let beacon = WorkerBeacon { worker, state, started_at_ms: 0, sdk: None, build_id: None, task_queues };
        self.beacon_lands(&beacon.into(), Some(incarnation));
    }

    pub(crate) fn worker_died(&mut self, at: usize) {
        let incarnation = self.workers[at].identity.incarnation.clone();
        self.beacons.dead.insert(incarnation, self.mono_ms);
    }

    /// What an owner is told of who is gone.
    pub(crate) fn gone_workers(&self, node: usize) -> Input {
        Input::GoneWorkers(self.nodes[node].watch.presence.gone())
    }

    /// Nobody is called lost who spoke within the silence, as the log has it.
    pub(crate) fn check_worker_lost(&self, outbound: &Outbound) -> Checked {
        if !matches!(outbound.to, Destination::Commands(_)) {
            return Ok(());
        }
        let Ok(Command::WorkerLost(lost)) = Command::from_value(outbound.value.as_deref()) else { return Ok(()) };
        // With a clock that steps, the log itself is wrong about how much time has passed.
        if self.plan.faults.step_clock > 0
            || self.plan.faults.jump_clocks > 0
            || self.beacons.dead.contains_key(&lost.incarnation)
        {
            return Ok(());
        }
        let spoke = self.beacons.landed.iter().filter(|(_, worker)| worker.as_ref() == Some(&lost.incarnation));
        let mut longest_ms = 0;
        let mut last_ms = None;
        for (at_ms, _) in spoke {
            longest_ms = longest_ms.max(last_ms.map_or(0, |last| at_ms - last));
            last_ms = Some(*at_ms);
        }
        longest_ms = longest_ms.max(self.mono_ms - last_ms.unwrap_or(0));
        ensure!(
            longest_ms >= self.plan.silence_ms,
            "r28_a_worker_that_speaks_is_never_lost",
            "{} was never silent for longer than {longest_ms} ms",
            lost.incarnation
        );
        Ok(())
    }

    /// What a dead worker had begun is not left with it.
    pub(crate) fn check_dead_have_nothing(&mut self) -> Checked {
        if !self.healthy {
            return Ok(());
        }
        let since_ms = *self.beacons.healthy_since_ms.get_or_insert(self.mono_ms);
        // A run's time does not go back with the clocks, and what it began is taken only from who was lost after that.
        let within_ms = TAKEN_WITHIN_MS + self.set_back_ms;
        let long_dead = |(_, died_ms): &(&String, &u64)| self.mono_ms - since_ms.max(**died_ms) >= within_ms;
        for truth in &self.truth {
            for (incarnation, _) in self.beacons.dead.iter().filter(long_dead) {
                let found = workflow_of_worker(&truth.rows, incarnation, &[]);
                let found = found.map_err(|e| violation("r17_reads_work", e.to_string()))?;
                ensure!(
                    found.is_none(),
                    "r28_what_a_dead_worker_ran_is_tried_elsewhere",
                    "{incarnation} still runs something for {}",
                    found.map_or_else(String::new, |found| found.workflow_id.to_string())
                );
            }
        }
        Ok(())
    }
}
