//! Activities in state.

use tidewright_schemas::limits::ACTIVITY_QUEUES_TOLD_MAX;
use tidewright_schemas::{
    ActivityDelivered, ActivityDispatched, ActivityHeartbeatRecorded, ActivityRetryScheduled, ActivityStarted,
    ActivityTaskCancelRequested, ActivityTaskScheduled, EventId, HistoryEvent, Payload,
};

use super::{ApplyError, Applying};
use crate::rows::{Rows, RowsError};
use crate::state::{ActivityRow, ActivityState};

pub(super) fn scheduled<R: Rows>(
    applying: &mut Applying<'_, R>,
    event: &HistoryEvent,
    scheduled: &ActivityTaskScheduled,
) -> Result<(), ApplyError> {
    let row = ActivityRow {
        activity_id: scheduled.activity_id.clone(),
        activity_type: scheduled.activity_type.clone(),
        task_queue: scheduled.task_queue.clone(),
        detached: scheduled.detached,
        attempt: 1,
        state: ActivityState::Dispatched,
        scheduled_time_ms: event.event_time_ms,
        dispatched_time_ms: event.event_time_ms,
        start_to_close_timeout_ms: scheduled.start_to_close_timeout_ms,
        schedule_to_start_timeout_ms: scheduled.schedule_to_start_timeout_ms,
        schedule_to_close_timeout_ms: scheduled.schedule_to_close_timeout_ms,
        heartbeat_timeout_ms: scheduled.heartbeat_timeout_ms,
        retry_policy: scheduled.retry_policy.clone(),
        digest: applying.change.history_digest.clone().unwrap_or_default(),
        last_failure: None,
        last_worker: None,
        last_heartbeat_ms: None,
        heartbeat_details: None,
        cancel_requested_event_id: None,
        unstarted: 0,
        lost_workers: 0,
        deliveries: 1,
        anywhere: false,
        superseded: None,
        superseded_heartbeat: None,
    };
    applying.writer.activity(event.event_id, None, Some(&row))?;
    let queues = &mut applying.run.activity_queues;
    if !row.detached && queues.len() < ACTIVITY_QUEUES_TOLD_MAX && !queues.contains(&row.task_queue) {
        queues.push(row.task_queue);
    }
    applying.run.open_activities += 1;
    Ok(())
}

fn find<R: Rows>(applying: &Applying<'_, R>, event_id: EventId) -> Result<Option<ActivityRow>, RowsError> {
    let writer = &applying.writer;
    writer.state().activity(&writer.workflow_id, &writer.run_id, event_id)
}

pub(super) fn closed<R: Rows>(applying: &mut Applying<'_, R>, event_id: EventId) -> Result<(), ApplyError> {
    if let Some(row) = find(applying, event_id)? {
        applying.writer.activity(event_id, Some(&row), None)?;
        applying.run.open_activities -= 1;
        applying.applied.superseded.extend(row.superseded.into_iter().chain(row.superseded_heartbeat));
    }
    Ok(())
}

pub(super) fn started<R: Rows>(applying: &mut Applying<'_, R>, started: &ActivityStarted) -> Result<(), ApplyError> {
    // A superseded record between may be gone: the notice of an older attempt then finds a row that has not come so far.
    let Some(row) = find(applying, started.scheduled_event_id)? else { return Ok(()) };
    let mut after = row.clone();
    after.attempt = started.attempt;
    after.state = ActivityState::Started { time_ms: started.time_ms, worker: started.worker.clone() };
    after.last_worker = Some(started.worker.clone());
    applying.writer.activity(started.scheduled_event_id, Some(&row), Some(&after))?;
    Ok(())
}

