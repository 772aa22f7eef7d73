//! Errors: what activities and workflows return, and what a workflow sees of an activity that failed.
//!
//! [`ActivityError`] and [`WorkflowError`] take any standard error by `?`, which is why they are none themselves; their
//! [`Failure`] is one. They are two types since only an activity's error says how it is retried, and only a workflow's
//! ends a workflow: neither can be returned in the other's place by accident.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidewright_schemas::limits::PAYLOAD_BYTES_MAX;
use tidewright_schemas::{ApplicationFailure, CanceledFailure, Failure, FailureInfo, Payload, RetryState, TimeoutType};

use crate::workflow::{Canceled, Elapsed, TimeoutError};

/// What an activity returns.
pub type ActivityResult<T> = Result<T, ActivityError>;
/// What a workflow returns.
pub type WorkflowResult<T> = Result<T, WorkflowError>;

/// `source` of every failure that this SDK raises.
const SOURCE: &str = "RustSDK";

/// Why an attempt of an activity failed. Retried by the activity's policy unless it says otherwise.
///
/// Any standard error becomes one by `?`; its type is then the error's name, its chain of sources is kept.
pub struct ActivityError {
    failure: Box<Failure>,
}

/// Why a workflow failed.
///
/// Any standard error becomes one by `?`: a workflow that lets an [`ActivityFailed`] through fails with it.
pub struct WorkflowError {
    failure: Box<Failure>,
}

impl ActivityError {
    /// A failure of a type that the retry policy is matched against, and a message for people.
    #[must_use]
    pub fn new(error_type: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { failure: application(error_type.into(), message.to_string(), false) }
    }

    /// A failure that no retry can help.
    #[must_use]
    pub fn non_retryable(error_type: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { failure: application(error_type.into(), message.to_string(), true) }
    }

    /// Adds something for code to read. Left out if it cannot be serialised or is too large.
    #[must_use]
    pub fn details(mut self, details: &(impl Serialize + ?Sized)) -> Self {
        set_details(&mut self.failure, details);
        self
    }

    /// Overrides the policy's delay before the next attempt.
    #[must_use]
    pub fn next_retry_delay(mut self, delay: Duration) -> Self {
        if let FailureInfo::Application(info) = &mut self.failure.info {
            info.next_retry_delay_ms = Some(millis(delay));
        }
        self
    }

    /// Adds what led to it.
    #[must_use]
    pub fn caused_by(mut self, cause: &(dyn Error + 'static)) -> Self {
        self.failure.cause = Some(failure_of(cause, "Error"));
        self
    }

    /// The failure as it goes into history: a standard error, with its causes.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        &self.failure
    }

    /// The failure as it goes into history.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        *self.failure
    }

    /// Its type.
    #[must_use]
    pub fn error_type(&self) -> &str {
        self.failure.error_type()
    }
}

impl ActivityError {
    /// The activity was asked to end, and did: `details` are for the workflow to read. Left out if they cannot be
    /// serialised or are too large. An activity that nobody has asked fails with it, for good.
    #[must_use]
    pub fn canceled(details: &(impl Serialize + ?Sized)) -> Self {
        let info = FailureInfo::Canceled(CanceledFailure::default());
        let failure = Failure::of("the activity was cancelled", info);
        Self { failure: Box::new(Failure { source: SOURCE.to_owned(), ..failure }) }.details(details)
    }
}

impl WorkflowError {
    /// A failure of a type, and a message for people.
    #[must_use]
    pub fn new(error_type: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { failure: application(error_type.into(), message.to_string(), false) }
    }

    /// Makes another workflow error the cause.
    pub(crate) fn with_cause(mut self, cause: Self) -> Self {
        self.failure.cause = Some(cause.failure);
        self
    }

