//! What a worker does with a task: confirms it where it may be a repeat, runs it, tells the outcome.

use tidewright_core::read;
use tidewright_owner::{LogRecord, Phase};
use tidewright_schemas::{
    ActivityTask, Answer, Command, CompleteActivity, CompleteWorkflowTask, ConfirmTask, Decision, FailActivity,
    FailWorkflowTask, Failure, HistoryEvent, RecordActivityStarted, ReplyTo, ReturnTask, ScheduleActivity, TaskVerdict,
    WorkflowId, WorkflowTask, WorkflowTaskFailedCause, headers,
};

use crate::log::{Parcel, Place};
use crate::program::Activity;
use crate::run::Run;
use crate::violation::{Checked, ensure, violation};
use crate::worker::Taken;
use crate::world::World;

/// How long an answer is waited for before the question is asked again.
const PATIENCE_MS: u64 = 400;
/// When an activity is announced.
const ANNOUNCED_AFTER_MS: u64 = 500;

/// A run that a worker keeps.
pub(crate) struct Cached {
    run: Run,
    completion_id: String,
    started_event_id: u64,
}

/// What a worker's command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    Question,
    Notice,
    Outcome,
}

pub(crate) enum Task {
    Workflow(Box<WorkflowTask>),
    Activity(Box<ActivityTask>),
}

enum Stage {
    Confirming { correlation_id: String, asked_ms: u64 },
    Running { since_ms: u64, until_ms: u64, announced: bool },
    Told,
}

pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) taken: Vec<Taken>,
    task: Task,
    stage: Stage,
}

impl Task {
    fn token(&self) -> &str {
        match self {
            Self::Workflow(task) => &task.token,
            Self::Activity(task) => &task.token,
        }
    }

