//! Activities in state.

use tidewright_schemas::{
    ActivityDispatched, ActivityRetryScheduled, ActivityStarted, ActivityTaskScheduled, EventId, HistoryEvent,
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
        retry_policy: scheduled.retry_policy.clone(),
        digest: applying.change.history_digest.clone().unwrap_or_default(),
        last_failure: None,
        last_worker: None,
        superseded: None,
    };
    applying.writer.activity(event.event_id, None, Some(&row))?;
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
        applying.applied.superseded.extend(row.superseded);
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
    supersede(applying, &row, &mut after);
    applying.writer.activity(retry.scheduled_event_id, Some(&row), Some(&after))?;
    Ok(())
}

pub(super) fn dispatched<R: Rows>(applying: &mut Applying<'_, R>, task: &ActivityDispatched) -> Result<(), ApplyError> {
    let Some(row) = find(applying, task.scheduled_event_id)? else { return Ok(()) };
    let mut after = row.clone();
    after.attempt = task.attempt;
    after.state = ActivityState::Dispatched;
    after.dispatched_time_ms = task.time_ms;
    after.last_failure = Some(task.last_failure.clone());
    after.last_worker = Some(task.last_worker.clone());
    supersede(applying, &row, &mut after);
    applying.writer.activity(task.scheduled_event_id, Some(&row), Some(&after))?;
    Ok(())
}

/// A record that holds nothing but this row's fact stands in for the one before it (R2).
fn supersede<R: Rows>(applying: &mut Applying<'_, R>, row: &ActivityRow, after: &mut ActivityRow) {
    applying.applied.superseded.extend(row.superseded.clone());
    after.superseded = applying.is_row_record().then(|| applying.this_record());
}
