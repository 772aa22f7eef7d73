//! Reads for the API: what a partition's committed state says of its workflows (R17).

mod describe;

use tidewright_schemas::api::{HistoryPage, WorkflowOutcome, WorkflowStatus, WorkflowSummary};
use tidewright_schemas::{
    CanceledFailure, EventAttributes, EventId, Failure, HistoryEvent, RunId, TerminatedFailure, TimeoutType, WorkflowId,
};

use crate::rows::{Rows, RowsError};
use crate::state::keys;
use crate::state::{RunRow, State};

pub use describe::{PendingPage, describe, describe_page};

/// How many bytes of history a page holds at most.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The run that is meant: the one that is named, or the workflow's latest.
pub fn find_run<R: Rows>(rows: &R, id: &WorkflowId, run_id: Option<&RunId>) -> Result<Option<RunId>, RowsError> {
    let state = State(rows);
    let run_id = match run_id {
        Some(run_id) => Some(run_id.clone()),
        None => state.workflow(id)?.map(|row| row.current_run),
    };
    let Some(run_id) = run_id else { return Ok(None) };
    Ok(state.run(id, &run_id)?.map(|_| run_id))
}

/// What is known of a run without its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// Its type.
    pub workflow_type: String,
    /// When it started, in milliseconds since 1970.
    pub start_time_ms: u64,
    /// When it closed.
    pub close_time_ms: Option<u64>,
    /// The trace that its start belongs to.
    pub traceparent: Option<String>,
}

/// What is known of a run without its history.
pub fn summary_of<R: Rows>(rows: &R, id: &WorkflowId, run_id: &RunId) -> Result<Option<RunSummary>, RowsError> {
    Ok(State(rows).run(id, run_id)?.map(|run| RunSummary {
        workflow_type: run.workflow_type,
        start_time_ms: run.start_time_ms,
        close_time_ms: run.close_time_ms,
        traceparent: run.traceparent,
    }))
}

/// One event of a run.
pub fn event<R: Rows>(
    rows: &R,
    id: &WorkflowId,
    run_id: &RunId,
    event_id: EventId,
) -> Result<Option<HistoryEvent>, RowsError> {
    let found = State(rows).events(id, run_id, event_id, 1, usize::MAX)?.pop();
    Ok(found.filter(|event| event.event_id == event_id))
}

fn summary(id: &WorkflowId, run_id: &RunId, run: RunRow) -> WorkflowSummary {
    WorkflowSummary {
        workflow_id: id.clone(),
        run_id: run_id.clone(),
        workflow_type: run.workflow_type,
        task_queue: run.task_queue,
        status: run.status,
        start_time_ms: run.start_time_ms,
        close_time_ms: run.close_time_ms,
        history_length: run.next_event_id - 1,
    }
}

/// A page of a run's history.
pub fn history<R: Rows>(
    rows: &R,
    id: &WorkflowId,
    run_id: &RunId,
    from: EventId,
    limit: usize,
) -> Result<Option<HistoryPage>, RowsError> {
    let state = State(rows);
    let Some(run) = state.run(id, run_id)? else { return Ok(None) };
    let events = state.events(id, run_id, from.max(1), limit, PAGE_BYTES_MAX)?;
    let next = events.last().map(|event| event.event_id + 1).filter(|next| *next < run.next_event_id);
    Ok(Some(HistoryPage { run_id: run_id.clone(), status: run.status, events, next_event_id: next }))
}

/// How a run ended, or that it has not.
pub fn outcome<R: Rows>(rows: &R, id: &WorkflowId, run_id: &RunId) -> Result<Option<WorkflowOutcome>, RowsError> {
    let state = State(rows);
    let Some(run) = state.run(id, run_id)? else { return Ok(None) };
    let mut outcome = WorkflowOutcome { run_id: run_id.clone(), status: run.status, result: None, failure: None };
    if run.status != WorkflowStatus::Running {
        let last = state.event(id, run_id, run.next_event_id - 1)?;
        match last.map(|event| event.attributes) {
            Some(EventAttributes::WorkflowExecutionCompleted(completed)) => outcome.result = completed.result,
            Some(attributes) => outcome.failure = failure_of_close(attributes),
            None => {}
        }
    }
    Ok(Some(outcome))
}

/// Why a run that did not complete ended.
fn failure_of_close(closing: EventAttributes) -> Option<Failure> {
    match closing {
        EventAttributes::WorkflowExecutionFailed(failed) => Some(failed.failure),
        EventAttributes::WorkflowExecutionCanceled(canceled) => {
            let info = CanceledFailure { details: canceled.details, ..CanceledFailure::default() };
            Some(Failure::of("the workflow was cancelled", info.into()))
        }
        EventAttributes::WorkflowExecutionTerminated(terminated) => {
            let message = match terminated.reason {
                Some(reason) => format!("the workflow was terminated: {reason}"),
                None => "the workflow was terminated".to_owned(),
            };
            let identity = terminated.identity.unwrap_or_default();
            Some(Failure::of(message, TerminatedFailure { identity }.into()))
        }
        EventAttributes::WorkflowExecutionTimedOut(_) => {
            Some(Failure::timeout(TimeoutType::StartToClose, "the workflow ran into its timeout"))
        }
        _ => None,
    }
}

/// Runs, newest first, from a key that an earlier page returned. The keys of several partitions merge bytewise.
pub fn list<R: Rows>(rows: &R, from: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, WorkflowSummary)>, RowsError> {
    let state = State(rows);
    let mut found = Vec::new();
    for (key, _) in rows.scan(&[keys::BY_START], from, limit)? {
        let Some((id, run_id)) = ids_of(&key) else { continue };
        if let Some(run) = state.run(&id, &run_id)? {
            found.push((key, summary(&id, &run_id, run)));
        }
    }
    Ok(found)
}

fn ids_of(key: &[u8]) -> Option<(WorkflowId, RunId)> {
    let text = std::str::from_utf8(key.get(9..)?).ok()?;
    let (id, run_id) = text.split_once('\0')?;
    Some((WorkflowId::new(id).ok()?, RunId::from_text(run_id)))
}
