//! What can go wrong, sorted by what a caller can do about it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::properties::PropertyError;

/// Why a record was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    /// What a caller can do about it.
    pub kind: SendErrorKind,
    /// What happened to what, and what to do.
    pub message: String,
}

/// What a caller can do about a [`SendError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendErrorKind {
    /// The topic or the partition does not exist.
    TopicMissing,
    /// The ACLs do not let this client write there.
    Denied,
    /// The record is larger than the topic or this client allows.
    TooLarge,
    /// The broker refuses the record for a reason that does not pass.
    Refused,
    /// Kafka did not confirm the record, which may or may not be in the log; the same record can be sent again.
    Unavailable,
}

/// Why a partition cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The topic or the partition does not exist.
    #[error("partition {partition} of topic {topic} does not exist; create the topic or check its name and prefix")]
    TopicMissing {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
    },
    /// The ACLs do not let this client read there.
    #[error("reading topic {topic} is not allowed; grant this client's principal Read and Describe on it")]
    Denied {
        /// The topic.
        topic: String,
    },
    /// The log does not hold the offset (any more, or yet).
    #[error(
        "offset {offset} of {topic}/{partition} cannot be read: the log holds {low} up to (but not) {high} now; \
         records were deleted, the topic was made anew, or the log was truncated"
    )]
    OutOfRange {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// What was to be read.
        offset: u64,
        /// The first offset that the log holds.
        low: u64,
        /// The offset after the last one that the log holds.
        high: u64,
    },
    /// This client reads the partition already.
    #[error("{topic}/{partition} is being read by this client already; use another client or close that reader first")]
    AlreadyOpen {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
    },
    /// The reader was closed, or could not be opened again.
    #[error("the reader of {topic}/{partition} is closed; open it again")]
    Closed {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
    },
    /// Kafka cannot be reached or does not answer; trying again may help.
    #[error("{topic}/{partition} cannot be read at the moment: {message}")]
    Unavailable {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// What happened.
        message: String,
    },
}

/// What a group consumer meets. The consumer goes on trying after any of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// A topic does not exist (yet).
    #[error("group {group}: a topic of {topics:?} does not exist; it is joined once it does")]
    TopicMissing {
        /// The group.
        group: String,
        /// What is subscribed.
        topics: Vec<String>,
    },
    /// The ACLs forbid the group or a topic.
    #[error(
        "group {group} may not read {topics:?}: {message}; grant Read on the group and Read and Describe on the topics"
    )]
    Denied {
        /// The group.
        group: String,
        /// What is subscribed.
        topics: Vec<String>,
        /// What the broker said.
        message: String,
    },
    /// Kafka cannot be reached, or the group is not stable.
    #[error("group {group}: {message}")]
    Unavailable {
        /// The group.
        group: String,
        /// What happened.
        message: String,
    },
    /// librdkafka gave this member up: close it and join again.
    #[error("group {group} has to be joined again: {message}")]
    Fatal {
        /// The group.
        group: String,
        /// What happened.
        message: String,
    },
    /// The consumer was closed.
    #[error("the consumer of group {group} is closed")]
    Closed {
        /// The group.
        group: String,
    },
}

/// Why a client cannot be made, or an administrative request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// A property is wrong.
    #[error("the Kafka configuration is wrong: {0}")]
    Config(String),
    /// A property is set that must not be.
    #[error("[{code}] {problem}", code = .0.code(), problem = .0)]
    Property(#[from] PropertyError),
    /// A topic or partition does not exist.
    #[error("{what}: the topic or partition does not exist")]
    TopicMissing {
        /// What was tried.
        what: String,
    },
    /// The ACLs forbid it.
    #[error("{what} is not allowed: {message}; grant it to this client's principal")]
    Denied {
        /// What was tried.
        what: String,
        /// What the broker said.
        message: String,
    },
    /// Kafka refuses it for a reason that does not pass.
    #[error("{what} was refused: {message}")]
    Refused {
        /// What was tried.
        what: String,
        /// What the broker said.
        message: String,
    },
    /// Kafka cannot be reached or does not answer; trying again may help.
    #[error("{what} failed: {message}; is Kafka up and reachable, and are the credentials right?")]
    Unavailable {
        /// What was tried.
        what: String,
        /// What happened.
        message: String,
    },
}

/// An error code by what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Missing,
    Denied,
    TooLarge,
    Refused,
    Passing,
}

pub(crate) fn classify(code: RDKafkaErrorCode) -> Class {
    use RDKafkaErrorCode as C;
    match code {
        C::UnknownTopicOrPartition | C::UnknownTopic | C::UnknownPartition | C::UnknownTopicId => Class::Missing,
        C::TopicAuthorizationFailed | C::GroupAuthorizationFailed | C::ClusterAuthorizationFailed => Class::Denied,
        C::SaslAuthenticationFailed | C::Authentication | C::TransactionalIdAuthorizationFailed => Class::Denied,
        C::MessageSizeTooLarge | C::MessageBatchTooLarge => Class::TooLarge,
        C::InvalidTopic
        | C::InvalidRecord
        | C::InvalidMessage
        | C::InvalidTimestamp
        | C::InvalidPartitions
        | C::InvalidReplicationFactor
        | C::InvalidConfig
        | C::InvalidRequest
        | C::InvalidArgument
        | C::InvalidRequiredAcks
        | C::PolicyViolation
        | C::UnsupportedVersion
        | C::UnsupportedFeature
        | C::UnsupportedCompressionType
        | C::UnsupportedForMessageFormat
        | C::OffsetOutOfRange
        | C::SecurityDisabled => Class::Refused,
        _ => Class::Passing,
    }
}

/// The error of one record.
pub(crate) fn send_error(topic: &str, code: Option<RDKafkaErrorCode>, said: &str) -> SendError {
    let (kind, message) = match code.map_or(Class::Passing, classify) {
        Class::Missing => (
            SendErrorKind::TopicMissing,
            format!("topic {topic} or the partition does not exist ({said}); create it or check name and prefix"),
        ),
        Class::Denied => (
            SendErrorKind::Denied,
            format!("writing to topic {topic} is not allowed ({said}); grant this client's principal Write on it"),
        ),
        Class::TooLarge => (
            SendErrorKind::TooLarge,
            format!("the record is too large for topic {topic} ({said}); make it smaller or raise max.message.bytes"),
        ),
        Class::Refused => (SendErrorKind::Refused, format!("topic {topic} refuses the record ({said})")),
        Class::Passing => (
            SendErrorKind::Unavailable,
            format!("topic {topic} did not confirm the record ({said}); it can be sent again"),
        ),
    };
    SendError { kind, message }
}

/// The error of an administrative request.
pub(crate) fn log_error(what: &str, error: &KafkaError) -> LogError {
    let code = match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    };
    coded_log_error(what, code, &error.to_string())
}

/// The error of an administrative request by its code.
pub(crate) fn coded_log_error(what: &str, code: Option<RDKafkaErrorCode>, message: &str) -> LogError {
    let (what, message) = (what.to_owned(), message.to_owned());
    match code.map_or(Class::Passing, classify) {
        Class::Missing => LogError::TopicMissing { what },
        Class::Denied => LogError::Denied { what, message },
        Class::TooLarge | Class::Refused => LogError::Refused { what, message },
        Class::Passing => LogError::Unavailable { what, message },
    }
}

/// The error of making a client.
pub(crate) fn client_error(error: &KafkaError) -> LogError {
    LogError::Config(error.to_string())
}
