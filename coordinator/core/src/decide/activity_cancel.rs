//! Cancelling activities: what a workflow's request does, and what a worker says (R30).
//!
//! | state | the workflow asks | a worker says that it was cancelled |
//! |---|---|---|
//! | `Dispatched`, at least once | asked; its workers are told, since one may run it | closes |
//! | `Dispatched`, at most once | closes: nobody was granted the attempt, so nobody runs it | closes |
//! | `Started` | asked; its workers are told | closes |
//! | `BackingOff` | closes | ignored |
//! | closed, its end still buffered | recorded, so that a replay finds what the code decided | ignored |
//! | closed | a bad decision | ignored |
//!
//! One that was asked gets no further attempt. A worker that was not asked to cancel has failed, for good.

use std::collections::BTreeMap;

use tidewright_schemas::{
    ActivityTaskCancelRequested, ActivityTaskCanceled, CancelActivity, CanceledFailure, Decision as WorkflowDecision,
    EventAttributes, EventId, Failure, FailureInfo, Payload, RunId, WorkerIdentity, WorkersTold, WorkflowId,
};

use super::activity::OpenActivity;
use super::activity_retry::{AttemptFailure, fail_attempt};
use super::draft::Draft;
use super::{Decision, fit};
use crate::state::{ActivityState, RunRow, State};
use crate::{Context, Decided, Rows, RowsError, TaskToken};

/// A worker says that an attempt was cancelled.
pub(super) fn canceled<R: Rows>(
    state: &State<'_, R>,
    token: &TaskToken,
    command: &CancelActivity,
    context: &Context,
) -> Decision {
    let Some(activity) = OpenActivity::of_token(state, token)? else { return Ok(Decided::Nothing) };
    let worker = fit::worker(&command.worker);
    let details = command.details.clone();
    if let Some(failure) = activity.too_large("cancellation details", details.as_ref()) {
        let failed = || fail_attempt(&activity, failure, Some(&worker), context);
        return Ok(if activity.waits_for(token) { failed() } else { Decided::Nothing });
    }
    match activity.canceled(details.clone(), &worker) {
        Some(outcome) => Ok(activity.close(context, Some((token.task.attempt, &worker)), outcome)),
        None if activity.waits_for(token) => {
            let info = FailureInfo::Canceled(CanceledFailure { details, ..CanceledFailure::default() });
            let failure = Failure::of("the activity ended as cancelled, but nobody has asked it to", info);
            Ok(fail_attempt(&activity, AttemptFailure::Failed(failure), Some(&worker), context))
        }
        None => Ok(Decided::Nothing),
    }
}

impl OpenActivity {
    /// Its end as cancelled, if its workflow has asked for it.
    pub(super) fn canceled(&self, details: Option<Payload>, worker: &WorkerIdentity) -> Option<EventAttributes> {
        let latest_cancel_requested_event_id = self.row.cancel_requested_event_id?;
        let canceled = ActivityTaskCanceled {
            details,
            latest_cancel_requested_event_id,
            scheduled_event_id: self.scheduled_event_id,
            started_event_id: 0,
            worker: worker.clone(),
        };
        Some(canceled.into())
    }

    /// Whether nobody can be running it.
    fn surely_rests(&self) -> bool {
        match self.row.state {
            ActivityState::BackingOff { .. } => true,
            ActivityState::Dispatched => self.row.is_at_most_once(),
            ActivityState::Started { .. } => false,
        }
    }
}

/// What a request to cancel an activity does.
#[derive(Debug, Clone)]
enum Cancel {
    /// Nobody runs it.
    AtOnce,
    /// Its workers are told.
    Ask { task_queue: String },
    /// It has ended, and the workflow does not know yet.
    Void,
}

/// Activities that decisions may ask to end, by the ids of their `ActivityTaskScheduled`.
#[derive(Debug, Clone, Default)]
pub(super) struct Cancels {
    cancels: BTreeMap<EventId, Cancel>,
}

impl Cancels {
    pub(super) fn read<R: Rows>(
        state: &State<'_, R>,
        (workflow_id, run_id, run): (&WorkflowId, &RunId, &RunRow),
        decisions: &[WorkflowDecision],
    ) -> Result<Self, RowsError> {
        let mut found = Self::default();
        let mut ended = None;
        for decision in decisions {
            let WorkflowDecision::RequestCancelActivity(cancel) = decision else { continue };
            let id = cancel.scheduled_event_id;
            let cancel = match OpenActivity::find(state, workflow_id, run_id, id)? {
                Some(open) if open.row.detached || open.row.cancel_requested_event_id.is_some() => continue,
                Some(open) if open.surely_rests() => Cancel::AtOnce,
                Some(open) => Cancel::Ask { task_queue: open.row.task_queue },
                None => {
                    let ended = match &mut ended {
                        Some(ended) => ended,
                        none => none.insert(buffered_ends(state, workflow_id, run_id, run)?),
                    };
                    if !ended.contains(&id) {
                        continue;
                    }
                    Cancel::Void
                }
            };
            found.cancels.insert(id, cancel);
        }
        Ok(found)
    }

    /// Takes one out, for the check; an error if it cannot be cancelled.
    pub(super) fn take(&mut self, scheduled_event_id: EventId) -> Result<(), String> {
        self.cancels.remove(&scheduled_event_id).map(drop).ok_or_else(|| {
            format!(
                "event {scheduled_event_id} has scheduled no activity that is open, belongs to the run and was not asked \
                 to end before"
            )
        })
    }

    /// Records one request. Says whether the activity closes with it.
    pub(super) fn record(
        &self,
        draft: &mut Draft,
        scheduled_event_id: EventId,
        workflow_task_completed_event_id: EventId,
    ) -> Option<CanceledAtOnce> {
        let requested = ActivityTaskCancelRequested { scheduled_event_id, workflow_task_completed_event_id };
        let requested_event_id = draft.event(requested);
        match self.cancels.get(&scheduled_event_id) {
            Some(Cancel::AtOnce) => Some(CanceledAtOnce { scheduled_event_id, requested_event_id }),
            Some(Cancel::Ask { task_queue }) => {
                let message = draft.cancel_message(scheduled_event_id);
                draft.row(WorkersTold { task_queues: vec![task_queue.clone()], message });
                None
            }
            Some(Cancel::Void) | None => None,
        }
    }
}

/// Activities whose end waits for the next workflow task.
fn buffered_ends<R: Rows>(
    state: &State<'_, R>,
    workflow_id: &WorkflowId,
    run_id: &RunId,
    run: &RunRow,
) -> Result<Vec<EventId>, RowsError> {
    let mut ended = Vec::new();
    for number in run.buffered.0..run.buffered.1 {
        let events = state.buffered(workflow_id, run_id, number)?.map(|row| row.events).unwrap_or_default();
        ended.extend(events.iter().filter_map(|event| event.attributes.closes_activity()));
    }
    Ok(ended)
}

/// An activity that nobody runs, and that its workflow asked to end.
#[derive(Debug, Clone, Copy)]
pub(super) struct CanceledAtOnce {
    scheduled_event_id: EventId,
    requested_event_id: EventId,
}

impl CanceledAtOnce {
    /// Its end; follows what was decided and what was buffered, as news for the next workflow task.
    pub(super) fn event(self) -> ActivityTaskCanceled {
        ActivityTaskCanceled {
            details: None,
            latest_cancel_requested_event_id: self.requested_event_id,
            scheduled_event_id: self.scheduled_event_id,
            started_event_id: 0,
            worker: WorkerIdentity::default(),
        }
    }
}
