//! One owner on one node, as the runtime drives it: reads go in, actions are carried out one at a time, and what is sent
//! lands and is acknowledged whenever it pleases.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tidewright_owner::{
    AcceptedLoss, Action, BacklogKey, Bounds, Destination, EffectId, HistoryEntry, Identity, Input, LogBounds,
    Outbound, Owner, SendFailure, Stop,
};
use tidewright_schemas::{Command, EffectFailure, TaskId, headers};

use crate::disk::Disk;
use crate::log::{Parcel, Place};
use crate::program::MISSING_QUEUE;
use crate::violation::{Checked, ensure};
use crate::world::{COMMANDS_TOPIC, World};

/// How far the driver has come before the owner runs.
enum Stage {
    Opened,
    HistoryBounds(LogBounds),
    CommandBounds(LogBounds, LogBounds),
    Running,
}

#[derive(Clone, Copy)]
enum Choice {
    Tick,
    History,
    Commands,
    Ack,
    Scan,
    Delete,
}

/// A look at a task topic, one partition at a time.
pub(crate) struct Scan {
    key: BacklogKey,
    began: u64,
    committed: Option<BTreeMap<Place, u64>>,
    next_partition: u32,
    present: BTreeSet<TaskId>,
}

/// Why a tenure ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error("stop: {0}")]
    Stop(Stop),
    #[error("trouble: {0}")]
    Trouble(&'static str),
}

pub(crate) struct Tenure {
    pub(crate) owner: Owner<Disk>,
    disk: Disk,
    checked_writes: u64,
    stage: Stage,
    actions: VecDeque<Action>,
    history_at: Option<u64>,
    commands_at: Option<u64>,
    pub(crate) appends: VecDeque<HistoryEntry>,
    pub(crate) sends: Vec<(EffectId, Parcel)>,
    acks: Vec<Input>,
    scans: Vec<Scan>,
    /// When each finished scan began, and what was committed then.
    scanned: BTreeMap<BacklogKey, (u64, BTreeMap<Place, u64>)>,
    deletions: Vec<u64>,
    unmarked: BTreeSet<TaskId>,
    began_ms: u64,
    /// The loss that somebody has accepted.
    pub(crate) accepted: Option<AcceptedLoss>,
}

impl Tenure {
    pub(crate) fn open(world: &World, node: usize, partition: u32, number: u64, disk: Disk) -> Result<Self, Stop> {
        let identity = Identity {
            new_traces: Some(0.5),
            namespace: "default".to_owned(),
            incarnation: "incarnation".to_owned(),
            commands_topic: COMMANDS_TOPIC.to_owned(),
            partition,
            partitions: world.plan.partitions,
            node: format!("node-{node}"),
            http_url: world.plan.has_api.then(|| format!("http://node-{node}")),
            claim_key: format!("claim-{number}"),
            authority: world.authority.clone(),
        };
        Ok(Self {
            owner: Owner::new(identity, world.plan.limits.clone(), disk.clone())?,
            checked_writes: disk.writes(),
            disk,
            stage: Stage::Opened,
            actions: VecDeque::new(),
            history_at: None,
            commands_at: None,
            appends: VecDeque::new(),
            sends: Vec::new(),
            acks: Vec::new(),
            scans: Vec::new(),
            scanned: BTreeMap::new(),
            deletions: Vec::new(),
            unmarked: BTreeSet::new(),
            began_ms: world.mono_ms,
            accepted: None,
        })
    }

    /// Whether it has nothing left to do but to wait.
    pub(crate) fn is_idle(&self) -> bool {
        self.owner.is_idle()
            && self.actions.is_empty()
            && self.appends.is_empty()
            && self.sends.is_empty()
            && self.acks.is_empty()
            && self.scans.is_empty()
    }

    pub(crate) fn has_read(&self, history_end: u64, commands_end: u64) -> bool {
        self.history_at == Some(history_end) && self.commands_at == Some(commands_end)
    }
}

pub(crate) fn history_parcel(partition: u32, entry: HistoryEntry) -> Parcel {
    Parcel {
        to: Place::History(partition),
        key: Some(entry.key.into_bytes()),
        value: entry.value,
        headers: Vec::new(),
        garbage: false,
    }
}

impl World {
    /// One step of one owner.
    pub(crate) fn tenure_step(&mut self, node: usize, partition: u32) -> Checked {
        let Some(mut tenure) = self.nodes[node].tenures.remove(&partition) else { return Ok(()) };
        match self.advance(node, partition, &mut tenure)? {
            None => {
                self.nodes[node].tenures.insert(partition, tenure);
                Ok(())
            }
            Some(end) => self.end_tenure(node, partition, tenure, &end),
        }
    }

