//! What a `control` topic holds: what an owner tells all workers of a task queue. Hints: a worker that misses one hears it
//! again when the owner hears of the attempt (R30).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tagged::tagged_enum;
use crate::{EventId, RunId, WorkflowId};

tagged_enum! {
    /// What the workers of a task queue are told.
    #[derive(Eq)]
    pub enum ControlMessage {
        /// A workflow asks an activity to end: whoever runs it answers with `CancelActivity`.
        ActivityCancelRequested(ActivityCancelRequested),
        /// Nobody waits for an activity any more: whoever runs it may end without a word.
        ActivityClosed(ActivityClosed),
        /// A run has closed, and nobody waits for its activities, but for those that outlive it.
        RunClosed(RunClosed),
        /// A task lies where nobody reads for now: the worker that is named may confirm and run it before its group gives it
        /// the task's partition.
        ActivityTaskOffered(ActivityTaskOffered),
    }
}

impl ControlMessage {
    /// The record's value.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and numbers, which always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// A workflow asks an activity to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityCancelRequested {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// Its run.
    pub run_id: RunId,
    /// The activity; all its attempts are meant.
    pub scheduled_event_id: EventId,
}

/// Nobody waits for an activity any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityClosed {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// Its run.
    pub run_id: RunId,
    /// The activity; all its attempts are meant.
    pub scheduled_event_id: EventId,
}

/// A run has closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunClosed {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The run.
    pub run_id: RunId,
}

/// A task lies where nobody reads for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityTaskOffered {
    /// The incarnation of the worker that it is offered to; nobody else takes it.
    pub incarnation: String,
    /// The partition of the queue's activity tasks that it lies in.
    pub partition: u32,
    /// Its offset there.
    pub offset: u64,
}
