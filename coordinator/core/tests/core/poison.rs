//! Tasks that nobody comes to an end with (R26).

use tidewright_schemas::api::PendingActivityState;
use tidewright_schemas::{EventAttributes, TimerTarget};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::{ORDER, World};

fn started() -> World {
    let mut w = World::default();
    w.when(start(ORDER));
    w
}

fn asked(w: &mut World, by: &str) {
    let token = w.workflow_task().0.clone();
    w.when(may_run_token(token, by));
}

#[test]
fn r26_a_workflow_task_that_three_workers_did_not_end_is_withheld() {
    let mut w = started();
    asked(&mut w, "b");
    w.then_facts(["WorkflowTaskDelivered 2 times", "Answered Run"]);
    asked(&mut w, "c");
    w.then_facts(["WorkflowTaskDelivered 3 times", "Answered Run"]);
    asked(&mut w, "d");
    w.then_events(["WorkflowTaskFailed TaskWithheld"]);
    w.then_facts(["WorkflowTaskRetryScheduled #2", "Answered Drop"]).then_effects(["reply Drop"]);
    let EventAttributes::WorkflowTaskFailed(failed) = w.attributes("WorkflowTaskFailed") else { panic!() };
    assert_eq!(failed.failure.error_type(), "TW0322");
    assert!(w.describe().pending_workflow_task.unwrap().backing_off);
}

#[test]
fn r26_it_is_tried_again_after_the_backoff_and_withheld_again() {
    let mut w = started();
    for by in ["b", "c", "d"] {
        asked(&mut w, by);
    }
    w.when_due(TimerTarget::WorkflowTaskRetry).then_facts(["WorkflowTaskDispatched #2"]);
    for by in ["e", "f", "g"] {
        asked(&mut w, by);
    }
    w.then_events([]).then_facts(["WorkflowTaskRetryScheduled #3", "Answered Drop"]);
    w.when_due(TimerTarget::WorkflowTaskRetry).when(task_completed([complete()]));
    assert!(w.outcome().failure.is_none());
}

#[test]
fn r26_who_asks_again_is_told_the_same_and_counts_once() {
    let mut w = started();
    for _ in 0..9 {
        asked(&mut w, "b");
    }
    w.then_facts(["Answered Run"]);
    asked(&mut w, "c");
    w.then_facts(["WorkflowTaskDelivered 3 times", "Answered Run"]);
}

#[test]
fn r26_a_completion_that_arrives_first_or_last_counts_once() {
    let mut w = started();
    let token = w.workflow_task().0.clone();
    let completed = task_completed([complete()])(&w);
    for by in ["b", "c", "d"] {
        asked(&mut w, by);
    }
    w.when(completed).then_nothing();
    let mut w = started();
    w.when(task_completed([complete()])).when(may_run_token(token, "d")).then_facts(["Answered Drop"]);
}

#[test]
fn r26_an_activity_that_three_workers_did_not_end_fails_by_its_policy() {
    let mut w = order_that_decided([schedule("a")]);
    w.when(may_somebody_run("a")).then_facts(["ActivityDelivered 2 times", "Answered Run"]);
    w.when(may_somebody_run("a")).then_facts(["ActivityDelivered 3 times", "Answered Run"]);
    w.when(may_somebody_run("a")).then_facts(["ActivityRetryScheduled #2", "Answered Drop"]);
    let pending = w.describe().pending_activities.remove(0);
    assert_eq!(pending.state, PendingActivityState::BackingOff);
    assert_eq!(pending.last_failure.unwrap().error_type(), "TW0321");
    w.when_due(TimerTarget::ActivityRetry)
        .when(may_somebody_run("a"))
        .then_facts(["ActivityDelivered 2 times", "Answered Run"]);
}

#[test]
fn r26_its_attempts_are_used_up() {
    let mut w = order_that_decided([with_policy("a", at_most(2))]);
    for _ in 0..3 {
        w.when(may_somebody_run("a"));
    }
    w.when_due(TimerTarget::ActivityRetry);
    for _ in 0..3 {
        w.when(may_somebody_run("a"));
    }
    assert_eq!(crate::support::words::event(&w.step.events[1]), "ActivityTaskFailed MaximumAttemptsReached");
}

#[test]
fn r26_a_completion_between_deliveries_counts() {
    let mut w = order_that_decided([schedule("a")]);
    w.when(may_somebody_run("a")).when(activity_completed("a")).then_effects(["workflow task 8#1"]);
    w.when(may_somebody_run("a")).then_facts(["Answered Drop"]);
}
