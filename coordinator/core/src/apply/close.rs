//! The end of a run: its open timers and activities go, but for those that outlive it.

use tidewright_schemas::HistoryEvent;
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::limits::{PENDING_ACTIVITIES_MAX, PENDING_TIMERS_MAX};

use super::{ApplyError, Applying};
use crate::rows::{Rows, RowsError};
use crate::state::write::RunWriter;
use crate::state::{ActivityRow, RunRow, SupersededRecord, WorkflowTaskState};

pub(super) fn close<R: Rows>(
    applying: &mut Applying<'_, R>,
    status: WorkflowStatus,
    event: &HistoryEvent,
) -> Result<(), ApplyError> {
    applying.run.status = status;
    applying.run.close_time_ms = Some(event.event_time_ms);
    applying.run.workflow_task = WorkflowTaskState::Idle;
    let removed = remove_open(&mut applying.writer, &applying.run, |row| !row.detached)?;
    applying.run.open_activities -= removed.activities;
    applying.run.open_timers -= removed.timers;
    applying.applied.superseded.extend(removed.superseded);
    applying.run.buffered = (0, 0);
    Ok(())
}

/// What was open and is not any more.
pub(super) struct Removed {
    activities: u32,
    timers: u32,
    superseded: Vec<SupersededRecord>,
}

/// Removes the rows of what a run waits for: of activities, those that are chosen.
pub(super) fn remove_open<R: Rows>(
    writer: &mut RunWriter<'_, R>,
    run: &RunRow,
    chosen: impl Fn(&ActivityRow) -> bool,
) -> Result<Removed, RowsError> {
    let mut removed = Removed { activities: 0, timers: 0, superseded: Vec::new() };
    let (workflow_id, run_id) = (writer.workflow_id.clone(), writer.run_id.clone());
    let activities = writer.state().activities(&workflow_id, &run_id, PENDING_ACTIVITIES_MAX as usize)?;
    for (event_id, row) in activities.into_iter().filter(|(_, row)| chosen(row)) {
        writer.activity(event_id, Some(&row), None)?;
        removed.activities += 1;
        removed.superseded.extend(row.superseded.into_iter().chain(row.superseded_heartbeat));
    }
    let timers = writer.state().timers(&workflow_id, &run_id, PENDING_TIMERS_MAX as usize)?;
    for (event_id, row) in timers {
        writer.timer(event_id, Some(&row), None)?;
        removed.timers += 1;
    }
    for number in run.buffered.0..run.buffered.1 {
        writer.buffered(number, None)?;
    }
    Ok(removed)
}
