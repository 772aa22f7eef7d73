//! What workers say of activities. Heartbeats and cancellation have tables of their own: `heartbeat.rs`,
//! `activity_cancel.rs`.
//!
//! | state | started notice | completion | failure | schedule-to-start timeout | start-to-close or heartbeat timeout | schedule-to-close timeout | `TaskLost` | `WorkerLost` |
//! |---|---|---|---|---|---|---|---|---|
//! | `Dispatched` | `Started` | closes | retry or closes | closes | ignored | closes | sent again | ignored |
//! | `Started` | ignored | closes | retry or closes | ignored | retry or closes | closes | ignored | retry at once, or closes |
//! | `BackingOff` | ignored | closes (R29) | ignored | ignored | ignored | closes | ignored | ignored |
//! | closed | ignored | ignored | ignored | ignored | ignored | ignored | ignored | ignored |
//!
//! What is ignored is answered all the same where a worker has to hear something: that nobody waits for the activity, or
//! that its workflow has asked it to end.

use tidewright_schemas::limits::PAYLOAD_BYTES_MAX;
use tidewright_schemas::{
    ActivityStarted, ActivityTaskCompleted, ActivityTaskStarted, CompleteActivity, DetachedActivityClosed,
    EventAttributes, EventId, FailActivity, Failure, FailureInfo, Payload, RecordActivityStarted, RunId, TaskKind,
    WorkerIdentity, WorkflowId,
};

use super::activity_retry::{AttemptFailure, fail_attempt};
use super::draft::Draft;
use super::heartbeat::nobody_waits;
use super::{Decision, fit};
use crate::state::{ActivityRow, ActivityState, RunRow, State};
use crate::{Context, Decided, Rows, RowsError, TaskToken};

/// An activity that has not closed, with its run.
pub(super) struct OpenActivity {
    pub(super) workflow_id: WorkflowId,
    pub(super) run_id: RunId,
    pub(super) run: RunRow,
    pub(super) scheduled_event_id: EventId,
    pub(super) row: ActivityRow,
}

impl OpenActivity {
    pub(super) fn find<R: Rows>(
        state: &State<'_, R>,
        workflow_id: &WorkflowId,
        run_id: &RunId,
        scheduled_event_id: EventId,
    ) -> Result<Option<Self>, RowsError> {
        let Some(row) = state.activity(workflow_id, run_id, scheduled_event_id)? else { return Ok(None) };
        let Some(run) = state.run(workflow_id, run_id)? else { return Ok(None) };
        let (workflow_id, run_id) = (workflow_id.clone(), run_id.clone());
        Ok(Some(Self { workflow_id, run_id, run, scheduled_event_id, row }))
    }

    /// The activity of a token: of any attempt, as long as it was scheduled with what the token says (R23).
    pub(super) fn of_token<R: Rows>(state: &State<'_, R>, token: &TaskToken) -> Result<Option<Self>, RowsError> {
        if token.task.kind != TaskKind::Activity {
            return Ok(None);
        }
        let found = Self::find(state, &token.workflow_id, &token.task.run_id, token.task.scheduled_event_id)?;
        Ok(found.filter(|found| found.row.digest == token.digest && token.task.attempt <= found.row.attempt))
    }

    /// Whether the token's attempt is the one that history waits for.
    pub(super) fn waits_for(&self, token: &TaskToken) -> bool {
        self.row.attempt == token.task.attempt && !matches!(self.row.state, ActivityState::BackingOff { .. })
    }

    pub(super) fn draft(&self, context: &Context) -> Draft {
        Draft::of(&self.workflow_id, &self.run_id, &self.run, context)
    }

    fn started_event(&self, attempt: u32, worker: &WorkerIdentity) -> EventAttributes {
        ActivityTaskStarted {
            scheduled_event_id: self.scheduled_event_id,
            attempt: self.row.tries(attempt),
            worker: worker.clone(),
            last_failure: self.row.last_failure.clone(),
        }
        .into()
    }

    /// The fact that somebody runs the current attempt.
    pub(super) fn started(&self, worker: WorkerIdentity, time_ms: u64) -> ActivityStarted {
        let scheduled_event_id = self.scheduled_event_id;
        ActivityStarted { scheduled_event_id, attempt: self.row.attempt, worker, time_ms }
    }

