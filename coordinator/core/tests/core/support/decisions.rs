//! Decisions and the values in them, as a workflow would write them.

use tidewright_schemas::{
    CancelTimer, CancelWorkflow, CompleteWorkflow, Decision, FailWorkflow, Failure, Payload, RequestCancelActivity,
    RetryPolicy, ScheduleActivity, StartTimer,
};

/// An activity with a start-to-close timeout of 10 s and the default retries.
pub fn activity(id: &str) -> ScheduleActivity {
    ScheduleActivity {
        activity_id: id.to_owned(),
        activity_type: "Charge".to_owned(),
        input: Some(json("{\"amount\": 1.50}")),
        start_to_close_timeout_ms: Some(10_000),
        ..ScheduleActivity::default()
    }
}

pub fn schedule(id: &str) -> Decision {
    activity(id).into()
}

/// Fire and forget.
pub fn detached(id: &str) -> Decision {
    ScheduleActivity { detached: true, ..activity(id) }.into()
}

pub fn with_policy(id: &str, retry_policy: RetryPolicy) -> Decision {
    ScheduleActivity { retry_policy: Some(retry_policy), ..activity(id) }.into()
}

pub fn at_most(maximum_attempts: u32) -> RetryPolicy {
    RetryPolicy { maximum_attempts, ..RetryPolicy::default() }
}

pub fn timer(id: &str, start_to_fire_timeout_ms: u64) -> Decision {
    StartTimer { timer_id: id.to_owned(), start_to_fire_timeout_ms, user_metadata: None }.into()
}

pub fn cancel(id: &str) -> Decision {
    CancelTimer { timer_id: id.to_owned() }.into()
}

pub fn cancel_activity(scheduled_event_id: u64) -> Decision {
    RequestCancelActivity { scheduled_event_id }.into()
}

pub fn complete() -> Decision {
    CompleteWorkflow { result: Some(json("\"shipped\"")) }.into()
}

pub fn end_as_cancelled() -> Decision {
    CancelWorkflow { details: Some(json("\"refunded\"")) }.into()
}

pub fn fail() -> Decision {
    FailWorkflow { failure: boom() }.into()
}

pub fn json(text: &str) -> Payload {
    Payload::from_json(text).unwrap()
}

/// JSON text of exactly this many bytes.
pub fn payload_of(bytes: usize) -> Payload {
    json(&format!("\"{}\"", "x".repeat(bytes - 2)))
}

pub fn boom() -> Failure {
    Failure::application("CardDeclined", "the card was declined", false)
}
