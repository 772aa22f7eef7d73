//! What a worker does with a task: confirms it where it may be a repeat, runs it, tells the outcome.

use tidewright_owner::LogRecord;
use tidewright_schemas::{
    ActivityTask, Answer, Command, ConfirmTask, ReplyTo, ReturnTask, TaskId, TaskVerdict, WorkflowId, WorkflowTask,
    headers,
};

use crate::activity::Activity;
use crate::attempt::Attempt;
use crate::log::{Parcel, Place};
use crate::violation::{Checked, ensure, violation};
use crate::worker::Taken;
use crate::world::World;

/// How long an answer is waited for before the question is asked again.
const PATIENCE_MS: u64 = 400;

/// What a worker's command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    Question,
    Notice,
    Heartbeat,
    Outcome,
}

pub(crate) enum Task {
    Workflow(Box<WorkflowTask>),
    Activity(Box<ActivityTask>),
}

pub(crate) enum Stage {
    Confirming { correlation_id: String, asked_ms: u64 },
    Running(Attempt),
    Told,
}

pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) taken: Vec<Taken>,
    pub(crate) task: Task,
    /// The attempt that it is, as history counts them.
    named: Option<TaskId>,
    pub(crate) stage: Stage,
}

impl Task {
    pub(crate) fn token(&self) -> &str {
        match self {
            Self::Workflow(task) => &task.token,
            Self::Activity(task) => &task.token,
        }
    }

    pub(crate) fn workflow_id(&self) -> &WorkflowId {
        match self {
            Self::Workflow(task) => &task.workflow_id,
            Self::Activity(task) => &task.workflow_id,
        }
    }

    fn possible_repeat(&self) -> bool {
        match self {
            Self::Workflow(task) => task.possible_repeat,
            Self::Activity(task) => task.possible_repeat,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Workflow(task) => format!("w:{}/{}/{}", task.run_id, task.scheduled_event_id, task.attempt),
            Self::Activity(task) => format!("a:{}/{}/{}", task.run_id, task.scheduled_event_id, task.attempt),
        }
    }

    /// What all attempts of it share.
    pub(crate) fn of_all_attempts(&self) -> String {
        match self {
            Self::Workflow(task) => format!("w:{}/{}", task.run_id, task.scheduled_event_id),
            Self::Activity(task) => format!("a:{}/{}", task.run_id, task.scheduled_event_id),
        }
    }

    /// Whether it must never run twice.
    fn runs_once(&self) -> bool {
        match self {
            Self::Workflow(_) => false,
            Self::Activity(task) => activity(task).is_some_and(|activity| activity.attempts_max() == 1),
        }
    }
}

/// What the program asks for with an activity's task.
pub(crate) fn activity(task: &ActivityTask) -> Option<Activity> {
    task.input.as_ref()?.read().ok()
}

impl World {
    pub(crate) fn begin_job(&mut self, at: usize, taken: Taken, record: &LogRecord, below_end: bool) -> Checked {
        let value = record.value.as_deref().unwrap_or_default();
        let unreadable = |e: serde_json::Error| violation("r5_tasks_are_readable", e.to_string());
        let Place::Tasks(queue, _) = taken.place.clone() else { return Ok(()) };
        let task = match queue.kind {
            tidewright_schemas::TaskKind::Workflow => {
                Task::Workflow(serde_json::from_slice(value).map_err(unreadable)?)
            }
            tidewright_schemas::TaskKind::Activity => {
                Task::Activity(serde_json::from_slice(value).map_err(unreadable)?)
            }
        };
        // The same attempt again, while it runs here: one job, two records.
        if let Some(job) = self.workers[at].jobs.iter_mut().find(|job| job.task.token() == task.token()) {
            job.taken.push(taken);
            return Ok(());
        }
        let marked = record.headers.iter().any(|(name, value)| name == headers::POSSIBLE_REPEAT && value == b"true");
        let to_confirm = marked || below_end || task.possible_repeat() || self.workers[at].hints.concern(&task);
        let id = self.next_number();
        self.note(|_| format!("worker {at} takes {} (confirm: {to_confirm})", task.name()));
        let stage = Stage::Confirming { correlation_id: String::new(), asked_ms: 0 };
        let header = record.headers.iter().find(|(name, _)| name == headers::TASK);
        let named = header.and_then(|(_, value)| TaskId::parse(queue.kind, std::str::from_utf8(value).ok()?));
        let job = Job { id, taken: vec![taken], task, named, stage };
        self.workers[at].jobs.push(job);
        let place = self.workers[at].jobs.len() - 1;
        if self.hands_back(at, place) {
            return Ok(());
        }
        if to_confirm {
            self.ask(at, place);
            return Ok(());
        }
        self.start(at, place)
    }

    pub(crate) fn report(&mut self, at: usize, job: u64, report: Report, workflow_id: &WorkflowId, command: &Command) {
        let mut partition = self.partition_of(workflow_id.as_str());
        // Where something must run once, its worker is one of ours, which knows the partitioner: an outcome that is still
        // being forwarded does not stop another grant.
        let once = self.workers[at].jobs.iter().any(|other| other.id == job && other.task.runs_once());
        if !once && self.goes_wrong(self.plan.faults.misplace) {
            partition = self.dice.below(self.plan.partitions as usize) as u32;
        }
        let parcel = Parcel {
            to: Place::Commands(partition),
            key: Some(workflow_id.as_str().as_bytes().to_vec()),
            value: serde_json::to_vec(command).ok(),
            headers: Vec::new(),
            garbage: false,
        };
        self.workers[at].outbox.push_back((job, report, parcel));
        self.progress += 1;
    }

