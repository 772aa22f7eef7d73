//! Tasks that nobody has begun: handed back (`ReturnTask`) or lost. They use up no attempt.

use tidewright_schemas::api::PendingActivityState;
use tidewright_schemas::{ScheduleActivity, TimerTarget};

use crate::support::World;
use crate::support::commands::*;
use crate::support::decisions::*;

#[test]
fn a_task_that_is_handed_back_is_sent_again_at_once_to_whoever_has_room() {
    let mut w = order_that_decided([schedule("a")]);
    w.when(returned("a", "full")).then_events([]).then_facts(["ActivityDispatched #2"]);
    w.then_effects(["activity task 5#2"]);
    let task = &w.activity_task("a").1;
    assert_eq!((task.attempt, task.unstarted, task.last_failure.clone()), (1, 1, None));
    assert!(task.possible_repeat, "its copies may lie in different partitions");
    let pending = w.describe().pending_activities.remove(0);
    assert_eq!((pending.state, pending.attempt), (PendingActivityState::Scheduled, 1));
}

#[test]
fn what_nobody_had_begun_uses_up_no_attempt() {
    let mut w = order_that_decided([with_policy("a", at_most(2))]);
    for _ in 0..5 {
        w.when(returned("a", "full"));
    }
    w.when(activity_lost("a")).then_facts(["ActivityDispatched #7"]);
    assert!(!w.activity_task("a").1.possible_repeat, "a lost one keeps to its partition");
    assert_eq!((w.activity_task("a").1.attempt, w.activity_task("a").1.unstarted), (1, 6));
    w.when(activity_failed("a")).then_facts(["ActivityRetryScheduled #8"]);
    assert_eq!(w.describe().pending_activities[0].next_attempt_ms, Some(w.now_ms + 1_000));
    w.when_due(TimerTarget::ActivityRetry).when(returned("a", "full")).when(activity_failed("a"));
    w.then_events([
        "ActivityTaskStarted #2",
        "ActivityTaskFailed MaximumAttemptsReached",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
}

#[test]
fn return_against_the_started_notice_of_another() {
    let mut w = order_that_decided([schedule("a")]);
    w.when(started_notice("a", "other")).when(returned("a", "full")).then_nothing();
    let mut w = order_that_decided([schedule("a")]);
    let notice = started_notice("a", "other")(&w);
    w.when(returned("a", "full")).when(notice).then_nothing();
}

#[test]
fn return_against_completion_failure_and_backoff() {
    let mut w = order_that_decided([schedule("a")]);
    let completed = activity_completed("a")(&w);
    w.when(returned("a", "full")).when(completed).then_effects(["workflow task 8#1"]);
    w.when(returned("a", "full")).then_nothing();
    let mut w = order_that_decided([schedule("a")]);
    let failed = activity_failed("a")(&w);
    w.when(returned("a", "full")).when(failed.clone()).then_nothing();
    w.when(activity_failed("a#2")).when(returned("a#2", "full")).then_nothing();
}

#[test]
fn what_was_granted_is_handed_back_only_by_whoever_holds_the_grant() {
    let mut w = order_that_decided([with_policy("a", at_most(1))]);
    w.when(may_run("a", "leaves")).when(returned("a", "other")).then_nothing();
    w.when(returned("a", "leaves")).then_facts(["ActivityDispatched #2"]);
    w.when(may_run("a#1", "leaves")).then_facts(["Answered Drop"]);
    w.when(may_run("a#2", "other")).then_facts(["ActivityStarted #2 by other", "Answered Run"]);
    w.when(activity_failed("a#2"));
    assert_eq!(crate::support::words::event(&w.step.events[1]), "ActivityTaskFailed MaximumAttemptsReached");
}

#[test]
fn return_against_the_loss_of_the_worker() {
    let mut w = order_that_decided([schedule("a")]);
    w.when(may_run("a", "w")).when(returned("a", "w")).when(worker_lost("w")).then_nothing();
    let mut w = order_that_decided([schedule("a")]);
    let back = returned("a", "w")(&w);
    w.when(may_run("a", "w")).when(worker_lost("w")).when(back).then_nothing();
}

#[test]
fn a_task_that_is_handed_back_waits_no_longer_for_a_worker_than_it_may() {
    let decided = ScheduleActivity { schedule_to_start_timeout_ms: Some(30_000), ..activity("a") };
    let mut w: World = order_that_decided([decided.into()]);
    let due_ms = w.due().iter().find(|timer| timer.target == TimerTarget::ActivityScheduleToStart).unwrap().due_ms;
    w.after(20_000).when(returned("a", "full"));
    let due = w.due().into_iter().find(|timer| timer.target == TimerTarget::ActivityScheduleToStart).unwrap();
    assert_eq!((due.due_ms, due.attempt), (due_ms, 2));
}