    pub(crate) fn advance(&mut self, node: usize, partition: u32, tenure: &mut Tenure) -> Checked<Option<End>> {
        if self.goes_wrong(self.plan.faults.drop_owner / 8) {
            return Ok(Some(End::Trouble("the history producer failed")));
        }
        // The network does not wait for the driver.
        let something_flies = !tenure.appends.is_empty() || !tenure.sends.is_empty();
        let network = if self.healthy || self.is_night { 500 } else { self.plan.network };
        if something_flies && self.dice.chance(network) {
            return self.land_one(partition, tenure).map(|()| None);
        }
        if !matches!(tenure.stage, Stage::Running) {
            return Ok(self.begin(partition, tenure));
        }
        if let Some(action) = tenure.actions.pop_front() {
            self.carry_out(partition, tenure, action)?;
            return Ok(None);
        }
        let input = match self.next_input(node, partition, tenure)? {
            Ok(Some(input)) => input,
            Ok(None) => return Ok(None),
            Err(end) => return Ok(Some(end)),
        };
        self.handle(partition, tenure, input)
    }

    fn handle(&mut self, partition: u32, tenure: &mut Tenure, input: Input) -> Checked<Option<End>> {
        match tenure.owner.handle(input) {
            Ok(actions) => {
                tenure.actions.extend(actions);
                if tenure.disk.writes() != tenure.checked_writes && self.dice.chance(60) {
                    tenure.checked_writes = tenure.disk.writes();
                    self.check_store(partition, &tenure.disk)?;
                }
                if self.dice.chance(20) {
                    tenure.disk.sync();
                }
                Ok(None)
            }
            Err(stop) => Ok(Some(End::Stop(stop))),
        }
    }

    /// Finds the bounds, one question at a time, and starts the owner.
    fn begin(&mut self, partition: u32, tenure: &mut Tenure) -> Option<End> {
        self.progress += 1;
        match tenure.stage {
            Stage::Opened => tenure.stage = Stage::HistoryBounds(self.log(&Place::History(partition)).bounds()),
            Stage::HistoryBounds(history) => {
                tenure.stage = Stage::CommandBounds(history, self.log(&Place::Commands(partition)).bounds());
            }
            Stage::CommandBounds(history, commands) => {
                let known = tenure.owner.known_claim().map(|epoch| epoch.offset);
                let known_claim = known.and_then(|offset| self.log(&Place::History(partition)).at(offset).cloned());
                let topic_id = self.plan.tells_topic_id.then(|| self.topic_id.to_string());
                tenure.stage = Stage::Running;
                let accepted = tenure.accepted.clone();
                let bounds = Bounds { history, commands, topic_id, known_claim, accepted };
                match tenure.owner.handle(Input::Start(bounds)) {
                    Ok(actions) => tenure.actions.extend(actions),
                    Err(stop) => return Some(End::Stop(stop)),
                }
            }
            Stage::Running => {}
        }
        None
    }

    fn weighed(&mut self, weights: &[(Choice, usize)]) -> Choice {
        let mut left = self.dice.below(weights.iter().map(|(_, weight)| weight).sum());
        for (choice, weight) in weights {
            if left < *weight {
                return *choice;
            }
            left -= weight;
        }
        Choice::Tick
    }

    /// One of the things that could happen to the owner next; they come in any order.
    fn next_input(&mut self, node: usize, partition: u32, tenure: &mut Tenure) -> Checked<Result<Option<Input>, End>> {
        let limit = 1 + self.dice.below(8);
        let history_end = self.log(&Place::History(partition)).end;
        let commands_end = self.log(&Place::Commands(partition)).end;
        let reads_history = tenure.history_at.is_some_and(|at| at != history_end);
        let reads_commands = tenure.owner.wants_commands() && tenure.commands_at.is_some_and(|at| at != commands_end);
        let weights = [
            (Choice::Tick, 1),
            (Choice::History, if reads_history { 4 } else { 0 }),
            (Choice::Commands, if reads_commands { 4 } else { 0 }),
            (Choice::Ack, if tenure.acks.is_empty() { 0 } else { 4 }),
            (Choice::Scan, usize::from(!tenure.scans.is_empty())),
            (Choice::Delete, usize::from(!tenure.deletions.is_empty())),
        ];
        Ok(match self.weighed(&weights) {
            Choice::History => self
                .read(Place::History(partition), tenure.history_at.as_mut(), limit)
                .map(|read| read.map(|(records, _)| Input::History(records))),
            Choice::Commands => self
                .read(Place::Commands(partition), tenure.commands_at.as_mut(), limit)
                .map(|read| read.map(|(records, next)| Input::Commands(records, next))),
            Choice::Ack => {
                let at = self.dice.below(tenure.acks.len());
                self.progress += 1;
                Ok(Some(tenure.acks.swap_remove(at)))
            }
            Choice::Scan => self.scan_step(tenure),
            Choice::Delete => {
                self.delete_commands(partition, tenure)?;
                Ok(None)
            }
            Choice::Tick if self.dice.chance(200) => Ok(Some(self.gone_workers(node))),
            Choice::Tick => Ok(Some(Input::Tick {
                now_ms: self.broker_ms() - self.broker_shift_ms + self.nodes[node].clock_ahead_ms,
                mono_ms: self.mono_ms - tenure.began_ms,
            })),
        })
    }

