//! Tasks that cannot be delivered (R19), and tasks that are gone (R27).

use tidewright_schemas::{
    EffectFailed, EffectFailure, Failure, TaskLost, WorkerIdentity, WorkflowId, WorkflowTaskFailedCause,
};

use super::Decision;
use super::activity::OpenActivity;
use super::activity_retry::{AttemptFailure, fail_attempt};
use super::workflow_task::{FailedTask, OutTask, fail_task};
use crate::state::{ActivityState, State};
use crate::{Context, Decided, Rows};

/// The workflow waits, with backoff, until its task queue can be reached: nothing else can be done for it.
pub(super) fn workflow_task_undeliverable<R: Rows>(
    state: &State<'_, R>,
    workflow_id: &WorkflowId,
    command: &EffectFailed,
    context: &Context,
) -> Decision {
    let task = &command.task;
    let found = OutTask::find(state, workflow_id, &task.run_id, task.scheduled_event_id, task.attempt)?;
    let Some(out) = found else { return Ok(Decided::Nothing) };
    let cause = WorkflowTaskFailedCause::TaskQueueUnavailable;
    let failed = FailedTask { cause, failure: undeliverable(command, false), at_once: false };
    fail_task(state, workflow_id, &task.run_id, &out, failed, &WorkerIdentity::default(), context)
}

/// The activity fails, and the workflow decides what that means.
pub(super) fn activity_undeliverable<R: Rows>(
    state: &State<'_, R>,
    workflow_id: &WorkflowId,
    command: &EffectFailed,
    context: &Context,
) -> Decision {
    let task = &command.task;
    match OpenActivity::find(state, workflow_id, &task.run_id, task.scheduled_event_id)? {
        Some(activity) if activity.row.attempt == task.attempt && activity.row.state == ActivityState::Dispatched => {
            Ok(fail_attempt(&activity, AttemptFailure::Failed(undeliverable(command, true)), None, context))
        }
        _ => Ok(Decided::Nothing),
    }
}

fn undeliverable(command: &EffectFailed, non_retryable: bool) -> Failure {
    let what = match command.reason {
        EffectFailure::TopicMissing => "the task queue's topic does not exist and could not be created",
        EffectFailure::Denied => "writing to the task queue's topic is not allowed",
        EffectFailure::TooLarge => "the task is larger than its topic allows",
        EffectFailure::Refused => "the broker refuses the task",
    };
    Failure::server("TW0303", format!("{what}: {}", command.message), non_retryable)
}

pub(super) fn workflow_task_lost<R: Rows>(
    state: &State<'_, R>,
    workflow_id: &WorkflowId,
    command: &TaskLost,
    context: &Context,
) -> Decision {
    let task = &command.task;
    let found = OutTask::find(state, workflow_id, &task.run_id, task.scheduled_event_id, task.attempt)?;
    let Some(out) = found else { return Ok(Decided::Nothing) };
    let failure = Failure::server("TW0304", "the workflow task was not in its topic any more", false);
    let failed = FailedTask { cause: WorkflowTaskFailedCause::TaskLost, failure, at_once: true };
    fail_task(state, workflow_id, &task.run_id, &out, failed, &WorkerIdentity::default(), context)
}

pub(super) fn activity_lost<R: Rows>(
    state: &State<'_, R>,
    workflow_id: &WorkflowId,
    command: &TaskLost,
    context: &Context,
) -> Decision {
    let task = &command.task;
    match OpenActivity::find(state, workflow_id, &task.run_id, task.scheduled_event_id)? {
        Some(activity) if activity.row.attempt == task.attempt && activity.row.state == ActivityState::Dispatched => {
            Ok(fail_attempt(&activity, AttemptFailure::Lost, None, context))
        }
        _ => Ok(Decided::Nothing),
    }
}
