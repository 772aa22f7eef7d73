//! Commands, as clients, workers and the engine itself send them. Tokens are those of tasks that were sent.

use std::collections::BTreeMap;

use tidewright_core::{DueTimer, Request, TaskToken};
use tidewright_schemas::{
    CancelActivity, Command, CompleteActivity, CompleteWorkflowTask, ConfirmTask, Decision, DeleteWorkflow,
    EffectFailed, EffectFailure, FailActivity, FailWorkflowTask, Failure, Payload, RecordActivityHeartbeat,
    RecordActivityStarted, ReplyTo, RequestCancelWorkflow, ReturnTask, Signal, SignalWithStartWorkflow, SignalWorkflow,
    StartWorkflow, TaskLost, TerminateWorkflow, TimerTarget, WorkerIdentity, WorkerLost, WorkflowId,
    WorkflowIdReusePolicy, WorkflowTaskFailedCause,
};

use super::decisions::{boom, json};
use super::{ORDER, World, workflow_id};

/// Something to ask of a partition.
pub trait Ask {
    fn request(self, world: &World) -> Request;
}

impl<F: FnOnce(&World) -> Request> Ask for F {
    fn request(self, world: &World) -> Request {
        self(world)
    }
}

impl Ask for Request {
    fn request(self, _: &World) -> Request {
        self
    }
}

pub fn request(workflow_id: WorkflowId, command: impl Into<Command>, token: Option<TaskToken>) -> Request {
    Request { workflow_id, command: command.into(), token, origin: None, event_id: None, traceparent: None }
}

pub fn with_token(token: TaskToken, command: impl Into<Command>) -> Request {
    request(token.workflow_id.clone(), command, Some(token))
}

/// The same, forwarded from another partition (R9).
pub fn forwarded(origin: &'static str, ask: impl Ask) -> impl FnOnce(&World) -> Request {
    move |world| Request { origin: Some(origin.to_owned()), ..ask.request(world) }
}

pub fn worker(name: &str) -> WorkerIdentity {
    WorkerIdentity { identity: name.to_owned(), incarnation: format!("{name}-1") }
}

pub fn reply_to() -> ReplyTo {
    ReplyTo { partition: 4, correlation_id: "c-1".to_owned() }
}

/// A `StartWorkflow`.
#[derive(Clone)]
pub struct Start {
    pub command: StartWorkflow,
    pub event_id: Option<String>,
    pub traceparent: Option<String>,
}

pub fn start(id: &str) -> Start {
    let input = Some(json("{\"order\": 1}"));
    let command = StartWorkflow { input, ..StartWorkflow::new("OrderWorkflow", workflow_id(id), "orders") };
    Start { command, event_id: None, traceparent: None }
}

impl Start {
    pub fn with_request_id(mut self, id: &str) -> Self {
        self.command.request_id = Some(id.to_owned());
        self
    }

    pub fn with_event_id(mut self, id: &str) -> Self {
        self.event_id = Some(id.to_owned());
        self
    }

    pub fn with_policy(mut self, policy: WorkflowIdReusePolicy) -> Self {
        self.command.workflow_id_reuse_policy = Some(policy);
        self
    }

    pub fn with(mut self, change: impl FnOnce(&mut StartWorkflow)) -> Self {
        change(&mut self.command);
        self
    }

    pub fn answered(mut self) -> Self {
        self.command.reply_to = Some(reply_to());
        self
    }
}

impl Ask for Start {
    fn request(self, _: &World) -> Request {
        let id = self.command.workflow_id.clone();
        Request { event_id: self.event_id, traceparent: self.traceparent, ..request(id, self.command, None) }
    }
}

/// A `SignalWithStartWorkflow`.
pub fn signal_with_start(name: &str, start: Start) -> impl FnOnce(&World) -> Request {
    let signal = Signal { signal_name: name.to_owned(), input: Some(json("7")), header: BTreeMap::new() };
    let id = start.command.workflow_id.clone();
    let command = SignalWithStartWorkflow { start: start.command, signal };
    move |_| Request { event_id: start.event_id, ..request(id, command, None) }
}

