//! Timeouts of activities, and what follows each.

use tidewright_schemas::{
    Decision, EventAttributes, Failure, FailureInfo, RetryPolicy, ScheduleActivity, TimeoutType, TimerTarget::*,
};

use crate::support::World;
use crate::support::commands::*;
use crate::support::decisions::*;

fn timed_out(w: &World) -> (TimeoutType, bool) {
    let EventAttributes::ActivityTaskTimedOut(timed_out) = w.attributes("ActivityTaskTimedOut") else { panic!() };
    let FailureInfo::Timeout(timeout) = &timed_out.failure.info else { panic!("{timed_out:?}") };
    (timeout.timeout_type, timed_out.failure.cause.is_some())
}

#[test]
fn start_to_close_is_tried_again() {
    let mut w = order_that_decided([schedule("charge")]);
    w.when(started_notice("charge", "a")).when_due(ActivityStartToClose).then_facts(["ActivityRetryScheduled #2"]);
    assert_eq!(
        w.describe().pending_activities[0].last_failure.as_ref().map(|f| f.error_type().to_owned()).unwrap(),
        "Timeout"
    );
    w.when_due(ActivityRetry).then_effects(["activity task 5#2"]);
}

#[test]
fn start_to_close_of_the_last_attempt_closes() {
    let mut w = order_that_decided([with_policy("charge", at_most(2))]);
    w.when(activity_failed("charge")).when_due(ActivityRetry);
    w.when(started_notice("charge", "b")).when_due(ActivityStartToClose).then_events([
        "ActivityTaskStarted #2",
        "ActivityTaskTimedOut MaximumAttemptsReached",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
    assert_eq!(timed_out(&w), (TimeoutType::StartToClose, true));
    let EventAttributes::ActivityTaskStarted(started) = w.attributes("ActivityTaskStarted") else { panic!() };
    assert_eq!(started.worker, worker("b"));
    assert!(w.due().is_empty());
}

#[test]
fn a_timeout_that_the_worker_tells_of_first_is_the_same() {
    let overran = |timeout| Failure::timeout(timeout, "it ran for longer than 10 s");
    for timeout in [TimeoutType::StartToClose, TimeoutType::Heartbeat] {
        let mut w = order_that_decided([with_policy("charge", at_most(2))]);
        w.when(activity_failed_with("charge", overran(timeout))).then_facts(["ActivityRetryScheduled #2"]);
        w.when_due(ActivityRetry).when(activity_failed_with("charge", overran(timeout))).then_events([
            "ActivityTaskStarted #2",
            "ActivityTaskTimedOut MaximumAttemptsReached",
            "WorkflowTaskScheduled",
            "WorkflowTaskStarted",
        ]);
        assert_eq!(timed_out(&w), (timeout, true));
    }
}

#[test]
fn an_activity_that_passes_on_another_ones_timeout_has_failed() {
    let mut w = order_that_decided([with_policy("charge", at_most(1))]);
    w.when(activity_failed_with("charge", Failure::timeout(TimeoutType::ScheduleToClose, "the bank did not answer")));
    assert_eq!(crate::support::words::event(&w.step.events[1]), "ActivityTaskFailed MaximumAttemptsReached");
}

#[test]
fn a_policy_can_forbid_another_attempt_after_a_timeout() {
    let policy = RetryPolicy { non_retryable_error_types: vec!["Timeout".to_owned()], ..RetryPolicy::default() };
    let mut w = order_that_decided([with_policy("charge", policy)]);
    w.when(started_notice("charge", "a")).when_due(ActivityStartToClose);
    assert_eq!(crate::support::words::event(&w.step.events[1]), "ActivityTaskTimedOut NonRetryableFailure");
}

fn waits_5_seconds() -> Decision {
    ScheduleActivity { schedule_to_start_timeout_ms: Some(5_000), ..activity("charge") }.into()
}

#[test]
fn schedule_to_start_closes_without_a_start() {
    let mut w = order_that_decided([waits_5_seconds()]);
    w.when_due(ActivityScheduleToStart).then_events([
        "ActivityTaskTimedOut Timeout",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
    assert_eq!(timed_out(&w), (TimeoutType::ScheduleToStart, false));
}

#[test]
fn schedule_to_start_is_over_once_an_attempt_started_and_begins_anew_with_the_next() {
    let mut w = order_that_decided([waits_5_seconds()]);
    let first = w.due().remove(0);
    assert_eq!(first.due_ms, w.now_ms + 5_000);
    w.when(started_notice("charge", "a"));
    w.after(5_000).when(fire(&first)).then_nothing();
    w.when(activity_failed("charge"));
    w.when(fire(&first)).then_nothing();
    w.when_due(ActivityRetry);
    w.when(fire(&first)).then_nothing();
    let second = w.due().remove(0);
    assert_eq!((second.attempt, second.target), (2, ActivityScheduleToStart));
    w.when_due(ActivityScheduleToStart);
    assert_eq!(timed_out(&w), (TimeoutType::ScheduleToStart, true));
}

fn for_30_seconds() -> Decision {
    ScheduleActivity { schedule_to_close_timeout_ms: Some(30_000), ..activity("charge") }.into()
}

#[test]
fn schedule_to_close_closes_whatever_the_attempt_does() {
    let mut w = order_that_decided([for_30_seconds()]);
    w.when_due(ActivityScheduleToClose);
    assert_eq!(crate::support::words::event(&w.step.events[0]), "ActivityTaskTimedOut Timeout");

    let mut w = order_that_decided([ScheduleActivity {
        start_to_close_timeout_ms: None,
        schedule_to_close_timeout_ms: Some(30_000),
        ..activity("charge")
    }
    .into()]);
    w.when(started_notice("charge", "a")).when_due(ActivityScheduleToClose).then_events([
        "ActivityTaskStarted #1",
        "ActivityTaskTimedOut Timeout",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);

    let mut w = order_that_decided([for_30_seconds()]);
    w.when(activity_failed("charge")).after(30_000).when_due(ActivityScheduleToClose);
    assert_eq!(timed_out(&w), (TimeoutType::ScheduleToClose, true));
    assert!(w.due().is_empty());
}

#[test]
fn schedule_to_close_does_not_move_with_attempts() {
    let mut w = order_that_decided([for_30_seconds()]);
    let due = w.due().remove(0);
    w.when(activity_failed("charge")).when_due(ActivityRetry).when(started_notice("charge", "a"));
    assert!(w.due().contains(&due));
}

#[test]
fn start_to_close_that_leaves_no_time_for_another_attempt_closes() {
    let mut w = order_that_decided([for_30_seconds()]);
    w.after(18_000).when(started_notice("charge", "a")).when_due(ActivityStartToClose);
    assert_eq!(crate::support::words::event(&w.step.events[1]), "ActivityTaskTimedOut Timeout");
    assert_eq!(timed_out(&w), (TimeoutType::StartToClose, false));
}

#[test]
fn r29_a_completion_after_the_timeout_closes_an_activity_that_is_open() {
    let mut w = order_that_decided([schedule("charge")]);
    w.when(started_notice("charge", "a")).when_due(ActivityStartToClose);
    w.when(activity_completed("charge#1")).then_effects(["workflow task 8#1"]);
    assert!(w.due().is_empty());
}
