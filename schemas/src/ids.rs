//! Identifiers.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::limits::WORKFLOW_ID_BYTES_MAX;

/// Number of an event in its run's history; the first is 1.
pub type EventId = u64;

/// The id that a caller gives a workflow; at most one run of it is open at any time in a namespace.
///
/// 1 to 1,000 bytes of UTF-8 without control characters; it is also the Kafka key of everything about the workflow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct WorkflowId(#[schemars(length(min = 1, max = 1000))] String);

/// Why a text is not a [`WorkflowId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkflowIdError {
    /// The text is empty.
    #[error("the workflow id is empty; give one that names the business object, for instance `order-123`")]
    Empty,
    /// The text is too long.
    #[error("the workflow id has {0} bytes; at most {WORKFLOW_ID_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// The text has a control character.
    #[error("the workflow id holds a control character at byte {0}; only printable text is allowed")]
    ControlCharacter(usize),
}

impl WorkflowId {
    /// Checks and wraps a text.
    pub fn new(text: impl Into<String>) -> Result<Self, WorkflowIdError> {
        let text = text.into();
        if text.is_empty() {
            return Err(WorkflowIdError::Empty);
        }
        if text.len() > WORKFLOW_ID_BYTES_MAX {
            return Err(WorkflowIdError::TooLong(text.len()));
        }
        if let Some((at, _)) = text.char_indices().find(|(_, c)| c.is_control()) {
            return Err(WorkflowIdError::ControlCharacter(at));
        }
        Ok(Self(text))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkflowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for WorkflowId {
    type Err = WorkflowIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for WorkflowId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The id of one run of a workflow: a UUID that sorts by start time, derived from where its start was decided (R4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// A UUID (version 8) from a time and 10 bytes that are unique to the run.
    #[must_use]
    pub fn from_parts(time_ms: u64, unique: [u8; 10]) -> Self {
        let mut b = [0_u8; 16];
        b[..6].copy_from_slice(&time_ms.to_be_bytes()[2..]);
        b[6..].copy_from_slice(&unique);
        b[6] = (b[6] & 0x0f) | 0x80;
        b[8] = (b[8] & 0x3f) | 0x80;
        let hex = |range: std::ops::Range<usize>| b[range].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Self(format!("{}-{}-{}-{}-{}", hex(0..4), hex(4..6), hex(6..8), hex(8..10), hex(10..16)))
    }

    /// Wraps a text that names a run; whether there is such a run is for its owner to say.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which kind of task a [`TaskId`] or an effect speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TaskKind {
    /// A workflow task.
    Workflow,
    /// An activity task.
    Activity,
}

/// One attempt of one task: what a token, a backlog entry and an effect's failure name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct TaskId {
    /// Workflow or activity.
    pub kind: TaskKind,
    /// The run.
    pub run_id: RunId,
    /// Id of the `WorkflowTaskScheduled` or `ActivityTaskScheduled` event.
    pub scheduled_event_id: EventId,
    /// The first attempt is 1.
    pub attempt: u32,
}

impl fmt::Display for TaskId {
    /// The form of the `tw-task` header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.run_id, self.scheduled_event_id, self.attempt)
    }
}

impl TaskId {
    /// Reads the form of the `tw-task` header.
    #[must_use]
    pub fn parse(kind: TaskKind, text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (run, event, attempt) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || run.is_empty() {
            return None;
        }
        Some(Self {
            kind,
            run_id: RunId::from_text(run),
            scheduled_event_id: event.parse().ok()?,
            attempt: attempt.parse().ok()?,
        })
    }
}
