//! Clients: they start workflows, ask again until they are answered, and put all sorts of nonsense into the topic.

use std::collections::{BTreeMap, BTreeSet};

use tidewright_owner::{Destination, Forwarding, LogRecord, Outbound, forward_stray};
use tidewright_schemas::{
    Answer, Command, EffectFailed, EffectFailure, FireTimer, Payload, ReplyTo, RunId, Signal, SignalWithStartWorkflow,
    StartWorkflow, TaskId, TaskKind, TaskLost, TimerTarget, WorkerLost, WorkflowId, WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy, headers,
};

use crate::dice::Dice;
use crate::log::{Parcel, Place};
use crate::plan::Plan;
use crate::program::{MAIN_QUEUE, Step};
use crate::violation::{Checked, ensure};
use crate::world::{COMMANDS_TOPIC, World};

/// How long an answer is waited for.
const PATIENCE_MS: u64 = 700;
/// What starts say about open runs; most say nothing.
const CONFLICT_POLICIES: [Option<WorkflowIdConflictPolicy>; 10] = {
    let mut policies = [None; 10];
    policies[0] = Some(WorkflowIdConflictPolicy::Fail);
    policies[1] = Some(WorkflowIdConflictPolicy::UseExisting);
    policies[2] = Some(WorkflowIdConflictPolicy::TerminateExisting);
    policies
};
/// What starts say about closed runs; most say nothing.
const REUSE_POLICIES: [Option<WorkflowIdReusePolicy>; 8] = {
    let mut policies = [None; 8];
    policies[0] = Some(WorkflowIdReusePolicy::AllowDuplicate);
    policies[1] = Some(WorkflowIdReusePolicy::AllowDuplicateFailedOnly);
    policies[2] = Some(WorkflowIdReusePolicy::RejectDuplicate);
    policies
};
/// How many garbage records at most.
const GARBAGE_MAX: usize = 30;

/// A start that a client wants.
struct Request {
    start: StartWorkflow,
    /// What the run hears along with it, whether it starts with it or was there.
    signal: Option<Signal>,
    /// In the header `ce_id` instead of the value.
    event_id: Option<String>,
    wants_answer: bool,
    asked: BTreeSet<String>,
    asked_ms: Option<u64>,
    answers: Vec<Answer>,
}

impl Request {
    /// Asked again only where that is harmless.
    fn may_repeat(&self) -> bool {
        self.start.request_id.is_some() || self.event_id.is_some()
    }

    fn is_satisfied(&self) -> bool {
        self.asked_ms.is_some() && (!self.wants_answer || !self.answers.is_empty())
    }
}

pub(crate) struct Client {
    requests: Vec<Request>,
    garbage: usize,
    /// How many signals of each channel of each run were sent.
    pub(crate) sent: BTreeMap<(RunId, String), usize>,
}

impl Client {
    pub(crate) fn new(dice: &mut Dice, plan: &Plan) -> Self {
        let requests = (0..plan.requests).map(|number| Request::generate(dice, plan, number)).collect();
        Self { requests, garbage: 0, sent: BTreeMap::new() }
    }
}

impl Request {
    fn generate(dice: &mut Dice, plan: &Plan, number: usize) -> Self {
        let leaves = dice.within(1, plan.leaves_max as u64) as usize;
        let program = Step::generate(dice, leaves);
        // Few ids, so that some requests meet a workflow that runs or ran.
        let id = format!("w{}", dice.below(plan.requests * 2));
        let request_id = dice.chance(600).then(|| format!("request-{}", dice.below(number + 1)));
        let (in_header, wants_answer) = (dice.chance(200), dice.chance(700));
        let id = id.parse().unwrap_or_else(|_| unreachable_id());
        let start = StartWorkflow {
            input: Payload::new(&program).ok(),
            request_id: if in_header { None } else { request_id.clone() },
            workflow_id_conflict_policy: dice.pick(&CONFLICT_POLICIES).copied().flatten(),
            workflow_id_reuse_policy: dice.pick(&REUSE_POLICIES).copied().flatten(),
            workflow_execution_timeout_ms: dice.chance(50).then(|| dice.within(500, 30_000)),
            workflow_run_timeout_ms: dice.chance(100).then(|| dice.within(500, 20_000)),
            start_delay_ms: dice.chance(100).then(|| dice.within(0, 3_000)),
            ..StartWorkflow::new("Simulated", id, MAIN_QUEUE)
        };
        // No program waits for it: it must come once, whatever else the run hears.
        let signal = request_id.as_ref().filter(|_| dice.chance(250)).map(|request_id| Signal {
            signal_name: format!("x{request_id}"),
            input: Payload::new(&dice.within(1, 1_000)).ok(),
            header: BTreeMap::new(),
        });
        let event_id = if in_header { request_id } else { None };
        Self { start, signal, event_id, wants_answer, asked: BTreeSet::new(), asked_ms: None, answers: Vec::new() }
    }
}

#[expect(clippy::expect_used, reason = "a constant of plain letters")]
fn unreachable_id() -> WorkflowId {
    WorkflowId::new("w").expect("a plain letter is a workflow id")
}

