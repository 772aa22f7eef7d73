//! Retry policies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a failed activity is tried again. The defaults are Temporal's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RetryPolicy {
    /// Delay before the second attempt, in milliseconds. Default: 1 s.
    pub initial_interval_ms: u64,
    /// Each delay is the one before times this; at least 1. Default: 2.
    pub backoff_coefficient: f64,
    /// No delay is longer than this, in milliseconds. Default: 100 times the initial interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_interval_ms: Option<u64>,
    /// How many attempts at most; 0 (the default) is without limit, 1 is never again.
    pub maximum_attempts: u32,
    /// Failures of these types are not retried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub non_retryable_error_types: Vec<String>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            initial_interval_ms: 1_000,
            backoff_coefficient: 2.0,
            maximum_interval_ms: None,
            maximum_attempts: 0,
            non_retryable_error_types: Vec::new(),
        }
    }
}

impl RetryPolicy {
    /// The delay before the attempt that follows `attempt`, in milliseconds.
    #[must_use]
    pub fn delay_after_ms(&self, attempt: u32) -> u64 {
        let cap = self.maximum_interval_ms.unwrap_or(self.initial_interval_ms.saturating_mul(100));
        let factor =
            self.backoff_coefficient.max(1.0).powi(i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX));
        let delay = self.initial_interval_ms as f64 * factor;
        if delay.is_finite() && delay < cap as f64 { delay as u64 } else { cap }
    }

    /// What is wrong with the policy, if anything.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        if !self.backoff_coefficient.is_finite() || self.backoff_coefficient < 1.0 {
            return Some("backoff_coefficient must be a number of at least 1");
        }
        if self.maximum_interval_ms.is_some_and(|max| max < self.initial_interval_ms) {
            return Some("maximum_interval_ms must not be below initial_interval_ms");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum() {
        let policy = RetryPolicy { maximum_interval_ms: Some(5_000), ..RetryPolicy::default() };
        let delays: Vec<_> = (1..=5).map(|attempt| policy.delay_after_ms(attempt)).collect();
        assert_eq!(delays, [1_000, 2_000, 4_000, 5_000, 5_000]);
        assert_eq!(policy.delay_after_ms(u32::MAX), 5_000);
    }

    #[test]
    fn a_missing_field_takes_its_default() {
        let policy: RetryPolicy = serde_json::from_str(r#"{"maximum_attempts":3,"from_the_future":1}"#).unwrap();
        assert_eq!(policy, RetryPolicy { maximum_attempts: 3, ..RetryPolicy::default() });
    }
}
