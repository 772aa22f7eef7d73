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
