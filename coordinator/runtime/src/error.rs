//! What can go wrong with an engine.

use tidewright_log::{GroupError, LogError};
use tidewright_schemas::topics::TopicNameError;

/// Why an engine does not start, or ended by itself.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The namespace or the prefix cannot name topics.
    #[error(transparent)]
    Name(#[from] TopicNameError),
    /// Kafka cannot be used.
    #[error("Kafka cannot be used: {0}")]
    Kafka(String),
    /// Topics are missing and could not be created.
    #[error(
        "these topics are missing and could not be created: {0}. Create them with the settings that docs/topics.md lists, or allow this node to"
    )]
    TopicsMissing(String),
    /// The namespace was created with another secret.
    #[error(
        "namespace `{namespace}` was created with the secret {announced}, this node has {own}: give every node of a cluster the same secret file"
    )]
    WrongSecret {
        /// The namespace.
        namespace: String,
        /// The ids that it announces.
        announced: String,
        /// This node's.
        own: String,
    },
    /// The topics do not have the partitions that the namespace was created with.
    #[error(
        "namespace `{namespace}` has {expected} partitions, but {topic} has {found}. A topic may have more, never fewer: was it deleted and made anew?"
    )]
    Partitions {
        /// The namespace.
        namespace: String,
        /// The topic.
        topic: String,
        /// What the namespace's record says.
        expected: u32,
        /// What the topic has.
        found: u32,
    },
    /// The consumer group cannot be used any more.
    #[error("this node's membership in its consumer group ended: {0}")]
    Group(String),
}

impl EngineError {
    /// Stable code; see `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => "TW0501",
            Self::Kafka(_) => "TW0502",
            Self::TopicsMissing(_) => "TW0503",
            Self::WrongSecret { .. } => "TW0504",
            Self::Partitions { .. } => "TW0505",
            Self::Group(_) => "TW0506",
        }
    }
}

impl From<LogError> for EngineError {
    fn from(error: LogError) -> Self {
        Self::Kafka(error.to_string())
    }
}

impl From<GroupError> for EngineError {
    fn from(error: GroupError) -> Self {
        Self::Group(error.to_string())
    }
}

/// Why a read is not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// This node does not own the partition, or is not sure that it still does (R17).
    #[error("this node does not own the workflow's partition any more; ask again")]
    NotOwned,
    /// The store failed.
    #[error("{0}")]
    Store(String),
}

/// Why a request is not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RequestError {
    /// No answer in time: it may have been carried out. The same request id gives the same answer.
    #[error(
        "no owner answered in time; the request may have been carried out. Repeat it with the same request_id: it happens once"
    )]
    Timeout,
    /// The command could not be sent.
    #[error("the request could not be sent: {0}")]
    Unavailable(String),
}

impl RequestError {
    /// Stable code; see `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Timeout => "TW0507",
            Self::Unavailable(_) => "TW0508",
        }
    }
}
