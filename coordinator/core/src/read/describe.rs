//! A run as it stands: what it waits for, page by page.

use tidewright_schemas::api::{
    PendingActivity, PendingActivityState, PendingTimer, PendingWorkflowTask, WorkflowDescription,
};
use tidewright_schemas::{EventAttributes, EventId, RunId, WorkflowExecutionStarted, WorkflowId};

use super::summary;
use crate::rows::{Rows, RowsError};
use crate::state::{ActivityRow, ActivityState, RunRow, State, TimerRow, WorkflowTaskState};

/// How many bytes of failures a page of pending activities holds at most; one failure may exceed it.
const FAILURE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Which of a run's pending activities and timers a description names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingPage {
    /// Those of events before this one are left out.
    pub from_event_id: EventId,
    /// At most so many activities and so many timers.
    pub limit: usize,
}

impl PendingPage {
    /// How many activities and timers are named when nothing is said.
    pub const LIMIT_DEFAULT: usize = 100;
    /// How many may be asked for.
    pub const LIMIT_MAX: usize = 1_000;
}

impl Default for PendingPage {
    fn default() -> Self {
        Self { from_event_id: 1, limit: Self::LIMIT_DEFAULT }
    }
}

/// A run as it stands, with the first page of what it waits for.
pub fn describe<R: Rows>(rows: &R, id: &WorkflowId, run_id: &RunId) -> Result<Option<WorkflowDescription>, RowsError> {
    describe_page(rows, id, run_id, PendingPage::default())
}

/// A run as it stands, with one page of what it waits for.
pub fn describe_page<R: Rows>(
    rows: &R,
    id: &WorkflowId,
    run_id: &RunId,
    page: PendingPage,
) -> Result<Option<WorkflowDescription>, RowsError> {
    let state = State(rows);
    let Some(run) = state.run(id, run_id)? else { return Ok(None) };
    let pending = Pending::read(&state, id, run_id, page)?;
    let started = started(&state, id, run_id)?;
    Ok(Some(WorkflowDescription {
        identity: started.identity,
        request_id: started.request_id,
        workflow_execution_timeout_ms: started.workflow_execution_timeout_ms,
        workflow_run_timeout_ms: started.workflow_run_timeout_ms,
        history_size_bytes: run.history_bytes,
        history_digest: run.history_digest.clone(),
        pending_workflow_task: pending_workflow_task(&run),
        pending_activities: pending.activities,
        pending_activity_count: run.open_activities,
        pending_timers: pending.timers,
        pending_timer_count: run.open_timers,
        pending_next_event_id: pending.next_event_id,
        buffered_events: run.buffered_count(),
        signal_count: run.signal_count,
        cancel_requested: run.cancel_requested,
        delayed_until_ms: match run.workflow_task {
            WorkflowTaskState::Delayed { due_ms } => Some(due_ms),
            _ => None,
        },
        times_out_ms: run.times_out_ms,
        memo: started.memo,
        summary: summary(id, run_id, run),
    }))
}

/// How the run began.
fn started<R: Rows>(
    state: &State<'_, R>,
    id: &WorkflowId,
    run_id: &RunId,
) -> Result<WorkflowExecutionStarted, RowsError> {
    match state.event(id, run_id, 1)?.map(|event| event.attributes) {
        Some(EventAttributes::WorkflowExecutionStarted(started)) => Ok(started),
        other => Err(RowsError::Corrupt {
            key: format!("event 1 of run {run_id} of `{id}`"),
            problem: format!("a run begins with its start, not with {}", other.map_or("nothing", |a| a.event_type())),
        }),
    }
}

/// One page of what a run waits for.
struct Pending {
    activities: Vec<PendingActivity>,
    timers: Vec<PendingTimer>,
    next_event_id: Option<EventId>,
}