    fn ask(&mut self, at: usize, place: usize) {
        let number = self.next_number();
        let partition = at as i32;
        let now = self.mono_ms;
        let job = &mut self.workers[at].jobs[place];
        let correlation_id = format!("confirm-{number}|{}", job.task.name());
        job.stage = Stage::Confirming { correlation_id: correlation_id.clone(), asked_ms: now };
        let (id, workflow_id) = (job.id, job.task.workflow_id().clone());
        let reply_to = ReplyTo { partition, correlation_id };
        let token = job.task.token().to_owned();
        let question = ConfirmTask { token, worker: self.workers[at].identity.clone(), reply_to };
        self.report(at, id, Report::Question, &workflow_id, &question.into());
    }

    fn start(&mut self, at: usize, place: usize) -> Checked {
        let job = &mut self.workers[at].jobs[place];
        job.stage = Stage::Running(Attempt::begin(&job.task, self.mono_ms));
        if let (Task::Activity(task), Some(named)) = (&job.task, &job.named) {
            self.told_details.push((named.clone(), task.heartbeat_details.clone()));
            self.stats.elsewhere += u64::from(activity(task).is_some_and(|activity| activity.side));
        }
        if job.task.runs_once() {
            self.stats.granted += 1;
            let name = job.task.of_all_attempts();
            ensure!(self.started_once.insert(name.clone()), "r25_what_is_tried_once_never_starts_twice", "{name}");
        }
        Ok(())
    }

    /// One step of one of a worker's jobs.
    pub(crate) fn job_step(&mut self, at: usize) -> Checked {
        let count = self.workers[at].jobs.len();
        let place = self.dice.below(count);
        let now = self.mono_ms;
        let Some(job) = self.workers[at].jobs.get_mut(place) else { return Ok(()) };
        match &mut job.stage {
            Stage::Confirming { correlation_id, asked_ms } => match self.ledger.answer(correlation_id) {
                Some(Answer::TaskConfirmed(_)) if !self.healthy && self.dice.chance(self.plan.faults.lose_reply) => {
                    self.ask(at, place);
                }
                Some(Answer::TaskConfirmed(confirmed)) => {
                    self.progress += 1;
                    let run = confirmed.verdict == TaskVerdict::Run;
                    if run && self.hands_back(at, place) {
                        return Ok(());
                    }
                    if run {
                        return self.start(at, place);
                    }
                    self.end_job(at, place);
                }
                _ => {
                    if *asked_ms + PATIENCE_MS < now {
                        self.ask(at, place);
                    }
                }
            },
            Stage::Running(_) => return self.attempt_step(at, place),
            Stage::Told => {}
        }
        Ok(())
    }

    /// Perhaps it has no room for the task, and hands it back before it begins.
    fn hands_back(&mut self, at: usize, place: usize) -> bool {
        let job = &self.workers[at].jobs[place];
        if matches!(job.task, Task::Workflow(_)) || !self.goes_wrong(self.plan.faults.return_task) {
            return false;
        }
        let worker = self.workers[at].identity.clone();
        let job = &mut self.workers[at].jobs[place];
        job.stage = Stage::Told;
        let (id, workflow_id) = (job.id, job.task.workflow_id().clone());
        let back = ReturnTask { token: job.task.token().to_owned(), worker };
        self.report(at, id, Report::Outcome, &workflow_id, &back.into());
        true
    }

    pub(crate) fn end_job(&mut self, at: usize, place: usize) {
        let job = self.workers[at].jobs.swap_remove(place);
        for taken in &job.taken {
            self.settle(at, taken);
        }
    }

    /// A report lands, or is sent again and lands twice.
    pub(crate) fn land_report(&mut self, at: usize) -> Checked {
        let stalled = self.workers[at].outbox.front().is_some_and(|(_, _, parcel)| self.is_stalled(&parcel.to));
        if stalled {
            return Ok(());
        }
        let Some((job, report, parcel)) = self.workers[at].outbox.pop_front() else { return Ok(()) };
        self.land(parcel.clone())?;
        if self.goes_wrong(self.plan.faults.duplicate) {
            self.workers[at].outbox.push_back((job, report, parcel));
        } else {
            self.workers[at].acks.push((job, report));
        }
        Ok(())
    }

    pub(crate) fn take_ack(&mut self, at: usize) {
        let count = self.workers[at].acks.len();
        if count == 0 {
            return;
        }
        self.progress += 1;
        let place = self.dice.below(count);
        let (id, report) = self.workers[at].acks.swap_remove(place);
        let Some(place) = self.workers[at].jobs.iter().position(|job| job.id == id) else { return };
        match report {
            Report::Question | Report::Heartbeat => {}
            Report::Notice => {
                let taken = std::mem::take(&mut self.workers[at].jobs[place].taken);
                taken.iter().for_each(|taken| self.settle(at, taken));
            }
            Report::Outcome => self.end_job(at, place),
        }
    }
}
