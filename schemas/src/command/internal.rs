//! Commands that only Tidewright itself may send (R33).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EventId, RunId, TaskId, TaskKind};

/// What a [`FireTimer`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TimerTarget {
    /// A timer that the workflow started; the event is `TimerStarted`.
    Timer,
    /// The backoff before an activity's next attempt.
    ActivityRetry,
    /// A timeout of one attempt.
    ActivityStartToClose,
    /// A timeout of the wait for a worker.
    ActivityScheduleToStart,
    /// A timeout of the whole activity.
    ActivityScheduleToClose,
    /// The backoff before a workflow task's next attempt.
    WorkflowTaskRetry,
    /// The delay before a run's first workflow task.
    WorkflowStartDelay,
    /// A timeout of a run, or of its workflow.
    WorkflowTimeout,
    /// A timeout of the wait for an attempt's next heartbeat.
    ActivityHeartbeat,
    /// The next step of a run's deletion.
    RunDeletion,
}

/// Internal: something is due. Ignored unless identity, generation and due time are those that the run still has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FireTimer {
    /// The run.
    pub run_id: RunId,
    /// What is due.
    pub target: TimerTarget,
    /// Event that the target was made by.
    pub event_id: EventId,
    /// Attempt that it is about; 1 for a workflow's timer.
    pub attempt: u32,
    /// When it is due, in milliseconds since 1970.
    pub due_ms: u64,
}

/// Internal: an effect cannot be delivered (R19).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EffectFailed {
    /// The task that could not be sent.
    pub task: TaskId,
    /// Why.
    pub reason: EffectFailure,
    /// For people.
    pub message: String,
}

/// Why an effect could not be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EffectFailure {
    /// The topic does not exist and could not be made.
    TopicMissing,
    /// Writing to the topic is not allowed.
    Denied,
    /// The record is larger than the topic allows.
    TooLarge,
    /// The broker refuses it for another reason that will not pass.
    Refused,
}

/// Internal: a pending task that nobody has started is not in its topic any more (R27).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskLost {
    /// Which one.
    pub task: TaskId,
}

/// Internal: a worker is gone (R28). What it ran for this workflow id, and had begun by then, is tried elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerLost {
    /// The worker's process.
    pub incarnation: String,
    /// The broker's time at which it was gone, in milliseconds since 1970: a worker that came back loses nothing that it
    /// began later.
    pub as_of_ms: u64,
}

impl TaskLost {
    /// Whether it is about a workflow task or an activity task.
    #[must_use]
    pub fn kind(&self) -> TaskKind {
        self.task.kind
    }
}
