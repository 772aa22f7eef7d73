//! Commands that workers send about their tasks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ReplyTo;
use crate::{
    ActivityTaskFailedCause, Decision, Failure, Payload, SdkMetadata, WorkerVersioning, WorkflowTaskFailedCause,
};

/// Which worker speaks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WorkerIdentity {
    /// For people: `pid@host` unless configured.
    pub identity: String,
    /// Random id of the worker's process: another after every restart.
    pub incarnation: String,
}

/// A worker advanced a workflow: these are its decisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompleteWorkflowTask {
    /// The task's token.
    pub token: String,
    /// Random; the next workflow task names it, so that a worker knows whether its cache followed the accepted one.
    pub completion_id: String,
    /// What the workflow asks for, in order.
    #[serde(default)]
    pub decisions: Vec<Decision>,
    /// What the SDK notes about how it advanced the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdk_metadata: Option<SdkMetadata>,
    /// Which version of the code advanced the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versioning: Option<WorkerVersioning>,
    /// Who did it.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

impl CompleteWorkflowTask {
    /// A completion with nothing but what every one has.
    #[must_use]
    pub fn new(token: String, completion_id: String, decisions: Vec<Decision>, worker: WorkerIdentity) -> Self {
        Self { token, completion_id, decisions, sdk_metadata: None, versioning: None, worker }
    }
}

/// A worker could not advance a workflow; the task is tried again with backoff. Of a failure that is a timeout history
/// tells as `WorkflowTaskTimedOut`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailWorkflowTask {
    /// The task's token.
    pub token: String,
    /// Why.
    pub cause: WorkflowTaskFailedCause,
    /// More about it.
    pub failure: Failure,
    /// Who did it.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

impl WorkerIdentity {
    /// Whether both are one process. Who does not say which process it is, is none.
    #[must_use]
    pub fn is_same_process(&self, other: &Self) -> bool {
        !self.incarnation.is_empty() && self.incarnation == other.incarnation
    }
}

/// A worker hands back an activity task that it has not begun: it has no room, or leaves. The task is sent again, and no
/// attempt is used up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnTask {
    /// The task's token.
    pub token: String,
    /// Who hands it back.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

/// An activity has been running for about half a second: from now on its timeouts watch it (R24).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordActivityStarted {
    /// The task's token.
    pub token: String,
    /// Who runs it.
    pub worker: WorkerIdentity,
}

/// An activity is alive: its heartbeat timeout begins anew, and the next attempt is given the details.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordActivityHeartbeat {
    /// The task's token.
    pub token: String,
    /// How far it has come; replaces what an earlier heartbeat said, also by saying nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Payload>,
    /// Who runs it.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

/// An activity succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompleteActivity {
    /// The task's token.
    pub token: String,
    /// What it returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Payload>,
    /// Who did it.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

/// An attempt of an activity failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailActivity {
    /// The task's token.
    pub token: String,
    /// Why.
    pub failure: Failure,
    /// What the worker could not do, if it was not the activity's code that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<ActivityTaskFailedCause>,
    /// Who did it.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

impl FailActivity {
    /// A failure of the activity's own.
    #[must_use]
    pub fn new(token: String, failure: Failure, worker: WorkerIdentity) -> Self {
        Self { token, failure, cause: None, worker }
    }
}

/// An activity was asked to end, and did. One that nobody has asked fails for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CancelActivity {
    /// The task's token.
    pub token: String,
    /// What it says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Payload>,
    /// Who did it.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

/// May this task run? Asked for a task that may be a repeat (R25).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfirmTask {
    /// The task's token.
    pub token: String,
    /// Who asks.
    #[serde(default)]
    pub worker: WorkerIdentity,
    /// Whom to answer.
    pub reply_to: ReplyTo,
}
