//! What must happen outside the partition after a change.
//!
//! [`effects`] reads only the change (R18). An effect names a task; [`workflow_task`] and [`activity_task`] fill it in
//! from state when it is sent, and only while state still wants it: so a repeat after recovery is the same task.

use tidewright_schemas::limits::TASK_HISTORY_BYTES_MAX;
use tidewright_schemas::{
    ActivityTask, Answered, DeadLettered, EventAttributes, EventId, RowFact, TaskId, TaskKind, Transition, WorkersTold,
    WorkflowId, WorkflowTask,
};

use crate::context::TaskToken;
use crate::state::{ActivityState, RunRow, State, WorkflowTaskState};
use crate::{Rows, RowsError};

/// Up to so many events are looked up one by one for a task, as most tasks need only a few; more are scanned.
const EVENTS_LOOKED_UP_MAX: u64 = 16;

/// One thing that must happen outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Sends a task.
    Task {
        /// The workflow.
        workflow_id: WorkflowId,
        /// The task.
        task: TaskId,
    },
    /// Answers a caller.
    Reply {
        /// The workflow that was asked.
        workflow_id: WorkflowId,
        /// Whom, and what.
        answered: Answered,
    },
    /// Sends the change's command to the dead letters.
    DeadLetter(DeadLettered),
    /// Tells the workers of task queues something.
    Tell(WorkersTold),
}

/// The effects of a change, in order.
#[must_use]
pub fn effects(change: &Transition) -> Vec<Effect> {
    let mut effects = effects_of_run(change);
    if let Some(next) = change.of_next_run() {
        effects.extend(effects_of_run(&next));
    }
    effects
}

fn effects_of_run(change: &Transition) -> Vec<Effect> {
    let workflow_id = &change.workflow_id;
    let of_run = |task: Option<(TaskKind, EventId, u32)>| {
        let (kind, scheduled_event_id, attempt) = task?;
        let run_id = change.run_id.clone()?;
        Some(Effect::Task {
            workflow_id: workflow_id.clone(),
            task: TaskId { kind, run_id, scheduled_event_id, attempt },
        })
    };
    let mut effects = Vec::new();
    let closes = change.events.iter().any(|event| event.attributes.closes_as().is_some());
    let last = change.events.last().map(|event| event.event_id);
    for event in &change.events {
        effects.extend(of_run(match &event.attributes {
            // What does not outlive its run is not begun by the run's end.
            EventAttributes::ActivityTaskScheduled(scheduled) if scheduled.detached || !closes => {
                Some((TaskKind::Activity, event.event_id, 1))
            }
            // The boundaries of a retried task are written together with its completion: nothing is sent then.
            EventAttributes::WorkflowTaskStarted(started) if last == Some(event.event_id) => {
                Some((TaskKind::Workflow, started.scheduled_event_id, 1))
            }
            _ => None,
        }));
    }
    for fact in &change.rows {
        effects.extend(match fact {
            RowFact::WorkflowTaskDispatched(task) => {
                of_run(Some((TaskKind::Workflow, task.scheduled_event_id, task.attempt)))
            }
            RowFact::ActivityDispatched(task) => {
                of_run(Some((TaskKind::Activity, task.scheduled_event_id, task.attempt)))
            }
            RowFact::Answered(answered) => {
                Some(Effect::Reply { workflow_id: workflow_id.clone(), answered: answered.clone() })
            }
            RowFact::DeadLettered(dead) => Some(Effect::DeadLetter(dead.clone())),
            RowFact::WorkersTold(told) => Some(Effect::Tell(told.clone())),
            RowFact::EventBuffered(_)
            | RowFact::BufferFlushed(_)
            | RowFact::WorkflowTaskRetryScheduled(_)
            | RowFact::WorkflowTaskDelivered(_)
            | RowFact::ActivityDelivered(_)
            | RowFact::ActivityStarted(_)
            | RowFact::ActivityHeartbeatRecorded(_)
            | RowFact::ActivityRetryScheduled(_)
            | RowFact::DetachedActivityClosed(_)
            | RowFact::OriginSeen(_)
            | RowFact::RequestAttached(_)
            | RowFact::RunDeleted(_)
            | RowFact::DeletionAdvanced(_)
            | RowFact::RunForgotten(_) => None,
        });
    }
    effects
}

/// Whether state waits for a task and nobody has said that it has started.
pub fn is_wanted<R: Rows>(rows: &R, workflow_id: &WorkflowId, task: &TaskId) -> Result<bool, RowsError> {
    let state = State(rows);
    Ok(match task.kind {
        TaskKind::Workflow => wanted_run(&state, workflow_id, task)?.is_some(),
        TaskKind::Activity => state
            .activity(workflow_id, &task.run_id, task.scheduled_event_id)?
            .is_some_and(|row| row.attempt == task.attempt && row.state == ActivityState::Dispatched),
    })
}

fn wanted_run<R: Rows>(
    state: &State<'_, R>,
    workflow_id: &WorkflowId,
    task: &TaskId,
) -> Result<Option<(RunRow, u64)>, RowsError> {
    let Some(run) = state.run(workflow_id, &task.run_id)? else { return Ok(None) };
    match run.workflow_task {
        WorkflowTaskState::Out { attempt, scheduled_event_id, time_ms, .. }
            if attempt == task.attempt && scheduled_event_id == task.scheduled_event_id =>
        {
            Ok(Some((run, time_ms)))
        }
        _ => Ok(None),
    }
}