    /// Whether it says that something was cancelled: the workflow, a scope, or an activity.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        let mut failure = &self.failure;
        loop {
            match (&failure.info, &failure.cause) {
                (FailureInfo::Canceled(_), _) => return true,
                (FailureInfo::Activity(_), Some(cause)) => failure = cause,
                _ => return false,
            }
        }
    }

    /// The workflow ends as cancelled, if somebody has asked it to end; else as failed.
    #[must_use]
    pub fn canceled() -> Self {
        let info = FailureInfo::Canceled(CanceledFailure::default());
        Self {
            failure: Box::new(Failure { source: SOURCE.to_owned(), ..Failure::of("the workflow was cancelled", info) }),
        }
    }

    /// Adds something for code to read. Left out if it cannot be serialised or is too large.
    #[must_use]
    pub fn details(mut self, details: &(impl Serialize + ?Sized)) -> Self {
        set_details(&mut self.failure, details);
        self
    }

    /// Adds what led to it.
    #[must_use]
    pub fn caused_by(mut self, cause: &(dyn Error + 'static)) -> Self {
        self.failure.cause = Some(failure_of(cause, "Error"));
        self
    }

    /// The failure as it goes into history: a standard error, with its causes.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        &self.failure
    }

    /// The failure as it goes into history.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        *self.failure
    }

    /// Its type.
    #[must_use]
    pub fn error_type(&self) -> &str {
        self.failure.error_type()
    }
}

impl<E: Error + 'static> From<E> for ActivityError {
    fn from(error: E) -> Self {
        Self { failure: failure_of(&error, short_type_name::<E>()) }
    }
}

impl<E: Error + 'static> From<E> for WorkflowError {
    fn from(error: E) -> Self {
        Self { failure: failure_of(&error, short_type_name::<E>()) }
    }
}

macro_rules! shows_its_failure {
    ($($name:ident),+) => {
        $(
            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Display::fmt(&self.failure, f)
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, "{}({}: {})", stringify!($name), self.failure.error_type(), self.failure.message)
                }
            }
        )+
    };
}

shows_its_failure!(ActivityError, WorkflowError, ActivityFailed);

/// An activity failed for good: what its workflow gets instead of a result.
///
/// Its [sources](Error::source) are its causes, each a [`Failure`] that says by its [`info`](Failure::info) what kind it is:
/// of the user's code, a timeout with its last heartbeat, a cancellation, another activity's. `{}` shows which activity
/// failed, `{:#}` why, too.
pub struct ActivityFailed {
    failure: Box<Failure>,
}

impl ActivityFailed {
    pub(crate) fn new(failure: Box<Failure>) -> Self {
        Self { failure }
    }

    /// It was cancelled before it had an outcome.
    pub(crate) fn canceled(activity_type: &str) -> Self {
        let info = FailureInfo::Canceled(CanceledFailure::default());
        let failure = Failure::of(format!("activity `{activity_type}` was cancelled"), info);
        Self::new(Box::new(Failure { source: SOURCE.to_owned(), ..failure }))
    }

    /// Whether it was cancelled: by its scope, or since the workflow was asked to end.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        matches!(self.reason().info, FailureInfo::Canceled(_))
    }

    /// The type of what went wrong, for instance `CardDeclined`; `Timeout` if it took too long.
    #[must_use]
    pub fn error_type(&self) -> &str {
        self.reason().error_type()
    }

    /// What went wrong, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.reason().message
    }

    /// What the activity's code said besides, if it did.
    #[must_use]
    pub fn details<T: DeserializeOwned>(&self) -> Option<T> {
        match &self.reason().info {
            FailureInfo::Application(info) => info.details.as_ref()?.read().ok(),
            FailureInfo::Canceled(info) => info.details.as_ref()?.read().ok(),
            _ => None,
        }
    }

    /// What the activity's last heartbeat said before it took too long, if it said something.
    #[must_use]
    pub fn last_heartbeat<T: DeserializeOwned>(&self) -> Option<T> {
        match &self.reason().info {
            FailureInfo::Timeout(info) => info.last_heartbeat_details.as_ref()?.read().ok(),
            _ => None,
        }
    }

    /// Which timeout ran out, if one did.
    #[must_use]
    pub fn timeout(&self) -> Option<TimeoutType> {
        match &self.reason().info {
            FailureInfo::Timeout(timeout) => Some(timeout.timeout_type),
            _ => None,
        }
    }

    /// Why there was no further attempt.
    #[must_use]
    pub fn retry_state(&self) -> Option<RetryState> {
        match &self.failure.info {
            FailureInfo::Activity(activity) => Some(activity.retry_state),
            _ => None,
        }
    }

    /// The whole failure, as history has it.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        &self.failure
    }

    /// The failure of the last attempt.
    fn reason(&self) -> &Failure {
        self.failure.cause.as_deref().unwrap_or(&self.failure)
    }
}

impl Error for ActivityFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.failure.source()
    }
}

/// A failure of the user's code.
pub(crate) fn application(error_type: String, message: String, non_retryable: bool) -> Box<Failure> {
    let mut failure = Failure::application(error_type, message, non_retryable).shortened();
    SOURCE.clone_into(&mut failure.source);
    Box::new(failure)
}

