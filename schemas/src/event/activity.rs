//! Events of activities.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EventId, Failure, Payload, Priority, RetryPolicy, RetryState, UserMetadata, WorkerIdentity};

/// An activity was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityTaskScheduled {
    /// Its id in the run.
    pub activity_id: String,
    /// Which activity.
    pub activity_type: String,
    /// Where its workers listen.
    pub task_queue: String,
    /// What it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Payload>,
    /// Context for interceptors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, Payload>,
    /// Limit for one attempt from its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_to_close_timeout_ms: Option<u64>,
    /// Limit for the wait for a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_to_start_timeout_ms: Option<u64>,
    /// Limit for all attempts together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_to_close_timeout_ms: Option<u64>,
    /// Limit for the time between two heartbeats of an attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout_ms: Option<u64>,
    /// How failures are retried.
    pub retry_policy: RetryPolicy,
    /// Fire and forget: the activity outlives its run, and its end does not wake the workflow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub detached: bool,
    /// Which tasks of a queue go first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// What a user interface shows of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_metadata: Option<UserMetadata>,
    /// The workflow task that decided it.
    pub workflow_task_completed_event_id: EventId,
}

/// An attempt of an activity began; written when the activity closes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityTaskStarted {
    /// Its `ActivityTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// The attempt that closed it.
    pub attempt: u32,
    /// Who ran it.
    #[serde(default)]
    pub worker: WorkerIdentity,
    /// Why the attempt before failed, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Failure>,
}

/// An activity succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityTaskCompleted {
    /// Its `ActivityTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// Its `ActivityTaskStarted`.
    pub started_event_id: EventId,
    /// What it returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Payload>,
    /// Who ran it.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

/// Why a worker could not do its part of an activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ActivityTaskFailedCause {
    /// What the activity returned, or its details, is too large.
    PayloadsTooLarge,
    /// What the activity was given or returned could not be fetched or stored.
    ExternalStorageFailure,
    /// The worker failed outside the activity's code.
    ActivityWorkerUnhandledFailure,
}

/// An activity failed for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityTaskFailed {
    /// Its `ActivityTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// Its `ActivityTaskStarted`; 0 if it never started.
    pub started_event_id: EventId,
    /// Why.
    pub failure: Failure,
    /// Why it was not tried again.
    pub retry_state: RetryState,
    /// What the worker could not do, if it was not the activity's code that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<ActivityTaskFailedCause>,
    /// Who ran it.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

/// An activity took too long for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityTaskTimedOut {
    /// Its `ActivityTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// Its `ActivityTaskStarted`; 0 if it never started.
    pub started_event_id: EventId,
    /// The timeout; its cause is the last attempt's failure, if there was one.
    pub failure: Failure,
    /// Why it was not tried again.
    pub retry_state: RetryState,
}

/// The workflow asked an activity to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityTaskCancelRequested {
    /// Its `ActivityTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// The workflow task that decided it.
    pub workflow_task_completed_event_id: EventId,
}

/// An activity was asked to end, and did, or had not begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityTaskCanceled {
    /// What its code says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Payload>,
    /// Its `ActivityTaskCancelRequested`.
    pub latest_cancel_requested_event_id: EventId,
    /// Its `ActivityTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// Its `ActivityTaskStarted`; 0 if it never started.
    pub started_event_id: EventId,
    /// Who ran it.
    #[serde(default)]
    pub worker: WorkerIdentity,
}
