//! `WorkerLost`: a worker is gone (R28). What it ran for this workflow id is tried elsewhere, at once.
//!
//! | attempt that the worker said to run | begun by then | begun later |
//! |---|---|---|
//! | an attempt is left, not the third worker in a row | the next one is sent at once | ignored: it came back |
//! | the third worker in a row | the next one follows the policy: the activity may be what takes them down | ignored |
//! | no attempt is left | closes | ignored |

use tidewright_schemas::{RunId, WorkerLost, WorkflowId};

use super::activity::OpenActivity;
use super::activity_retry::{AttemptFailure, fail_attempt_in};
use super::draft::Draft;
use super::{Decision, fit};
use crate::state::{ActivityState, State};
use crate::{Context, Decided, Rows};

/// How many attempts one command takes from a worker at most; the index has the rest, and another command follows (R7).
const ATTEMPTS_MAX: usize = 100;
/// How many bytes of a record they may come to; the first one may exceed it.
const BYTES_MAX: usize = 1024 * 1024;

pub(super) fn lost<R: Rows>(
    state: &State<'_, R>,
    workflow_id: &WorkflowId,
    command: &WorkerLost,
    context: &Context,
) -> Decision {
    let mut taken: Option<(RunId, Draft)> = None;
    let mut bytes = 0;
    for (run_id, event_id) in state.started_by(&command.incarnation, workflow_id, ATTEMPTS_MAX)? {
        // A record is of one run (R1).
        if taken.as_ref().is_some_and(|(run, _)| *run != run_id) {
            break;
        }
        let Some(activity) = OpenActivity::find(state, workflow_id, &run_id, event_id)? else { continue };
        if !matches!(activity.row.state, ActivityState::Started { time_ms, .. } if time_ms <= command.as_of_ms) {
            continue;
        }
        bytes += fit::json_bytes(&activity.row.last_failure);
        if taken.is_some() && bytes > BYTES_MAX {
            break;
        }
        let (_, draft) = taken.get_or_insert_with(|| (run_id, activity.draft(context)));
        fail_attempt_in(draft, &activity, AttemptFailure::WorkerLost, None);
    }
    Ok(taken.map_or(Decided::Nothing, |(_, draft)| draft.finish().into()))
}
