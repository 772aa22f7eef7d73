//! The end of a run, and what outlives it.

use tidewright_schemas::{ScheduleActivity, TimerTarget, WorkflowIdReusePolicy::AllowDuplicate};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::{ORDER, World};

/// Closed by its second task, with `b`, `t` and the detached `mail` still open.
fn closed() -> World {
    let mut w = order_that_decided([schedule("a"), schedule("b"), detached("mail"), timer("t", 5_000)]);
    w.when(activity_completed("a"));
    w.when(task_completed([complete()]));
    w
}

#[test]
fn timers_and_activities_go_with_their_run_but_for_detached_ones() {
    let mut w = closed();
    let described = w.describe();
    assert!(described.pending_timers.is_empty());
    let left: Vec<_> = described.pending_activities.iter().map(|activity| activity.activity_id.as_str()).collect();
    assert_eq!(left, ["mail"]);
    assert!(w.due().is_empty());
    w.when(activity_completed("b")).then_nothing();
    w.when(activity_failed("b")).then_nothing();
    w.when(started_notice("b", "a")).then_nothing();
}

#[test]
fn a_timer_that_was_sent_before_the_end_does_nothing() {
    let mut w = order_that_decided([schedule("a"), timer("t", 5_000)]);
    let timer = w.due().into_iter().find(|due| due.target == TimerTarget::Timer).expect("t is open");
    w.when(activity_completed("a")).when(task_completed([complete()]));
    w.after(5_000).when(fire(&timer)).then_nothing();
}

#[test]
fn a_detached_activity_that_ends_before_its_run_is_in_its_history() {
    let mut w = order_that_decided([detached("mail"), schedule("a")]);
    w.when(activity_completed("mail")).then_events(["ActivityTaskStarted #1", "ActivityTaskCompleted"]);
    w.when(activity_completed("a")).then_effects(["workflow task 11#1"]);
}

#[test]
fn a_detached_activity_that_ends_after_its_run_leaves_a_fact() {
    let mut w = closed();
    let (events, digest) = (w.history().len(), w.describe().history_digest);
    w.when(activity_completed("mail")).then_events([]).then_facts(["DetachedActivityClosed ok"]).then_effects([]);
    assert_eq!((w.history().len(), w.describe().history_digest.clone()), (events, digest));
    assert!(w.describe().pending_activities.is_empty());
    w.when(activity_completed("mail")).then_nothing();
}

#[test]
fn a_detached_activity_is_tried_again_after_its_run() {
    let mut w = closed();
    w.when(started_notice("mail", "a")).then_facts(["ActivityStarted #1 by a"]);
    w.when(activity_failed("mail")).then_facts(["ActivityRetryScheduled #2"]);
    w.when_due(TimerTarget::ActivityRetry).then_facts(["ActivityDispatched #2"]).then_effects(["activity task 7#2"]);
    w.when(activity_completed("mail#1")).then_facts(["DetachedActivityClosed ok"]);
    assert!(w.due().is_empty());
}

#[test]
fn a_detached_activity_can_fail_for_good_after_its_run() {
    let policy = Some(at_most(1));
    let mail = ScheduleActivity { detached: true, retry_policy: policy, ..activity("mail") };
    let mut w = order_that_decided([mail.into(), complete()]);
    w.then_effects(["activity task 5#1"]);
    w.when(activity_failed("mail")).then_events([]).then_facts(["DetachedActivityClosed failed"]);
}

#[test]
fn a_detached_activity_can_time_out_after_its_run() {
    let mail = ScheduleActivity { detached: true, schedule_to_close_timeout_ms: Some(60_000), ..activity("mail") };
    let mut w = order_that_decided([mail.into(), complete()]);
    w.when_due(TimerTarget::ActivityScheduleToClose).then_facts(["DetachedActivityClosed failed"]);
    assert!(w.due().is_empty());
}

#[test]
fn what_a_closing_task_schedules_is_not_sent() {
    let mut w = order_that_decided([schedule("a"), detached("mail"), complete()]);
    w.then_effects(["activity task 6#1"]);
    assert_eq!(w.describe().pending_activities.len(), 1);
}

#[test]
fn what_was_buffered_stands_before_the_end() {
    let mut w = order_that_decided([schedule("a"), schedule("b"), timer("t", 5_000)]);
    w.when(activity_completed("a")).when(activity_completed("b")).when_due(TimerTarget::Timer);
    w.when(task_completed([complete()])).then_events([
        "WorkflowTaskCompleted",
        "ActivityTaskStarted #1",
        "ActivityTaskCompleted",
        "TimerFired t",
        "WorkflowExecutionCompleted",
    ]);
    assert_eq!(w.describe().buffered_events, 0);
    w.when(activity_completed("b")).then_nothing();
}

#[test]
fn what_does_not_fit_in_front_of_the_end_goes_with_the_run() {
    let mut w = order_that_decided([schedule("a"), schedule("b"), schedule("c")]);
    w.when(activity_completed("a"));
    w.when(activity_completed_with("b", payload_of(700_000))).when(activity_completed_with("c", payload_of(700_000)));
    w.when(task_completed([complete()])).then_facts(["BufferFlushed 1"]);
    assert_eq!(w.describe().buffered_events, 0);
}

#[test]
fn a_new_run_of_the_id_has_nothing_of_the_old_one() {
    let mut w = closed();
    let old = w.run_id();
    w.when(start(ORDER).with_policy(AllowDuplicate)).then_effects(["workflow task 2#1"]);
    assert_ne!(w.run_id(), old);
    assert!(w.describe().pending_activities.is_empty());
    w.when(activity_completed("mail")).then_facts(["DetachedActivityClosed ok"]);
    assert_eq!(w.step.run_id, Some(old));
    w.when(task_completed([schedule("mail")])).then_effects(["activity task 5#1"]);
}