    fn read(
        &mut self,
        place: Place,
        at: Option<&mut u64>,
        limit: usize,
    ) -> Result<Option<(Vec<tidewright_owner::LogRecord>, u64)>, End> {
        let Some(at) = at else { return Ok(None) };
        let (records, next) =
            self.log(&place).read(*at, limit).map_err(|_| End::Trouble("the offset is out of range"))?;
        if next == *at {
            return Ok(None);
        }
        self.progress += 1;
        *at = next;
        Ok(Some((records, next)))
    }

    fn carry_out(&mut self, partition: u32, tenure: &mut Tenure, action: Action) -> Checked {
        self.progress += 1;
        match action {
            Action::ReadHistory { from } => tenure.history_at = Some(from),
            Action::ReadCommands { from } => tenure.commands_at = Some(from),
            Action::Append(entries) => tenure.appends.extend(entries),
            Action::Send(id, outbound) => self.send(tenure, id, outbound)?,
            Action::ScanBacklog(key) => {
                let began = self.step;
                let (committed, present) = (None, BTreeSet::new());
                tenure.scans.push(Scan { key, began, committed, next_partition: 0, present });
            }
            Action::DeleteCommands { below } => tenure.deletions.push(below),
            Action::Owned(epoch) => self.note(|_| format!("partition {partition} is owned by {epoch:?}")),
            Action::Committed { applied_offset, .. } => {
                self.note(|_| format!("partition {partition}: committed below {applied_offset}"));
            }
            Action::CommitCommands { .. } => {}
        }
        Ok(())
    }

    fn send(&mut self, tenure: &mut Tenure, id: EffectId, outbound: Outbound) -> Checked {
        self.check_worker_lost(&outbound)?;
        let Outbound { to, key, value, headers } = outbound;
        let to = match to {
            Destination::Tasks(queue) => self.task_place(&queue, key.as_deref()),
            Destination::Commands(partition) => Place::Commands(partition),
            Destination::Replies(partition) => Place::Replies(u32::try_from(partition).unwrap_or(0)),
            Destination::DeadLetters => Place::DeadLetters,
            Destination::Control(task_queue) => Place::Control(task_queue),
        };
        let parcel = Parcel { to, key, value, headers, garbage: false };
        self.check_marks(tenure, &parcel)?;
        self.check_lost(tenure, &parcel)?;
        tenure.sends.push((id, parcel));
        Ok(())
    }

    /// What may have been sent before says so (R25).
    fn check_marks(&mut self, tenure: &mut Tenure, parcel: &Parcel) -> Checked {
        let Place::Tasks(queue, _) = &parcel.to else { return Ok(()) };
        let task = parcel.header(headers::TASK).and_then(|text| TaskId::parse(queue.kind, text));
        let Some(task) = task else { return Err(self.broken("a task without its name")) };
        if parcel.header(headers::POSSIBLE_REPEAT).is_some() {
            return Ok(());
        }
        let own = tenure.owner.epoch().map_or(0, |epoch| epoch.offset);
        let older = self.truth.iter().find_map(|truth| truth.dispatched.get(&task)).filter(|epoch| epoch.offset < own);
        ensure!(older.is_none(), "r25_what_an_earlier_owner_may_have_sent_is_marked", "{task} of {older:?}");
        let first = tenure.unmarked.insert(task.clone());
        ensure!(first, "r25_what_this_owner_may_have_sent_is_marked", "{task}");
        Ok(())
    }

    /// A task that is in the backlog is never called lost (R27).
    fn check_lost(&mut self, tenure: &Tenure, parcel: &Parcel) -> Checked {
        if !matches!(parcel.to, Place::Commands(_)) {
            return Ok(());
        }
        let Ok(Command::TaskLost(lost)) = Command::from_value(parcel.value.as_deref()) else { return Ok(()) };
        for copy in self.ledger.tasks.get(&lost.task).map(Vec::as_slice).unwrap_or_default() {
            let Place::Tasks(queue, _) = &copy.place else { continue };
            let Some((began, committed)) = tenure.scanned.get(queue) else { continue };
            let start = self.logs.get(&copy.place).map_or(0, |log| log.start);
            let from = committed.get(&copy.place).copied().unwrap_or(0).max(start);
            let waits = copy.step < *began && copy.offset >= from;
            ensure!(
                !waits,
                "r27_a_task_in_the_backlog_is_not_lost",
                "{} at {:?} {}",
                lost.task,
                copy.place,
                copy.offset
            );
        }
        Ok(())
    }

