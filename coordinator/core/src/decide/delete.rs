//! `DeleteWorkflow`, and the steps that follow from it (R31).
//!
//! | deletion | the request | its timer |
//! |---|---|---|
//! | none, run open | terminates and deletes it in one record | – |
//! | none, run closed | deletes it | – |
//! | under way | answered again | the next step, once no recovery needs the run's records |
//! | nothing left but its memory | answered again | forgets it, once the tombstones are older than tombstones live |
//! | forgotten, or no such run | rejected | ignored |
//!
//! A timer counts only if run, step and due time are those of the row, so one that comes twice does nothing.

use tidewright_schemas::{
    DeleteWorkflow, DeletionAdvanced, FireTimer, OriginSeen, ReleasedDeletion, RowFact, RunDeleted, RunForgotten,
    RunId, WorkflowExecutionTerminated, WorkflowId,
};

use super::control::{accept, accepted_before, check_names, find};
use super::draft::Draft;
use super::timer::early;
use super::{Decision, Request, fit};
use crate::apply::{REQUESTS_PER_STEP, is_needed};
use crate::state::keys::{BY_ORDER, DELETED_BY_ORDER};
use crate::state::{DeletedRow, RecordRow, Shared, State, deletion_timers};
use crate::{Change, Context, Decided, Rows, RowsError};

/// How many records of a run are tombstoned in one step.
const RECORDS_PER_STEP: usize = 500;
/// How many rows of events go in one step.
const EVENTS_PER_STEP: u64 = 2_000;
/// How long the first step waits, since a position must say first that no recovery needs the run's records.
const FIRST_STEP_MS: u64 = 1_000;
/// How long a step waits that is not possible yet.
const RETRY_MS: u64 = 500;

pub(super) fn delete<R: Rows>(
    state: &State<'_, R>,
    request: &Request,
    command: &DeleteWorkflow,
    context: &Context,
) -> Decision {
    let id = &request.workflow_id;
    let request_id = command.request_id.as_ref().or(request.event_id.as_ref());
    check_names(&[("request_id", request_id), ("identity", command.identity.as_ref())])?;
    if let Some(run_id) = deleted_before(state, id, request_id, command.run_id.as_ref())? {
        return Ok(accepted_before(id, command.reply_to.as_ref(), run_id));
    }
    let (run_id, run) = find(state, id, command.run_id.as_ref())?;
    let mut draft = Draft::of(id, &run_id, &run, context);
    let reason = command.reason.as_deref().map(fit::text);
    if run.is_open() {
        // What is buffered is not told any more: it would outlive the run in the very record that deletes it.
        draft.fail_task_that_is_out(&run);
        draft.event(WorkflowExecutionTerminated {
            reason: reason.clone(),
            identity: command.identity.clone(),
            ..WorkflowExecutionTerminated::default()
        });
    }
    draft.row(RunDeleted {
        started_offset: run.started_offset,
        events_end: run.next_event_id,
        due_ms: context.timestamp_ms.saturating_add(FIRST_STEP_MS),
        request_id: request_id.cloned(),
        reason,
        identity: command.identity.clone(),
    });
    Ok(accept(draft, command.reply_to.as_ref(), run_id))
}

/// The run that such a request has deleted, while that is remembered.
fn deleted_before<R: Rows>(
    state: &State<'_, R>,
    id: &WorkflowId,
    request_id: Option<&String>,
    run_id: Option<&RunId>,
) -> Result<Option<RunId>, RowsError> {
    if let Some(request_id) = request_id
        && let Some(run_id) = state.deleted_by_request(id, request_id)?
    {
        return Ok(Some(run_id));
    }
    if let Some(run_id) = run_id {
        return Ok(state.deleted(id, run_id)?.map(|_| run_id.clone()));
    }
    // Whoever asks twice for the deletion of the latest run means the same one, not the one before it.
    let latest = state.latest(BY_ORDER, id)?.map(|(started_offset, _)| started_offset);
    let deleted = state.latest(DELETED_BY_ORDER, id)?;
    Ok(deleted.filter(|(started_offset, _)| Some(*started_offset) > latest).map(|(_, run_id)| run_id))
}