fn set_details(failure: &mut Failure, details: &(impl Serialize + ?Sized)) {
    let slot = match &mut failure.info {
        FailureInfo::Application(ApplicationFailure { details, .. }) => details,
        FailureInfo::Canceled(CanceledFailure { details, .. }) => details,
        _ => return,
    };
    *slot = Payload::new(details).ok().filter(|payload| payload.size() <= PAYLOAD_BYTES_MAX);
}

/// An error with its sources as a failure with its causes. The SDK's own failure passes through whole.
fn failure_of(error: &(dyn Error + 'static), error_type: &str) -> Box<Failure> {
    /// Beyond this many sources there is nothing to learn.
    const SOURCES_MAX: usize = 20;
    if let Some(failure) = own_failure(error) {
        return failure;
    }
    let sources: Vec<_> = std::iter::successors(error.source(), |e| (*e).source()).take(SOURCES_MAX).collect();
    let cause = sources.into_iter().rev().fold(None, |cause, source| {
        let other = || application("Error".to_owned(), source.to_string(), false);
        let mut failure = own_failure(source).unwrap_or_else(other);
        failure.cause = failure.cause.or(cause);
        Some(failure)
    });
    let mut failure = application(error_type.to_owned(), error.to_string(), false);
    failure.cause = cause;
    failure
}

/// The failure that one of the SDK's own errors is.
fn own_failure(error: &(dyn Error + 'static)) -> Option<Box<Failure>> {
    if let Some(failed) = error.downcast_ref::<ActivityFailed>() {
        return Some(failed.failure.clone());
    }
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return Some(Box::new(failure.clone()));
    }
    if error.is::<Canceled>() {
        return Some(WorkflowError::canceled().failure);
    }
    if let Some(elapsed) = error.downcast_ref::<Elapsed>() {
        return Some(application("Timeout".to_owned(), elapsed.to_string(), false));
    }
    if let Some(TimeoutError::Failed(failed)) = error.downcast_ref::<TimeoutError<ActivityFailed>>() {
        return Some(failed.failure.clone());
    }
    match error.downcast_ref::<TimeoutError<Canceled>>()? {
        TimeoutError::Failed(canceled) => own_failure(canceled),
        TimeoutError::Elapsed(elapsed) => own_failure(elapsed),
    }
}

/// `std::num::ParseIntError` becomes `ParseIntError`.
fn short_type_name<E: Any>() -> &'static str {
    let full = std::any::type_name::<E>();
    let plain = full.split('<').next().unwrap_or(full);
    plain.rsplit("::").next().unwrap_or(plain)
}

/// Milliseconds, rounded up, so that a short timeout does not become none.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the order is void")]
    struct Void(#[source] std::num::ParseIntError);

    fn parse(text: &str) -> ActivityResult<u64> {
        Ok(text.parse::<u64>().map_err(Void)?)
    }

    #[test]
    fn any_error_becomes_a_failure_with_its_causes() {
        let failure = parse("x").unwrap_err().into_failure();
        assert_eq!((failure.error_type(), failure.message.as_str()), ("Void", "the order is void"));
        assert_eq!(failure.cause.unwrap().message, "invalid digit found in string");
    }

    #[test]
    fn an_activity_failure_passes_through_a_workflow_whole() {
        fn workflow() -> WorkflowResult<()> {
            let cause = Failure::application("CardDeclined", "no money", true);
            let failure = Failure::of("activity failed", FailureInfo::Application(ApplicationFailure::default()));
            Err(ActivityFailed::new(Box::new(failure.caused_by(cause))))?
        }
        let failure = workflow().unwrap_err().into_failure();
        assert_eq!(failure.cause.unwrap().error_type(), "CardDeclined");
    }

    #[test]
    fn details_come_back() {
        let error = ActivityError::non_retryable("CardDeclined", "no").details(&["a", "b"]);
        let failed = ActivityFailed::new(Box::new(error.into_failure()));
        assert_eq!(failed.details::<Vec<String>>().unwrap(), ["a", "b"]);
        assert_eq!(failed.error_type(), "CardDeclined");
    }

    #[test]
    fn a_short_timeout_does_not_become_none() {
        assert_eq!(millis(Duration::from_micros(1)), 1);
        assert_eq!(millis(Duration::from_secs(1)), 1_000);
    }
}