impl World {
    /// One step of the clients.
    pub(crate) fn client_step(&mut self) -> Checked {
        if self.goes_wrong(self.plan.faults.garbage) && self.client.garbage < GARBAGE_MAX {
            self.client.garbage += 1;
            return self.send_garbage();
        }
        if self.dice.chance(500) {
            self.signaller_step()?;
        }
        self.querier_step()?;
        if self.goes_wrong(self.plan.faults.delete_run) {
            self.deleter_step()?;
        }
        let at = self.dice.below(self.client.requests.len());
        self.hear(at)?;
        let now = self.mono_ms;
        let request = &self.client.requests[at];
        let due = match request.asked_ms {
            None => true,
            Some(asked) => request.wants_answer && request.may_repeat() && asked + PATIENCE_MS < now,
        };
        let again = request.may_repeat() && self.goes_wrong(20);
        if (due && !self.client.requests[at].is_satisfied()) || again {
            self.ask_to_start(at)?;
        }
        Ok(())
    }

    fn ask_to_start(&mut self, at: usize) -> Checked {
        let number = self.next_number();
        let partition = self.dice.below(3) as i32;
        let now = self.mono_ms;
        let request = &mut self.client.requests[at];
        request.asked_ms = Some(now);
        let mut start = request.start.clone();
        if request.wants_answer {
            let correlation_id = format!("start-{number}");
            request.asked.insert(correlation_id.clone());
            start.reply_to = Some(ReplyTo { partition, correlation_id });
        }
        let headers = request.event_id.iter().map(|id| (headers::CLOUDEVENT_ID.to_owned(), id.clone().into_bytes()));
        let headers = headers.collect();
        let id = start.workflow_id.clone();
        let command: Command = match request.signal.clone() {
            Some(signal) => SignalWithStartWorkflow { start, signal }.into(),
            None => start.into(),
        };
        let mut to = self.partition_of(id.as_str());
        if self.goes_wrong(self.plan.faults.misplace) {
            to = self.dice.below(self.plan.partitions as usize) as u32;
        }
        let parcel = Parcel {
            to: Place::Commands(to),
            key: Some(id.as_str().as_bytes().to_vec()),
            value: serde_json::to_vec(&command).ok(),
            headers,
            garbage: false,
        };
        if self.goes_wrong(self.plan.faults.misplace / 4) {
            return self.go_astray(parcel);
        }
        if self.goes_wrong(self.plan.faults.duplicate) {
            self.land(parcel.clone())?;
        }
        self.land(parcel).map(drop)
    }

    /// A record lands on a partition beyond the namespace's; whoever reads that forwards it, at least once (R9).
    fn go_astray(&mut self, parcel: Parcel) -> Checked {
        let at = Forwarding {
            topic: COMMANDS_TOPIC.to_owned(),
            partition: self.plan.partitions + 1,
            partitions: self.plan.partitions,
            authority: self.authority.clone(),
        };
        let (offset, timestamp_ms) = (self.next_number(), self.broker_ms());
        let Parcel { key, value, headers, garbage, .. } = parcel;
        let record = LogRecord { offset, timestamp_ms, key, value, headers };
        for _ in 0..self.dice.within(1, 2) {
            let Outbound { to, key, value, headers } = forward_stray(record.clone(), &at);
            let to = match to {
                Destination::Commands(partition) => Place::Commands(partition),
                _ => Place::DeadLetters,
            };
            self.land(Parcel { to, key, value, headers, garbage })?;
        }
        Ok(())
    }

    /// Takes the answers that are there.
    fn hear(&mut self, at: usize) -> Checked {
        let lost = self.goes_wrong(self.plan.faults.lose_reply);
        let request = &mut self.client.requests[at];
        if lost && request.may_repeat() {
            request.asked.clear();
        }
        let found: Vec<_> = request.asked.iter().filter(|id| self.ledger.answer(id).is_some()).cloned().collect();
        for id in found {
            request.asked.remove(&id);
            if let Some(answer) = self.ledger.answer(&id) {
                request.answers.push(answer.clone());
                self.progress += 1;
            }
        }
        // A request whose run is deleted was never made.
        let is_deleted = |run_id: &RunId| self.truth.iter().any(|truth| truth.deletions.has_run(run_id));
        let mut runs = request.answers.iter().filter_map(|answer| match answer {
            Answer::WorkflowStarted(started) if !is_deleted(&started.run_id) => Some(started.run_id.clone()),
            _ => None,
        });
        let first = runs.next();
        let same = request.answers.is_empty() || runs.all(|run| Some(run) == first);
        ensure!(same, "r21_a_repeated_request_gets_the_same_answer", "{:?}", request.answers);
        Ok(())
    }

    /// Whether every client has what it wants.
    pub(crate) fn clients_are_satisfied(&self) -> bool {
        self.client.requests.iter().all(Request::is_satisfied)
    }

