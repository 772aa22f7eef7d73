//! Workflow tasks in state.

use tidewright_schemas::{
    EventId, WorkflowTaskCompleted, WorkflowTaskDelivered, WorkflowTaskDispatched, WorkflowTaskRetryScheduled,
};

use super::Applying;
use crate::rows::Rows;
use crate::state::WorkflowTaskState;

pub(super) fn started<R: Rows>(applying: &mut Applying<'_, R>, scheduled_event_id: EventId, time_ms: u64) {
    applying.run.workflow_task = WorkflowTaskState::Out {
        attempt: 1,
        scheduled_event_id,
        time_ms,
        retried: false,
        tells_failure: true,
        last_failure: None,
        deliveries: 1,
        asked_by: String::new(),
    };
}

pub(super) fn completed<R: Rows>(applying: &mut Applying<'_, R>, completed: &WorkflowTaskCompleted) {
    applying.run.workflow_task = WorkflowTaskState::Idle;
    applying.run.accepted_started_event_id = completed.started_event_id;
    applying.run.completion_id = Some(completed.completion_id.clone());
    let superseded = applying.run.superseded.take();
    applying.applied.superseded.extend(superseded);
}

pub(super) fn dispatched<R: Rows>(applying: &mut Applying<'_, R>, task: &WorkflowTaskDispatched) {
    supersede(applying);
    applying.run.workflow_task = WorkflowTaskState::Out {
        attempt: task.attempt,
        scheduled_event_id: task.scheduled_event_id,
        time_ms: task.time_ms,
        retried: true,
        tells_failure: task.tells_failure,
        last_failure: Some(task.last_failure.clone()),
        deliveries: 1,
        asked_by: String::new(),
    };
}

pub(super) fn delivered<R: Rows>(applying: &mut Applying<'_, R>, delivered: &WorkflowTaskDelivered) {
    if let WorkflowTaskState::Out { attempt, scheduled_event_id, deliveries, asked_by, .. } =
        &mut applying.run.workflow_task
        && (*attempt, *scheduled_event_id) == (delivered.attempt, delivered.scheduled_event_id)
    {
        *deliveries = delivered.deliveries;
        asked_by.clone_from(&delivered.worker.incarnation);
    }
}

pub(super) fn retry_scheduled<R: Rows>(applying: &mut Applying<'_, R>, retry: &WorkflowTaskRetryScheduled) {
    supersede(applying);
    applying.run.workflow_task =
        WorkflowTaskState::BackingOff { attempt: retry.attempt, due_ms: retry.due_ms, failure: retry.failure.clone() };
}

/// A record that holds nothing but this fact stands in for the one before it (R2).
fn supersede<R: Rows>(applying: &mut Applying<'_, R>) {
    let before = applying.run.superseded.take();
    applying.applied.superseded.extend(before);
    applying.run.superseded = applying.is_row_record().then(|| applying.this_record());
}
