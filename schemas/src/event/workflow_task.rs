//! Events of workflow tasks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EventId, Failure, WorkerIdentity};

/// A workflow task was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowTaskScheduled {
    /// Where it was sent.
    pub task_queue: String,
    /// The first attempt is 1.
    pub attempt: u32,
}

/// A workflow task was sent: emission is its start (R22).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowTaskStarted {
    /// Its `WorkflowTaskScheduled`.
    pub scheduled_event_id: EventId,
}

/// A worker advanced the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowTaskCompleted {
    /// Its `WorkflowTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// Its `WorkflowTaskStarted`.
    pub started_event_id: EventId,
    /// The id that the worker gave this completion.
    pub completion_id: String,
    /// Who did it.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

/// Why a workflow task failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkflowTaskFailedCause {
    /// The worker has no such workflow type.
    WorkflowTypeNotRegistered,
    /// The code does not do what history says it did.
    NonDeterministicError,
    /// The code panicked, or failed outside its own error handling.
    WorkflowWorkerUnhandledFailure,
    /// A decision is invalid: a missing timeout, a duplicate id, an unknown name.
    BadDecision,
    /// The completion does not fit a record.
    CompletionTooLarge,
    /// The worker could not get the history that the task builds on.
    HistoryUnavailable,
    /// The task could not be sent to its topic.
    TaskQueueUnavailable,
    /// The task was not in its topic any more.
    TaskLost,
    /// The workflow wanted to end, but was told something meanwhile that it has to hear first.
    UnhandledCommand,
    /// The run was ended from outside while the task was out.
    ForceCloseCommand,
}

/// A workflow task failed; it is tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowTaskFailed {
    /// Its `WorkflowTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// Its `WorkflowTaskStarted`.
    pub started_event_id: EventId,
    /// Why.
    pub cause: WorkflowTaskFailedCause,
    /// More about it.
    pub failure: Failure,
    /// Who said so.
    #[serde(default)]
    pub worker: WorkerIdentity,
}
