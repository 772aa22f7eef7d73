//! What arrives while a workflow task is out (R22, R7).

use tidewright_schemas::limits::FLUSH_BYTES_MAX;
use tidewright_schemas::{EventAttributes, TimerTarget, WorkflowTaskFailedCause::*};

use crate::support::World;
use crate::support::commands::*;
use crate::support::decisions::*;

/// Activities `a` and `b` and timer `t` are open; `a` woke the workflow, and its task is out.
fn task_is_out() -> World {
    let mut w = order_that_decided([schedule("a"), schedule("b"), timer("t", 5_000)]);
    w.when(activity_completed("a"));
    w
}

#[test]
fn r22_what_arrives_is_buffered_and_follows_the_completion_in_order() {
    let mut w = task_is_out();
    w.when_due(TimerTarget::Timer).then_events([]).then_facts(["TimerFired t (buffered)"]).then_effects([]);
    let fired_ms = w.now_ms;
    w.when(activity_completed("b"))
        .then_events([])
        .then_facts(["ActivityTaskStarted #1 + ActivityTaskCompleted (buffered)"])
        .then_effects([]);
    assert_eq!(w.describe().buffered_events, 2);
    w.when(task_completed([schedule("c")]))
        .then_events([
            "WorkflowTaskCompleted",
            "ActivityTaskScheduled c",
            "TimerFired t",
            "ActivityTaskStarted #1",
            "ActivityTaskCompleted",
            "WorkflowTaskScheduled",
            "WorkflowTaskStarted",
        ])
        .then_facts(["BufferFlushed 2"])
        .then_effects(["activity task 13#1", "workflow task 17#1"]);
    assert_eq!(w.event("TimerFired").event_time_ms, fired_ms);
    let EventAttributes::ActivityTaskCompleted(completed) = w.attributes("ActivityTaskCompleted") else { panic!() };
    assert_eq!(completed.started_event_id, w.event("ActivityTaskStarted").event_id);
    assert_eq!(w.describe().buffered_events, 0);
}

#[test]
fn what_is_buffered_is_over_all_the_same() {
    let mut w = task_is_out();
    let timer = w.due().into_iter().find(|due| due.target == TimerTarget::Timer).expect("t is open");
    w.when_due(TimerTarget::Timer).when(activity_completed("b"));
    w.when(fire(&timer)).then_nothing();
    w.when(activity_completed("b")).then_nothing();
    let described = w.describe();
    assert!(described.pending_activities.is_empty() && described.pending_timers.is_empty());
}

#[test]
fn a_completion_without_anything_new_makes_no_task() {
    task_is_out().when(task_completed([])).then_events(["WorkflowTaskCompleted"]).then_effects([]);
}

#[test]
fn a_failed_task_releases_what_was_buffered() {
    let mut w = task_is_out();
    w.when(activity_completed("b"))
        .when(task_failed(NonDeterministicError))
        .then_events(["WorkflowTaskFailed NonDeterministicError", "ActivityTaskStarted #1", "ActivityTaskCompleted"])
        .then_facts(["BufferFlushed 1", "WorkflowTaskRetryScheduled #2"]);
    // Nothing is out now: what comes is an event at once, and wakes nobody.
    w.when_due(TimerTarget::WorkflowTaskRetry);
    assert_eq!(w.workflow_task().1.events, w.history());
}

