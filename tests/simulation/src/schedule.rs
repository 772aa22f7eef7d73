//! Who comes next. First everybody in any order, with faults between; then the world turns healthy, and all that was
//! begun must come to its end.

use crate::log::Place;
use crate::violation::{Checked, ensure, violation};
use crate::world::World;

/// How long a healthy world may take for what is left, in simulated milliseconds.
const HEALTHY_MS_MAX: u64 = 1_800_000;
/// How many rounds a healthy world may take.
const ROUNDS_MAX: u64 = 60_000;

impl World {
    /// Runs the whole seed.
    pub(crate) fn run(&mut self) -> Checked {
        for partition in 0..self.plan.partitions {
            let node = self.assigned[partition as usize];
            self.assign(partition, node);
        }
        self.rebalance(false);
        for step in 0..self.plan.steps {
            if self.plan.night_at == Some(step) {
                self.night()?;
            }
            self.chaos_step()?;
        }
        self.heal()?;
        self.run_to_the_end()?;
        self.check_the_end()
    }

    fn chaos_step(&mut self) -> Checked {
        self.step += 1;
        match self.dice.below(100) {
            0..=54 => {
                let node = self.dice.below(self.plan.nodes);
                for _ in 0..self.dice.within(1, 6) {
                    self.node_step(node)?;
                }
                Ok(())
            }
            55..=79 => {
                let worker = self.dice.below(self.plan.workers);
                for _ in 0..self.dice.within(1, 4) {
                    self.worker_step(worker)?;
                }
                Ok(())
            }
            80..=83 => self.client_step(),
            84..=85 => self.land_ghost(),
            86 => {
                self.rebalance(false);
                Ok(())
            }
            87..=92 => {
                let long = self.dice.chance(60);
                let milliseconds = if long { self.dice.within(100, 3_000) } else { self.dice.within(0, 25) };
                self.pass(milliseconds);
                Ok(())
            }
            _ => (0..self.plan.fault_rounds).try_for_each(|_| self.fault_step()),
        }
    }

    /// Nothing goes wrong any more: nodes and workers run, everybody hears who owns what, late records have landed.
    fn heal(&mut self) -> Checked {
        self.note(|_| "the world turns HEALTHY".to_owned());
        self.healthy = true;
        while !self.ghosts.is_empty() {
            self.land_ghost()?;
        }
        for partition in 0..self.plan.partitions {
            let owner = self.assigned[partition as usize];
            for node in (0..self.plan.nodes).filter(|node| *node != owner) {
                self.revoke(node, partition);
            }
            self.assign(partition, owner);
        }
        for node in &mut self.nodes {
            node.paused_until_ms = 0;
        }
        for worker in &mut self.workers {
            worker.paused_until_ms = 0;
        }
        if self.lost_backlog {
            // What vanished from the task topics is noticed by the next owner.
            for node in 0..self.plan.nodes {
                self.crash_node(node)?;
            }
        }
        for worker in 0..self.plan.workers {
            if self.workers[worker].down {
                self.worker_step(worker)?;
            }
        }
        self.rebalance(true);
        self.tell_workers();
        Ok(())
    }

    /// Rounds in which everybody has a turn, until nothing is left to do.
    pub(crate) fn run_to_the_end(&mut self) -> Checked {
        let began_ms = self.mono_ms;
        let mut quiet = 0;
        for _ in 0..ROUNDS_MAX {
            let before = self.progress;
            self.round()?;
            if self.progress != before {
                quiet = 0;
                continue;
            }
            quiet += 1;
            self.check_dead_have_nothing()?;
            if quiet >= 4 && self.is_done()? {
                return Ok(());
            }
            let left = HEALTHY_MS_MAX.saturating_sub(self.mono_ms - began_ms);
            ensure!(left > 0, "nothing_waits_for_ever", "{}", self.what_is_left());
            let milliseconds = self.dice.within(10, 60) * quiet.min(20);
            self.pass(milliseconds);
        }
        Err(violation("nothing_waits_for_ever", format!("no rest after {ROUNDS_MAX} rounds: {}", self.what_is_left())))
    }

    pub(crate) fn round(&mut self) -> Checked {
        for node in 0..self.plan.nodes {
            for _ in 0..10 {
                self.step += 1;
                self.node_step(node)?;
            }
        }
        for worker in 0..self.plan.workers {
            for _ in 0..8 {
                self.step += 1;
                self.worker_step(worker)?;
            }
        }
        for _ in 0..2 {
            self.step += 1;
            self.client_step()?;
        }
        Ok(())
    }

    /// Whether everything has come to its end.
    fn is_done(&mut self) -> Checked<bool> {
        if !self.clients_are_satisfied() || !self.workers_are_idle() {
            return Ok(false);
        }
        for partition in 0..self.plan.partitions {
            if !self.owner_is_idle(partition) || !self.truth_is_at_rest(partition)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the partition has an owner, and that has nothing to do but to wait.
    pub(crate) fn owner_is_idle(&mut self, partition: u32) -> bool {
        let history_end = self.log(&Place::History(partition)).end;
        let commands_end = self.log(&Place::Commands(partition)).end;
        let node = self.assigned[partition as usize];
        let tenure = self.nodes[node].tenures.get(&partition);
        tenure.is_some_and(|tenure| tenure.is_idle() && tenure.has_read(history_end, commands_end))
    }

    fn what_is_left(&mut self) -> String {
        let mut left = Vec::new();
        if !self.clients_are_satisfied() {
            left.push("a client waits for its answer".to_owned());
        }
        if !self.workers_are_idle() {
            left.push("a worker has something to do".to_owned());
        }
        for partition in 0..self.plan.partitions {
            let node = self.assigned[partition as usize];
            match self.nodes[node].tenures.get(&partition) {
                None => left.push(format!("partition {partition} has no owner")),
                Some(tenure) => {
                    let idle = tenure.is_idle();
                    let owner = &tenure.owner;
                    left.push(format!(
                        "partition {partition}: {:?}, idle {idle}, {} in flight, applied {}",
                        owner.phase(),
                        owner.effects_in_flight(),
                        owner.applied_offset()
                    ));
                }
            }
            left.push(self.describe_open(partition));
        }
        left.join("; ")
    }
}
