//! Nodes: which partitions each believes to own, its stores, its clock, its crashes.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tidewright_core::{MemoryRows, Rows as _, Store as _, waste};
use tidewright_owner::Stop;
use tidewright_schemas::RunId;

use crate::beacons::Watch;
use crate::dice::Dice;
use crate::disk::Disk;
use crate::log::{Parcel, Place};
use crate::tenure::{End, Tenure};
use crate::violation::{Checked, ensure, violation};
use crate::world::{CLOCKS_MS, World};

pub(crate) struct Node {
    pub(crate) up: bool,
    pub(crate) paused_until_ms: u64,
    /// How far its clock is ahead; the brokers' is ahead by 100 s.
    pub(crate) clock_ahead_ms: u64,
    pub(crate) stores: BTreeMap<u32, Disk>,
    pub(crate) tenures: BTreeMap<u32, Box<Tenure>>,
    /// Partitions that it believes to be its own, with the time before which it does not begin with them.
    pub(crate) believes: BTreeMap<u32, u64>,
    pub(crate) beacon_due_ms: u64,
    pub(crate) watch: Watch,
}

impl Node {
    pub(crate) fn new(dice: &mut Dice, silence_ms: u64) -> Self {
        Self {
            up: true,
            paused_until_ms: 0,
            clock_ahead_ms: CLOCKS_MS + dice.within(0, 600) - 300,
            stores: BTreeMap::new(),
            tenures: BTreeMap::new(),
            believes: BTreeMap::new(),
            beacon_due_ms: 0,
            watch: Watch::new(silence_ms),
        }
    }
}

impl World {
    pub(crate) fn is_running(&self, node: usize) -> bool {
        self.nodes[node].up && self.nodes[node].paused_until_ms <= self.mono_ms
    }

    /// One step of one node.
    pub(crate) fn node_step(&mut self, node: usize) -> Checked {
        if !self.nodes[node].up {
            if self.healthy || self.is_night || self.dice.chance(50) {
                self.start_node(node);
            }
            return Ok(());
        }
        if !self.is_running(node) {
            return Ok(());
        }
        self.node_speaks(node);
        let partitions: Vec<_> = self.nodes[node].believes.keys().copied().collect();
        let Some(partition) = self.dice.pick(&partitions).copied() else { return Ok(()) };
        if self.nodes[node].tenures.contains_key(&partition) {
            return self.tenure_step(node, partition);
        }
        if self.nodes[node].believes[&partition] <= self.mono_ms {
            self.begin_tenure(node, partition)?;
        }
        Ok(())
    }

    fn start_node(&mut self, node: usize) {
        self.note(|_| format!("node {node} starts"));
        self.progress += 1;
        self.nodes[node].up = true;
        for partition in 0..self.plan.partitions {
            if self.assigned[partition as usize] == node {
                self.nodes[node].believes.insert(partition, self.mono_ms);
            }
        }
    }

    fn begin_tenure(&mut self, node: usize, partition: u32) -> Checked {
        self.progress += 1;
        let disk = self.nodes[node].stores.entry(partition).or_default().clone();
        self.check_store(partition, &disk)?;
        let number = self.next_number();
        let tenure = Tenure::open(self, node, partition, number, disk)
            .map_err(|stop| violation("r16_a_store_opens_after_any_crash", stop.to_string()))?;
        self.note(|_| format!("node {node} partition {partition}: opens as claim-{number}"));
        self.nodes[node].tenures.insert(partition, Box::new(tenure));
        Ok(())
    }

    /// The store must hold what history says up to the offset that the store names, and nothing else (R11, R16).
    pub(crate) fn check_store(&self, partition: u32, disk: &Disk) -> Checked {
        let Some((history_offset, _)) = meta(disk)? else {
            ensure!(disk.is_empty(), "r11_the_store_holds_only_what_is_committed", "rows without a meta row");
            return Ok(());
        };
        let truth = &self.truth[partition as usize];
        let (expected, may_linger) = (truth.rows_at(history_offset), truth.forgotten.may_linger_at(history_offset));
        if let Some(difference) = disk.look(|rows| difference(rows, &expected, &may_linger)) {
            let what = format!("partition {partition} at history offset {history_offset}: {difference}");
            return Err(violation("r11_the_store_holds_only_what_is_committed", what));
        }
        Ok(())
    }

    /// The process dies: all owners at once, between any two actions.
    pub(crate) fn crash_node(&mut self, node: usize) -> Checked {
        if !self.nodes[node].up {
            return Ok(());
        }
        self.stats.kills += 1;
        self.note(|_| format!("node {node} CRASHES"));
        let tenures = std::mem::take(&mut self.nodes[node].tenures);
        for (partition, tenure) in tenures {
            self.bury(partition, tenure);
        }
        let stores = std::mem::take(&mut self.nodes[node].stores);
        for (partition, disk) in stores {
            if self.goes_wrong(self.plan.faults.delete_store) {
                self.note(|_| format!("node {node} loses the store of partition {partition}"));
                continue;
            }
            let disk = disk.after_crash(&mut self.dice);
            self.check_store(partition, &disk)?;
            self.nodes[node].stores.insert(partition, disk);
        }
        let watch = Watch::new(self.plan.silence_ms);
        let state = &mut self.nodes[node];
        state.watch = watch;
        state.up = false;
        state.believes.clear();
        Ok(())
    }

