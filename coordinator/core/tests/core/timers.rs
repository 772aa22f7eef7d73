//! Timers: due, early, stale, cancelled (R20, R33).

use tidewright_core::{DueTimer, due_timers};
use tidewright_schemas::{EventAttributes, RunId, TimerTarget, WorkflowTaskFailedCause::NonDeterministicError};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::{ORDER, World};

fn waiting() -> World {
    order_that_decided([timer("t", 5_000)])
}

#[test]
fn a_due_timer_fires_and_wakes_the_workflow() {
    let mut w = waiting();
    w.when_due(TimerTarget::Timer)
        .then_events(["TimerFired t", "WorkflowTaskScheduled", "WorkflowTaskStarted"])
        .then_effects(["workflow task 7#1"]);
    assert!(w.due().is_empty() && w.describe().pending_timers.is_empty());
}

#[test]
fn r20_a_timer_that_is_early_by_its_own_time_waits_for_the_rest() {
    let mut w = waiting();
    w.after(4_999).at_once(due(TimerTarget::Timer)).then_early_by(1);
    w.after(1).at_once(due(TimerTarget::Timer)).then_events([
        "TimerFired t",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
}

#[test]
fn r20_every_kind_of_timer_can_be_early() {
    let mut w = waiting();
    w.when(start("order-2")).when(task_failed(NonDeterministicError));
    w.at_once(due(TimerTarget::WorkflowTaskRetry)).then_early_by(1_000);
    let mut w = order_that_decided([schedule("a")]);
    w.when(activity_failed("a")).at_once(due(TimerTarget::ActivityRetry)).then_early_by(1_000);
}

#[test]
fn r20_a_timer_stays_due_until_it_has_fired_and_then_fires_no_more() {
    let mut w = waiting();
    let timer = w.due().remove(0);
    w.after(60_000);
    assert_eq!(due_timers(&w.rows, w.now_ms, 10).unwrap(), (vec![timer.clone()], None));
    w.when(fire(&timer)).when(fire(&timer)).then_nothing();
}

#[test]
fn r33_a_timer_that_is_not_the_one_that_waits_does_nothing() {
    let mut w = waiting();
    w.after(60_000);
    let right = w.due().remove(0);
    let wrong = [
        DueTimer { due_ms: right.due_ms - 1, ..right.clone() },
        DueTimer { due_ms: right.due_ms + 1, ..right.clone() },
        DueTimer { event_id: right.event_id + 1, ..right.clone() },
        DueTimer { run_id: RunId::from_text("another"), ..right.clone() },
        DueTimer { target: TimerTarget::ActivityRetry, ..right.clone() },
        DueTimer { target: TimerTarget::WorkflowTaskRetry, ..right.clone() },
    ];
    for timer in wrong {
        w.when(fire(&timer)).then_nothing();
    }
}

#[test]
fn r33_a_retry_of_another_generation_does_nothing() {
    let mut w = order_that_decided([schedule("a")]);
    w.when(activity_failed("a"));
    let first = w.due().remove(0);
    w.when(fire(&DueTimer { attempt: 3, ..first.clone() })).then_nothing();
    w.when_due(TimerTarget::ActivityRetry).when(activity_failed("a"));
    w.after(60_000).when(fire(&first)).then_nothing();
}

#[test]
fn r33_a_workflow_tasks_retry_of_another_generation_does_nothing() {
    let mut w = World::default();
    w.when(start(ORDER)).when(task_failed(NonDeterministicError));
    let first = w.due().remove(0);
    w.when_due(TimerTarget::WorkflowTaskRetry).when(task_failed(NonDeterministicError));
    w.after(60_000).when(fire(&first)).then_nothing();
    let second = w.due().remove(0);
    w.when(fire(&DueTimer { due_ms: second.due_ms - 1, ..second.clone() })).then_nothing();
    w.when(fire(&DueTimer { attempt: 2, ..second })).then_nothing();
    w.when_due(TimerTarget::WorkflowTaskRetry).then_effects(["workflow task 5#3"]);
}

#[test]
fn what_is_due_comes_in_order_and_says_what_comes_next() {
    let mut w = order_that_decided([timer("late", 9_000), timer("soon", 3_000), timer("never", u64::MAX)]);
    let events: Vec<_> = w.due().iter().map(|due| due.event_id).collect();
    assert_eq!(events, [6, 5, 7]);
    w.after(3_000);
    let (due, next) = due_timers(&w.rows, w.now_ms, 10).unwrap();
    assert_eq!((due.len(), next), (1, Some(w.now_ms + 6_000)));
    let (due, next) = due_timers(&w.rows, u64::MAX, 2).unwrap();
    assert_eq!((due.len(), next), (2, Some(u64::MAX)));
}

#[test]
fn a_timer_is_cancelled() {
    let mut w = order_that_decided([schedule("a"), timer("t", 5_000)]);
    let timer = w.due().remove(0);
    w.when(activity_completed("a")).when(task_completed([cancel("t")]));
    w.then_events(["WorkflowTaskCompleted", "TimerCanceled t"]);
    assert!(w.due().is_empty());
    w.after(60_000).when(fire(&timer)).then_nothing();
}

fn canceled(w: &World) -> Vec<u64> {
    w.step
        .events
        .iter()
        .filter_map(|event| match &event.attributes {
            EventAttributes::TimerCanceled(canceled) => Some(canceled.started_event_id),
            _ => None,
        })
        .collect()
}

#[test]
fn a_timer_is_cancelled_by_the_completion_that_started_it() {
    let mut w = World::default();
    w.when(start(ORDER)).when(task_completed([timer("t", 1), cancel("t"), timer("t", 2), cancel("t"), timer("t", 3)]));
    assert_eq!(canceled(&w), [5, 7]);
    assert_eq!(w.due().len(), 1);
    assert_eq!(w.due()[0].event_id, 9);
}

#[test]
fn an_open_timer_is_cancelled_before_one_of_the_same_id_is_started() {
    let mut w = order_that_decided([schedule("a"), timer("t", 5_000)]);
    w.when(activity_completed("a")).when(task_completed([cancel("t"), timer("t", 1), cancel("t")]));
    assert_eq!(canceled(&w), [6, 13]);
    assert!(w.due().is_empty());
}

/// The timer `t` fired while a workflow task is out: the workflow does not know yet.
fn fired_meanwhile() -> World {
    let mut w = order_that_decided([schedule("a"), timer("t", 5_000)]);
    w.when(activity_completed("a")).when_due(TimerTarget::Timer);
    w
}

#[test]
fn a_timer_that_fired_meanwhile_may_be_cancelled() {
    let mut w = fired_meanwhile();
    w.when(task_completed([cancel("t")])).then_events([
        "WorkflowTaskCompleted",
        "TimerCanceled t",
        "TimerFired t",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
    assert_eq!(canceled(&w), [6]);
    let mut w = fired_meanwhile();
    w.when(task_completed([cancel("t"), complete()])).then_events([
        "WorkflowTaskCompleted",
        "TimerFired t",
        "TimerCanceled t",
        "WorkflowExecutionCompleted",
    ]);
}

#[test]
fn but_only_once() {
    fired_meanwhile()
        .when(task_completed([cancel("t"), cancel("t")]))
        .then_events(["WorkflowTaskFailed BadCancelTimerAttributes", "TimerFired t"]);
}

#[test]
fn one_of_its_id_may_be_started_and_cancelled_after_it() {
    let mut w = fired_meanwhile();
    w.when(task_completed([cancel("t"), timer("t", 1), cancel("t")]));
    assert_eq!(canceled(&w), [6, 13]);
    assert!(w.due().is_empty());
}

#[test]
fn of_two_of_its_id_the_open_one_is_cancelled() {
    let mut w = fired_meanwhile();
    w.when(task_completed([timer("t", 1), cancel("t")]));
    assert_eq!(canceled(&w), [12]);
    assert!(w.due().is_empty());
}