/// A workflow task to send, with its token, its queue and its trace; none if state does not want it any more. The token
/// and the history's address are left for the caller to fill in.
///
/// The first attempt carries what is new since the last accepted task; a retried one, or one that may be a repeat,
/// carries the history from the beginning, as much of it as fits.
pub fn workflow_task<R: Rows>(
    rows: &R,
    namespace: &str,
    workflow_id: &WorkflowId,
    task: &TaskId,
    possible_repeat: bool,
) -> Result<Option<Outgoing<WorkflowTask>>, RowsError> {
    let state = State(rows);
    let Some((run, started_time_ms)) = wanted_run(&state, workflow_id, task)? else { return Ok(None) };
    let whole = task.attempt > 1 || possible_repeat;
    let from = if whole { 1 } else { run.accepted_started_event_id + 1 };
    let (next, bytes_max) = (run.next_event_id, TASK_HISTORY_BYTES_MAX);
    let mut events = if next.saturating_sub(from) > EVENTS_LOOKED_UP_MAX {
        state.events(workflow_id, &task.run_id, from, usize::MAX, bytes_max)?
    } else {
        state.few_events(workflow_id, &task.run_id, from..next, bytes_max)?
    };
    if events.last().map(|event| event.event_id + 1) != Some(run.next_event_id) {
        // It does not fit: the worker pages from its beginning, and the task carries nothing.
        events.clear();
    }
    let token = token_of(workflow_id, task, &run.history_digest);
    let task = WorkflowTask {
        token: String::new(),
        namespace: namespace.to_owned(),
        workflow_id: workflow_id.clone(),
        run_id: task.run_id.clone(),
        workflow_type: run.workflow_type,
        attempt: task.attempt,
        scheduled_event_id: task.scheduled_event_id,
        started_event_id: task.scheduled_event_id + 1,
        started_time_ms,
        workflow_task_timeout_ms: run.workflow_task_timeout_ms,
        previous_started_event_id: run.accepted_started_event_id,
        previous_completion_id: run.completion_id,
        events,
        possible_repeat,
        history_url: None,
    };
    let (task_queue, traceparent) = (run.task_queue, run.traceparent);
    Ok(Some(Outgoing { task, token, task_queue, traceparent, any_partition: false }))
}

/// An activity task to send; none if state does not want it any more.
pub fn activity_task<R: Rows>(
    rows: &R,
    namespace: &str,
    workflow_id: &WorkflowId,
    task: &TaskId,
    possible_repeat: bool,
) -> Result<Option<Outgoing<ActivityTask>>, RowsError> {
    let state = State(rows);
    if !is_wanted(rows, workflow_id, task)? {
        return Ok(None);
    }
    let (run_id, event_id) = (&task.run_id, task.scheduled_event_id);
    let Some(row) = state.activity(workflow_id, run_id, event_id)? else { return Ok(None) };
    let Some(run) = state.run(workflow_id, run_id)? else { return Ok(None) };
    let scheduled = state.event(workflow_id, run_id, event_id)?;
    let Some(EventAttributes::ActivityTaskScheduled(scheduled)) = scheduled.map(|event| event.attributes) else {
        return Ok(None);
    };
    let token = token_of(workflow_id, task, &row.digest);
    // At most once: it runs only when the owner has granted the attempt, so it is confirmed even if it is no repeat (R25).
    // One that may be in any partition may lie in another one than its repeats, so it is confirmed, too.
    let possible_repeat = possible_repeat || row.is_at_most_once() || row.anywhere;
    let (any_partition, attempt) = (row.anywhere, row.tries(task.attempt));
    let task = ActivityTask {
        token: String::new(),
        namespace: namespace.to_owned(),
        workflow_id: workflow_id.clone(),
        run_id: run_id.clone(),
        workflow_type: run.workflow_type,
        activity_id: row.activity_id,
        activity_type: row.activity_type,
        scheduled_event_id: event_id,
        attempt,
        input: scheduled.input,
        header: scheduled.header,
        priority: scheduled.priority,
        retry_policy: row.retry_policy,
        scheduled_time_ms: row.scheduled_time_ms,
        attempt_scheduled_time_ms: row.dispatched_time_ms,
        start_to_close_timeout_ms: row.start_to_close_timeout_ms,
        schedule_to_close_timeout_ms: row.schedule_to_close_timeout_ms,
        heartbeat_timeout_ms: row.heartbeat_timeout_ms,
        heartbeat_details: row.heartbeat_details,
        detached: row.detached,
        last_failure: row.last_failure,
        possible_repeat,
        unstarted: row.unstarted,
    };
    Ok(Some(Outgoing { task, token, task_queue: row.task_queue, traceparent: run.traceparent, any_partition }))
}

/// A task on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing<T> {
    /// The task; its `token` is empty until the caller has sealed it.
    pub task: T,
    /// What the token names.
    pub token: TaskToken,
    /// Where it goes.
    pub task_queue: String,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
    /// Whether it may go to any partition, and so to the one whose workers have room; else its identity says which one
    /// (ADR 0004).
    pub any_partition: bool,
}

fn token_of(workflow_id: &WorkflowId, task: &TaskId, digest: &str) -> TaskToken {
    TaskToken { workflow_id: workflow_id.clone(), task: task.clone(), digest: digest.to_owned() }
}
