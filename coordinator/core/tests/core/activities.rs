//! Activities: started, completed, late (R29).

use tidewright_schemas::api::PendingActivityState;
use tidewright_schemas::limits::PAYLOAD_BYTES_MAX;
use tidewright_schemas::{EventAttributes, FailureInfo, TimerTarget};

use crate::support::commands::*;
use crate::support::decisions::*;

#[test]
fn a_completion_closes_the_activity_and_wakes_the_workflow() {
    let mut w = order_that_decided([schedule("charge")]);
    w.when(activity_completed("charge"))
        .then_events([
            "ActivityTaskStarted #1",
            "ActivityTaskCompleted",
            "WorkflowTaskScheduled",
            "WorkflowTaskStarted",
        ])
        .then_effects(["workflow task 8#1"]);
    let EventAttributes::ActivityTaskCompleted(completed) = w.attributes("ActivityTaskCompleted") else { panic!() };
    assert_eq!((completed.scheduled_event_id, completed.started_event_id), (5, 6));
    assert_eq!(completed.worker, worker("a"));
    assert!(w.describe().pending_activities.is_empty());
}

#[test]
fn r24_a_started_notice_is_a_fact_and_starts_the_clock() {
    let mut w = order_that_decided([schedule("charge")]);
    assert!(w.due().is_empty());
    w.when(started_notice("charge", "a")).then_events([]).then_facts(["ActivityStarted #1 by a"]).then_effects([]);
    let pending = w.describe().pending_activities.remove(0);
    assert_eq!(pending.state, PendingActivityState::Started);
    assert_eq!(pending.last_worker.as_deref(), Some("a"));
    let due = w.due();
    assert_eq!((due[0].target, due[0].due_ms), (TimerTarget::ActivityStartToClose, w.now_ms + 10_000));
    w.when(started_notice("charge", "a")).then_nothing();
    w.when(started_notice("charge", "b")).then_nothing();
    w.when(activity_completed("charge"));
    assert!(w.due().is_empty());
}

#[test]
fn a_started_notice_of_an_older_attempt_is_ignored() {
    let mut w = order_that_decided([schedule("charge")]);
    w.when(activity_failed("charge"));
    w.when(started_notice("charge", "a")).then_nothing();
    w.when_due(TimerTarget::ActivityRetry);
    w.when(started_notice("charge#1", "a")).then_nothing();
    w.when(started_notice("charge#2", "b")).then_facts(["ActivityStarted #2 by b"]);
}

#[test]
fn r29_a_late_completion_of_an_old_attempt_closes_the_activity() {
    let backing_off = || {
        let mut w = order_that_decided([schedule("charge")]);
        w.when(activity_failed("charge"));
        w
    };
    let mut w = backing_off();
    w.when(activity_completed("charge#1")).then_effects(["workflow task 8#1"]);
    let mut w = backing_off();
    w.when_due(TimerTarget::ActivityRetry).when(activity_completed("charge#1"));
    w.then_events(["ActivityTaskStarted #1", "ActivityTaskCompleted", "WorkflowTaskScheduled", "WorkflowTaskStarted"]);
    let mut w = backing_off();
    w.when_due(TimerTarget::ActivityRetry).when(started_notice("charge#2", "b")).when(activity_completed("charge#1"));
    w.then_effects(["workflow task 8#1"]);
    assert!(w.due().is_empty());
}

#[test]
fn r29_the_second_completion_is_ignored() {
    let mut w = order_that_decided([schedule("charge")]);
    w.when(activity_failed("charge")).when_due(TimerTarget::ActivityRetry);
    w.when(activity_completed("charge#1"));
    w.when(activity_completed("charge#2")).then_nothing();
    w.when(activity_failed("charge#2")).then_nothing();
    w.when(task_completed([complete()])).when(activity_completed("charge#2")).then_nothing();
}

#[test]
fn a_failure_of_an_old_attempt_is_ignored() {
    let mut w = order_that_decided([schedule("charge")]);
    w.when(activity_failed("charge"));
    w.when(activity_failed("charge#1")).then_nothing();
    w.when_due(TimerTarget::ActivityRetry);
    w.when(activity_failed("charge#1")).then_nothing();
    w.when(activity_failed("charge#2")).then_facts(["ActivityRetryScheduled #3"]);
}

#[test]
fn a_result_that_is_too_large_fails_the_activity_for_good() {
    let mut w = order_that_decided([schedule("charge")]);
    w.when(activity_completed_with("charge", payload_of(PAYLOAD_BYTES_MAX + 1)));
    w.then_events([
        "ActivityTaskStarted #1",
        "ActivityTaskFailed NonRetryableFailure",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
    let EventAttributes::ActivityTaskFailed(failed) = w.attributes("ActivityTaskFailed") else { panic!() };
    assert_eq!(failed.failure.error_type(), "TW0205");
    let mut w = order_that_decided([schedule("charge")]);
    w.when(activity_completed_with("charge", payload_of(PAYLOAD_BYTES_MAX))).then_effects(["workflow task 8#1"]);
}

#[test]
fn a_result_of_an_old_attempt_that_is_too_large_does_not_fail_the_one_that_runs() {
    let mut w = order_that_decided([schedule("charge")]);
    w.when(activity_failed("charge"));
    w.when(activity_completed_with("charge#1", payload_of(PAYLOAD_BYTES_MAX + 1))).then_nothing();
    w.when_due(TimerTarget::ActivityRetry);
    w.when(activity_completed_with("charge#1", payload_of(PAYLOAD_BYTES_MAX + 1))).then_nothing();
    w.when(activity_completed("charge#2")).then_effects(["workflow task 8#1"]);
}

#[test]
fn the_started_event_tells_why_the_attempt_before_failed() {
    let mut w = order_that_decided([schedule("charge")]);
    w.when(activity_failed("charge")).when_due(TimerTarget::ActivityRetry).when(activity_completed("charge"));
    let EventAttributes::ActivityTaskStarted(started) = w.attributes("ActivityTaskStarted") else { panic!() };
    let FailureInfo::Application(application) = &started.last_failure.as_ref().expect("it failed").info else {
        panic!()
    };
    assert_eq!(application.error_type, "CardDeclined");
    assert_eq!(started.attempt, 2);
}

#[test]
fn activities_of_one_completion_are_apart() {
    let mut w = order_that_decided([schedule("a"), schedule("b")]);
    w.when(activity_completed("b"));
    let left: Vec<_> = w.describe().pending_activities.into_iter().map(|activity| activity.activity_id).collect();
    assert_eq!(left, ["a"]);
    w.when(activity_completed("a")).then_facts(["ActivityTaskStarted #1 + ActivityTaskCompleted (buffered)"]);
}
