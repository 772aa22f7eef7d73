//! A night without workers: all leave, and for hours only nodes, beacons and timers go on. What waits for a worker waits
//! without a record (R22, R27): the absence costs nothing, however many runs wait and however long it lasts.

use std::collections::BTreeSet;

use tidewright_core::{due_timers, read};
use tidewright_schemas::api::WorkflowStatus;

use crate::violation::{Checked, ensure, violation};
use crate::world::World;

/// In the evening what programs themselves demand comes to its end: their timers and timeouts, the longest of which are two
/// minutes, and deletions.
const EVENING_MS: u64 = 600_000;
/// How long the night is then, and in how many parts it passes.
const NIGHT_MS: u64 = 8 * 3_600_000;
const PARTS: u64 = 12;
/// How many rounds nodes may take to come to rest.
const ROUNDS_MAX: u64 = 5_000;

impl World {
    pub(crate) fn night(&mut self) -> Checked {
        self.note(|_| "all workers leave for the NIGHT".to_owned());
        self.is_night = true;
        for at in 0..self.workers.len() {
            if !self.workers[at].down && self.dice.chance(500) {
                self.worker_says_goodbye(at);
            }
            self.crash_worker(at);
        }
        while !self.ghosts.is_empty() {
            self.land_ghost()?;
        }
        for node in &mut self.nodes {
            node.paused_until_ms = 0;
        }
        let before = self.written();
        self.evening()?;
        self.stats.evening_records += self.written() - before;
        self.deep_night()?;
        self.note(|_| "it is MORNING".to_owned());
        self.is_night = false;
        self.stats.nights += 1;
        Ok(())
    }

    /// How many records count, in all partitions.
    fn written(&self) -> u64 {
        self.truth.iter().map(|truth| truth.valid_records).sum()
    }

    /// Time passes until nothing that is due is left.
    fn evening(&mut self) -> Checked {
        let ends_ms = self.mono_ms + EVENING_MS;
        while self.mono_ms < ends_ms {
            self.nodes_come_to_rest()?;
            let milliseconds = self.dice.within(2_000, 60_000);
            self.pass(milliseconds);
        }
        self.nodes_come_to_rest()?;
        for truth in &self.truth {
            // Clocks may differ a little.
            let long_due_ms = self.broker_ms() - EVENING_MS / 4;
            let due =
                due_timers(&truth.rows, long_due_ms, 3).map_err(|e| violation("r17_reads_work", e.to_string()))?;
            ensure!(due.0.is_empty(), "r20_timers_fire_without_workers", "{:?} at {long_due_ms}", due.0);
        }
        Ok(())
    }

    /// Hours pass, owners come and go, and history gets no record but of its owners.
    fn deep_night(&mut self) -> Checked {
        let before: Vec<_> = self.truth.iter().map(|truth| truth.valid_records).collect();
        self.stats.slept += self.waiting_runs()?;
        for _ in 0..PARTS {
            // What is gone from its topic is tried anew by the next owner, once.
            if !self.lost_backlog && self.dice.chance(200) {
                let node = self.dice.below(self.plan.nodes);
                self.crash_node(node)?;
            }
            self.nodes_come_to_rest()?;
            self.pass(NIGHT_MS / PARTS);
        }
        for (partition, before) in before.into_iter().enumerate() {
            let truth = &self.truth[partition];
            let added = truth.valid_records - before;
            ensure!(
                added == 0,
                "a_night_without_workers_adds_no_record",
                "{added} records in partition {partition}, the last ones of commands {:?}",
                truth.sources.iter().rev().take(added as usize).collect::<BTreeSet<_>>()
            );
        }
        Ok(())
    }

    /// Nodes go on until each partition has an owner that has nothing to do but to wait.
    fn nodes_come_to_rest(&mut self) -> Checked {
        for _ in 0..ROUNDS_MAX {
            for node in 0..self.plan.nodes {
                for _ in 0..10 {
                    self.step += 1;
                    self.node_step(node)?;
                }
            }
            if (0..self.plan.partitions).all(|partition| self.owner_is_idle(partition)) {
                return Ok(());
            }
            self.pass(20);
        }
        Err(violation("nothing_waits_for_ever", "the nodes do not come to rest at night"))
    }

    /// Runs that have not ended.
    fn waiting_runs(&self) -> Checked<u64> {
        let mut waiting = 0;
        for truth in &self.truth {
            let runs = read::list(&truth.rows, &[], 1_000).map_err(|e| violation("r17_reads_work", e.to_string()))?;
            waiting += runs.iter().filter(|(_, run)| run.status == WorkflowStatus::Running).count() as u64;
        }
        Ok(waiting)
    }
}
