//! The end of a run: its open timers and activities go, but for those that outlive it.

use tidewright_schemas::HistoryEvent;
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::limits::{PENDING_ACTIVITIES_MAX, PENDING_TIMERS_MAX};

use super::{ApplyError, Applying};
use crate::rows::Rows;
use crate::state::WorkflowTaskState;

pub(super) fn close<R: Rows>(
    applying: &mut Applying<'_, R>,
    status: WorkflowStatus,
    event: &HistoryEvent,
) -> Result<(), ApplyError> {
    applying.run.status = status;
    applying.run.close_time_ms = Some(event.event_time_ms);
    applying.run.workflow_task = WorkflowTaskState::Idle;
    let (workflow_id, run_id) = (applying.writer.workflow_id.clone(), applying.writer.run_id.clone());
    let activities = applying.writer.state().activities(&workflow_id, &run_id, PENDING_ACTIVITIES_MAX as usize)?;
    for (event_id, row) in activities.into_iter().filter(|(_, row)| !row.detached) {
        applying.writer.activity(event_id, Some(&row), None)?;
        applying.run.open_activities -= 1;
        applying.applied.superseded.extend(row.superseded.into_iter().chain(row.superseded_heartbeat));
    }
    let timers = applying.writer.state().timers(&workflow_id, &run_id, PENDING_TIMERS_MAX as usize)?;
    for (event_id, row) in timers {
        applying.writer.timer(event_id, Some(&row), None)?;
        applying.run.open_timers -= 1;
    }
    for number in applying.run.buffered.0..applying.run.buffered.1 {
        applying.writer.buffered(number, None)?;
    }
    applying.run.buffered = (0, 0);
    Ok(())
}
