//! Tasks that cannot be delivered (R19), and tasks that are gone (R27).

use tidewright_schemas::{
    EffectFailed, EffectFailure, Failure, TaskId, TaskKind, TaskLost, WorkerIdentity, WorkflowId,
    WorkflowTaskFailedCause,
};

use super::Decision;
use super::activity::OpenActivity;
use super::activity_retry::{AttemptFailure, fail_attempt};
use super::workflow_task::{FailedTask, OutTask, fail_task};
use crate::state::{ActivityState, State};
use crate::{Context, Decided, Rows};

pub(super) fn undeliverable<R: Rows>(
    state: &State<'_, R>,
    workflow_id: &WorkflowId,
    command: &EffectFailed,
    context: &Context,
) -> Decision {
    match command.task.kind {
        // The workflow waits, with backoff, until its task queue can be reached: nothing else can be done for it.
        TaskKind::Workflow => {
            let cause = WorkflowTaskFailedCause::TaskQueueUnavailable;
            let failed = FailedTask { cause, failure: undelivered(command, false), at_once: false };
            fail_workflow_task(state, workflow_id, &command.task, failed, context)
        }
        // The activity fails, and the workflow decides what that means.
        TaskKind::Activity => {
            let failure = AttemptFailure::Failed(undelivered(command, true));
            fail_waiting_activity(state, workflow_id, &command.task, failure, context)
        }
    }
}

pub(super) fn lost<R: Rows>(
    state: &State<'_, R>,
    workflow_id: &WorkflowId,
    command: &TaskLost,
    context: &Context,
) -> Decision {
    match command.task.kind {
        TaskKind::Workflow => {
            let failure = Failure::server("TW0304", "the workflow task was not in its topic any more", false);
            let failed = FailedTask { cause: WorkflowTaskFailedCause::TaskLost, failure, at_once: true };
            fail_workflow_task(state, workflow_id, &command.task, failed, context)
        }
        TaskKind::Activity => fail_waiting_activity(state, workflow_id, &command.task, AttemptFailure::Lost, context),
    }
}

fn fail_workflow_task<R: Rows>(
    state: &State<'_, R>,
    workflow_id: &WorkflowId,
    task: &TaskId,
    failed: FailedTask,
    context: &Context,
) -> Decision {
    let found = OutTask::find(state, workflow_id, &task.run_id, task.scheduled_event_id, task.attempt)?;
    let Some(out) = found else { return Ok(Decided::Nothing) };
    fail_task(state, workflow_id, &task.run_id, &out, failed, &WorkerIdentity::default(), context)
}

fn fail_waiting_activity<R: Rows>(
    state: &State<'_, R>,
    workflow_id: &WorkflowId,
    task: &TaskId,
    failure: AttemptFailure,
    context: &Context,
) -> Decision {
    match OpenActivity::find(state, workflow_id, &task.run_id, task.scheduled_event_id)? {
        Some(activity) if activity.row.attempt == task.attempt && activity.row.state == ActivityState::Dispatched => {
            Ok(fail_attempt(&activity, failure, None, context))
        }
        _ => Ok(Decided::Nothing),
    }
}

fn undelivered(command: &EffectFailed, non_retryable: bool) -> Failure {
    let what = match command.reason {
        EffectFailure::TopicMissing => "the task queue's topic does not exist and could not be created",
        EffectFailure::Denied => "writing to the task queue's topic is not allowed",
        EffectFailure::TooLarge => "the task is larger than its topic allows",
        EffectFailure::Refused => "the broker refuses the task",
    };
    Failure::server("TW0303", format!("{what}: {}", command.message), non_retryable)
}
