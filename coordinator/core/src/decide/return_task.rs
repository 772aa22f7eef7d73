//! `ReturnTask`: a worker hands back a task that it has not begun, since it has no room or leaves.
//!
//! | this attempt | by whoever holds its grant | by anybody else |
//! |---|---|---|
//! | `Dispatched` | – | sent again under the next number, to any partition |
//! | `Started` | the same: it was granted and did not begin | ignored |
//! | anything else | ignored | ignored |

use tidewright_schemas::{ActivityDispatched, ReturnTask};

use super::activity::OpenActivity;
use super::{Decision, fit};
use crate::state::{ActivityState, State};
use crate::{Context, Decided, Rows, TaskToken};

pub(super) fn return_task<R: Rows>(
    state: &State<'_, R>,
    token: &TaskToken,
    command: &ReturnTask,
    context: &Context,
) -> Decision {
    let found = OpenActivity::of_token(state, token)?.filter(|found| found.row.attempt == token.task.attempt);
    let Some(activity) = found else { return Ok(Decided::Nothing) };
    let has_not_begun = match &activity.row.state {
        ActivityState::Dispatched => true,
        ActivityState::Started { worker, .. } => worker.is_same_process(&command.worker),
        ActivityState::BackingOff { .. } => false,
    };
    if !has_not_begun {
        return Ok(Decided::Nothing);
    }
    // Nobody has begun it, so a request to cancel is fulfilled.
    if let Some(canceled) = activity.canceled(None, &fit::worker(&command.worker)) {
        return Ok(activity.close(context, None, canceled));
    }
    let mut draft = activity.draft(context);
    draft.row(ActivityDispatched {
        scheduled_event_id: activity.scheduled_event_id,
        attempt: activity.row.attempt.saturating_add(1),
        // It has waited since then: a timeout of the wait for a worker goes on.
        time_ms: activity.row.dispatched_time_ms,
        last_failure: activity.row.last_failure.clone(),
        last_worker: fit::worker(&command.worker),
        heartbeat_details: activity.row.heartbeat_details.clone(),
        unstarted: activity.row.unstarted.saturating_add(1),
        lost_workers: activity.row.lost_workers,
        anywhere: true,
    });
    Ok(draft.finish().into())
}
