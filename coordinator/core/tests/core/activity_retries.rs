//! Attempts of activities.

use tidewright_schemas::api::PendingActivityState;
use tidewright_schemas::{
    ApplicationFailure, Decision, EventAttributes, Failure, FailureInfo, RetryPolicy, ScheduleActivity, TimerTarget,
};

use crate::support::World;
use crate::support::commands::*;
use crate::support::decisions::*;

fn fails_with(w: &mut World, failure: Failure) -> &mut World {
    w.when(activity_failed_with("charge", failure))
}

#[test]
fn a_failed_attempt_waits_for_the_next() {
    let mut w = order_that_decided([schedule("charge")]);
    w.when(activity_failed("charge"));
    w.then_events([]).then_facts(["ActivityRetryScheduled #2"]).then_effects([]);
    let pending = w.describe().pending_activities.remove(0);
    assert_eq!((pending.state, pending.attempt), (PendingActivityState::BackingOff, 2));
    assert_eq!(pending.next_attempt_ms, Some(w.now_ms + 1_000));
    assert_eq!((pending.last_failure, pending.last_worker.as_deref()), (Some(boom()), Some("a")));
    w.when_due(TimerTarget::ActivityRetry).then_facts(["ActivityDispatched #2"]).then_effects(["activity task 5#2"]);
    let task = &w.activity_task("charge").1;
    assert_eq!((task.attempt, task.last_failure.clone()), (2, Some(boom())));
    assert_eq!(task.attempt_scheduled_time_ms, w.now_ms);
    assert!(task.scheduled_time_ms < w.now_ms);
}

#[test]
fn delays_follow_the_policy() {
    let policy = RetryPolicy {
        initial_interval_ms: 100,
        backoff_coefficient: 3.0,
        maximum_interval_ms: Some(1_000),
        ..RetryPolicy::default()
    };
    let mut w = order_that_decided([with_policy("charge", policy)]);
    let mut delays = Vec::new();
    for _ in 0..4 {
        w.when(activity_failed("charge"));
        delays.push(w.describe().pending_activities[0].next_attempt_ms.expect("it waits") - w.now_ms);
        w.when_due(TimerTarget::ActivityRetry);
    }
    assert_eq!(delays, [100, 300, 900, 1_000]);
}

#[test]
fn r2_records_of_retries_are_superseded_but_not_started_notices() {
    let mut w = order_that_decided([schedule("charge")]);
    let before = w.record_count();
    for _ in 0..10 {
        w.when(started_notice("charge", "a")).when(activity_failed("charge")).when_due(TimerTarget::ActivityRetry);
    }
    assert_eq!(w.record_count() - before, 30);
    assert_eq!(w.superseded_count(), 19);
    w.when(activity_completed("charge"));
    assert_eq!(w.superseded_count(), 20);
}

#[test]
fn attempts_are_used_up() {
    let mut w = order_that_decided([with_policy("charge", at_most(2))]);
    w.when(activity_failed("charge")).when_due(TimerTarget::ActivityRetry).when(activity_failed("charge"));
    w.then_events([
        "ActivityTaskStarted #2",
        "ActivityTaskFailed MaximumAttemptsReached",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
    let EventAttributes::ActivityTaskFailed(failed) = w.attributes("ActivityTaskFailed") else { panic!() };
    assert_eq!((failed.failure.clone(), failed.worker.clone()), (boom(), worker("a")));
    assert_eq!(failed.started_event_id, w.event("ActivityTaskStarted").event_id);
}

#[test]
fn a_failure_can_forbid_another_attempt() {
    let mut w = order_that_decided([schedule("charge")]);
    fails_with(&mut w, Failure::application("CardStolen", "no", true));
    assert!(crate::support::words::event(&w.step.events[1]).contains("NonRetryableFailure"));
}

#[test]
fn a_policy_can_forbid_another_attempt_by_type() {
    let policy = RetryPolicy { non_retryable_error_types: vec!["CardDeclined".to_owned()], ..RetryPolicy::default() };
    let decided = || order_that_decided([with_policy("charge", policy.clone())]);
    fails_with(&mut decided(), Failure::application("NetworkDown", "no", false))
        .then_facts(["ActivityRetryScheduled #2"]);
    let mut w = decided();
    w.when(activity_failed("charge"));
    assert!(crate::support::words::event(&w.step.events[1]).contains("NonRetryableFailure"));
}

fn after(next_retry_delay_ms: u64) -> Failure {
    let info = ApplicationFailure { next_retry_delay_ms: Some(next_retry_delay_ms), ..ApplicationFailure::default() };
    Failure::of("busy", FailureInfo::Application(info))
}

#[test]
fn a_failure_can_say_when_the_next_attempt_is() {
    let mut w = order_that_decided([schedule("charge")]);
    fails_with(&mut w, after(77_000)).then_facts(["ActivityRetryScheduled #2"]);
    assert_eq!(w.describe().pending_activities[0].next_attempt_ms, Some(w.now_ms + 77_000));
    w.when_due(TimerTarget::ActivityRetry);
    fails_with(&mut w, after(0)).then_facts(["ActivityDispatched #3"]).then_effects(["activity task 5#3"]);
    fails_with(&mut w, after(u64::MAX)).then_facts(["ActivityRetryScheduled #4"]);
}

fn for_30_seconds() -> Decision {
    ScheduleActivity { schedule_to_close_timeout_ms: Some(30_000), ..activity("charge") }.into()
}

#[test]
fn an_attempt_that_would_come_too_late_is_not_made() {
    let mut w = order_that_decided([for_30_seconds()]);
    fails_with(&mut w, after(28_999)).then_facts(["ActivityRetryScheduled #2"]);
    let mut w = order_that_decided([for_30_seconds()]);
    fails_with(&mut w, after(29_000));
    assert_eq!(crate::support::words::event(&w.step.events[1]), "ActivityTaskFailed Timeout");
}