    /// Lands the next append, or one of the things sent; whether and when the owner hears of it is open.
    pub(crate) fn land_one(&mut self, partition: u32, tenure: &mut Tenure) -> Checked {
        if !tenure.appends.is_empty() && (tenure.sends.is_empty() || self.dice.chance(500)) {
            let entry = tenure.appends.pop_front();
            return entry.map_or(Ok(()), |entry| self.land(history_parcel(partition, entry)).map(drop));
        }
        let Some((_, any)) = tenure.sends.get(self.dice.below(tenure.sends.len())) else { return Ok(()) };
        // A producer keeps the order of each partition.
        let Some(at) = tenure.sends.iter().position(|(_, parcel)| parcel.to == any.to) else { return Ok(()) };
        if self.is_stalled(&any.to) {
            return Ok(());
        }
        let (id, parcel) = tenure.sends.remove(at);
        self.progress += 1;
        if let Some(reason) = self.refusal(partition, &parcel) {
            tenure.acks.push(Input::NotDelivered(id, SendFailure::Permanent(reason), "refused".to_owned()));
            return Ok(());
        }
        if self.goes_wrong(self.plan.faults.transient) {
            tenure.acks.push(Input::NotDelivered(id, SendFailure::Transient, "timed out".to_owned()));
            return Ok(());
        }
        self.land(parcel)?;
        tenure.acks.push(if self.goes_wrong(self.plan.faults.lose_ack) {
            Input::NotDelivered(id, SendFailure::Transient, "timed out, but landed".to_owned())
        } else {
            Input::Delivered(id)
        });
        Ok(())
    }

    fn refusal(&mut self, partition: u32, parcel: &Parcel) -> Option<EffectFailure> {
        match &parcel.to {
            Place::Tasks(queue, _) if queue.task_queue == MISSING_QUEUE => Some(EffectFailure::TopicMissing),
            Place::Tasks(..) if self.goes_wrong(self.plan.faults.denied) => Some(EffectFailure::Denied),
            Place::DeadLetters if parcel.value.is_some() && self.goes_wrong(self.plan.faults.denied) => {
                Some(EffectFailure::TooLarge)
            }
            Place::Commands(to) if *to == partition && self.goes_wrong(self.plan.faults.cannot_append) => {
                Some(EffectFailure::Denied)
            }
            _ => None,
        }
    }

    fn scan_step(&mut self, tenure: &mut Tenure) -> Result<Option<Input>, End> {
        let Some(scan) = tenure.scans.first_mut() else { return Ok(None) };
        self.progress += 1;
        let Some(committed) = &scan.committed else {
            scan.committed = Some(self.group.committed.clone());
            return Ok(None);
        };
        if scan.next_partition < self.plan.task_partitions {
            let place = Place::Tasks(scan.key.clone(), scan.next_partition);
            let from = committed.get(&place).copied().unwrap_or(0);
            let kind = scan.key.kind;
            let log = self.log(&place);
            let names = log.iter_from(from.max(log.start)).filter_map(|record| {
                let (_, value) = record.headers.iter().find(|(name, _)| name == headers::TASK)?;
                TaskId::parse(kind, std::str::from_utf8(value).ok()?)
            });
            scan.present.extend(names);
            scan.next_partition += 1;
            return Ok(None);
        }
        let scan = tenure.scans.remove(0);
        tenure.scanned.insert(scan.key.clone(), (scan.began, scan.committed.unwrap_or_default()));
        self.note(|_| format!("scanned {:?}: {} present", scan.key, scan.present.len()));
        Ok(Some(Input::Backlog(scan.key, scan.present)))
    }

    fn delete_commands(&mut self, partition: u32, tenure: &mut Tenure) -> Checked {
        let Some(below) = tenure.deletions.pop() else { return Ok(()) };
        self.progress += 1;
        let released = self.truth[partition as usize].position.as_ref().map_or(0, |(p, _)| p.released_offset);
        // Of an older position, perhaps of another owner, which may have been further: what is released stays so.
        let rule = "r15_what_is_deleted_is_done";
        let truth = &mut self.truth[partition as usize];
        self.ledger.check_released(partition, below, truth, rule, COMMANDS_TOPIC)?;
        self.note(|_| format!("partition {partition}: commands below {below} are deleted, released is {released}"));
        self.log(&Place::Commands(partition)).delete_below(below);
        Ok(())
    }
}
