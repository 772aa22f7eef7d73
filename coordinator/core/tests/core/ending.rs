//! Ends that do not come from the workflow alone: cancellation, termination, timeouts.

use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{FailureInfo, TimerTarget};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::sentences::given;
use crate::support::{ORDER, World};

fn answered_terminate() -> tidewright_core::Request {
    terminate_with(|command| {
        command.request_id = Some("t1".to_owned());
        command.reply_to = Some(reply_to());
    })
}

#[test]
fn a_request_to_cancel_wakes_the_workflow_which_decides_how_to_end() {
    let mut w = order_that_decided([timer("t", 60_000)]);
    w.when(cancel_requested())
        .then_events(["WorkflowExecutionCancelRequested", "WorkflowTaskScheduled", "WorkflowTaskStarted"])
        .then_effects(["workflow task 7#1"]);
    assert!(w.describe().cancel_requested);
    w.when(task_completed([end_as_cancelled()])).then_events(["WorkflowTaskCompleted", "WorkflowExecutionCanceled"]);
    let outcome = w.outcome();
    assert_eq!(outcome.status, WorkflowStatus::Canceled);
    let FailureInfo::Canceled(canceled) = outcome.failure.expect("it says why").info else { panic!("another failure") };
    assert_eq!(canceled.details, Some(json("\"refunded\"")));
}

#[test]
fn a_workflow_may_complete_although_it_was_asked_to_cancel() {
    let mut w = order_that_decided([timer("t", 60_000)]);
    w.when(cancel_requested()).when(task_completed([complete()]));
    assert_eq!(w.outcome().status, WorkflowStatus::Completed);
}

#[test]
fn a_second_request_to_cancel_changes_nothing() {
    let mut w = order_that_decided([timer("t", 60_000)]);
    w.when(cancel_requested()).when(cancel_requested()).then_nothing();
    let mut w = given(|w| w.when(start(ORDER)).when(cancel_requested()));
    w.when(cancel_requested()).then_nothing();
}

#[test]
fn r21_a_repeated_request_to_cancel_is_answered_again_even_after_the_end() {
    let ask = || {
        cancel_with(|command| {
            command.request_id = Some("c1".to_owned());
            command.reply_to = Some(reply_to());
        })
    };
    let mut w = given(|w| w.when(start(ORDER)));
    w.when(ask()).then_facts(["WorkflowExecutionCancelRequested (buffered)", "Answered RequestAccepted"]);
    w.when(ask()).then_events([]).then_facts(["Answered RequestAccepted"]);
    w.when(task_completed([])).when(task_completed([end_as_cancelled()]));
    w.when(ask()).then_events([]).then_facts(["Answered RequestAccepted"]);
    w.when(cancel_with(|command| command.request_id = Some("c2".to_owned()))).then_dead_lettered("TW0207");
}

#[test]
fn cancel_against_complete_in_both_orders() {
    let mut w = given(|w| w.when(start(ORDER)).when(cancel_requested()));
    w.when(task_completed([complete()]))
        .then_events(["WorkflowTaskFailed UnhandledCommand", "WorkflowExecutionCancelRequested"])
        .then_effects(["workflow task 6#2"]);
    let mut w = order_that_decided([complete()]);
    w.when(cancel_requested()).then_dead_lettered("TW0207");
}

#[test]
fn a_termination_ends_the_run_at_once() {
    let mut w = order_that_decided([schedule("a"), timer("t", 60_000)]);
    w.when(answered_terminate())
        .then_events(["WorkflowExecutionTerminated"])
        .then_effects(["reply RequestAccepted", "orders told that the run is closed"]);
    assert!(w.due().is_empty());
    w.when(activity_completed("a")).then_nothing();
    let outcome = w.outcome();
    assert_eq!(outcome.status, WorkflowStatus::Terminated);
    assert!(outcome.failure.expect("it says why").message.contains("it hangs"));
}

