//! What goes along with requests and decisions and changes nothing about how a run advances: carried for those who read
//! histories, and for clients that speak Temporal's API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tagged::tagged_enum;
use crate::{EventId, Payload, RunId, WorkflowId};

/// What a user interface shows of a workflow, an activity or a timer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct UserMetadata {
    /// One line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Payload>,
    /// More of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Payload>,
}

/// Which tasks of a queue go first. It is carried to workers and kept in histories; a Kafka topic keeps its order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Priority {
    /// The lower, the earlier; 0 is the default.
    #[serde(skip_serializing_if = "is_zero")]
    pub priority_key: i32,
    /// Tasks of different keys share a queue evenly.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fairness_key: String,
    /// How large the key's share is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fairness_weight: Option<f32>,
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

tagged_enum! {
    /// Something elsewhere that an event has to do with.
    pub enum Link {
        /// An event of a workflow.
        WorkflowEvent(WorkflowEventLink),
        /// A workflow.
        Workflow(WorkflowLink),
        /// An activity that no workflow asked for.
        Activity(ActivityLink),
        /// A batch of requests.
        BatchJob(BatchJobLink),
        /// An operation of a Nexus service.
        NexusOperation(NexusOperationLink),
    }
}

/// An event of a workflow: the one of a number, or the one that a request led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowEventLink {
    /// Its namespace.
    pub namespace: String,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// Its run.
    pub run_id: RunId,
    /// The event, by its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventReference>,
    /// The event, by the request that led to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestReference>,
}

/// An event by its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventReference {
    /// Its number.
    pub event_id: EventId,
    /// Its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
}

/// An event by the request that led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestReference {
    /// The request's id.
    pub request_id: String,
    /// The event's type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
}

/// A workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowLink {
    /// Its namespace.
    pub namespace: String,
    /// Its id.
    pub workflow_id: WorkflowId,
    /// Its run.
    pub run_id: RunId,
    /// What it has to do with it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// An activity that no workflow asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityLink {
    /// Its namespace.
    pub namespace: String,
    /// Its id.
    pub activity_id: String,
    /// Its run.
    pub run_id: String,
}

/// A batch of requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchJobLink {
    /// Its id.
    pub job_id: String,
}

/// An operation of a Nexus service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NexusOperationLink {
    /// Its namespace.
    pub namespace: String,
    /// Its id.
    pub operation_id: String,
    /// Its run.
    pub run_id: String,
}

/// Which version of a worker's code advanced a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WorkerVersioning {
    /// How the run moves between versions; none leaves it to the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behavior: Option<VersioningBehavior>,
    /// What is deployed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub deployment_name: String,
    /// Which build of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub build_id: String,
}

/// How a run moves between versions of its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VersioningBehavior {
    /// It stays with the version that it began with.
    Pinned,
    /// It goes on with the current one.
    AutoUpgrade,
}

/// What an SDK notes about how it advanced a run, so that it replays it in the same way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SdkMetadata {
    /// Flags that the SDK's core used for the first time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub core_used_flags: Vec<u32>,
    /// Flags that the SDK's language layer used for the first time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lang_used_flags: Vec<u32>,
    /// Which SDK, if it is another than for the task before.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sdk_name: String,
    /// Its version, likewise.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sdk_version: String,
}
