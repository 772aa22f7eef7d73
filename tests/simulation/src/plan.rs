//! What a seed's world looks like and how badly it is treated. Each seed has only some of the faults, each with its own
//! strength: a fault that is always there hides what happens without it.

use tidewright_owner::Limits;

use crate::dice::Dice;

/// How often things go wrong, in a thousand of the occasions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    pub(crate) crash_node: u64,
    pub(crate) drop_owner: u64,
    pub(crate) move_partition: u64,
    pub(crate) untold: u64,
    pub(crate) pause_node: u64,
    pub(crate) delete_store: u64,
    pub(crate) compact: u64,
    pub(crate) step_clock: u64,
    pub(crate) stall: u64,
    pub(crate) lose_ack: u64,
    pub(crate) lose_reply: u64,
    pub(crate) transient: u64,
    pub(crate) denied: u64,
    pub(crate) cannot_append: u64,
    pub(crate) rebalance: u64,
    pub(crate) crash_worker: u64,
    pub(crate) pause_worker: u64,
    pub(crate) return_task: u64,
    pub(crate) lose_offset: u64,
    pub(crate) lose_backlog: u64,
    pub(crate) forget_run: u64,
    pub(crate) hide_history: u64,
    pub(crate) worker_bug: u64,
    pub(crate) garbage: u64,
    pub(crate) duplicate: u64,
    pub(crate) misplace: u64,
    pub(crate) skip_offsets: u64,
    pub(crate) delete_run: u64,
    pub(crate) lose_hint: u64,
    pub(crate) poison: u64,
    pub(crate) jump_clocks: u64,
    pub(crate) offer_task: u64,
}

/// What seeds dwell on. A bug that few seeds meet is met by many of those that dwell on what it takes; and they do so after
/// programs have changed, when every seed means something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Focus {
    /// Nothing in particular.
    #[default]
    Everything,
    /// Commands that arrive on wrong partitions, twice and late.
    Forwarding,
    /// Runs that are deleted, histories that are compacted, and states that are old or built anew.
    Deletion,
}

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) partitions: u32,
    pub(crate) nodes: usize,
    pub(crate) workers: usize,
    pub(crate) task_partitions: u32,
    pub(crate) requests: usize,
    pub(crate) leaves_max: usize,
    pub(crate) steps: u64,
    pub(crate) limits: Limits,
    pub(crate) faults: Faults,
    /// How often the network moves before a driver does, in a thousand.
    pub(crate) network: u64,
    pub(crate) has_api: bool,
    pub(crate) tells_topic_id: bool,
    /// Whether something acknowledged is lost at the end: then the partition must stop (R15).
    pub(crate) plants_loss: bool,
    /// How often somebody asks a workflow something, in a thousand of the clients' steps.
    pub(crate) queries: u64,
    /// The step before which all workers leave, and nobody comes for a night.
    pub(crate) night_at: Option<u64>,
    /// How often runs are asked to end, in a thousand of what is said to them.
    pub(crate) cancels: u64,
    /// Whether histories are compacted only while an owner reads them.
    pub(crate) compacts_what_is_read: bool,
    /// How many faults may happen where one may.
    pub(crate) fault_rounds: usize,
    /// After how long a silent worker is lost.
    pub(crate) silence_ms: u64,
}

impl Plan {
    pub(crate) fn generate(dice: &mut Dice) -> Self {
        let (calm, long) = (dice.chance(30), dice.chance(15));
        let faults = if calm { Faults::default() } else { Faults::generate(dice) };
        let steps = if long { dice.within(4_000, 12_000) } else { dice.within(200, 2_500) };
        Self {
            partitions: dice.within(1, 3) as u32,
            nodes: if dice.chance(150) { 1 } else { dice.within(2, 3) as usize },
            workers: dice.within(1, 3) as usize,
            task_partitions: dice.within(1, 2) as u32,
            requests: if long { dice.within(8, 24) } else { dice.within(1, 12) } as usize,
            leaves_max: dice.within(1, 12) as usize,
            steps,
            limits: limits(dice),
            faults,
            network: dice.within(60, 600),
            has_api: dice.chance(700),
            tells_topic_id: dice.chance(500),
            plants_loss: dice.chance(200),
            queries: if dice.chance(600) { dice.within(50, 800) } else { 0 },
            cancels: 20,
            compacts_what_is_read: false,
            fault_rounds: 1,
            night_at: dice.chance(120).then(|| dice.within(0, steps - 1)),
            silence_ms: dice.within(1_000, 2_500),
        }
    }
}