#[test]
fn a_termination_during_a_workflow_task_fails_the_task_and_keeps_what_was_buffered() {
    let mut w = given(|w| w.when(start(ORDER)).when(signal("late")));
    let task = w.workflow_task().clone();
    w.when(terminate())
        .then_events([
            "WorkflowTaskFailed ForceCloseCommand",
            "WorkflowExecutionSignaled late",
            "WorkflowExecutionTerminated",
        ])
        .then_facts(["BufferFlushed 1"])
        .then_effects([]);
    assert_eq!(w.workflow_task(), &task);
    w.when(task_completed([complete()])).then_nothing();
    assert_eq!(w.describe().buffered_events, 0);
}

#[test]
fn a_termination_of_a_retried_workflow_task_leaves_no_boundaries() {
    let mut w = given(|w| w.when(start(ORDER)));
    w.when(task_failed(tidewright_schemas::WorkflowTaskFailedCause::NonDeterministicError));
    w.when_due(TimerTarget::WorkflowTaskRetry);
    w.when(terminate()).then_events(["WorkflowExecutionTerminated"]);
    assert!(w.due().is_empty());
}

#[test]
fn r21_a_repeated_termination_is_answered_again() {
    let mut w = order_that_decided([]);
    w.when(answered_terminate());
    w.when(answered_terminate()).then_events([]).then_facts(["Answered RequestAccepted"]);
    w.when(terminate()).then_dead_lettered("TW0207");
}

#[test]
fn a_termination_after_the_end_is_rejected() {
    order_that_decided([complete()]).when(answered_terminate()).then_rejected("TW0207");
    World::default().when(answered_terminate()).then_rejected("TW0206");
}

#[test]
fn an_old_run_is_named_by_its_id() {
    let mut w = order_that_decided([complete()]);
    let first = w.run_id();
    w.when(start(ORDER).with_request_id("again"));
    w.when(terminate_with(|command| command.run_id = Some(first))).then_dead_lettered("TW0207");
    w.when(terminate()).then_events(["WorkflowTaskFailed ForceCloseCommand", "WorkflowExecutionTerminated"]);
}

fn limited(run_ms: u64) -> World {
    let mut w = World::default();
    w.when(start(ORDER).with(|start| start.workflow_run_timeout_ms = Some(run_ms)));
    w
}

#[test]
fn a_run_that_takes_too_long_times_out() {
    let mut w = limited(60_000);
    w.when(task_completed([schedule("a"), timer("t", 10)]));
    w.when_due(TimerTarget::WorkflowTimeout).then_events(["WorkflowExecutionTimedOut"]);
    w.then_effects(["orders told that the run is closed"]);
    assert!(w.due().is_empty());
    let outcome = w.outcome();
    assert_eq!(outcome.status, WorkflowStatus::TimedOut);
    assert!(matches!(outcome.failure.expect("it says why").info, FailureInfo::Timeout(_)));
}

#[test]
fn completion_against_timeout_in_both_orders() {
    let mut w = limited(60_000);
    let timeout = w.due().into_iter().find(|due| due.target == TimerTarget::WorkflowTimeout).expect("it is limited");
    w.when(task_completed([complete()]));
    w.after(60_000).when(fire(&timeout)).then_nothing();
    let mut w = limited(60_000);
    w.when_due(TimerTarget::WorkflowTimeout)
        .then_events(["WorkflowTaskFailed ForceCloseCommand", "WorkflowExecutionTimedOut"]);
    w.when(task_completed([complete()])).then_nothing();
}

#[test]
fn r20_a_timeout_that_fires_early_waits() {
    let mut w = limited(60_000);
    let timeout = w.due().into_iter().find(|due| due.target == TimerTarget::WorkflowTimeout).expect("it is limited");
    w.when(fire(&timeout)).then_early_by(59_000);
}

#[test]
fn the_earlier_of_both_limits_counts_and_zero_is_none() {
    let times_out = |run_ms, execution_ms| {
        let mut w = World::default();
        w.when(start(ORDER).with(|start| {
            start.workflow_run_timeout_ms = Some(run_ms);
            start.workflow_execution_timeout_ms = Some(execution_ms);
        }));
        w.describe().times_out_ms.map(|ms| ms - w.now_ms)
    };
    assert_eq!(times_out(5_000, 9_000), Some(5_000));
    assert_eq!(times_out(9_000, 5_000), Some(5_000));
    assert_eq!(times_out(0, 5_000), Some(5_000));
    assert_eq!(times_out(0, 0), None);
}
