//! Events of a run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EventId, Failure, Link, Payload, Priority, RetryState, RunId, UserMetadata, WorkflowIdReusePolicy};

/// A run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowExecutionStarted {
    /// Which workflow.
    pub workflow_type: String,
    /// Where its workers listen.
    pub task_queue: String,
    /// What it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Payload>,
    /// The id under which repeated starts are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What the caller allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_id_reuse_policy: Option<WorkflowIdReusePolicy>,
    /// Limit for the workflow with all its runs, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_execution_timeout_ms: Option<u64>,
    /// Limit for this run, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_run_timeout_ms: Option<u64>,
    /// Limit for one workflow task, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_task_timeout_ms: Option<u64>,
    /// When the workflow's limit runs out, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_execution_expiration_time_ms: Option<u64>,
    /// How long the first workflow task waits, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_workflow_task_backoff_ms: Option<u64>,
    /// Notes for people.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub memo: BTreeMap<String, Payload>,
    /// Context for interceptors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, Payload>,
    /// Which tasks of a queue go first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// What a user interface shows of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_metadata: Option<UserMetadata>,
    /// What it has to do with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Trace that the start belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// The run ended with a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowExecutionCompleted {
    /// What the workflow returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Payload>,
    /// The workflow task that decided it.
    pub workflow_task_completed_event_id: EventId,
}

/// The run ended with a failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowExecutionFailed {
    /// Why.
    pub failure: Failure,
    /// The workflow task that decided it.
    pub workflow_task_completed_event_id: EventId,
}

/// The run ended because it was asked to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowExecutionCanceled {
    /// What the workflow says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Payload>,
    /// The workflow task that decided it.
    pub workflow_task_completed_event_id: EventId,
}

/// The run was ended from outside, without asking its code.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WorkflowExecutionTerminated {
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// More about it, for code to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Payload>,
    /// Makes repeats of the request one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What it has to do with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

/// The run took too long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowExecutionTimedOut {
    /// Why it is not tried again.
    pub retry_state: RetryState,
    /// The run that follows, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_execution_run_id: Option<RunId>,
}

/// The workflow was told something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowExecutionSignaled {
    /// Which of its signals.
    pub signal_name: String,
    /// What it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Payload>,
    /// Context for interceptors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, Payload>,
    /// Makes repeats of the request one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What it has to do with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Who signalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

/// The workflow was asked to end.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WorkflowExecutionCancelRequested {
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Makes repeats of the request one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What it has to do with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}