impl Pending {
    /// Activities and timers share one cursor: a page ends before the first of either kind that does not fit, so that
    /// no page repeats what another has told.
    fn read<R: Rows>(
        state: &State<'_, R>,
        id: &WorkflowId,
        run_id: &RunId,
        page: PendingPage,
    ) -> Result<Self, RowsError> {
        let limit = page.limit.max(1);
        let activities = state.activities_from(id, run_id, page.from_event_id, limit.saturating_add(1))?;
        let timers = state.timers_from(id, run_id, page.from_event_id, limit.saturating_add(1))?;
        let first_that_does_not_fit = [end_of_activities(&activities, limit), timers.get(limit).map(|(id, _)| *id)];
        let next_event_id = first_that_does_not_fit.into_iter().flatten().min();
        let fits = |event_id: &EventId| next_event_id.is_none_or(|next| *event_id < next);
        Ok(Self {
            activities: activities
                .into_iter()
                .filter(|(event_id, _)| fits(event_id))
                .map(|(event_id, row)| pending_activity(event_id, row))
                .collect(),
            timers: timers
                .into_iter()
                .filter(|(event_id, _)| fits(event_id))
                .map(|(event_id, row)| pending_timer(event_id, row))
                .collect(),
            next_event_id,
        })
    }
}

/// The first activity that is too many, by count or by the size of the failures; never the first one.
fn end_of_activities(activities: &[(EventId, ActivityRow)], limit: usize) -> Option<EventId> {
    let mut bytes = 0;
    for (at, (event_id, row)) in activities.iter().enumerate() {
        // Failures of our own always serialise: their maps have text keys.
        bytes += row.last_failure.as_ref().map_or(0, |failure| serde_json::to_vec(failure).unwrap_or_default().len());
        if at == limit || (at > 0 && bytes > FAILURE_BYTES_MAX) {
            return Some(*event_id);
        }
    }
    None
}

fn pending_workflow_task(run: &RunRow) -> Option<PendingWorkflowTask> {
    match &run.workflow_task {
        WorkflowTaskState::Idle | WorkflowTaskState::Delayed { .. } => None,
        WorkflowTaskState::Out { attempt, scheduled_event_id, time_ms, last_failure, .. } => {
            Some(PendingWorkflowTask {
                scheduled_event_id: Some(*scheduled_event_id),
                attempt: *attempt,
                backing_off: false,
                time_ms: *time_ms,
                last_failure: last_failure.clone(),
            })
        }
        WorkflowTaskState::BackingOff { attempt, due_ms, failure } => Some(PendingWorkflowTask {
            scheduled_event_id: None,
            attempt: *attempt,
            backing_off: true,
            time_ms: *due_ms,
            last_failure: Some(failure.clone()),
        }),
    }
}

fn pending_activity(scheduled_event_id: EventId, row: ActivityRow) -> PendingActivity {
    let (state, started_time_ms, next_attempt_ms) = match &row.state {
        ActivityState::Dispatched => (PendingActivityState::Scheduled, None, None),
        ActivityState::Started { time_ms, .. } => (PendingActivityState::Started, Some(*time_ms), None),
        ActivityState::BackingOff { due_ms } => (PendingActivityState::BackingOff, None, Some(*due_ms)),
    };
    let attempt = row.tries(row.attempt);
    PendingActivity {
        scheduled_event_id,
        activity_id: row.activity_id,
        activity_type: row.activity_type,
        task_queue: row.task_queue,
        detached: row.detached,
        state,
        attempt,
        maximum_attempts: row.retry_policy.maximum_attempts,
        scheduled_time_ms: row.scheduled_time_ms,
        attempt_scheduled_time_ms: next_attempt_ms.is_none().then_some(row.dispatched_time_ms),
        started_time_ms,
        schedule_to_start_timeout_ms: row.schedule_to_start_timeout_ms,
        start_to_close_timeout_ms: row.start_to_close_timeout_ms,
        schedule_to_close_timeout_ms: row.schedule_to_close_timeout_ms,
        heartbeat_timeout_ms: row.heartbeat_timeout_ms,
        last_heartbeat_time_ms: row.last_heartbeat_ms,
        heartbeat_details: row.heartbeat_details,
        cancel_requested: row.cancel_requested_event_id.is_some(),
        next_attempt_ms,
        last_failure: row.last_failure,
        last_worker: row.last_worker.map(|worker| worker.identity),
    }
}

fn pending_timer(started_event_id: EventId, row: TimerRow) -> PendingTimer {
    PendingTimer { timer_id: row.timer_id, started_event_id, due_ms: row.due_ms }
}
