//! The world: clocks, logs, processes, and what is known about them. Everything that lands in a log lands here, and is
//! held against the rules at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tidewright_owner::trust::{Authority, Secret};
use tidewright_schemas::topics::partition_of;
use tidewright_schemas::{Command, Payload, TaskId, TaskKind, headers};

use crate::beacons::Beacons;
use crate::client::Client;
use crate::dice::Dice;
use crate::ledger::{Ledger, key_of};
use crate::log::{Parcel, Place, SimLog};
use crate::node::Node;
use crate::plan::{Focus, Plan};
use crate::querier::Asking;
use crate::stats::Stats;
use crate::truth::{Truth, Verdict};
use crate::violation::{Checked, ensure, violation};
use crate::worker::{Group, Worker};

/// The clocks' origin, in milliseconds since 1970.
const BASE_MS: u64 = 1_790_000_000_000;
/// How far all clocks are ahead of it, so that they can step back.
pub(crate) const CLOCKS_MS: u64 = 100_000;
/// How many lines of a trace are kept.
const TRACE_LINES_MAX: usize = 100_000;
pub(crate) const COMMANDS_TOPIC: &str = "tidewright.default.commands";

pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) plan: Plan,
    pub(crate) step: u64,
    pub(crate) mono_ms: u64,
    /// How far all clocks are off that nothing has happened to.
    pub(crate) clocks_ms: u64,
    /// How far the brokers' clock was set back in all.
    pub(crate) set_back_ms: u64,
    /// How far the brokers' clock is off.
    pub(crate) broker_shift_ms: u64,
    pub(crate) logs: BTreeMap<Place, SimLog>,
    pub(crate) topic_id: u64,
    pub(crate) truth: Vec<Truth>,
    pub(crate) ledger: Ledger,
    pub(crate) nodes: Vec<Node>,
    /// Which node the group assigns each partition to.
    pub(crate) assigned: Vec<usize>,
    /// What processes that are gone have sent and has not landed: queues that keep their order.
    pub(crate) ghosts: Vec<VecDeque<Parcel>>,
    pub(crate) group: Group,
    pub(crate) workers: Vec<Worker>,
    pub(crate) client: Client,
    pub(crate) authority: Authority,
    pub(crate) beacons: Beacons,
    /// Queries that somebody waits for.
    pub(crate) asking: Vec<Asking>,
    /// Attempts that were started and must not be again.
    pub(crate) started_once: BTreeSet<String>,
    /// How often something took its worker down.
    pub(crate) deaths: BTreeMap<String, u32>,
    /// What attempts that began were told of earlier ones.
    pub(crate) told_details: Vec<(TaskId, Option<Payload>)>,
    /// Kinds of partitions that nobody can write to for now, and until when.
    pub(crate) stalled: BTreeMap<u8, u64>,
    /// From here on nothing goes wrong any more.
    pub(crate) healthy: bool,
    /// No worker is there, and nobody does anything but the nodes.
    pub(crate) is_night: bool,
    /// Whether tasks were lost that only a takeover can find.
    pub(crate) lost_backlog: bool,
    /// Counts everything that moves.
    pub(crate) progress: u64,
    pub(crate) numbers: u64,
    pub(crate) stats: Stats,
    trace: Option<VecDeque<String>>,
}

impl World {
    pub(crate) fn new(seed: u64, focus: Focus, traced: bool) -> Self {
        let mut dice = Dice::new(seed);
        let mut plan = Plan::generate(&mut dice);
        plan.dwell_on(focus);
        let secret = Secret::new(vec![7; 32]);
        #[expect(clippy::expect_used, reason = "32 bytes are enough, so this cannot fail")]
        let authority = Authority::new(secret.expect("32 bytes are enough"), "cluster", "incarnation");
        let nodes = (0..plan.nodes).map(|_| Node::new(&mut dice, plan.silence_ms)).collect();
        let assigned = (0..plan.partitions).map(|_| dice.below(plan.nodes)).collect();
        let workers = (0..plan.workers).map(|_| Worker::default()).collect();
        let client = Client::new(&mut dice, &plan);
        let mut world = Self {
            step: 0,
            mono_ms: 0,
            clocks_ms: CLOCKS_MS,
            set_back_ms: 0,
            broker_shift_ms: CLOCKS_MS,
            logs: BTreeMap::new(),
            topic_id: 1,
            truth: (0..plan.partitions).map(|_| Truth::default()).collect(),
            ledger: Ledger::default(),
            nodes,
            assigned,
            ghosts: Vec::new(),
            group: Group::default(),
            workers,
            client,
            authority,
            beacons: Beacons::default(),
            asking: Vec::new(),
            started_once: BTreeSet::new(),
            deaths: BTreeMap::new(),
            told_details: Vec::new(),
            stalled: BTreeMap::new(),
            healthy: false,
            is_night: false,
            lost_backlog: false,
            progress: 0,
            numbers: 0,
            stats: Stats::default(),
            trace: traced.then(VecDeque::new),
            dice,
            plan,
        };
        world.note(|w| format!("plan: {:?}", w.plan));
        world
    }

