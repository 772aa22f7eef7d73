//! Completions and failures of workflow tasks (R22, R23).
//!
//! | state | complete | fail, time out, be lost or withheld | retry timer | start-delay timer, or a signal-with-start | end of the run |
//! |---|---|---|---|---|---|
//! | `Idle` | ignored | ignored | ignored | ignored | – |
//! | `Delayed` | ignored | ignored | ignored | `Out` | dropped |
//! | `Out` | decisions become events; what was buffered follows; next task if anything is new | `BackingOff`, or sent again at once where waiting cannot help | ignored | ignored | fails with `ForceCloseCommand`; what was buffered follows |
//! | `BackingOff` | ignored | ignored | `Out` | ignored | dropped |

use tidewright_schemas::{
    CompleteWorkflowTask, EventAttributes, EventId, FailWorkflowTask, Failure, FailureInfo, RunId, TaskKind,
    WorkerIdentity, WorkflowId, WorkflowTaskCompleted, WorkflowTaskFailed, WorkflowTaskFailedCause,
    WorkflowTaskRetryScheduled, WorkflowTaskScheduled, WorkflowTaskStarted, WorkflowTaskTimedOut,
};

use super::decision_check::Refused;
use super::decisions;
use super::draft::Draft;
use super::{Decision, fit};
use crate::state::{RunRow, State, WorkflowTaskState};
use crate::{Context, Decided, Rows, RowsError, TaskToken};

/// Backoff between attempts of a workflow task: the first delay, doubled each time, up to the last.
const RETRY_FIRST_MS: u64 = 1_000;
const RETRY_LAST_MS: u64 = 30_000;

/// A workflow task that is out.
pub(super) struct OutTask {
    pub(super) run: RunRow,
    pub(super) attempt: u32,
    pub(super) scheduled_event_id: EventId,
    /// When it was sent: the workflow's time while it was advanced.
    time_ms: u64,
    retried: bool,
    /// Whether its failure becomes an event.
    tells_failure: bool,
    pub(super) deliveries: u32,
    pub(super) asked_by: String,
}

impl OutTask {
    /// The task of this attempt, if it is the one that the run waits for.
    pub(super) fn find<R: Rows>(
        state: &State<'_, R>,
        workflow_id: &WorkflowId,
        run_id: &RunId,
        scheduled: EventId,
        attempt: u32,
    ) -> Result<Option<Self>, RowsError> {
        let Some(run) = state.run(workflow_id, run_id)?.filter(RunRow::is_open) else { return Ok(None) };
        match run.workflow_task.clone() {
            WorkflowTaskState::Out {
                attempt: current,
                scheduled_event_id,
                time_ms,
                retried,
                tells_failure,
                deliveries,
                asked_by,
                ..
            } if current == attempt && scheduled_event_id == scheduled => Ok(Some(Self {
                run,
                attempt,
                scheduled_event_id,
                time_ms,
                retried,
                tells_failure,
                deliveries,
                asked_by,
            })),
            _ => Ok(None),
        }
    }

    /// The boundaries of a retried task become events with its outcome, if that is told.
    fn tell_boundaries(&self, draft: &mut Draft) {
        if self.retried {
            let (task_queue, attempt) = (self.run.task_queue.clone(), self.attempt);
            let scheduled_event_id = draft.event_at(self.time_ms, WorkflowTaskScheduled { task_queue, attempt });
            draft.event_at(self.time_ms, WorkflowTaskStarted { scheduled_event_id });
        }
    }

    pub(super) fn of_token<R: Rows>(state: &State<'_, R>, token: &TaskToken) -> Result<Option<Self>, RowsError> {
        if token.task.kind != TaskKind::Workflow {
            return Ok(None);
        }
        let task = &token.task;
        let found = Self::find(state, &token.workflow_id, &task.run_id, task.scheduled_event_id, task.attempt)?;
        Ok(found.filter(|found| found.run.history_digest == token.digest))
    }
}