/// The timer of a deletion.
pub(super) fn advance<R: Rows>(
    state: &State<'_, R>,
    id: &WorkflowId,
    command: &FireTimer,
    context: &Context,
) -> Decision {
    let Some(row) = state.deleted(id, &command.run_id)? else { return Ok(Decided::Nothing) };
    if !deletion_timers(&row).contains(&(command.target, command.attempt, command.due_ms)) {
        return Ok(Decided::Nothing);
    }
    if let Some(early) = early(command, context) {
        return Ok(early);
    }
    if needed_for_recovery(&row, context) || waits_for_others(state, id, &row)? {
        return Ok(Decided::Early { wait_ms: RETRY_MS });
    }
    let rows = if row.is_last { forget(&row) } else { step(state, id, &command.run_id, &row, context)? };
    Ok(Change { run_id: Some(command.run_id.clone()), ..Change::of_rows(id.clone(), rows) }.into())
}

/// Nothing valid above the last valid position is tombstoned (R31): a recovery begins there, and derives effects from the
/// records after it. No record of the run is younger than the one that deleted it.
fn needed_for_recovery(row: &DeletedRow, context: &Context) -> bool {
    let last_step = row.superseded.as_ref().map_or(0, |record| record.source_offset);
    row.record.source_offset.max(last_step) >= context.released_offset
}

/// A deletion is remembered for as long as one is that refers to it: which runs it has released is in its own records.
fn waits_for_others<R: Rows>(state: &State<'_, R>, id: &WorkflowId, row: &DeletedRow) -> Result<bool, RowsError> {
    if row.is_last {
        for released in &row.released {
            if state.deleted(id, &released.run_id)?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn forget(row: &DeletedRow) -> Vec<RowFact> {
    let origin = row.origin.iter().map(|origin| OriginSeen { origin: origin.clone() }.into());
    std::iter::once(RunForgotten {}.into()).chain(origin).collect()
}

fn step<R: Rows>(
    state: &State<'_, R>,
    id: &WorkflowId,
    run_id: &RunId,
    row: &DeletedRow,
    context: &Context,
) -> Result<Vec<RowFact>, RowsError> {
    let mut records = state.records(id, run_id, RECORDS_PER_STEP + 1)?;
    let records_below = records.get(RECORDS_PER_STEP).map(|(source_offset, _)| *source_offset);
    records.truncate(RECORDS_PER_STEP);
    let events_below = row.events.1.min(row.events.0.saturating_add(EVENTS_PER_STEP));
    let requests = state.accepted_requests(id, run_id, REQUESTS_PER_STEP + 1)?.len();
    let is_last = records_below.is_none() && events_below == row.events.1 && requests <= REQUESTS_PER_STEP;
    let (mut is_held, mut released) = (row.is_held, row.released.clone());
    for (source_offset, record) in &records {
        let Some(shared) = &record.shared else { continue };
        match (shared, is_needed(state, id, Some(shared.other()), *source_offset)?) {
            // The run's start stays in a record of another: without this deletion it would come back.
            (Shared::Closes(_), true) => is_held = true,
            (Shared::Begins(other), false) if state.deleted(id, other)?.is_some_and(|other| other.is_held) => {
                released.push(ReleasedDeletion { run_id: other.clone(), due_ms: context.tombstones_gone_ms });
            }
            _ => {}
        }
    }
    let advanced = DeletionAdvanced {
        step: row.step,
        events_below,
        records_below: records_below.unwrap_or(row.record.source_offset),
        is_last,
        due_ms: match (is_last, is_held) {
            (false, _) => Some(context.timestamp_ms),
            // Not before those that it has released.
            (true, false) => Some(context.tombstones_gone_ms.saturating_add(u64::from(!released.is_empty()))),
            (true, true) => None,
        },
        is_held,
        released,
    };
    // A forwarded command is remembered for longer than the run that it was about (R9).
    let origins = records.into_iter().filter_map(|(_, RecordRow { origin, .. })| origin);
    let origins = origins.map(|origin| OriginSeen { origin }.into());
    Ok(std::iter::once(advanced.into()).chain(origins).collect())
}