    fn workflow_id(&self) -> &WorkflowId {
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
    fn of_all_attempts(&self) -> String {
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

    fn duration_ms(&self) -> u64 {
        match self {
            Self::Workflow(_) => 0,
            Self::Activity(task) => activity(task).map_or(0, |activity| activity.duration_ms),
        }
    }
}

fn activity(task: &ActivityTask) -> Option<Activity> {
    task.input.as_ref()?.read().ok()
}

impl World {
    pub(crate) fn begin_job(&mut self, at: usize, taken: Taken, record: &LogRecord, below_end: bool) -> Checked {
        let value = record.value.as_deref().unwrap_or_default();
        let unreadable = |e: serde_json::Error| violation("r5_tasks_are_readable", e.to_string());
        let Place::Tasks(queue, _) = &taken.place else { return Ok(()) };
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
        let to_confirm = marked || below_end || task.possible_repeat();
        let id = self.next_number();
        self.note(|_| format!("worker {at} takes {} (confirm: {to_confirm})", task.name()));
        let stage = Stage::Confirming { correlation_id: String::new(), asked_ms: 0 };
        let job = Job { id, taken: vec![taken], task, stage };
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

    fn report(&mut self, at: usize, job: u64, report: Report, workflow_id: &WorkflowId, command: &Command) {
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
        let now = self.mono_ms;
        let job = &mut self.workers[at].jobs[place];
        let until_ms = now + job.task.duration_ms();
        job.stage = Stage::Running { since_ms: now, until_ms, announced: false };
        if job.task.runs_once() {
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
            Stage::Running { until_ms, .. } if *until_ms <= now => return self.finish(at, place),
            Stage::Running { since_ms, announced, .. } => {
                if !*announced && *since_ms + ANNOUNCED_AFTER_MS <= now {
                    *announced = true;
                    let (id, workflow_id) = (job.id, job.task.workflow_id().clone());
                    let token = job.task.token().to_owned();
                    let worker = self.workers[at].identity.clone();
                    let notice = RecordActivityStarted { token, worker };
                    self.report(at, id, Report::Notice, &workflow_id, &notice.into());
                }
            }
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

    fn end_job(&mut self, at: usize, place: usize) {
        let job = self.workers[at].jobs.swap_remove(place);
        for taken in &job.taken {
            self.settle(at, taken);
        }
    }

    /// Runs the task's code and tells what came of it.
    fn finish(&mut self, at: usize, place: usize) -> Checked {
        let worker = self.workers[at].identity.clone();
        let job = &mut self.workers[at].jobs[place];
        job.stage = Stage::Told;
        let (id, workflow_id) = (job.id, job.task.workflow_id().clone());
        let command = match &job.task {
            Task::Activity(task) => {
                let task = task.clone();
                self.run_activity(&task, worker)?
            }
            Task::Workflow(task) => {
                let task = task.clone();
                self.advance_run(at, &task)?
            }
        };
        self.report(at, id, Report::Outcome, &workflow_id, &command);
        Ok(())
    }

    fn run_activity(&mut self, task: &ActivityTask, worker: tidewright_schemas::WorkerIdentity) -> Checked<Command> {
        let activity = activity(task).ok_or_else(|| self.broken("an activity without input"))?;
        let token = task.token.clone();
        Ok(match activity.attempt(task.attempt) {
            Ok(value) => {
                let result = tidewright_schemas::Payload::new(&value).ok();
                CompleteActivity { token, result, worker }.into()
            }
            Err(for_good) => {
                let failure = Failure::application("Simulated", "as planned", for_good);
                FailActivity::new(token, failure, worker).into()
            }
        })
    }

    /// Advances a workflow by one task.
    fn advance_run(&mut self, at: usize, task: &WorkflowTask) -> Checked<Command> {
        let worker = self.workers[at].identity.clone();
        let token = task.token.clone();
        let failed = |cause, message: &str| -> Command {
            let failure = Failure::application("Simulated", message, false);
            FailWorkflowTask { token: token.clone(), cause, failure, worker: worker.clone() }.into()
        };
        if self.goes_wrong(self.plan.faults.worker_bug) {
            if self.dice.chance(500) {
                return Ok(failed(WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure, "a bug of the worker's"));
            }
            let decisions = vec![bad_decision()];
            let completion_id = format!("bad-{}", self.next_number());
            return Ok(CompleteWorkflowTask::new(token, completion_id, decisions, worker).into());
        }
        let cached = self.workers[at].cache.remove(&task.run_id);
        let fits = |cached: &Cached| {
            task.previous_completion_id.as_ref() == Some(&cached.completion_id)
                && task.previous_started_event_id == cached.started_event_id
        };
        let known = cached.filter(fits).map(|cached| cached.run);
        let Some(mut run) = self.bring_up(known, task)? else {
            return Ok(failed(WorkflowTaskFailedCause::HistoryUnavailable, "no history"));
        };
        let decisions = run.decisions();
        let completion_id = format!("completion-{}", self.next_number());
        if !self.goes_wrong(self.plan.faults.forget_run) {
            // The boundaries of a retried task become events with its completion; they tell nothing new.
            run.last_event_id = task.started_event_id;
            let cached = Cached { run, completion_id: completion_id.clone(), started_event_id: task.started_event_id };
            self.workers[at].cache.insert(task.run_id.clone(), cached);
        }
        Ok(CompleteWorkflowTask::new(token, completion_id, decisions, worker).into())
    }

    /// The run as it is when the task begins; none if its history cannot be had.
    fn bring_up(&mut self, known: Option<Run>, task: &WorkflowTask) -> Checked<Option<Run>> {
        if let Some(run) = known
            && let Some(run) = follow(run, task)?
        {
            return Ok(Some(run));
        }
        let first = task.events.first().map_or(task.scheduled_event_id, |event| event.event_id);
        let mut run = Run::default();
        if first > 1 {
            let Some(events) = self.fetch(task, first)? else { return Ok(None) };
            for event in &events {
                run.apply(event).map_err(|e| violation("r23_decisions_follow_history", e.to_string()))?;
            }
        }
        follow(run, task)
    }

    /// Pages a history from whoever owns the partition, or believes so.
    fn fetch(&mut self, task: &WorkflowTask, before: u64) -> Checked<Option<Vec<HistoryEvent>>> {
        if task.history_url.is_none() || self.goes_wrong(self.plan.faults.hide_history) {
            return Ok(None);
        }
        let partition = self.partition_of(task.workflow_id.as_str());
        let owners: Vec<_> = (0..self.nodes.len())
            .filter(|node| self.is_running(*node))
            .filter(|node| self.nodes[*node].tenures.get(&partition).is_some_and(|t| t.owner.phase() == Phase::Owning))
            .collect();
        let Some(node) = self.dice.pick(&owners).copied() else { return Ok(None) };
        let owner = &self.nodes[node].tenures[&partition].owner;
        let limit = (before - 1) as usize;
        let page = read::history(owner.store(), &task.workflow_id, &task.run_id, 1, limit)
            .map_err(|e| violation("r17_reads_work", e.to_string()))?;
        let Some(page) = page else { return Ok(None) };
        let known = self.truth[partition as usize].histories.get(&(task.workflow_id.clone(), task.run_id.clone()));
        let committed = known.is_some_and(|events| events.starts_with(&page.events));
        ensure!(committed, "r17_reads_tell_what_is_committed", "{:?}", page.events);
        let reaches = page.events.last().is_some_and(|event| event.event_id + 1 == before);
        Ok(reaches.then_some(page.events))
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
            Report::Question => {}
            Report::Notice => {
                let taken = std::mem::take(&mut self.workers[at].jobs[place].taken);
                taken.iter().for_each(|taken| self.settle(at, taken));
            }
            Report::Outcome => self.end_job(at, place),
        }
    }
}

/// Applies what a task brings. None if the run does not reach the task's boundary.
fn follow(mut run: Run, task: &WorkflowTask) -> Checked<Option<Run>> {
    for event in task.events.iter().filter(|event| event.event_id > run.last_event_id).collect::<Vec<_>>() {
        if event.event_id != run.last_event_id + 1 {
            return Ok(None);
        }
        run.apply(event).map_err(|e| violation("r23_decisions_follow_history", e.to_string()))?;
    }
    let reaches = run.last_event_id == task.started_event_id || run.last_event_id + 1 == task.scheduled_event_id;
    Ok(reaches.then_some(run))
}

/// Asks for an activity without any timeout, which is refused.
fn bad_decision() -> Decision {
    ScheduleActivity {
        activity_id: "bad".to_owned(),
        activity_type: "Simulated".to_owned(),
        ..ScheduleActivity::default()
    }
    .into()
}
