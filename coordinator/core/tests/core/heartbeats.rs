//! Heartbeats of activities (R2, R30).

use tidewright_schemas::limits::PAYLOAD_BYTES_MAX;
use tidewright_schemas::{
    Decision, EventAttributes, FailureInfo, Payload, RetryPolicy, ScheduleActivity, TimeoutType, TimerTarget::*,
};

use crate::support::World;
use crate::support::commands::*;
use crate::support::decisions::*;

fn beats_every_3_seconds(policy: RetryPolicy) -> Decision {
    ScheduleActivity { heartbeat_timeout_ms: Some(3_000), retry_policy: Some(policy), ..activity("copy") }.into()
}

fn copying() -> World {
    order_that_decided([beats_every_3_seconds(RetryPolicy::default())])
}

fn given_details(w: &World) -> Option<Payload> {
    w.activity_task("copy").1.heartbeat_details.clone()
}

fn timeout(w: &World) -> (TimeoutType, Option<Payload>) {
    let EventAttributes::ActivityTaskTimedOut(timed_out) = w.attributes("ActivityTaskTimedOut") else { panic!() };
    let FailureInfo::Timeout(timeout) = &timed_out.failure.info else { panic!("{timed_out:?}") };
    (timeout.timeout_type, timeout.last_heartbeat_details.clone())
}

#[test]
fn a_first_heartbeat_is_the_started_notice_too() {
    let mut w = copying();
    w.when(heartbeat("copy", "a")).then_events([]).then_effects([]);
    w.then_facts(["ActivityStarted #1 by a", "ActivityHeartbeatRecorded #1"]);
    w.when(started_notice("copy", "a")).then_nothing();
    w.when(heartbeat("copy", "a")).then_facts(["ActivityHeartbeatRecorded #1"]);
}

#[test]
fn each_heartbeat_begins_the_timeout_anew_and_a_stale_one_is_ignored() {
    let mut w = copying();
    w.when(started_notice("copy", "a"));
    let of_start = w.due().into_iter().find(|due| due.target == ActivityHeartbeat).unwrap();
    assert_eq!(of_start.due_ms, w.now_ms + 3_000);
    w.when(heartbeat("copy", "a"));
    let of_beat = w.due().into_iter().find(|due| due.target == ActivityHeartbeat).unwrap();
    assert_eq!(of_beat.due_ms, w.now_ms + 3_000);
    w.after(2_000).at_once(fire(&of_start)).then_nothing();
    w.after(1_000).at_once(heartbeat("copy", "a"));
    w.at_once(fire(&of_beat)).then_nothing();
    w.when_due(ActivityHeartbeat).then_facts(["ActivityRetryScheduled #2"]);
}

#[test]
fn an_attempt_that_falls_silent_is_tried_again_and_told_how_far_it_came() {
    let mut w = copying();
    assert_eq!(given_details(&w), None);
    w.when(heartbeat("copy", "a")).when(heartbeat_with("copy", "a", json("\"3 of 9\"")));
    w.when_due(ActivityHeartbeat).when_due(ActivityRetry).then_effects(["activity task 5#2"]);
    assert_eq!(given_details(&w), Some(json("\"3 of 9\"")));
    assert_eq!(w.activity_task("copy").1.heartbeat_timeout_ms, Some(3_000));
    let last = w.activity_task("copy").1.last_failure.clone().unwrap();
    let FailureInfo::Timeout(last) = last.info else { panic!("{last:?}") };
    assert_eq!(last.timeout_type, TimeoutType::Heartbeat);
    assert_eq!(last.last_heartbeat_details, Some(json("\"3 of 9\"")));
    // It says nothing, and is tried a third time with what the first one said.
    w.when(started_notice("copy", "b")).when_due(ActivityHeartbeat).when_due(ActivityRetry);
    assert_eq!(given_details(&w), Some(json("\"3 of 9\"")));
    w.when(heartbeat("copy", "c")).when(activity_failed("copy")).when_due(ActivityRetry);
    assert_eq!(given_details(&w), Some(json("\"half\"")));
}