impl Plan {
    pub(crate) fn dwell_on(&mut self, focus: Focus) {
        let faults = &mut self.faults;
        match focus {
            Focus::Everything => return,
            Focus::Forwarding => {
                (self.partitions, faults.delete_run, self.cancels) = (2, 0, 400);
                (faults.misplace, faults.duplicate) = (500, 300);
                (faults.crash_node, faults.move_partition, faults.lose_ack, faults.compact) = (400, 500, 150, 400);
            }
            Focus::Deletion => {
                (faults.delete_run, faults.compact, faults.delete_store) = (150, 1_000, 800);
                (faults.misplace, faults.crash_worker, faults.stall) = (0, 0, 0);
                (self.requests, self.leaves_max, self.fault_rounds) = (20, 2, 8);
                // What is deleted by the evening is forgotten in the morning.
                (self.partitions, self.night_at, self.compacts_what_is_read) = (1, Some(1_500), true);
                (faults.crash_node, faults.move_partition, faults.pause_node, faults.untold) = (500, 900, 500, 300);
                self.limits.tombstones_live_ms = 5_000;
                self.limits.position_interval_ms = 50;
                self.limits.position_commands = 2;
            }
        }
        self.steps = self.steps.max(2_500);
        (self.nodes, self.plants_loss) = (self.nodes.max(2), false);
    }
}

fn limits(dice: &mut Dice) -> Limits {
    Limits {
        batch_commands_max: dice.within(1, 12) as usize,
        batch_bytes_max: if dice.chance(200) { 600 } else { 1024 * 1024 },
        queued_commands_max: dice.within(1, 40) as usize,
        queued_bytes_max: 64 * 1024,
        in_flight_max: if dice.chance(300) { dice.within(1, 4) as usize } else { 1_000 },
        in_flight_bytes_max: if dice.chance(100) { 2_000 } else { 1024 * 1024 },
        position_commands: dice.within(1, 30),
        position_interval_ms: dice.within(20, 2_000),
        timer_repeat_ms: dice.within(50, 2_000),
        tombstones_live_ms: dice.within(5_000, 30_000),
        command_window_ms: if dice.chance(500) { 0 } else { dice.within(1, 3_000) },
    }
}

impl Faults {
    fn generate(dice: &mut Dice) -> Self {
        let mut some = |share: u64, most: u64| if dice.chance(share) { dice.within(1, most) } else { 0 };
        Self {
            crash_node: some(500, 500),
            drop_owner: some(400, 80),
            move_partition: some(600, 900),
            untold: some(700, 1000),
            pause_node: some(600, 700),
            delete_store: some(400, 500),
            compact: some(700, 700),
            step_clock: some(300, 300),
            stall: some(500, 400),
            lose_ack: some(400, 150),
            lose_reply: some(400, 400),
            transient: some(400, 150),
            denied: some(200, 30),
            cannot_append: some(200, 10),
            rebalance: some(600, 500),
            crash_worker: some(400, 400),
            pause_worker: some(400, 400),
            return_task: some(400, 400),
            lose_offset: some(300, 300),
            lose_backlog: some(250, 500),
            forget_run: some(400, 400),
            hide_history: some(400, 500),
            worker_bug: some(250, 150),
            garbage: some(400, 400),
            duplicate: some(500, 200),
            misplace: some(400, 200),
            skip_offsets: some(300, 200),
            delete_run: some(400, 300),
            lose_hint: some(400, 600),
            poison: some(150, 60),
            jump_clocks: some(200, 100),
            offer_task: some(300, 500),
        }
    }
}
