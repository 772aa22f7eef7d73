//! Failures: what went wrong, with its chain of causes.

use std::error::Error;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::FAILURE_TEXT_BYTES_MAX;
use crate::tagged::tagged_enum;
use crate::{EventId, Payload};

/// A failure as it stands in history and on the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// For people.
    pub message: String,
    /// Which part raised it, for instance `RustSDK` or `tidewright`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Where it was raised, if the worker tells.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stack_trace: String,
    /// What the worker encoded of message and stack trace, so that only it can read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoded_attributes: Option<Payload>,
    /// What kind of failure it is.
    pub info: FailureInfo,
    /// What led to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Box<Failure>>,
}

tagged_enum! {
    /// What kind of failure a [`Failure`] is.
    pub enum FailureInfo {
        /// Raised by the user's code.
        Application(ApplicationFailure),
        /// Something took too long.
        Timeout(TimeoutFailure),
        /// An activity failed; the cause says why.
        Activity(ActivityFailure),
        /// It was asked to end, and did.
        Canceled(CanceledFailure),
        /// It was ended from outside.
        Terminated(TerminatedFailure),
        /// Raised by Tidewright itself.
        Server(ServerFailure),
    }
}

/// A failure that the user's code raised.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ApplicationFailure {
    /// The error's type, which `non_retryable_error_types` is matched against.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error_type: String,
    /// Whether the policy must not retry it.
    pub non_retryable: bool,
    /// More about it, for code to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Payload>,
    /// Overrides the policy's delay before the next attempt, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_retry_delay_ms: Option<u64>,
    /// How much it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<ApplicationErrorCategory>,
}

/// How much a failure of the user's code matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApplicationErrorCategory {
    /// It is expected, and nobody needs to look at it.
    Benign,
}

/// Which timeout ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TimeoutType {
    /// One attempt ran too long.
    StartToClose,
    /// A task waited too long for a worker.
    ScheduleToStart,
    /// All attempts together took too long.
    ScheduleToClose,
    /// The attempt's heartbeats stopped.
    Heartbeat,
}

/// A timeout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimeoutFailure {
    /// Which one.
    pub timeout_type: TimeoutType,
    /// What the activity's last heartbeat said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heartbeat_details: Option<Payload>,
}

impl TimeoutFailure {
    /// Whether it ends one attempt, which may be followed by another one.
    #[must_use]
    pub fn is_of_an_attempt(&self) -> bool {
        matches!(self.timeout_type, TimeoutType::StartToClose | TimeoutType::Heartbeat)
    }
}

/// A cancellation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CanceledFailure {
    /// What the cancelled code says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Payload>,
    /// Who cancelled.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub identity: String,
}

/// A termination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TerminatedFailure {
    /// Who asked for it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub identity: String,
}

/// The failure of an activity, as its workflow sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityFailure {
    /// Id of the `ActivityTaskScheduled` event.
    pub scheduled_event_id: EventId,
    /// Id of the `ActivityTaskStarted` event; 0 if it never started.
    #[serde(default)]
    pub started_event_id: EventId,
    /// Type of the activity.
    pub activity_type: String,
    /// Id of the activity in its run.
    pub activity_id: String,
    /// Worker of the last attempt.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub identity: String,
    /// Why there was no further attempt.
    pub retry_state: RetryState,
}

/// Why an activity is not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RetryState {
    /// It is being tried again.
    InProgress,
    /// The failure says so.
    NonRetryableFailure,
    /// The policy's attempts are used up.
    MaximumAttemptsReached,
    /// The schedule-to-close timeout leaves no time for another attempt.
    Timeout,
    /// There is no policy.
    RetryPolicyNotSet,
    /// The failure is the engine's own.
    InternalServerError,
    /// It was asked to end.
    CancelRequested,
}

/// A failure that Tidewright raised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerFailure {
    /// Stable code, for instance `TW0303`; see `docs/errors/`.
    pub code: String,
    /// Whether a retry cannot help.
    #[serde(default)]
    pub non_retryable: bool,
}