#[test]
fn what_arrives_while_a_task_backs_off_is_an_event_and_the_next_attempt_sees_it() {
    let mut w = task_is_out();
    w.when(task_failed(NonDeterministicError))
        .at_once(activity_completed("b"))
        .then_events(["ActivityTaskStarted #1", "ActivityTaskCompleted"])
        .then_effects([]);
    let next = w.history().len() as u64 + 1;
    w.when_due(TimerTarget::WorkflowTaskRetry).then_effects([&format!("workflow task {next}#2")]);
    assert_eq!(w.workflow_task().1.events, w.history());
    w.when_due(TimerTarget::Timer).then_facts(["TimerFired t (buffered)"]);
    w.when(task_completed([])).then_events([
        "WorkflowTaskScheduled #2",
        "WorkflowTaskStarted",
        "WorkflowTaskCompleted",
        "TimerFired t",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
}

/// Three results of 700 KB wait for the workflow task that is out.
fn much_is_buffered() -> World {
    let mut w = order_that_decided([schedule("a"), schedule("b"), schedule("c"), schedule("d"), timer("t", 900_000)]);
    w.when(activity_completed("a"));
    for name in ["b", "c", "d"] {
        w.when(activity_completed_with(name, payload_of(700_000)));
    }
    const { assert!(2 * 700_000 > FLUSH_BYTES_MAX) };
    w
}

#[test]
fn r7_a_flush_takes_what_fits_and_leaves_the_rest_for_the_next_task() {
    let mut w = much_is_buffered();
    for left in [2, 1, 0] {
        w.when(task_completed([]))
            .then_events([
                "WorkflowTaskCompleted",
                "ActivityTaskStarted #1",
                "ActivityTaskCompleted",
                "WorkflowTaskScheduled",
                "WorkflowTaskStarted",
            ])
            .then_facts(["BufferFlushed 1"]);
        assert_eq!(w.describe().buffered_events, left);
    }
    w.when(task_completed([])).then_events(["WorkflowTaskCompleted"]);
}

#[test]
fn r7_what_comes_later_stays_behind_what_was_left() {
    let mut w = much_is_buffered();
    w.when(task_failed(NonDeterministicError)).then_facts(["BufferFlushed 1", "WorkflowTaskRetryScheduled #2"]);
    w.after(900_000).when_due(TimerTarget::Timer).then_facts(["TimerFired t (buffered)"]);
    w.when_due(TimerTarget::WorkflowTaskRetry);
    w.when(task_completed([])).then_facts(["BufferFlushed 1"]);
    w.when(task_completed([])).then_facts(["BufferFlushed 2"]).then_events([
        "WorkflowTaskCompleted",
        "ActivityTaskStarted #1",
        "ActivityTaskCompleted",
        "TimerFired t",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
}

#[test]
fn the_end_of_a_detached_activity_wakes_nobody() {
    let mut w = order_that_decided([detached("mail"), schedule("a")]);
    w.when(activity_completed("mail")).then_events(["ActivityTaskStarted #1", "ActivityTaskCompleted"]);
    w.then_effects([]);
}

#[test]
fn the_end_of_a_detached_activity_wakes_nobody_later_either() {
    let mut w = order_that_decided([detached("mail"), schedule("a")]);
    w.when(activity_completed("a")).when(activity_completed("mail"));
    w.when(task_completed([]))
        .then_events(["WorkflowTaskCompleted", "ActivityTaskStarted #1", "ActivityTaskCompleted"])
        .then_facts(["BufferFlushed 1"])
        .then_effects([]);
}

#[test]
fn with_it_something_else_does() {
    let mut w = order_that_decided([detached("mail"), schedule("a"), schedule("b")]);
    w.when(activity_completed("a")).when(activity_completed("b")).when(activity_completed("mail"));
    w.when(task_completed([])).then_facts(["BufferFlushed 2"]).then_effects(["workflow task 17#1"]);
}

#[test]
fn what_is_left_behind_the_end_of_a_detached_activity_is_not_forgotten() {
    let mut w = order_that_decided([detached("mail"), schedule("a"), schedule("b")]);
    w.when(activity_completed("a"));
    for name in ["mail", "b"] {
        w.when(activity_completed_with(name, payload_of(700_000)));
    }
    w.when(task_completed([])).then_facts(["BufferFlushed 1"]).then_effects(["workflow task 15#1"]);
    w.when(task_completed([])).then_facts(["BufferFlushed 1"]).then_effects(["workflow task 20#1"]);
}