/// A `SignalWorkflow` to the open run.
pub fn signal(name: &str) -> impl FnOnce(&World) -> Request {
    signal_with(name, |_| {})
}

pub fn signal_with(name: &str, change: impl FnOnce(&mut SignalWorkflow)) -> impl FnOnce(&World) -> Request {
    let mut command =
        SignalWorkflow { signal_name: name.to_owned(), input: Some(json("7")), ..SignalWorkflow::default() };
    change(&mut command);
    move |_| request(workflow_id(ORDER), command, None)
}

pub fn cancel_requested() -> Request {
    cancel_with(|_| {})
}

pub fn cancel_with(change: impl FnOnce(&mut RequestCancelWorkflow)) -> Request {
    let reason = Some("the customer changed their mind".to_owned());
    let mut command = RequestCancelWorkflow { reason, ..RequestCancelWorkflow::default() };
    change(&mut command);
    request(workflow_id(ORDER), command, None)
}

pub fn terminate() -> Request {
    terminate_with(|_| {})
}

pub fn terminate_with(change: impl FnOnce(&mut TerminateWorkflow)) -> Request {
    let mut command = TerminateWorkflow { reason: Some("it hangs".to_owned()), ..TerminateWorkflow::default() };
    change(&mut command);
    request(workflow_id(ORDER), command, None)
}

pub fn delete() -> Request {
    delete_with(|_| {})
}

pub fn delete_with(change: impl FnOnce(&mut DeleteWorkflow)) -> Request {
    let mut command =
        DeleteWorkflow { reason: Some("the customer asks for it".to_owned()), ..DeleteWorkflow::default() };
    change(&mut command);
    request(workflow_id(ORDER), command, None)
}

pub fn task_completed<const N: usize>(decisions: [Decision; N]) -> impl FnOnce(&World) -> Request {
    task_completed_with(decisions.to_vec())
}

pub fn task_completed_with(decisions: Vec<Decision>) -> impl FnOnce(&World) -> Request {
    move |world| {
        let (token, task) = world.workflow_task().clone();
        let completion_id = format!("completion of {}#{}", task.scheduled_event_id, task.attempt);
        let command = CompleteWorkflowTask::new(String::new(), completion_id, decisions, worker("w"));
        with_token(token, command)
    }
}

pub fn task_failed(cause: WorkflowTaskFailedCause) -> impl FnOnce(&World) -> Request {
    task_failed_with(cause, boom())
}

pub fn task_failed_with(cause: WorkflowTaskFailedCause, failure: Failure) -> impl FnOnce(&World) -> Request {
    move |world| {
        let token = world.workflow_task().0.clone();
        with_token(token, FailWorkflowTask { token: String::new(), cause, failure, worker: worker("w") })
    }
}

pub fn activity_completed(name: &str) -> impl FnOnce(&World) -> Request {
    activity_completed_with(name, json("\"paid\""))
}

pub fn activity_completed_with(name: &str, result: tidewright_schemas::Payload) -> impl FnOnce(&World) -> Request {
    move |world| {
        let command = CompleteActivity { token: String::new(), result: Some(result), worker: worker("a") };
        with_token(world.activity_task(name).0.clone(), command)
    }
}

pub fn activity_failed(name: &str) -> impl FnOnce(&World) -> Request {
    activity_failed_with(name, boom())
}

pub fn activity_failed_with(name: &str, failure: Failure) -> impl FnOnce(&World) -> Request {
    move |world| {
        let command = FailActivity::new(String::new(), failure, worker("a"));
        with_token(world.activity_task(name).0.clone(), command)
    }
}

pub fn started_notice(name: &str, by: &'static str) -> impl FnOnce(&World) -> Request {
    move |world| {
        let command = RecordActivityStarted { token: String::new(), worker: worker(by) };
        with_token(world.activity_task(name).0.clone(), command)
    }
}