    fn send_garbage(&mut self) -> Checked {
        let partition = self.dice.below(self.plan.partitions as usize) as u32;
        let parcel = match self.dice.below(14) {
            0..=2 => return self.replay(partition),
            12 => {
                // Something else writes to the history topic.
                let key = format!("foreign-{}", self.dice.below(3));
                let value = self.dice.chance(700).then_some("no record of ours");
                let parcel = garbage(partition, Some(&key), value, Vec::new());
                Parcel { to: Place::History(partition), ..parcel }
            }
            13 => {
                let value = r#"{"type":"FireTimer","run_id":"r","target":"Timer","event_id":1,"attempt":1,"due_ms":0}"#;
                return self.go_astray(garbage(partition, Some("w0"), Some(value), Vec::new()));
            }
            3 => garbage(partition, Some("w0"), None, Vec::new()),
            4 => garbage(partition, Some("w0"), Some("not json"), Vec::new()),
            5 => garbage(partition, Some("w0"), Some(r#"{"type":"Levitate"}"#), Vec::new()),
            6 => garbage(partition, None, Some(r#"{"type":"StartWorkflow","workflow_id":7}"#), Vec::new()),
            7 => {
                let value = r#"{"type":"CompleteActivity","token":"e30.abc.def","result":1}"#;
                garbage(partition, Some("w0"), Some(value), Vec::new())
            }
            8 => {
                let header = (headers::FORWARD.to_owned(), b"x.y tidewright.default.commands/0/0".to_vec());
                let value = r#"{"type":"StartWorkflow","workflow_type":"T","workflow_id":"w0","task_queue":"main"}"#;
                garbage(partition, Some("w0"), Some(value), vec![header])
            }
            _ => self.forged(partition),
        };
        self.land(parcel).map(drop)
    }

    /// An internal command about something real, with another one's code or none.
    fn forged(&mut self, partition: u32) -> Parcel {
        let truth = &self.truth[partition as usize];
        let (workflow_id, run_id) = match truth.histories.keys().next_back() {
            Some((workflow_id, run_id)) => (workflow_id.as_str().to_owned(), run_id.clone()),
            None => ("w0".to_owned(), RunId::from_text("none")),
        };
        let kind = if self.dice.chance(500) { TaskKind::Workflow } else { TaskKind::Activity };
        let task = TaskId { kind, run_id: run_id.clone(), scheduled_event_id: self.dice.within(2, 9), attempt: 1 };
        let incarnations: Vec<_> = self.workers.iter().map(|worker| worker.identity.incarnation.clone()).collect();
        let command: Command = match self.dice.below(4) {
            3 => {
                let incarnation = self.dice.pick(&incarnations).cloned().unwrap_or_default();
                WorkerLost { incarnation, as_of_ms: u64::MAX }.into()
            }
            0 => TaskLost { task }.into(),
            1 => EffectFailed { task, reason: EffectFailure::Denied, message: "forged".to_owned() }.into(),
            _ => {
                let (target, event_id) = (TimerTarget::Timer, self.dice.within(2, 9));
                FireTimer { run_id, target, event_id, attempt: 1, due_ms: 0 }.into()
            }
        };
        let log = self.logs.get(&Place::Commands(partition));
        let codes: Vec<_> = log
            .into_iter()
            .flat_map(|log| log.iter_from(0))
            .flat_map(|record| record.headers.iter().filter(|(name, _)| name == headers::MAC).cloned())
            .collect();
        let code: Vec<_> = self.dice.pick(&codes).cloned().into_iter().collect();
        let value = serde_json::to_string(&command).unwrap_or_default();
        let mut parcel = garbage(partition, Some(&workflow_id), Some(&value), code);
        // By chance it may be one that was sent: then it is a replay. One that was forged before is none.
        let forged = &self.ledger.forged;
        let log = self.logs.get(&Place::Commands(partition));
        let is_replay = |record: &LogRecord| {
            record.value == parcel.value
                && parcel.headers.iter().all(|header| record.headers.contains(header))
                && !forged.contains(&(partition, record.offset))
        };
        parcel.garbage = parcel.headers.is_empty() || !log.is_some_and(|log| log.iter_from(0).any(is_replay));
        parcel
    }

    /// A record that was there before, byte for byte.
    fn replay(&mut self, partition: u32) -> Checked {
        let records: Vec<_> = self.log(&Place::Commands(partition)).iter_from(0).map(|r| r.offset).collect();
        let Some(offset) = self.dice.pick(&records).copied() else { return Ok(()) };
        let garbage = self.ledger.forged.contains(&(partition, offset));
        let Some(record) = self.log(&Place::Commands(partition)).at(offset).cloned() else { return Ok(()) };
        let (to, key) = (Place::Commands(partition), record.key);
        self.land(Parcel { to, key, value: record.value, headers: record.headers, garbage }).map(drop)
    }
}

fn garbage(partition: u32, key: Option<&str>, value: Option<&str>, headers: Vec<(String, Vec<u8>)>) -> Parcel {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let to = Place::Commands(partition);
    Parcel { to, key: key.map(bytes), value: value.map(bytes), headers, garbage: true }
}

/// The runs that each request id began, by workflow.
pub(crate) type Requests = BTreeMap<(WorkflowId, String), RunId>;
