//! Options of an activity call, and durations that read well.

use std::time::Duration;

use tidewright_replay::ActivityCancellationType;

use crate::error::millis;

/// How a failed activity is tried again. By default: after 1 s, 2 s, 4 s … up to 100 s, without end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RetryPolicy {
    wire: tidewright_schemas::RetryPolicy,
}

impl RetryPolicy {
    /// A policy of one attempt: a failure is final.
    #[must_use]
    pub fn never() -> Self {
        Self::default().maximum_attempts(1)
    }

    /// Delay before the second attempt.
    #[must_use]
    pub fn initial_interval(mut self, interval: Duration) -> Self {
        self.wire.initial_interval_ms = millis(interval);
        self
    }

    /// Each delay is the one before times this; at least 1.
    #[must_use]
    pub fn backoff_coefficient(mut self, coefficient: f64) -> Self {
        self.wire.backoff_coefficient = coefficient;
        self
    }

    /// No delay is longer than this.
    #[must_use]
    pub fn maximum_interval(mut self, interval: Duration) -> Self {
        self.wire.maximum_interval_ms = Some(millis(interval));
        self
    }

    /// How many attempts at most; 0 is without limit.
    #[must_use]
    pub fn maximum_attempts(mut self, attempts: u32) -> Self {
        self.wire.maximum_attempts = attempts;
        self
    }

    /// Failures of these types are not retried.
    #[must_use]
    pub fn non_retryable<S: Into<String>>(mut self, error_types: impl IntoIterator<Item = S>) -> Self {
        self.wire.non_retryable_error_types = error_types.into_iter().map(Into::into).collect();
        self
    }

    pub(crate) fn to_wire(&self) -> tidewright_schemas::RetryPolicy {
        self.wire.clone()
    }
}

/// Options of an activity call. They always hold a timeout: one of the two constructors sets it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ActivityOptions {
    pub(crate) start_to_close: Option<Duration>,
    pub(crate) schedule_to_close: Option<Duration>,
    pub(crate) schedule_to_start: Option<Duration>,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) task_queue: Option<String>,
    pub(crate) cancellation_type: Option<ActivityCancellationType>,
}

impl ActivityOptions {
    const NONE: Self = Self {
        start_to_close: None,
        schedule_to_close: None,
        schedule_to_start: None,
        heartbeat: None,
        retry: None,
        task_queue: None,
        cancellation_type: None,
    };

    /// Limits one attempt from its start.
    #[must_use]
    pub fn start_to_close(timeout: Duration) -> Self {
        Self { start_to_close: Some(timeout), ..Self::NONE }
    }

    /// Limits all attempts together.
    #[must_use]
    pub fn schedule_to_close(timeout: Duration) -> Self {
        Self { schedule_to_close: Some(timeout), ..Self::NONE }
    }

    /// Limits one attempt from its start, too.
    #[must_use]
    pub fn with_start_to_close(self, timeout: Duration) -> Self {
        Self { start_to_close: Some(timeout), ..self }
    }

    /// Limits all attempts together, too.
    #[must_use]
    pub fn with_schedule_to_close(self, timeout: Duration) -> Self {
        Self { schedule_to_close: Some(timeout), ..self }
    }

    /// Limits the wait for a worker.
    #[must_use]
    pub fn schedule_to_start(self, timeout: Duration) -> Self {
        Self { schedule_to_start: Some(timeout), ..self }
    }

    /// Limits the time between two [heartbeats](crate::ActivityContext::heartbeat) of an attempt, and from its start to
    /// the first.
    #[must_use]
    pub fn heartbeat_timeout(self, timeout: Duration) -> Self {
        Self { heartbeat: Some(timeout), ..self }
    }

    /// What it means to cancel the call. Default: [`ActivityCancellationType::TryCancel`].
    #[must_use]
    pub fn cancellation_type(self, cancellation_type: ActivityCancellationType) -> Self {
        Self { cancellation_type: Some(cancellation_type), ..self }
    }

    /// How failures are retried.
    #[must_use]
    pub fn retry(self, policy: RetryPolicy) -> Self {
        Self { retry: Some(policy), ..self }
    }

    /// Where the activity's workers listen, if not on the workflow's own queue.
    #[must_use]
    pub fn task_queue(self, task_queue: impl Into<String>) -> Self {
        Self { task_queue: Some(task_queue.into()), ..self }
    }
}

/// `30.secs()`, `7.days()`.
pub trait Durations {
    /// That many milliseconds.
    fn millis(self) -> Duration;
    /// That many seconds.
    fn secs(self) -> Duration;
    /// That many minutes.
    fn mins(self) -> Duration;
    /// That many hours.
    fn hours(self) -> Duration;
    /// That many days of 24 hours.
    fn days(self) -> Duration;
}

impl Durations for u64 {
    fn millis(self) -> Duration {
        Duration::from_millis(self)
    }
    fn secs(self) -> Duration {
        Duration::from_secs(self)
    }
    fn mins(self) -> Duration {
        Duration::from_secs(self.saturating_mul(60))
    }
    fn hours(self) -> Duration {
        Duration::from_secs(self.saturating_mul(3_600))
    }
    fn days(self) -> Duration {
        Duration::from_secs(self.saturating_mul(86_400))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(30.secs(), Duration::from_secs(30));
        assert_eq!(7.days(), 168.hours());
    }
}
