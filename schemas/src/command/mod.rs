//! Commands: what a `commands` topic holds. Anyone may send the first ones; those from [`FireTimer`] on are internal
//! and count only with a valid MAC (R33).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod control;
mod internal;
mod start;
mod worker;

pub use control::{DeleteWorkflow, RequestCancelWorkflow, Signal, SignalWorkflow, TerminateWorkflow};
pub use internal::{EffectFailed, EffectFailure, FireTimer, TaskLost, TimerTarget, WorkerLost};
pub use start::{SignalWithStartWorkflow, StartWorkflow, WorkflowIdConflictPolicy, WorkflowIdReusePolicy};
pub use worker::{
    CancelActivity, CompleteActivity, CompleteWorkflowTask, ConfirmTask, FailActivity, FailWorkflowTask,
    RecordActivityHeartbeat, RecordActivityStarted, ReturnTask, WorkerIdentity,
};

use crate::WorkflowId;
use crate::tagged::{read_tag, tagged_enum};

tagged_enum! {
    /// A request to one workflow; the record's key is its workflow id.
    pub enum Command {
        /// Starts a workflow.
        StartWorkflow(StartWorkflow),
        /// Tells a workflow something.
        SignalWorkflow(SignalWorkflow),
        /// Signals a workflow, and starts it if no run is open.
        SignalWithStartWorkflow(SignalWithStartWorkflow),
        /// Asks a workflow to end.
        RequestCancelWorkflow(RequestCancelWorkflow),
        /// Ends a workflow at once.
        TerminateWorkflow(TerminateWorkflow),
        /// Deletes a run.
        DeleteWorkflow(DeleteWorkflow),
        /// A worker advanced a workflow.
        CompleteWorkflowTask(CompleteWorkflowTask),
        /// A worker could not advance a workflow.
        FailWorkflowTask(FailWorkflowTask),
        /// A worker has been running an activity for a while.
        RecordActivityStarted(RecordActivityStarted),
        /// An activity is alive.
        RecordActivityHeartbeat(RecordActivityHeartbeat),
        /// An activity succeeded.
        CompleteActivity(CompleteActivity),
        /// An attempt of an activity failed.
        FailActivity(FailActivity),
        /// An activity was asked to end, and did.
        CancelActivity(CancelActivity),
        /// A worker asks whether a task that may be a repeat is still wanted.
        ConfirmTask(ConfirmTask),
        /// A worker hands back an activity task that it has not begun.
        ReturnTask(ReturnTask),
        /// Internal: something is due.
        FireTimer(FireTimer),
        /// Internal: an effect cannot be delivered.
        EffectFailed(EffectFailed),
        /// Internal: a pending task is not in its backlog any more.
        TaskLost(TaskLost),
        /// Internal: a worker is gone.
        WorkerLost(WorkerLost),
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
        let read =
            Self::from_tagged(&tag, text).ok_or_else(|| CommandError::UnknownType(tag.chars().take(100).collect()))?;
        read.map_err(|e| CommandError::WrongFields { command: tag.into_owned(), problem: e.to_string() })
    }

    /// The workflow id that the value itself names, where it names one.
    #[must_use]
    pub fn workflow_id(&self) -> Option<&WorkflowId> {
        match self {
            Self::StartWorkflow(start) => Some(&start.workflow_id),
            Self::SignalWithStartWorkflow(both) => Some(&both.start.workflow_id),
            _ => None,
        }
    }

    /// Whether only Tidewright itself may send it.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        matches!(self, Self::FireTimer(_) | Self::EffectFailed(_) | Self::TaskLost(_) | Self::WorkerLost(_))
    }

    /// The same command with somebody to answer; one that is never answered stays as it is.
    #[must_use]
    pub fn answered_to(mut self, reply_to: ReplyTo) -> Self {
        match &mut self {
            Self::StartWorkflow(start) => start.reply_to = Some(reply_to),
            Self::SignalWorkflow(signal) => signal.reply_to = Some(reply_to),
            Self::SignalWithStartWorkflow(both) => both.start.reply_to = Some(reply_to),
            Self::RequestCancelWorkflow(cancel) => cancel.reply_to = Some(reply_to),
            Self::TerminateWorkflow(terminate) => terminate.reply_to = Some(reply_to),
            Self::DeleteWorkflow(delete) => delete.reply_to = Some(reply_to),
            Self::ConfirmTask(confirm) => confirm.reply_to = reply_to,
            _ => {}
        }
        self
    }

    /// Whom to answer, if anyone.
    #[must_use]
    pub fn reply_to(&self) -> Option<&ReplyTo> {
        match self {
            Self::StartWorkflow(start) => start.reply_to.as_ref(),
            Self::SignalWorkflow(signal) => signal.reply_to.as_ref(),
            Self::SignalWithStartWorkflow(both) => both.start.reply_to.as_ref(),
            Self::RequestCancelWorkflow(cancel) => cancel.reply_to.as_ref(),
            Self::TerminateWorkflow(terminate) => terminate.reply_to.as_ref(),
            Self::DeleteWorkflow(delete) => delete.reply_to.as_ref(),
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
