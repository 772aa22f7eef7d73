//! Signals and requests to cancel, as a run's code sees them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use futures::future::{Either, join, select};
use support::{History, activate, activity, here, run_of, words};
use tidewright_replay::{ReplayError, RunContext, WorkflowFuture};
use tidewright_schemas::{CanceledFailure, Failure, Payload};

fn then(workflow: support::Workflow, history: &History) -> Result<Vec<String>, ReplayError> {
    activate(&mut run_of(workflow), history).map(|decisions| words(&decisions))
}

fn text(payload: Option<Payload>) -> String {
    payload.map_or_else(String::new, |payload| payload.json_text().unwrap().into_owned())
}

/// Two signals of one name, one after the other.
fn two_signals(ctx: RunContext, _: Option<Payload>) -> WorkflowFuture {
    Box::pin(async move {
        let first = text(ctx.receive_signal("go", here()).await);
        let second = text(ctx.receive_signal("go", here()).await);
        Ok(Payload::new(&format!("{first}, {second}")).ok())
    })
}

/// An activity, and only then a signal.
fn late_listener(ctx: RunContext, _: Option<Payload>) -> WorkflowFuture {
    Box::pin(async move {
        ctx.schedule_activity(activity("Work"), here()).await?;
        Ok(ctx.receive_signal("go", here()).await)
    })
}

/// Waits for either of two signals at the same time.
fn both_at_once(ctx: RunContext, _: Option<Payload>) -> WorkflowFuture {
    Box::pin(async move {
        let (a, b) = join(ctx.receive_signal("a", here()), ctx.receive_signal("b", here())).await;
        Ok(Payload::new(&format!("{}, {}", text(a), text(b))).ok())
    })
}

/// A signal against a timer.
fn signal_or_timer(ctx: RunContext, _: Option<Payload>) -> WorkflowFuture {
    Box::pin(async move {
        let word = match select(ctx.receive_signal("go", here()), ctx.start_timer(5, here())).await {
            Either::Left(_) => "signal",
            Either::Right(_) => "timer",
        };
        Ok(Payload::new(&word).ok())
    })
}

/// Works until somebody asks it to end, and then says that it was cancelled.
fn cancellable(ctx: RunContext, _: Option<Payload>) -> WorkflowFuture {
    Box::pin(async move {
        let is_over = matches!(select(ctx.start_timer(5, here()), ctx.cancel_requested(here())).await, Either::Left(_));
        if is_over {
            return Ok(None);
        }
        ctx.schedule_activity(activity("CleanUp"), here()).await?;
        Err(Box::new(Failure::of("cancelled", CanceledFailure::default().into())))
    })
}

/// Says that it was cancelled although nobody asked.
fn pretender(_: RunContext, _: Option<Payload>) -> WorkflowFuture {
    Box::pin(async { Err(Box::new(Failure::of("cancelled", CanceledFailure::default().into()))) })
}

#[test]
fn signals_are_heard_in_the_order_in_which_they_came() {
    let history = History::started();
    assert_eq!(then(two_signals, &history).unwrap(), Vec::<String>::new());
    let history = history.task_completed().signaled("go", "1").signaled("go", "2").task_started();
    assert_eq!(then(two_signals, &history).unwrap(), [r#"complete "1, 2""#]);
}

#[test]
fn signals_in_separate_tasks_are_the_same() {
    let history = History::started().task_completed().signaled("go", "1").task_started().task_completed();
    let history = history.signaled("go", "2").task_started();
    assert_eq!(then(two_signals, &history).unwrap(), [r#"complete "1, 2""#]);
}

#[test]
fn a_signal_waits_until_the_code_listens() {
    let history = History::started().task_completed().scheduled("1", "Work").signaled("go", "7").task_started();
    assert_eq!(then(late_listener, &history).unwrap(), Vec::<String>::new());
    let history = history.task_completed().activity_completed("1", "null").task_started();
    assert_eq!(then(late_listener, &history).unwrap(), ["complete 7"]);
}

#[test]
fn a_signal_of_another_name_is_not_taken() {
    let history = History::started().task_completed().signaled("b", "2").signaled("a", "1").task_started();
    assert_eq!(then(both_at_once, &history).unwrap(), [r#"complete "1, 2""#]);
    let history = History::started().task_completed().signaled("b", "2").task_started();
    assert_eq!(then(both_at_once, &history).unwrap(), Vec::<String>::new());
}

#[test]
fn a_signal_before_the_first_task_is_heard_at_once() {
    let mut history = History::default();
    history.push_start();
    let history = history.signaled("go", "1").signaled("go", "2").task_started();
    assert_eq!(then(two_signals, &history).unwrap(), [r#"complete "1, 2""#]);
}

#[test]
fn timer_against_signal_in_both_orders() {
    let history = || History::started().task_completed().timer_started("1");
    let signal_first = history().signaled("go", "1").fired("1").task_started();
    assert_eq!(then(signal_or_timer, &signal_first).unwrap(), [r#"complete "signal""#]);
    let timer_first = history().fired("1").signaled("go", "1").task_started();
    assert_eq!(then(signal_or_timer, &timer_first).unwrap(), [r#"complete "timer""#]);
}

#[test]
fn a_request_to_cancel_is_heard_and_cleaning_up_still_runs() {
    let history = History::started().task_completed().timer_started("1").cancel_requested().task_started();
    assert_eq!(then(cancellable, &history).unwrap(), ["cancel 1", "schedule 2 CleanUp"]);
    let history = history.task_completed().timer_canceled("1").scheduled("2", "CleanUp");
    let history = history.activity_completed("2", "null").task_started();
    assert_eq!(then(cancellable, &history).unwrap(), ["end as cancelled"]);
}

#[test]
fn nobody_is_cancelled_who_was_not_asked() {
    assert_eq!(then(pretender, &History::started()).unwrap(), ["fail cancelled"]);
}
