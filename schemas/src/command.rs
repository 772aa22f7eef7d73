//! Commands: what a `commands` topic holds. Anyone may send the first ones; those from [`FireTimer`] on are internal
//! and count only with a valid MAC (R33).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tagged::{read_tag, tagged_enum};
use crate::{Decision, EventId, Failure, Payload, RunId, TaskId, TaskKind, WorkflowId, WorkflowTaskFailedCause};

tagged_enum! {
    /// A request to one workflow; the record's key is its workflow id.
    pub enum Command {
        /// Starts a workflow.
        StartWorkflow(StartWorkflow),
        /// A worker advanced a workflow.
        CompleteWorkflowTask(CompleteWorkflowTask),
        /// A worker could not advance a workflow.
        FailWorkflowTask(FailWorkflowTask),
        /// A worker has been running an activity for a while.
        RecordActivityStarted(RecordActivityStarted),
        /// An activity succeeded.
        CompleteActivity(CompleteActivity),
        /// An attempt of an activity failed.
        FailActivity(FailActivity),
        /// A worker asks whether a task that may be a repeat is still wanted.
        ConfirmTask(ConfirmTask),
        /// Internal: something is due.
        FireTimer(FireTimer),
        /// Internal: an effect cannot be delivered.
        EffectFailed(EffectFailed),
        /// Internal: a pending task is not in its backlog any more.
        TaskLost(TaskLost),
    }
}

/// Why a record's value is not a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// A record without a value.
    #[error("the record has no value (a tombstone); a command is a JSON object with a `type`")]
    Tombstone,
    /// The bytes are not text.
    #[error("the value is not UTF-8: {0}")]
    NotUtf8(String),
    /// The text is not a JSON object with a `type`.
    #[error("the value is not a JSON object with a `type`: {0}")]
    NotJson(String),
    /// The type is not one of ours.
    #[error("there is no command of type `{0}`; known are StartWorkflow and those in schemas/json/Command.json")]
    UnknownType(String),
    /// The fields do not fit the type.
    #[error("the fields do not fit a {command}: {problem}")]
    WrongFields {
        /// The command's type.
        command: String,
        /// What serde said.
        problem: String,
    },
}

impl CommandError {
    /// Stable code, also the name of the page under `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Tombstone => "TW0101",
            Self::NotUtf8(_) => "TW0102",
            Self::NotJson(_) => "TW0103",
            Self::UnknownType(_) => "TW0104",
            Self::WrongFields { .. } => "TW0105",
        }
    }
}

impl Command {
    /// Reads a record's value.
    pub fn from_value(value: Option<&[u8]>) -> Result<Self, CommandError> {
        let bytes = value.ok_or(CommandError::Tombstone)?;
        let text = std::str::from_utf8(bytes).map_err(|e| CommandError::NotUtf8(e.to_string()))?;
        let tag = read_tag(text).map_err(|e| CommandError::NotJson(e.to_string()))?;
        if !Self::TYPES.contains(&tag.as_ref()) {
            return Err(CommandError::UnknownType(tag.chars().take(100).collect()));
        }
        serde_json::from_str(text)
            .map_err(|e| CommandError::WrongFields { command: tag.into_owned(), problem: e.to_string() })
    }

    /// The workflow id that the value itself names, where it names one.
    #[must_use]
    pub fn workflow_id(&self) -> Option<&WorkflowId> {
        match self {
            Self::StartWorkflow(start) => Some(&start.workflow_id),
            _ => None,
        }
    }

    /// Whether only Tidewright itself may send it.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        matches!(self, Self::FireTimer(_) | Self::EffectFailed(_) | Self::TaskLost(_))
    }

    /// Whom to answer, if anyone.
    #[must_use]
    pub fn reply_to(&self) -> Option<&ReplyTo> {
        match self {
            Self::StartWorkflow(start) => start.reply_to.as_ref(),
            Self::ConfirmTask(confirm) => Some(&confirm.reply_to),
            _ => None,
        }
    }
}

/// Where an answer goes: a partition of the namespace's `replies` topic that the asker reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyTo {
    /// Partition of `<ns>.replies`.
    pub partition: i32,
    /// Repeated in the answer.
    pub correlation_id: String,
}

/// Starts a workflow. A person needs to write only the type, the id, the task queue and the input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StartWorkflow {
    /// Which workflow; a worker on the task queue has it registered under this name.
    pub workflow_type: String,
    /// The caller's id for it; also the record's key.
    pub workflow_id: WorkflowId,
    /// Where its workers listen.
    pub task_queue: String,
    /// What it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Payload>,
    /// Makes repeated starts one (R8). The header `ce_id` stands in for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Whether a closed id may be used again. Default: `AllowDuplicate` with a request id, `RejectDuplicate` without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_id_reuse_policy: Option<WorkflowIdReusePolicy>,
    /// Who asks, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Whom to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<ReplyTo>,
}

/// Whether the id of a closed workflow may be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkflowIdReusePolicy {
    /// Yes.
    AllowDuplicate,
    /// Only if the last run did not complete.
    AllowDuplicateFailedOnly,
    /// No.
    RejectDuplicate,
}

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
    /// Who did it.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

/// A worker could not advance a workflow; the task is tried again with backoff.
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

/// An activity has been running for about half a second: from now on its timeouts watch it (R24).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordActivityStarted {
    /// The task's token.
    pub token: String,
    /// Who runs it.
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

impl TaskLost {
    /// Whether it is about a workflow task or an activity task.
    #[must_use]
    pub fn kind(&self) -> TaskKind {
        self.task.kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_needs_to_write_little() {
        let json = r#"{"type":"StartWorkflow","workflow_type":"OrderWorkflow","workflow_id":"order-1","task_queue":"orders","input":{"a":1}}"#;
        let Command::StartWorkflow(start) = Command::from_value(Some(json.as_bytes())).unwrap() else {
            panic!("not a start")
        };
        assert_eq!(start.workflow_id.as_str(), "order-1");
        assert_eq!(serde_json::to_string(&Command::from(start)).unwrap(), json);
    }

    #[test]
    fn a_field_from_a_newer_version_is_not_fatal() {
        let json =
            r#"{"shiny":{"new":[1]},"type":"StartWorkflow","workflow_type":"T","workflow_id":"w","task_queue":"q"}"#;
        assert!(Command::from_value(Some(json.as_bytes())).is_ok());
    }

    #[test]
    fn what_is_not_a_command_says_why() {
        let cases: [(Option<&[u8]>, &str); 8] = [
            (None, "TW0101"),
            (Some(b"\xff\xfe"), "TW0102"),
            (Some(b"not json"), "TW0103"),
            (Some(b"[1,2]"), "TW0103"),
            (Some(b"[\"StartWorkflow\",\"w\",\"q\"]"), "TW0103"),
            (Some(b"{\"type\":7}"), "TW0103"),
            (Some(b"{\"type\":\"Explode\"}"), "TW0104"),
            (Some(b"{\"type\":\"StartWorkflow\",\"workflow_id\":\"\"}"), "TW0105"),
        ];
        for (value, code) in cases {
            assert_eq!(Command::from_value(value).unwrap_err().code(), code, "{value:?}");
        }
    }
}
