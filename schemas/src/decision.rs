//! Decisions: what workflow code asks for when it is advanced (Temporal: commands).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tagged::tagged_enum;
use crate::{EventId, Failure, Payload, Priority, RetryPolicy, UserMetadata};

tagged_enum! {
    /// One thing that workflow code asks for.
    pub enum Decision {
        /// Runs an activity.
        ScheduleActivity(ScheduleActivity),
        /// Asks an activity to end.
        RequestCancelActivity(RequestCancelActivity),
        /// Starts a timer.
        StartTimer(StartTimer),
        /// Cancels a timer that has not fired.
        CancelTimer(CancelTimer),
        /// Ends the run with a result; must be the last decision.
        CompleteWorkflow(CompleteWorkflow),
        /// Ends the run with a failure; must be the last decision.
        FailWorkflow(FailWorkflow),
        /// Ends the run as cancelled; must be the last decision.
        CancelWorkflow(CancelWorkflow),
    }
}

/// Runs an activity.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleActivity {
    /// Unique among the run's open activities.
    pub activity_id: String,
    /// Which activity.
    pub activity_type: String,
    /// Where its workers listen; default: the workflow's own queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_queue: Option<String>,
    /// What it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Payload>,
    /// Context that is passed on to the activity, for interceptors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, Payload>,
    /// Limit for one attempt from its start. This or `schedule_to_close_timeout_ms` is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_to_close_timeout_ms: Option<u64>,
    /// Limit for the wait for a worker, for each attempt. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_to_start_timeout_ms: Option<u64>,
    /// Limit for all attempts together. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_to_close_timeout_ms: Option<u64>,
    /// Limit for the time between two heartbeats of an attempt, and from its start to the first. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout_ms: Option<u64>,
    /// How failures are retried. Default: [`RetryPolicy::default`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Fire and forget: the activity outlives its run, and its end does not wake the workflow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub detached: bool,
    /// Which tasks of a queue go first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// What a user interface shows of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_metadata: Option<UserMetadata>,
}

/// Asks an activity to end. What has not begun is cancelled at once; what may run is told, and says how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestCancelActivity {
    /// Its `ActivityTaskScheduled`.
    pub scheduled_event_id: EventId,
}

/// Starts a timer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StartTimer {
    /// Unique among the run's open timers.
    pub timer_id: String,
    /// How long, in milliseconds.
    pub start_to_fire_timeout_ms: u64,
    /// What a user interface shows of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_metadata: Option<UserMetadata>,
}

/// Cancels a timer; nothing happens if it has fired meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancelTimer {
    /// Which one.
    pub timer_id: String,
}

/// Ends the run with a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompleteWorkflow {
    /// What the workflow returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Payload>,
}

/// Ends the run with a failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailWorkflow {
    /// Why.
    pub failure: Failure,
}

/// Ends the run as cancelled: somebody asked for it, and the code agreed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CancelWorkflow {
    /// What the workflow says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Payload>,
}
