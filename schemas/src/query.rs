//! Queries: questions to a workflow, answered by a worker. They leave no trace in its history.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EventId, Failure, HistoryEvent, Payload, ReplyTo, RunId, WorkflowId};

/// The accepted workflow task after which a workflow stands as it does: the state that a query is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueryBasis {
    /// Its `WorkflowTaskStarted`.
    pub started_event_id: EventId,
    /// The id of its completion.
    pub completion_id: String,
}

/// Ask a workflow something: lies among the workflow tasks of its task queue, told apart by the header `tw-query`. It has
/// no token and changes nothing; a repeat is answered again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueryTask {
    /// The namespace.
    pub namespace: String,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The run.
    pub run_id: RunId,
    /// Which workflow it is.
    pub workflow_type: String,
    /// Which of the workflow's queries.
    pub query_type: String,
    /// What it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_args: Option<Payload>,
    /// Context for interceptors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, Payload>,
    /// The state that is asked about. A worker that holds the run as a later task left it may answer from that, and says so.
    pub basis: QueryBasis,
    /// Whether only the very state of `basis` will do.
    #[serde(default)]
    pub exact: bool,
    /// The last event of the history that leads to `basis`; what follows its completion decides nothing.
    pub last_event_id: EventId,
    /// The whole history up to that event, if it is short; empty otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<HistoryEvent>,
    /// Where the history can be paged: add `?from_event_id=N`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_url: Option<String>,
    /// Nobody waits for an answer after this time, in milliseconds since 1970.
    pub expires_at_ms: u64,
    /// Whom to answer.
    pub reply_to: ReplyTo,
}

/// A query was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueryAnswered {
    /// The state that the answer tells of.
    pub basis: QueryBasis,
    /// What the query gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_result: Option<Payload>,
}

/// A query could not be answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueryFailed {
    /// The state that was asked, if it came to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<QueryBasis>,
    /// What kind of failure it is.
    pub cause: QueryFailedCause,
    /// More about it.
    pub failure: Box<Failure>,
}

/// Why a query could not be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum QueryFailedCause {
    /// The workflow has no query of that name; the failure lists those that it has.
    UnknownQuery,
    /// The query's code failed, panicked, took too long, or its arguments or result do not fit.
    HandlerFailed,
    /// The workflow cannot be brought to the state that is asked about: its code changed, or its history is not available.
    ReplayFailed,
    /// No worker that got the query has the workflow's type.
    WorkflowTypeNotRegistered,
    /// The worker has too many queries.
    WorkerBusy,
}