impl Failure {
    /// A failure of the user's code.
    #[must_use]
    pub fn application(error_type: impl Into<String>, message: impl Into<String>, non_retryable: bool) -> Self {
        let info = ApplicationFailure { error_type: error_type.into(), non_retryable, ..ApplicationFailure::default() };
        Self::of(message, FailureInfo::Application(info))
    }

    /// A failure that Tidewright raises itself.
    #[must_use]
    pub fn server(code: &str, message: impl Into<String>, non_retryable: bool) -> Self {
        Self::of(message, FailureInfo::Server(ServerFailure { code: code.to_owned(), non_retryable }))
    }

    /// A timeout.
    #[must_use]
    pub fn timeout(timeout_type: TimeoutType, message: impl Into<String>) -> Self {
        Self::of(message, FailureInfo::Timeout(TimeoutFailure { timeout_type, last_heartbeat_details: None }))
    }

    /// A failure of any kind, without cause.
    #[must_use]
    pub fn of(message: impl Into<String>, info: FailureInfo) -> Self {
        let message = message.into();
        Self { message, source: String::new(), stack_trace: String::new(), encoded_attributes: None, info, cause: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, cause: Failure) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// The type that `non_retryable_error_types` is matched against.
    #[must_use]
    pub fn error_type(&self) -> &str {
        match &self.info {
            FailureInfo::Application(application) => &application.error_type,
            FailureInfo::Server(server) => &server.code,
            FailureInfo::Timeout(_) => "Timeout",
            FailureInfo::Activity(_) => "Activity",
            FailureInfo::Canceled(_) => "Canceled",
            FailureInfo::Terminated(_) => "Terminated",
        }
    }

    /// Whether the failure forbids a retry whatever the policy says.
    #[must_use]
    pub fn non_retryable(&self) -> bool {
        match &self.info {
            FailureInfo::Application(application) => application.non_retryable,
            FailureInfo::Server(server) => server.non_retryable,
            // Who was asked to end, or was ended, is not begun again.
            FailureInfo::Canceled(_) | FailureInfo::Terminated(_) => true,
            FailureInfo::Timeout(_) | FailureInfo::Activity(_) => false,
        }
    }

    /// About how many bytes the failure takes on the wire.
    #[must_use]
    pub fn size(&self) -> usize {
        let details = match &self.info {
            FailureInfo::Application(application) => application.details.as_ref().map_or(0, Payload::size),
            FailureInfo::Canceled(canceled) => canceled.details.as_ref().map_or(0, Payload::size),
            FailureInfo::Timeout(timeout) => timeout.last_heartbeat_details.as_ref().map_or(0, Payload::size),
            _ => 0,
        };
        let encoded = self.encoded_attributes.as_ref().map_or(0, Payload::size);
        let cause = self.cause.as_ref().map_or(0, |cause| cause.size());
        self.message.len() + self.stack_trace.len() + details + encoded + cause + 128
    }

    /// Shortens long texts, keeping their beginning, so that a failure always fits its record (R7).
    #[must_use]
    pub fn shortened(mut self) -> Self {
        shorten(&mut self.message);
        shorten(&mut self.stack_trace);
        self.cause = self.cause.map(|cause| Box::new(cause.shortened()));
        self
    }
}

/// Its source is its cause.
impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &dyn Error)
    }
}

/// `{}` shows what it adds to its cause, `{:#}` the causes, too.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.own_message())?;
        match &self.cause {
            Some(cause) if f.alternate() => write!(f, ": {cause:#}"),
            _ => Ok(()),
        }
    }
}

impl Failure {
    /// The message without that of the cause, which an activity's failure ends with for those who see one line only.
    fn own_message(&self) -> &str {
        let cause = self.cause.as_ref().map_or("", |cause| cause.message.as_str());
        let own = self.message.strip_suffix(cause).and_then(|message| message.strip_suffix(": "));
        own.filter(|_| !cause.is_empty()).unwrap_or(&self.message)
    }
}

fn shorten(text: &mut String) {
    if text.len() > FAILURE_TEXT_BYTES_MAX {
        let mut end = FAILURE_TEXT_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
}