    /// An owner is gone; a prefix of what it had queued for each partition may land later.
    fn bury(&mut self, partition: u32, tenure: Box<Tenure>) {
        let mut queues: BTreeMap<Place, VecDeque<Parcel>> = BTreeMap::new();
        let history = tenure.appends.into_iter().map(|entry| crate::tenure::history_parcel(partition, entry));
        queues.insert(Place::History(partition), history.collect());
        for (_, parcel) in tenure.sends {
            queues.entry(parcel.to.clone()).or_default().push_back(parcel);
        }
        for queue in queues.into_values() {
            self.haunt(queue);
        }
    }

    /// The owner of a partition ended by itself, or its driver gave up: the store is as it was left.
    pub(crate) fn end_tenure(&mut self, node: usize, partition: u32, tenure: Box<Tenure>, end: &End) -> Checked {
        self.progress += 1;
        self.note(|_| format!("node {node} partition {partition}: ends: {end}"));
        self.bury(partition, tenure);
        let pause = self.dice.within(5, 150);
        let again_at = self.mono_ms + pause;
        match end {
            End::Trouble(_) => {
                self.nodes[node].believes.insert(partition, again_at);
            }
            End::Stop(Stop::StateTooOld { .. }) => {
                self.stats.too_old += 1;
                self.nodes[node].stores.remove(&partition);
                self.nodes[node].believes.insert(partition, again_at);
            }
            End::Stop(stop) if stop.is_temporary() => {
                // A heartbeat acked afterwards says whether the partition is still assigned (R12).
                if self.assigned[partition as usize] == node {
                    self.nodes[node].believes.insert(partition, again_at);
                } else {
                    self.nodes[node].believes.remove(&partition);
                }
            }
            End::Stop(stop) => return Err(violation("r15_nothing_stops_without_loss", stop.to_string())),
        }
        Ok(())
    }

    /// The node is told that a partition is not its own any more; what it had begun may still land.
    pub(crate) fn revoke(&mut self, node: usize, partition: u32) {
        self.nodes[node].believes.remove(&partition);
        if let Some(tenure) = self.nodes[node].tenures.remove(&partition) {
            self.bury(partition, tenure);
        }
    }

    /// The group assigns a partition to a node.
    pub(crate) fn assign(&mut self, partition: u32, node: usize) {
        self.note(|_| format!("partition {partition} is assigned to node {node}"));
        self.assigned[partition as usize] = node;
        if self.nodes[node].up {
            self.nodes[node].believes.entry(partition).or_insert(self.mono_ms);
        }
    }
}

/// The first two numbers of the owner's own row: its history offset and the next command to decide.
pub(crate) fn meta(disk: &Disk) -> Checked<Option<(u64, u64)>> {
    let found = disk.get(b"m").map_err(|e| violation("simulation", e.to_string()))?;
    let Some(value) = found else { return Ok(None) };
    let body = value.get(1..).unwrap_or_default();
    let (numbers, _) = postcard::take_from_bytes::<(u64, u64)>(body)
        .map_err(|e| violation("simulation", format!("the meta row begins otherwise: {e}")))?;
    Ok(Some(numbers))
}

/// The first row that two states do not share, but for the owner's own, for what nothing reads any more, and for what is
/// about these runs.
pub(crate) fn difference(
    held: &MemoryRows,
    expected: &BTreeMap<&[u8], &[u8]>,
    may_linger: &[&RunId],
) -> Option<String> {
    let mut ignored: BTreeSet<Vec<u8>> = BTreeSet::new();
    if expected.keys().any(|key| key.first() == Some(&b'x')) {
        let mut rows = MemoryRows::default();
        // Memory takes every write.
        let _ = rows.write(expected.iter().map(|(key, value)| (key.to_vec(), Some(value.to_vec()))).collect());
        ignored.extend(waste(&rows).unwrap_or_default());
        ignored.extend(waste(held).unwrap_or_default());
    }
    let lingers = |(key, value): &(&[u8], &[u8])| may_linger.iter().any(|run| names(key, run) || names(value, run));
    let held = held.all().iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
    let mut held = held.filter(|(key, _)| *key != b"m" && !ignored.contains(*key)).peekable();
    let expected = expected.iter().map(|(key, value)| (*key, *value));
    let mut expected = expected.filter(|(key, _)| !ignored.contains(*key)).peekable();
    loop {
        let (left, right) = (held.peek().copied(), expected.peek().copied());
        if left.is_none() && right.is_none() {
            return None;
        }
        let order = match (left, right) {
            (Some((left, _)), Some((right, _))) => left.cmp(right),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        let (left, right) = (left.filter(|_| order.is_le()), right.filter(|_| order.is_ge()));
        let differs = left != right && !left.iter().chain(&right).any(lingers);
        if differs {
            let show = |row: Option<(&[u8], &[u8])>| match row {
                Some((key, value)) => format!("{} = {}", key.escape_ascii(), value.escape_ascii()),
                None => "nothing like it".to_owned(),
            };
            return Some(format!("there is {}, and there should be {}", show(left), show(right)));
        }
        if order.is_le() {
            held.next();
        }
        if order.is_ge() {
            expected.next();
        }
    }
}

fn names(bytes: &[u8], run_id: &RunId) -> bool {
    let name = run_id.as_str().as_bytes();
    bytes.windows(name.len()).any(|part| part == name)
}
