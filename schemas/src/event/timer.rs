//! Events of timers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EventId, UserMetadata};

/// A timer began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimerStarted {
    /// Its id in the run.
    pub timer_id: String,
    /// How long, in milliseconds.
    pub start_to_fire_timeout_ms: u64,
    /// What a user interface shows of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_metadata: Option<UserMetadata>,
    /// The workflow task that decided it.
    pub workflow_task_completed_event_id: EventId,
}

/// A timer fired.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimerFired {
    /// Its id in the run.
    pub timer_id: String,
    /// Its `TimerStarted`.
    pub started_event_id: EventId,
}

/// A timer was cancelled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimerCanceled {
    /// Its id in the run.
    pub timer_id: String,
    /// Its `TimerStarted`.
    pub started_event_id: EventId,
    /// The workflow task that decided it.
    pub workflow_task_completed_event_id: EventId,
}
