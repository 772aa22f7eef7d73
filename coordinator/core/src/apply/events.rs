//! Applies history events.

use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{EventAttributes, HistoryEvent, Transition, WorkflowExecutionStarted};

use super::{ApplyError, Applying, activity, close, workflow_task};
use crate::rows::{Rows, RowsError};
use crate::state::{RunRow, TimerRow, WorkflowTaskState};

/// The row of a run that this record begins; none if it begins none.
pub(super) fn new_run(change: &Transition) -> Option<RunRow> {
    let first = change.events.first()?;
    let EventAttributes::WorkflowExecutionStarted(started) = &first.attributes else { return None };
    Some(RunRow {
        workflow_type: started.workflow_type.clone(),
        task_queue: started.task_queue.clone(),
        status: WorkflowStatus::Running,
        start_time_ms: first.event_time_ms,
        started_offset: change.source_offset,
        close_time_ms: None,
        time_ms: first.event_time_ms,
        next_event_id: 1,
        history_bytes: 0,
        history_digest: String::new(),
        traceparent: started.traceparent.clone(),
        workflow_task: match started.first_workflow_task_backoff_ms {
            Some(delay_ms) => WorkflowTaskState::Delayed { due_ms: first.event_time_ms.saturating_add(delay_ms) },
            None => WorkflowTaskState::Idle,
        },
        workflow_task_timeout_ms: started.workflow_task_timeout_ms,
        times_out_ms: times_out_ms(first.event_time_ms, started),
        signal_count: 0,
        cancel_requested: false,
        accepted_started_event_id: 0,
        completion_id: None,
        buffered: (0, 0),
        activity_queues: Vec::new(),
        open_activities: 0,
        open_timers: 0,
        superseded: None,
    })
}

/// When the run times out: its own limit begins with its first workflow task, its workflow's with the first run.
fn times_out_ms(start_time_ms: u64, started: &WorkflowExecutionStarted) -> Option<u64> {
    let begins_ms = start_time_ms.saturating_add(started.first_workflow_task_backoff_ms.unwrap_or(0));
    let of_run = started.workflow_run_timeout_ms.map(|timeout| begins_ms.saturating_add(timeout));
    let of_workflow = started.workflow_execution_expiration_time_ms;
    of_run.into_iter().chain(of_workflow).min()
}

pub(super) fn apply<R: Rows>(applying: &mut Applying<'_, R>, event: &HistoryEvent) -> Result<(), ApplyError> {
    let json = serde_json::to_string(event)
        .map_err(|e| RowsError::Corrupt { key: format!("event {}", event.event_id), problem: e.to_string() })?;
    applying.writer.event(event, &json)?;
    applying.run.next_event_id = event.event_id + 1;
    applying.run.history_bytes += json.len() as u64;
    applying.run.time_ms = applying.run.time_ms.max(event.event_time_ms);
    if matches!(event.attributes, EventAttributes::WorkflowExecutionSignaled(_)) {
        applying.run.signal_count += 1;
    }
    change_state(applying, event)
}

/// What an event means for the rows beside the history. A buffered event is applied when it is buffered, and again when
/// it becomes part of the history: the second time finds nothing left to do.
pub(super) fn change_state<R: Rows>(applying: &mut Applying<'_, R>, event: &HistoryEvent) -> Result<(), ApplyError> {
    match &event.attributes {
        EventAttributes::WorkflowExecutionStarted(started) => {
            if let Some(request_id) = &started.request_id {
                applying.writer.remember_request(request_id, true)?;
            }
            Ok(())
        }
        EventAttributes::WorkflowExecutionCompleted(_) => close::close(applying, WorkflowStatus::Completed, event),
        EventAttributes::WorkflowExecutionFailed(_) => close::close(applying, WorkflowStatus::Failed, event),
        EventAttributes::WorkflowExecutionCanceled(_) => close::close(applying, WorkflowStatus::Canceled, event),
        EventAttributes::WorkflowExecutionTerminated(terminated) => {
            if let Some(request_id) = &terminated.request_id {
                applying.writer.accept_request(request_id);
            }
            close::close(applying, WorkflowStatus::Terminated, event)
        }
        EventAttributes::WorkflowExecutionTimedOut(_) => close::close(applying, WorkflowStatus::TimedOut, event),
        EventAttributes::WorkflowExecutionSignaled(signaled) => {
            if let Some(request_id) = &signaled.request_id {
                applying.writer.accept_request(request_id);
            }
            Ok(())
        }
        EventAttributes::WorkflowExecutionCancelRequested(requested) => {
            if let Some(request_id) = &requested.request_id {
                applying.writer.accept_request(request_id);
            }
            applying.run.cancel_requested = true;
            Ok(())
        }
        EventAttributes::WorkflowTaskScheduled(_) => Ok(()),
        EventAttributes::WorkflowTaskStarted(started) => {
            workflow_task::started(applying, started.scheduled_event_id, event.event_time_ms);
            Ok(())
        }
        EventAttributes::WorkflowTaskCompleted(completed) => {
            workflow_task::completed(applying, completed);
            Ok(())
        }
        EventAttributes::WorkflowTaskFailed(_) | EventAttributes::WorkflowTaskTimedOut(_) => Ok(()),
        EventAttributes::ActivityTaskScheduled(scheduled) => activity::scheduled(applying, event, scheduled),
        EventAttributes::ActivityTaskStarted(_) => Ok(()),
        EventAttributes::ActivityTaskCompleted(closed) => activity::closed(applying, closed.scheduled_event_id),
        EventAttributes::ActivityTaskFailed(closed) => activity::closed(applying, closed.scheduled_event_id),
        EventAttributes::ActivityTaskTimedOut(closed) => activity::closed(applying, closed.scheduled_event_id),
        EventAttributes::ActivityTaskCanceled(closed) => activity::closed(applying, closed.scheduled_event_id),
        EventAttributes::ActivityTaskCancelRequested(requested) => {
            activity::cancel_requested(applying, event.event_id, requested)
        }
        EventAttributes::TimerStarted(timer) => {
            let due_ms = event.event_time_ms.saturating_add(timer.start_to_fire_timeout_ms);
            let row = TimerRow { timer_id: timer.timer_id.clone(), due_ms };
            applying.writer.timer(event.event_id, None, Some(&row))?;
            applying.run.open_timers += 1;
            Ok(())
        }
        EventAttributes::TimerFired(timer) => end_timer(applying, timer.started_event_id),
        EventAttributes::TimerCanceled(timer) => end_timer(applying, timer.started_event_id),
    }
}

fn end_timer<R: Rows>(applying: &mut Applying<'_, R>, started_event_id: u64) -> Result<(), ApplyError> {
    let writer = &mut applying.writer;
    if let Some(row) = writer.state().timer(&writer.workflow_id, &writer.run_id, started_event_id)? {
        writer.timer(started_event_id, Some(&row), None)?;
        applying.run.open_timers -= 1;
    }
    Ok(())
}