pub fn heartbeat(name: &str, by: &'static str) -> impl FnOnce(&World) -> Request {
    heartbeat_with(name, by, json("\"half\""))
}

pub fn heartbeat_with(name: &str, by: &'static str, details: Payload) -> impl FnOnce(&World) -> Request {
    move |world| {
        let command = RecordActivityHeartbeat { token: String::new(), details: Some(details), worker: worker(by) };
        with_token(world.activity_task(name).0.clone(), command)
    }
}

pub fn activity_canceled(name: &str) -> impl FnOnce(&World) -> Request {
    activity_canceled_with(name, json("\"cleaned up\""))
}

pub fn activity_canceled_with(name: &str, details: Payload) -> impl FnOnce(&World) -> Request {
    move |world| {
        let command = CancelActivity { token: String::new(), details: Some(details), worker: worker("a") };
        with_token(world.activity_task(name).0.clone(), command)
    }
}

pub fn may_run(name: &str, by: &'static str) -> impl FnOnce(&World) -> Request {
    move |world| may_run_token(world.activity_task(name).0.clone(), by)
}

pub fn may_run_token(token: TaskToken, by: &str) -> Request {
    with_token(token, ConfirmTask { token: String::new(), worker: worker(by), reply_to: reply_to() })
}

/// The same by one that does not say which process it is.
pub fn may_somebody_run(name: &str) -> impl FnOnce(&World) -> Request {
    move |world| {
        let mut request = may_run(name, "")(world);
        if let Command::ConfirmTask(confirm) = &mut request.command {
            confirm.worker = WorkerIdentity::default();
        }
        request
    }
}

pub fn returned(name: &str, by: &'static str) -> impl FnOnce(&World) -> Request {
    move |world| returned_token(world.activity_task(name).0.clone(), by)
}

pub fn returned_token(token: TaskToken, by: &str) -> Request {
    with_token(token, ReturnTask { token: String::new(), worker: worker(by) })
}

/// A worker is gone right now.
pub fn worker_lost(name: &'static str) -> impl FnOnce(&World) -> Request {
    move |world| worker_lost_of(ORDER, name, world.now_ms)
}

pub fn worker_lost_of(id: &str, name: &str, as_of_ms: u64) -> Request {
    request(workflow_id(id), WorkerLost { incarnation: worker(name).incarnation, as_of_ms }, None)
}

/// What is due for this, earliest first.
pub fn due(target: TimerTarget) -> impl FnOnce(&World) -> Request {
    move |world| {
        let due = world.due().into_iter().find(|timer| timer.target == target);
        fire(&due.unwrap_or_else(|| panic!("nothing waits for {target:?}: {:?}", world.due())))
    }
}

pub fn fire(timer: &DueTimer) -> Request {
    request(timer.workflow_id.clone(), timer.command(), None)
}

pub fn workflow_task_undeliverable() -> impl FnOnce(&World) -> Request {
    |world| undeliverable(&world.workflow_task().0, EffectFailure::TopicMissing)
}

pub fn activity_undeliverable(name: &str, reason: EffectFailure) -> impl FnOnce(&World) -> Request {
    move |world| undeliverable(&world.activity_task(name).0, reason)
}

pub fn undeliverable(token: &TaskToken, reason: EffectFailure) -> Request {
    let command = EffectFailed { task: token.task.clone(), reason, message: "broker says no".to_owned() };
    request(token.workflow_id.clone(), command, None)
}

pub fn workflow_task_lost() -> impl FnOnce(&World) -> Request {
    |world| lost(&world.workflow_task().0)
}

pub fn activity_lost(name: &str) -> impl FnOnce(&World) -> Request {
    move |world| lost(&world.activity_task(name).0)
}

pub fn lost(token: &TaskToken) -> Request {
    request(token.workflow_id.clone(), TaskLost { task: token.task.clone() }, None)
}

/// A started workflow whose first task decided this.
pub fn order_that_decided<const N: usize>(decisions: [Decision; N]) -> World {
    let mut world = World::default();
    world.when(start(ORDER)).when(task_completed(decisions));
    world
}