pub(super) fn complete<R: Rows>(
    state: &State<'_, R>,
    token: &TaskToken,
    command: &CompleteWorkflowTask,
    context: &Context,
) -> Decision {
    let Some(task) = OutTask::of_token(state, token)? else { return Ok(Decided::Nothing) };
    let (workflow_id, run_id) = (&token.workflow_id, &token.task.run_id);
    let worker = fit::worker(&command.worker);
    let plan = match decisions::check(state, (workflow_id, run_id, &task.run), command)? {
        Ok(plan) => plan,
        Err(Refused { cause, problem }) => {
            let failure = Failure::server("TW0302", problem, false);
            let failed = FailedTask { cause, failure, at_once: false };
            return fail_task(state, workflow_id, run_id, &task, failed, &worker, context);
        }
    };
    if plan.closes && was_told_meanwhile(state, workflow_id, run_id, &task.run)? {
        let message = "the workflow ended while a signal or a request to cancel came in; it is asked again";
        let failure = Failure::server("TW0307", message, false);
        let failed = FailedTask { cause: WorkflowTaskFailedCause::UnhandledCommand, failure, at_once: true };
        return fail_task(state, workflow_id, run_id, &task, failed, &worker, context);
    }
    let mut draft = Draft::of(workflow_id, run_id, &task.run, context);
    draft.task_ended();
    // A retried task's time is no event's yet, but the workflow has seen it: time never goes back (R6).
    draft.now_ms = draft.now_ms.max(task.time_ms);
    task.tell_boundaries(&mut draft);
    let completed_event_id = draft.event(WorkflowTaskCompleted {
        scheduled_event_id: task.scheduled_event_id,
        started_event_id: task.scheduled_event_id + 1,
        completion_id: command.completion_id.clone(),
        sdk_metadata: command.sdk_metadata.clone(),
        versioning: command.versioning.clone(),
        worker,
    });
    if plan.closes {
        // What came meanwhile belongs to the history, but nobody will act on it: the last event is the run's end.
        draft.flush(state, plan.bytes)?;
        // The run's end closes its activities; there is no need to say so of each.
        plan.record(&mut draft, &task.run, &command.decisions, completed_event_id);
        return Ok(draft.finish().into());
    }
    let canceled = plan.record(&mut draft, &task.run, &command.decisions, completed_event_id);
    let news = draft.flush(state, 0)? || draft.has_leftovers() || !canceled.is_empty();
    for activity in canceled {
        draft.happened(vec![activity.event().into()], false);
    }
    if news {
        draft.send_workflow_task();
    }
    Ok(draft.finish().into())
}

/// Whether somebody told the run something since its task was sent: that must not be lost to a close.
fn was_told_meanwhile<R: Rows>(
    state: &State<'_, R>,
    workflow_id: &WorkflowId,
    run_id: &RunId,
    run: &RunRow,
) -> Result<bool, RowsError> {
    for number in run.buffered.0..run.buffered.1 {
        let events = state.buffered(workflow_id, run_id, number)?.map(|row| row.events).unwrap_or_default();
        if events.iter().any(|event| event.attributes.is_from_outside()) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn fail<R: Rows>(
    state: &State<'_, R>,
    token: &TaskToken,
    command: &FailWorkflowTask,
    context: &Context,
) -> Decision {
    let Some(task) = OutTask::of_token(state, token)? else { return Ok(Decided::Nothing) };
    // A worker without the history gets all of it with the next attempt; waiting would not help.
    let at_once = command.cause == WorkflowTaskFailedCause::HistoryUnavailable && task.attempt == 1;
    let failed = FailedTask { cause: command.cause, failure: fit::failure(&command.failure), at_once };
    let worker = fit::worker(&command.worker);
    fail_task(state, &token.workflow_id, &token.task.run_id, &task, failed, &worker, context)
}

/// Why a workflow task failed, and whether its next attempt follows at once.
pub(super) struct FailedTask {
    pub(super) cause: WorkflowTaskFailedCause,
    pub(super) failure: Failure,
    pub(super) at_once: bool,
}

impl FailedTask {
    /// Whether history says that nothing but the history was missing.
    fn lacked_history(&self) -> bool {
        let timed_out = matches!(self.failure.info, FailureInfo::Timeout(_));
        self.cause == WorkflowTaskFailedCause::HistoryUnavailable && !timed_out
    }

    fn event(&self, scheduled_event_id: EventId, worker: &WorkerIdentity) -> EventAttributes {
        let started_event_id = scheduled_event_id + 1;
        let (cause, failure, worker) = (self.cause, self.failure.clone(), worker.clone());
        if let FailureInfo::Timeout(timeout) = &self.failure.info {
            let timeout_type = timeout.timeout_type;
            let failure = Some(failure);
            return WorkflowTaskTimedOut { scheduled_event_id, started_event_id, timeout_type, failure, worker }.into();
        }
        WorkflowTaskFailed { scheduled_event_id, started_event_id, cause, failure, worker }.into()
    }
}

/// The first attempt's failure is an event, and the second's if the first had nothing but the history missing: else what
/// is wrong would be told nowhere. Those of later attempts are rows, so that a workflow that cannot advance does not fill
/// its history.
pub(super) fn fail_task<R: Rows>(
    state: &State<'_, R>,
    workflow_id: &WorkflowId,
    run_id: &RunId,
    task: &OutTask,
    failed: FailedTask,
    worker: &WorkerIdentity,
    context: &Context,
) -> Decision {
    let mut draft = Draft::of(workflow_id, run_id, &task.run, context);
    draft.task_ended();
    if task.tells_failure {
        draft.now_ms = draft.now_ms.max(task.time_ms);
        task.tell_boundaries(&mut draft);
        draft.event(failed.event(task.scheduled_event_id, worker));
    }
    draft.flush(state, fit::json_bytes(&failed.failure))?;
    let attempt = task.attempt.saturating_add(1);
    if failed.at_once {
        let tells_failure = task.tells_failure && failed.lacked_history();
        draft.send_workflow_task_again(attempt, failed.failure, tells_failure);
    } else {
        let doubled = RETRY_FIRST_MS.saturating_mul(1 << task.attempt.saturating_sub(1).min(16));
        let due_ms = draft.now_ms.saturating_add(doubled.min(RETRY_LAST_MS));
        draft.row(WorkflowTaskRetryScheduled { attempt, due_ms, failure: failed.failure });
    }
    Ok(draft.finish().into())
}