pub(super) fn heartbeat<R: Rows>(
    applying: &mut Applying<'_, R>,
    heartbeat: &ActivityHeartbeatRecorded,
) -> Result<(), ApplyError> {
    let Some(row) = find(applying, heartbeat.scheduled_event_id)? else { return Ok(()) };
    let mut after = row.clone();
    after.last_heartbeat_ms = Some(heartbeat.time_ms);
    after.heartbeat_details.clone_from(&heartbeat.details);
    applying.applied.superseded.extend(row.superseded_heartbeat.clone());
    after.superseded_heartbeat = applying.is_row_record().then(|| applying.this_record());
    applying.writer.activity(heartbeat.scheduled_event_id, Some(&row), Some(&after))?;
    Ok(())
}

pub(super) fn cancel_requested<R: Rows>(
    applying: &mut Applying<'_, R>,
    event_id: EventId,
    requested: &ActivityTaskCancelRequested,
) -> Result<(), ApplyError> {
    let Some(row) = find(applying, requested.scheduled_event_id)? else { return Ok(()) };
    let after = ActivityRow { cancel_requested_event_id: Some(event_id), ..row.clone() };
    applying.writer.activity(requested.scheduled_event_id, Some(&row), Some(&after))?;
    Ok(())
}

pub(super) fn delivered<R: Rows>(
    applying: &mut Applying<'_, R>,
    delivered: &ActivityDelivered,
) -> Result<(), ApplyError> {
    let Some(row) = find(applying, delivered.scheduled_event_id)? else { return Ok(()) };
    if row.attempt != delivered.attempt {
        // A superseded record between is gone: it spoke of an older attempt.
        return Ok(());
    }
    let after = ActivityRow { deliveries: delivered.deliveries, ..row.clone() };
    applying.writer.activity(delivered.scheduled_event_id, Some(&row), Some(&after))?;
    Ok(())
}

pub(super) fn retry_scheduled<R: Rows>(
    applying: &mut Applying<'_, R>,
    retry: &ActivityRetryScheduled,
) -> Result<(), ApplyError> {
    let Some(row) = find(applying, retry.scheduled_event_id)? else { return Ok(()) };
    let mut after = row.clone();
    after.attempt = retry.attempt;
    after.state = ActivityState::BackingOff { due_ms: retry.due_ms };
    after.last_failure = Some(retry.failure.clone());
    after.last_worker = Some(retry.worker.clone());
    after.dispatched_time_ms = retry.due_ms;
    (after.unstarted, after.lost_workers) = (retry.unstarted, retry.lost_workers);
    (after.deliveries, after.anywhere) = (1, false);
    next_attempt(applying, &row, &mut after, retry.heartbeat_details.as_ref());
    applying.writer.activity(retry.scheduled_event_id, Some(&row), Some(&after))?;
    Ok(())
}

pub(super) fn dispatched<R: Rows>(applying: &mut Applying<'_, R>, task: &ActivityDispatched) -> Result<(), ApplyError> {
    let Some(row) = find(applying, task.scheduled_event_id)? else { return Ok(()) };
    let mut after = row.clone();
    after.attempt = task.attempt;
    after.state = ActivityState::Dispatched;
    after.dispatched_time_ms = task.time_ms;
    after.last_failure.clone_from(&task.last_failure);
    after.last_worker = Some(task.last_worker.clone());
    (after.unstarted, after.lost_workers) = (task.unstarted, task.lost_workers);
    (after.deliveries, after.anywhere) = (1, task.anywhere);
    next_attempt(applying, &row, &mut after, task.heartbeat_details.as_ref());
    applying.writer.activity(task.scheduled_event_id, Some(&row), Some(&after))?;
    Ok(())
}

/// Another attempt: its record says all that those of the attempt before said, so it stands in for them (R2).
fn next_attempt<R: Rows>(
    applying: &mut Applying<'_, R>,
    row: &ActivityRow,
    after: &mut ActivityRow,
    heartbeat_details: Option<&Payload>,
) {
    after.last_heartbeat_ms = None;
    after.heartbeat_details = heartbeat_details.cloned();
    let before = row.superseded.iter().chain(&row.superseded_heartbeat).cloned();
    applying.applied.superseded.extend(before);
    after.superseded = applying.is_row_record().then(|| applying.this_record());
    after.superseded_heartbeat = None;
}
