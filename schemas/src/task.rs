//! Tasks: what workers consume.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EventId, Failure, HistoryEvent, Payload, Priority, RetryPolicy, RunId, WorkflowId};

/// Advance a workflow. Carries what is new since the completion that it names; a worker that does not hold the run in
/// that state gets the rest of the history from `history_url`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowTask {
    /// Repeated in the completion.
    pub token: String,
    /// The namespace.
    pub namespace: String,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The run.
    pub run_id: RunId,
    /// Which workflow it is.
    pub workflow_type: String,
    /// The first attempt is 1.
    pub attempt: u32,
    /// Id of this task's `WorkflowTaskScheduled`; for a retried task, the id it will have once it is accepted.
    pub scheduled_event_id: EventId,
    /// Id of this task's `WorkflowTaskStarted`; for a retried task, the id it will have once it is accepted.
    pub started_event_id: EventId,
    /// When the task was sent, in milliseconds since 1970: the run's time during this activation.
    pub started_time_ms: u64,
    /// Limit for the task, in milliseconds, if the workflow's start set one. It counts from when the task is begun, and its
    /// worker keeps to it: it fails an overdue task with a timeout (R26).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_task_timeout_ms: Option<u64>,
    /// `WorkflowTaskStarted` of the last accepted task; 0 if there was none.
    pub previous_started_event_id: EventId,
    /// The id of the last accepted completion; none if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_completion_id: Option<String>,
    /// A gapless range of history that ends with the last event before this task's own boundaries, or with them.
    pub events: Vec<HistoryEvent>,
    /// Whether it may have been sent before.
    #[serde(default)]
    pub possible_repeat: bool,
    /// Where the history can be paged: add `?from_event_id=N`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_url: Option<String>,
}

/// Run an activity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityTask {
    /// Repeated in the completion.
    pub token: String,
    /// The namespace.
    pub namespace: String,
    /// The workflow that asks.
    pub workflow_id: WorkflowId,
    /// Its run.
    pub run_id: RunId,
    /// Its type.
    pub workflow_type: String,
    /// The activity's id in the run.
    pub activity_id: String,
    /// Which activity.
    pub activity_type: String,
    /// Id of its `ActivityTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// The first attempt is 1.
    pub attempt: u32,
    /// What it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Payload>,
    /// Context for interceptors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, Payload>,
    /// Which tasks of a queue go first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// How failures are retried.
    #[serde(default)]
    pub retry_policy: RetryPolicy,
    /// When the activity was asked for, in milliseconds since 1970.
    pub scheduled_time_ms: u64,
    /// When this attempt was sent, in milliseconds since 1970.
    pub attempt_scheduled_time_ms: u64,
    /// Limit for one attempt from its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_to_close_timeout_ms: Option<u64>,
    /// Limit for all attempts together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_to_close_timeout_ms: Option<u64>,
    /// Limit for the time between two heartbeats, and from the start to the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout_ms: Option<u64>,
    /// What the last heartbeat of an earlier attempt said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_details: Option<Payload>,
    /// Whether it outlives its run: the run's end is no reason for it to end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub detached: bool,
    /// Why the attempt before failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Failure>,
    /// Whether it may have been sent before: then it is confirmed before it runs (R25).
    #[serde(default)]
    pub possible_repeat: bool,
    /// How often it was with a worker that handed it back, or lost, before anybody had begun it.
    #[serde(default)]
    pub unstarted: u32,
}
