//! Heartbeats of activities, and what whoever speaks for an attempt is told in return (R30).
//!
//! | state | heartbeat | if its workflow has asked it to end |
//! |---|---|---|
//! | `Dispatched`, this attempt | `Started`, recorded: it is a started notice, too | recorded, and the workers are told again |
//! | `Started`, this attempt | recorded: the timeout begins anew | recorded, and the workers are told again |
//! | another attempt, or `BackingOff` | ignored | the workers are told again |
//! | closed | the workers are told | – |

use tidewright_schemas::limits::PAYLOAD_BYTES_MAX;
use tidewright_schemas::{
    ActivityCancelRequested, ActivityClosed, ActivityHeartbeatRecorded, EventAttributes, Failure, Payload,
    RecordActivityHeartbeat, TaskKind, WorkersTold,
};

use super::activity::OpenActivity;
use super::activity_retry::{AttemptFailure, fail_attempt};
use super::{Decision, fit};
use crate::state::{ActivityState, State};
use crate::{Context, Decided, Rows, TaskToken};

pub(super) fn record<R: Rows>(
    state: &State<'_, R>,
    token: &TaskToken,
    command: &RecordActivityHeartbeat,
    context: &Context,
) -> Decision {
    let Some(activity) = OpenActivity::of_token(state, token)? else { return nobody_waits(state, token) };
    if !activity.waits_for(token) {
        return Ok(activity.remind());
    }
    let worker = fit::worker(&command.worker);
    if let Some(failure) = activity.too_large("heartbeat details", command.details.as_ref()) {
        return Ok(fail_attempt(&activity, failure, Some(&worker), context));
    }
    let mut draft = activity.draft(context);
    if activity.row.state == ActivityState::Dispatched {
        let started = activity.started(worker, draft.now_ms);
        draft.row(started);
    }
    draft.row(ActivityHeartbeatRecorded {
        scheduled_event_id: activity.scheduled_event_id,
        attempt: activity.row.attempt,
        time_ms: draft.now_ms,
        details: command.details.clone(),
    });
    activity.cancel_request().into_iter().for_each(|told| draft.row(told));
    Ok(draft.finish().into())
}

impl OpenActivity {
    /// What its workers are told if its workflow has asked it to end.
    pub(super) fn cancel_request(&self) -> Option<WorkersTold> {
        self.row.cancel_requested_event_id?;
        let (workflow_id, run_id) = (self.workflow_id.clone(), self.run_id.clone());
        let message = ActivityCancelRequested { workflow_id, run_id, scheduled_event_id: self.scheduled_event_id };
        Some(WorkersTold { task_queues: vec![self.row.task_queue.clone()], message: message.into() })
    }

    /// Details that cannot be kept are a failure of the attempt that gives them.
    pub(super) fn too_large(&self, what: &str, details: Option<&Payload>) -> Option<AttemptFailure> {
        let size = details.map_or(0, Payload::size);
        (size > PAYLOAD_BYTES_MAX).then(|| {
            let message = format!(
                "the {what} of activity `{}` have {size} bytes; at most {PAYLOAD_BYTES_MAX} are allowed",
                self.row.activity_type
            );
            AttemptFailure::Failed(Failure::server("TW0210", message, true))
        })
    }

    /// Somebody spoke for an attempt, and nothing follows from it but that a request to cancel is repeated.
    pub(super) fn remind(&self) -> Decided {
        self.cancel_request().map_or(Decided::Nothing, Decided::Tell)
    }
}

/// Somebody spoke for an attempt of an activity that is closed: its workers are told that nobody waits for it. No record
/// is left, so that a worker that does not hear it leaves nothing behind either.
pub(super) fn nobody_waits<R: Rows>(state: &State<'_, R>, token: &TaskToken) -> Decision {
    let (workflow_id, task) = (&token.workflow_id, &token.task);
    let is_open = state.activity(workflow_id, &task.run_id, task.scheduled_event_id)?.is_some();
    if is_open || task.kind != TaskKind::Activity {
        return Ok(Decided::Nothing);
    }
    let scheduled = state.event(workflow_id, &task.run_id, task.scheduled_event_id)?;
    let Some(EventAttributes::ActivityTaskScheduled(scheduled)) = scheduled.map(|event| event.attributes) else {
        return Ok(Decided::Nothing);
    };
    let (workflow_id, run_id) = (workflow_id.clone(), task.run_id.clone());
    let message = ActivityClosed { workflow_id, run_id, scheduled_event_id: task.scheduled_event_id };
    Ok(Decided::Tell(WorkersTold { task_queues: vec![scheduled.task_queue], message: message.into() }))
}
