//! What goes wrong between the steps of the processes.

use tidewright_owner::Phase;

use crate::log::{Place, Tombstones};
use crate::violation::Checked;
use crate::world::World;

impl World {
    /// Perhaps something goes wrong.
    pub(crate) fn fault_step(&mut self) -> Checked {
        let faults = self.plan.faults.clone();
        let node = self.dice.below(self.plan.nodes);
        let worker = self.dice.below(self.plan.workers);
        let partition = self.a_partition();
        let node = if self.dice.chance(500) { self.assigned[partition as usize] } else { node };
        match self.dice.below(14) {
            0 if self.goes_wrong(faults.crash_node) => self.crash_node(node)?,
            1 if self.goes_wrong(faults.move_partition) => {
                let to = self.dice.below(self.plan.nodes);
                self.move_partition(partition, to);
            }
            2 if self.goes_wrong(faults.pause_node) => {
                let pause = self.dice.within(10, 3_000);
                self.nodes[node].paused_until_ms = self.mono_ms + pause;
                self.note(|_| format!("node {node} is paused for {pause} ms"));
            }
            3 if self.may_compact(partition) && self.goes_wrong(faults.compact) => self.compact(partition),
            4 if self.goes_wrong(faults.step_clock) => self.step_clock(node),
            5 if self.goes_wrong(faults.rebalance) => self.rebalance(true),
            6 if self.goes_wrong(faults.crash_worker) => self.crash_worker(worker),
            7 if self.goes_wrong(faults.pause_worker) => {
                self.workers[worker].paused_until_ms = self.mono_ms + self.dice.within(10, 4_000);
            }
            8 if self.goes_wrong(faults.lose_offset) => self.lose_offset(),
            9 if self.goes_wrong(faults.lose_backlog) => self.lose_backlog(),
            10 if self.goes_wrong(faults.stall) => {
                let kind = self.dice.below(usize::from(Place::KINDS)) as u8;
                let until_ms = self.mono_ms + self.dice.within(20, 3_000);
                self.stalled.insert(kind, until_ms);
                self.note(|_| format!("kind {kind} of topics stalls until {until_ms} ms"));
            }
            12 if self.goes_wrong(faults.jump_clocks) => self.jump_clocks(node),
            13 if self.goes_wrong(faults.offer_task) => self.offer_task(worker)?,
            11 if self.goes_wrong(300) => self.delete_done_tasks(),
            _ => {}
        }
        Ok(())
    }

    /// A partition; rather one whose owner has something to lose.
    fn a_partition(&mut self) -> u32 {
        let busy = |partition: &u32| {
            let node = &self.nodes[self.assigned[*partition as usize]];
            node.tenures.get(partition).is_some_and(|tenure| !tenure.appends.is_empty())
        };
        let busy: Vec<_> = (0..self.plan.partitions).filter(busy).collect();
        match self.dice.pick(&busy) {
            Some(partition) => *partition,
            None => self.dice.below(self.plan.partitions as usize) as u32,
        }
    }

    /// The group moves a partition; the node that had it may not hear of it until it is deposed.
    fn move_partition(&mut self, partition: u32, node: usize) {
        let before = self.assigned[partition as usize];
        self.assign(partition, node);
        if before == node {
            return;
        }
        if !self.goes_wrong(self.plan.faults.untold) {
            self.revoke(before, partition);
        } else if self.dice.chance(600) {
            // It goes on as a zombie when it wakes.
            self.nodes[before].paused_until_ms = self.mono_ms + self.dice.within(5, 400);
        }
    }

    fn may_compact(&self, partition: u32) -> bool {
        let tenure = self.nodes[self.assigned[partition as usize]].tenures.get(&partition);
        !self.plan.compacts_what_is_read || tenure.is_some_and(|tenure| tenure.owner.phase() == Phase::Recovering)
    }

    pub(crate) fn compact(&mut self, partition: u32) {
        let end = self.log(&Place::History(partition)).end;
        let point = self.dice.within(0, end);
        // A tombstone goes when it is old enough, and what it is about went before.
        let old = self.broker_ms().saturating_sub(self.plan.limits.tombstones_live_ms);
        let old = self.log(&Place::History(partition)).end_of_older_than(old).min(point);
        let below = if self.dice.chance(500) { self.dice.within(0, old) } else { 0 };
        let (live_ms, now_ms) = (self.plan.limits.tombstones_live_ms, self.mono_ms);
        let tombstones = Tombstones { below, live_ms, now_ms };
        let removed = self.log(&Place::History(partition)).compact(point, &tombstones);
        self.stats.compacted += removed as u64;
        self.note(|_| format!("history {partition} is compacted below {point}: {removed} records go"));
    }

    fn step_clock(&mut self, node: usize) {
        let back = self.dice.within(1, 5_000);
        if self.dice.chance(300) {
            self.nodes[node].clock_ahead_ms = self.clocks_ms - 5_000 + 2 * back;
            return;
        }
        self.broker_shift_ms = if self.dice.chance(700) {
            self.set_back_ms += back;
            self.broker_shift_ms.saturating_sub(back)
        } else {
            self.broker_shift_ms + back / 4
        };
        self.note(|_| format!("the brokers' clock steps by {back} ms"));
    }

    /// Clocks jump: a node's own by hours, or everybody's, as after a machine's sleep or a correction.
    fn jump_clocks(&mut self, node: usize) {
        self.stats.clock_jumps += 1;
        let hours_ms = self.dice.within(1, 48) * 3_600_000;
        if self.dice.chance(300) {
            self.nodes[node].clock_ahead_ms += hours_ms;
            self.note(|_| format!("the clock of node {node} jumps by {hours_ms} ms"));
            return;
        }
        // Back a little only: what is due then waits until it is time again.
        let back_ms = if self.dice.chance(300) { self.dice.within(1_000, 30_000).min(self.broker_shift_ms) } else { 0 };
        let jump = |clock_ms: u64| if back_ms > 0 { clock_ms.saturating_sub(back_ms) } else { clock_ms + hours_ms };
        self.set_back_ms += back_ms;
        self.clocks_ms = jump(self.clocks_ms).max(5_000);
        self.broker_shift_ms = jump(self.broker_shift_ms);
        for node in &mut self.nodes {
            node.clock_ahead_ms = jump(node.clock_ahead_ms);
        }
        self.note(|_| format!("all clocks jump by {hours_ms} ms, or back by {back_ms} ms"));
    }

    fn lose_offset(&mut self) {
        let places: Vec<_> = self.group.committed.keys().cloned().collect();
        if let Some(place) = self.dice.pick(&places) {
            self.group.committed.remove(place);
            self.note(|_| format!("the committed offset of {place:?} expires"));
        }
    }

    /// Tasks vanish that nobody has taken: only a takeover finds that (R27).
    fn lose_backlog(&mut self) {
        let places = self.heard_places();
        let Some(place) = self.dice.pick(&places).cloned() else { return };
        let log = self.log(&place);
        let (start, end) = (log.start, log.end);
        let below = self.dice.within(start, end);
        self.log(&place).delete_below(below);
        self.lost_backlog = true;
        self.note(|_| format!("{place:?} loses what is below {below}"));
    }

    /// What the workers have committed is deleted now and then.
    fn delete_done_tasks(&mut self) {
        let places: Vec<_> = self.group.committed.iter().map(|(place, at)| (place.clone(), *at)).collect();
        if let Some((place, committed)) = self.dice.pick(&places) {
            self.log(place).delete_below(*committed);
        }
    }
}
