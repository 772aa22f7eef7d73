//! Answers on the `replies` topic: hints, never the truth (R21).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tagged::tagged_enum;
use crate::{QueryAnswered, QueryFailed, RunId, WorkflowId};

/// An answer to a command that carried a `reply_to`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    /// The asker's.
    pub correlation_id: String,
    /// The workflow that was asked.
    pub workflow_id: WorkflowId,
    /// The answer.
    pub answer: Answer,
}

tagged_enum! {
    /// What is answered.
    pub enum Answer {
        /// To a `StartWorkflow`.
        WorkflowStarted(WorkflowStarted),
        /// To a signal, a request to cancel, or a termination.
        RequestAccepted(RequestAccepted),
        /// To a `ConfirmTask`.
        TaskConfirmed(TaskConfirmed),
        /// To a query.
        QueryAnswered(QueryAnswered),
        /// To a query that could not be answered.
        QueryFailed(QueryFailed),
        /// To anything that cannot be done.
        Rejected(Rejected),
    }
}

/// The workflow runs, or ran: a repeated start gets the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowStarted {
    /// Its run.
    pub run_id: RunId,
    /// Whether this request started it; false if it met a run that was there.
    #[serde(default = "yes")]
    pub started: bool,
}

fn yes() -> bool {
    true
}

/// The request is part of the run's history, once, however often it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestAccepted {
    /// The run.
    pub run_id: RunId,
}

/// Whether a task that may be a repeat is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskConfirmed {
    /// Run it or drop it.
    pub verdict: TaskVerdict,
}

/// Run it or drop it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaskVerdict {
    /// History waits for it.
    Run,
    /// History does not wait for it: it is done, superseded, or runs elsewhere.
    Drop,
}

/// The command cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejected {
    /// Stable code, for instance `TW0201`; see `docs/errors/`.
    pub code: String,
    /// What happened and what to do.
    pub message: String,
    /// The run that stands in the way, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
}