#[test]
fn the_last_attempts_timeout_tells_the_workflow_how_far_it_came() {
    let mut w = order_that_decided([beats_every_3_seconds(at_most(1))]);
    w.when(may_run("copy", "a")).when(heartbeat("copy", "a")).when_due(ActivityHeartbeat);
    assert_eq!(crate::support::words::event(&w.step.events[1]), "ActivityTaskTimedOut MaximumAttemptsReached");
    assert_eq!(timeout(&w), (TimeoutType::Heartbeat, Some(json("\"half\""))));
    let mut w = order_that_decided([beats_every_3_seconds(at_most(1))]);
    w.when(may_run("copy", "a")).after(9_000).when(heartbeat("copy", "a"));
    w.after(1_000).when_due(ActivityStartToClose);
    assert_eq!(timeout(&w), (TimeoutType::StartToClose, Some(json("\"half\""))));
}

#[test]
fn only_the_current_attempt_of_an_open_activity_is_heard() {
    let mut w = copying();
    w.when(started_notice("copy", "a")).when_due(ActivityHeartbeat);
    w.when(heartbeat("copy#1", "a")).then_nothing().then_effects([]);
    w.when_due(ActivityRetry).when(heartbeat("copy#1", "a")).then_nothing().then_effects([]);
    w.when(heartbeat("copy#2", "b")).then_facts(["ActivityStarted #2 by b", "ActivityHeartbeatRecorded #2"]);
    w.when(activity_completed("copy#1"));
    w.when(heartbeat("copy#2", "b")).then_nothing().then_effects(["orders told that activity 5 is closed"]);
}

#[test]
fn a_silent_attempt_and_its_completion_in_both_orders() {
    let mut w = copying();
    w.when(started_notice("copy", "a"));
    let due = w.due().into_iter().find(|due| due.target == ActivityHeartbeat).unwrap();
    w.after(3_000).when(activity_completed("copy")).then_effects(["workflow task 8#1"]);
    w.when(fire(&due)).then_nothing();
    let mut w = copying();
    w.when(started_notice("copy", "a")).when_due(ActivityHeartbeat);
    w.when(activity_completed("copy#1")).then_effects(["workflow task 8#1"]);
}

#[test]
fn r2_a_heartbeats_record_is_superseded_by_the_next_and_by_the_next_attempt() {
    let mut w = copying();
    w.when(heartbeat("copy", "a"));
    assert_eq!(w.superseded_count(), 0, "it is the started notice");
    for beats in 1..=10 {
        w.when(heartbeat("copy", "a"));
        assert_eq!(w.superseded_count(), beats - 1);
    }
    w.when(activity_failed("copy"));
    assert_eq!(w.superseded_count(), 10);
    w.when_due(ActivityRetry);
    assert_eq!(w.superseded_count(), 11);
    w.when(started_notice("copy", "b")).when(heartbeat("copy", "b")).when(heartbeat("copy", "b"));
    assert_eq!(w.superseded_count(), 12);
    w.when(activity_completed("copy"));
    assert_eq!(w.superseded_count(), 14, "the last attempt's and the last heartbeat's");
}

#[test]
fn details_that_are_too_large_fail_the_attempt_for_good() {
    let mut w = copying();
    w.when(heartbeat_with("copy", "a", payload_of(PAYLOAD_BYTES_MAX))).then_effects([]);
    w.when(heartbeat_with("copy", "a", payload_of(PAYLOAD_BYTES_MAX + 1)));
    let EventAttributes::ActivityTaskFailed(failed) = w.attributes("ActivityTaskFailed") else { panic!() };
    assert_eq!(failed.failure.error_type(), "TW0210");
}

#[test]
fn r7_the_largest_details_fit_every_record() {
    let mut w = order_that_decided([beats_every_3_seconds(at_most(2))]);
    w.when(heartbeat_with("copy", "a", payload_of(PAYLOAD_BYTES_MAX)));
    let failure = || tidewright_schemas::Failure {
        info: FailureInfo::Application(tidewright_schemas::ApplicationFailure {
            details: Some(payload_of(PAYLOAD_BYTES_MAX - 1_000)),
            ..Default::default()
        }),
        ..boom()
    };
    w.when(activity_failed_with("copy", failure())).when_due(ActivityRetry).when(started_notice("copy", "b"));
    w.when_due(ActivityHeartbeat);
    assert_eq!(timeout(&w).1.map(|details| details.size()), Some(PAYLOAD_BYTES_MAX));
}