    /// Closes the activity with a started event, if it started, and an outcome. One that outlives its run leaves a row.
    pub(super) fn close(
        &self,
        context: &Context,
        started: Option<(u32, &WorkerIdentity)>,
        outcome: EventAttributes,
    ) -> Decided {
        let mut draft = self.draft(context);
        self.close_in(&mut draft, started, outcome);
        draft.finish().into()
    }

    pub(super) fn close_in(
        &self,
        draft: &mut Draft,
        started: Option<(u32, &WorkerIdentity)>,
        outcome: EventAttributes,
    ) {
        if self.run.is_open() {
            let mut group: Vec<_> =
                started.map(|(attempt, worker)| self.started_event(attempt, worker)).into_iter().collect();
            group.push(outcome);
            draft.happened(group, !self.row.detached);
        } else {
            let failure = match outcome {
                EventAttributes::ActivityTaskFailed(event) => Some(event.failure),
                EventAttributes::ActivityTaskTimedOut(event) => Some(event.failure),
                _ => None,
            };
            let (attempt, worker) =
                started.map_or((self.row.attempt, WorkerIdentity::default()), |(a, w)| (a, w.clone()));
            draft.row(DetachedActivityClosed { scheduled_event_id: self.scheduled_event_id, attempt, failure, worker });
        }
    }
}

pub(super) fn record_started<R: Rows>(
    state: &State<'_, R>,
    token: &TaskToken,
    command: &RecordActivityStarted,
    context: &Context,
) -> Decision {
    let Some(activity) = OpenActivity::of_token(state, token)? else { return nobody_waits(state, token) };
    if activity.row.state != ActivityState::Dispatched || !activity.waits_for(token) {
        return Ok(activity.remind());
    }
    let mut draft = activity.draft(context);
    let started = activity.started(fit::worker(&command.worker), draft.now_ms);
    draft.row(started);
    activity.cancel_request().into_iter().for_each(|told| draft.row(told));
    Ok(draft.finish().into())
}

pub(super) fn complete<R: Rows>(
    state: &State<'_, R>,
    token: &TaskToken,
    command: &CompleteActivity,
    context: &Context,
) -> Decision {
    let Some(activity) = OpenActivity::of_token(state, token)? else { return Ok(Decided::Nothing) };
    let worker = fit::worker(&command.worker);
    let size = command.result.as_ref().map_or(0, Payload::size);
    if size > PAYLOAD_BYTES_MAX {
        if !activity.waits_for(token) {
            return Ok(Decided::Nothing);
        }
        let message = format!(
            "the result of activity `{}` has {size} bytes; at most {PAYLOAD_BYTES_MAX} are allowed",
            activity.row.activity_type
        );
        let failure = Failure::server("TW0205", message, true);
        return Ok(fail_attempt(&activity, AttemptFailure::Failed(failure), Some(&worker), context));
    }
    let outcome = ActivityTaskCompleted {
        scheduled_event_id: activity.scheduled_event_id,
        started_event_id: 0,
        result: command.result.clone(),
        worker: worker.clone(),
    };
    Ok(activity.close(context, Some((token.task.attempt, &worker)), outcome.into()))
}

pub(super) fn fail<R: Rows>(
    state: &State<'_, R>,
    token: &TaskToken,
    command: &FailActivity,
    context: &Context,
) -> Decision {
    let Some(activity) = OpenActivity::of_token(state, token)? else { return Ok(Decided::Nothing) };
    if !activity.waits_for(token) {
        return Ok(Decided::Nothing);
    }
    let failure = fit::failure(&command.failure);
    let failure = match (command.cause, &failure.info) {
        (Some(cause), _) => AttemptFailure::WorkerFailed(cause, failure),
        // The worker's clock was first: it is the timeout that the engine would have told of a moment later.
        (None, FailureInfo::Timeout(timeout)) if timeout.is_of_an_attempt() => {
            AttemptFailure::TimedOut(timeout.timeout_type)
        }
        (None, _) => AttemptFailure::Failed(failure),
    };
    Ok(fail_attempt(&activity, failure, Some(&fit::worker(&command.worker)), context))
}
