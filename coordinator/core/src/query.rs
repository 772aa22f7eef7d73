//! Queries: what a question to a workflow is about, and whether its answer may be told. They change nothing.
//!
//! A workflow's state is what its last accepted workflow task left. So a query names that task; and it waits, for a while,
//! until the workflow has heard what it was told before the query was asked.

use tidewright_schemas::api::{QueryWorkflow, WorkflowStatus};
use tidewright_schemas::limits::TASK_HISTORY_BYTES_MAX;
use tidewright_schemas::{EventAttributes, EventId, QueryBasis, QueryTask, ReplyTo, RunId, WorkflowId};

use crate::rows::{Rows, RowsError};
use crate::state::{RunRow, State, WorkflowTaskState};

/// Up to so many events and bytes of history a query carries, so that a worker without the run need not ask for them.
const EVENTS_CARRIED_MAX: u64 = 64;
const BYTES_CARRIED_MAX: usize = 32 * 1024;

/// Where a run stands, for somebody who wants to ask it something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Open, or how it ended.
    pub status: WorkflowStatus,
    /// Where its workers listen.
    pub task_queue: String,
    /// The state that it can be asked about; none if its code has never run.
    pub basis: Option<QueryBasis>,
    /// The workflow task after which it has heard everything that it was told until now; none if it has.
    pub hears_with: Option<EventId>,
    /// Whether its workflow task failed and waits for its next attempt, and why.
    pub last_failure: Option<String>,
}

impl Standing {
    /// Whether the run has heard what it was told when it stood so that `hears_with` was this; or cannot hear it right now.
    #[must_use]
    pub fn has_heard(&self, hears_with: EventId) -> bool {
        self.hears_with.is_none() || self.basis.as_ref().is_some_and(|basis| basis.started_event_id >= hears_with)
    }
}

/// Where a run stands.
pub fn standing<R: Rows>(rows: &R, id: &WorkflowId, run_id: &RunId) -> Result<Option<Standing>, RowsError> {
    let Some(run) = State(rows).run(id, run_id)? else { return Ok(None) };
    let (hears_with, last_failure) = match &run.workflow_task {
        // What is buffered is heard with the task after the one that is out.
        WorkflowTaskState::Out { scheduled_event_id, last_failure, .. } => {
            let after = EventId::from(run.buffered_count() > 0);
            (Some(scheduled_event_id + 1 + after), last_failure.as_ref())
        }
        WorkflowTaskState::BackingOff { failure, .. } => (None, Some(failure)),
        WorkflowTaskState::Idle | WorkflowTaskState::Delayed { .. } => (None, None),
    };
    let last_failure = last_failure.map(|failure| failure.message.clone());
    let (basis, hears_with) = (basis_of(&run), hears_with.filter(|_| run.is_open()));
    Ok(Some(Standing { status: run.status, task_queue: run.task_queue, basis, hears_with, last_failure }))
}

fn basis_of(run: &RunRow) -> Option<QueryBasis> {
    let completion_id = run.completion_id.clone()?;
    Some(QueryBasis { started_event_id: run.accepted_started_event_id, completion_id })
}

/// How a query is put.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// What is asked.
    pub query: QueryWorkflow,
    /// Whether only the state that history knows now will do.
    pub exact: bool,
    /// Where the history can be paged.
    pub history_url: Option<String>,
}

/// A query on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct OutgoingQuery {
    /// The task.
    pub task: QueryTask,
    /// Where it goes.
    pub task_queue: String,
    /// The trace that the run belongs to.
    pub traceparent: Option<String>,
}

/// A query to send; whom to answer and until when is left for the caller to fill in. None if there is no such run, or its code has never run.
pub fn query_task<R: Rows>(
    rows: &R,
    namespace: &str,
    id: &WorkflowId,
    run_id: &RunId,
    asked: Asked,
) -> Result<Option<OutgoingQuery>, RowsError> {
    let state = State(rows);
    let Some(run) = state.run(id, run_id)? else { return Ok(None) };
    let Some(basis) = basis_of(&run) else { return Ok(None) };
    let last_event_id = run.next_event_id - 1;
    let (count_max, bytes_max) = match asked.history_url {
        Some(_) => (EVENTS_CARRIED_MAX, BYTES_CARRIED_MAX),
        // It is this or nothing.
        None => (u64::MAX, TASK_HISTORY_BYTES_MAX),
    };
    let fits = last_event_id <= count_max && run.history_bytes <= bytes_max as u64;
    let events = if fits { state.events(id, run_id, 1, usize::MAX, usize::MAX)? } else { Vec::new() };
    let task = QueryTask {
        namespace: namespace.to_owned(),
        workflow_id: id.clone(),
        run_id: run_id.clone(),
        workflow_type: run.workflow_type,
        query_type: asked.query.query_type,
        query_args: asked.query.query_args,
        header: asked.query.header,
        basis,
        exact: asked.exact,
        last_event_id,
        events,
        history_url: asked.history_url,
        expires_at_ms: 0,
        reply_to: ReplyTo { partition: 0, correlation_id: String::new() },
    };
    Ok(Some(OutgoingQuery { task, task_queue: run.task_queue, traceparent: run.traceparent }))
}

/// Whether history has the completion that an answer was given after; none if that is not decided yet. One that it does not
/// come to know was never a state of the workflow.
pub fn was_accepted<R: Rows>(
    rows: &R,
    id: &WorkflowId,
    run_id: &RunId,
    basis: &QueryBasis,
) -> Result<Option<bool>, RowsError> {
    let state = State(rows);
    let Some(run) = state.run(id, run_id)? else { return Ok(Some(false)) };
    // Nothing comes between the boundaries of an accepted task.
    let after = state.event(id, run_id, basis.started_event_id + 1)?;
    Ok(match after.map(|event| event.attributes) {
        Some(EventAttributes::WorkflowTaskCompleted(completed)) => {
            Some(completed.started_event_id == basis.started_event_id && completed.completion_id == basis.completion_id)
        }
        Some(_) => Some(false),
        None => match run.workflow_task {
            WorkflowTaskState::Out { .. } if run.is_open() => None,
            _ => Some(false),
        },
    })
}