    /// Writes a line of the trace, if there is one.
    pub(crate) fn note(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.trace.is_none() {
            return;
        }
        let line = format!("{:>6} {:>7}ms {}", self.step, self.mono_ms, line(self));
        if let Some(trace) = &mut self.trace {
            if trace.len() == TRACE_LINES_MAX {
                trace.pop_front();
            }
            trace.push_back(line);
        }
    }

    pub(crate) fn take_trace(&mut self) -> Vec<String> {
        self.trace.take().map(Vec::from).unwrap_or_default()
    }

    /// A number that nothing else has.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(crate) fn broker_ms(&self) -> u64 {
        BASE_MS + self.mono_ms + self.broker_shift_ms
    }

    /// The time by everybody's clock but the brokers'.
    pub(crate) fn wall_ms(&self) -> u64 {
        BASE_MS + self.mono_ms
    }

    /// Whether something goes wrong now.
    pub(crate) fn goes_wrong(&mut self, per_mille: u64) -> bool {
        !self.healthy && !self.is_night && self.dice.chance(per_mille)
    }

    pub(crate) fn log(&mut self, place: &Place) -> &mut SimLog {
        if !self.logs.contains_key(place) {
            self.logs.insert(place.clone(), SimLog::default());
        }
        #[expect(clippy::expect_used, reason = "it was just put there")]
        self.logs.get_mut(place).expect("it was just put there")
    }

    /// A record becomes visible in its partition.
    pub(crate) fn land(&mut self, parcel: Parcel) -> Checked<u64> {
        self.progress += 1;
        let timestamp_ms = self.broker_ms();
        let place = parcel.to.clone();
        let skips = matches!(place, Place::Commands(_)) && self.plan.faults.skip_offsets > 0;
        if skips && self.goes_wrong(self.plan.faults.skip_offsets) {
            let count = self.dice.within(1, 3);
            self.log(&place).skip(count);
        }
        let offset = self.log(&place).append(timestamp_ms, parcel.clone());
        self.note(|_| format!("landed {} at {place:?} {offset}", describe(&parcel)));
        let is_log = matches!(place, Place::Commands(_) | Place::History(_));
        ensure!(!is_log || parcel.header(headers::QUERY).is_none(), "a_query_leaves_no_record", "{parcel:?}");
        match place {
            Place::History(partition) => self.history_landed(partition, offset, &parcel)?,
            Place::Commands(partition) => {
                self.stats.commands += 1;
                let id = key_of(&parcel);
                let belongs_to = id.map_or(partition, |id| self.partition_of(id.as_str()));
                self.ledger.command(partition, offset, &parcel, belongs_to);
            }
            Place::Replies(_) => self.ledger.reply(&parcel, &self.truth)?,
            Place::DeadLetters => self.ledger.dead_letter(&parcel),
            Place::Control(task_queue) => {
                self.check_hint(&parcel)?;
                self.ledger.tell(task_queue, &parcel);
            }
            // Beacons land by a way of their own.
            Place::Workers => {}
            Place::Tasks(ref key, _) => {
                let kind = key.kind;
                self.ledger.task(kind, place, offset, self.step, &parcel);
            }
        }
        Ok(offset)
    }

    /// Whether records for a partition cannot land now.
    pub(crate) fn is_stalled(&self, place: &Place) -> bool {
        !self.healthy
            && !self.is_night
            && self.stalled.get(&place.kind()).is_some_and(|until_ms| *until_ms > self.mono_ms)
    }

    pub(crate) fn partition_of(&self, key: &str) -> u32 {
        partition_of(key.as_bytes(), self.plan.partitions)
    }

    fn history_landed(&mut self, partition: u32, offset: u64, parcel: &Parcel) -> Checked {
        let key = String::from_utf8_lossy(parcel.key.as_deref().unwrap_or_default()).into_owned();
        let Some(truth) = self.truth.get_mut(partition as usize) else { return Ok(()) };
        let verdict = truth.landed(offset, &key, parcel.value.as_deref())?;
        match verdict {
            Verdict::Valid => {
                let source = truth.sources.last_key_value().map(|(source, id)| (*source, id.clone()));
                if let Some((source, id)) = source {
                    let forged = self.ledger.forged.contains(&(partition, source));
                    ensure!(!forged, "r33_forged_commands_do_nothing", "command {source} changed {id}");
                    let here = partition_of(id.as_str().as_bytes(), self.plan.partitions) == partition;
                    ensure!(here, "r9_a_workflow_lives_on_its_partition", "{id} on partition {partition}");
                    self.check_causes(partition, source)?;
                    self.check_identity(partition, source)?;
                }
            }
            Verdict::ValidPosition(position) => {
                let rule = "r18_what_is_released_is_out";
                self.ledger.check_released(partition, position.released_offset, truth, rule, COMMANDS_TOPIC)?;
                let bounds = self.log(&Place::Commands(partition)).bounds();
                ensure!(
                    position.applied_offset <= bounds.end,
                    "r15_a_position_is_in_the_log",
                    "{position:?} {bounds:?}"
                );
            }
            Verdict::Other => {}
        }
        Ok(())
    }

    /// Lands something that a process that is gone had sent.
    pub(crate) fn land_ghost(&mut self) -> Checked {
        let at = self.dice.below(self.ghosts.len());
        let Some(queue) = self.ghosts.get_mut(at) else { return Ok(()) };
        let parcel = queue.pop_front();
        if queue.is_empty() {
            self.ghosts.swap_remove(at);
        }
        parcel.map_or(Ok(()), |parcel| self.land(parcel).map(drop))
    }

    /// A process is gone: of what it had queued for one partition a prefix may still land, later.
    pub(crate) fn haunt(&mut self, mut queue: VecDeque<Parcel>) {
        let left = self.dice.below(queue.len() + 1);
        queue.truncate(left);
        if !queue.is_empty() && !self.healthy {
            self.ghosts.push(queue);
        }
    }

    pub(crate) fn task_place(&mut self, key: &tidewright_owner::BacklogKey, record_key: Option<&[u8]>) -> Place {
        let count = self.plan.task_partitions;
        let partition = match record_key {
            Some(bytes) => partition_of(bytes, count),
            None => self.dice.below(count as usize) as u32,
        };
        Place::Tasks(key.clone(), partition)
    }

    /// Moves time on.
    pub(crate) fn pass(&mut self, milliseconds: u64) {
        self.mono_ms += milliseconds;
    }

    pub(crate) fn broken(&self, what: impl Into<String>) -> crate::violation::Violation {
        violation("simulation", what)
    }
}

/// A record in a few words.
pub(crate) fn describe(parcel: &Parcel) -> String {
    let key = String::from_utf8_lossy(parcel.key.as_deref().unwrap_or_default()).into_owned();
    let Some(value) = parcel.value.as_deref() else { return format!("tombstone of {key}") };
    let text = String::from_utf8_lossy(value);
    if let Ok(command) = Command::from_value(Some(value)) {
        return format!("{} for {key}: {}", command.type_name(), text.chars().take(200).collect::<String>());
    }
    let kind = match &parcel.to {
        Place::Tasks(queue, _) if queue.kind == TaskKind::Workflow => "workflow task",
        Place::Tasks(..) => "activity task",
        Place::Replies(_) => "reply",
        Place::DeadLetters => "dead letter",
        Place::Control(_) => "control message",
        Place::Workers => "beacon",
        Place::History(_) => "history",
        Place::Commands(_) => "garbage",
    };
    let task = parcel.header(tidewright_schemas::headers::TASK).unwrap_or_default();
    let repeat = if parcel.header(tidewright_schemas::headers::POSSIBLE_REPEAT).is_some() { " (repeat)" } else { "" };
    format!("{kind} {key} {task}{repeat}: {}", text.chars().take(300).collect::<String>())
}
