//! Commands that start workflows.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ReplyTo;
use super::control::Signal;
use crate::{Link, Payload, Priority, UserMetadata, WorkflowId};

/// Starts a workflow. A person needs to write only the type, the id, the task queue and the input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StartWorkflow {
    /// Which workflow; a worker on the task queue has it registered under this name.
    pub workflow_type: String,
    /// The caller's id for it; also the record's key.
    pub workflow_id: WorkflowId,
    /// Where its workers listen.
    pub task_queue: String,
    /// What it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Payload>,
    /// Makes repeated starts one (R8). The header `ce_id` stands in for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Whether a closed id may be used again. Default: `AllowDuplicate` with a request id, `RejectDuplicate` without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_id_reuse_policy: Option<WorkflowIdReusePolicy>,
    /// What happens if a run of the id is open. Default: `Fail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_id_conflict_policy: Option<WorkflowIdConflictPolicy>,
    /// Limit for the workflow with all its runs, in milliseconds. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_execution_timeout_ms: Option<u64>,
    /// Limit for one run, in milliseconds. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_run_timeout_ms: Option<u64>,
    /// Limit for one workflow task, in milliseconds, from when a worker begins it. Default: none but the worker's own for
    /// code that keeps its thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_task_timeout_ms: Option<u64>,
    /// How long the first workflow task waits, in milliseconds. Default: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_delay_ms: Option<u64>,
    /// Notes for people, shown with the workflow and not seen by it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub memo: BTreeMap<String, Payload>,
    /// Context that is passed on to the workflow, for interceptors.
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
    /// Who asks, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Whom to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<ReplyTo>,
}

impl StartWorkflow {
    /// A start with nothing but what every start needs.
    #[must_use]
    pub fn new(workflow_type: impl Into<String>, workflow_id: WorkflowId, task_queue: impl Into<String>) -> Self {
        Self {
            workflow_type: workflow_type.into(),
            workflow_id,
            task_queue: task_queue.into(),
            input: None,
            request_id: None,
            workflow_id_reuse_policy: None,
            workflow_id_conflict_policy: None,
            workflow_execution_timeout_ms: None,
            workflow_run_timeout_ms: None,
            workflow_task_timeout_ms: None,
            start_delay_ms: None,
            memo: BTreeMap::new(),
            header: BTreeMap::new(),
            priority: None,
            user_metadata: None,
            links: Vec::new(),
            identity: None,
            reply_to: None,
        }
    }
}

/// Signals a workflow's open run, or starts one and signals it: one of the two, atomically.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SignalWithStartWorkflow {
    /// The start; its request id makes repeats of the whole one.
    pub start: StartWorkflow,
    /// The signal.
    pub signal: Signal,
}

/// Whether the id of a closed workflow may be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkflowIdReusePolicy {
    /// Yes.
    AllowDuplicate,
    /// Only if the last run did not complete.
    AllowDuplicateFailedOnly,
    /// No.
    RejectDuplicate,
}

/// What a start does if a run of its id is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkflowIdConflictPolicy {
    /// It is rejected.
    Fail,
    /// It starts nothing and answers with the open run.
    UseExisting,
    /// It terminates the open run and starts another.
    TerminateExisting,
}
