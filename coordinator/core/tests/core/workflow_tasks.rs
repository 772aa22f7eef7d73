//! Workflow tasks: completed, failed, tried again (R22, R23).

use tidewright_schemas::{EventAttributes, Failure, TimeoutType, TimerTarget, WorkflowTaskFailedCause::*};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::{ORDER, START_MS, World};

fn started() -> World {
    let mut w = World::default();
    w.when(start(ORDER));
    w
}

#[test]
fn a_completion_is_an_event() {
    let mut w = started();
    w.when(task_completed([])).then_events(["WorkflowTaskCompleted"]).then_effects([]);
    let EventAttributes::WorkflowTaskCompleted(completed) = w.attributes("WorkflowTaskCompleted") else { panic!() };
    assert_eq!((completed.scheduled_event_id, completed.started_event_id), (2, 3));
    assert_eq!(completed.worker, worker("w"));
    assert_eq!(w.describe().pending_workflow_task, None);
}

#[test]
fn r23_the_next_task_names_the_accepted_completion_and_carries_what_is_new() {
    let mut w = started();
    w.when(task_completed([schedule("charge")])).when(activity_completed("charge")).then_effects(["workflow task 8#1"]);
    let task = w.workflow_task().1.clone();
    assert_eq!(task.previous_started_event_id, 3);
    assert_eq!(task.previous_completion_id.as_deref(), Some("completion of 2#1"));
    assert_eq!(task.events, w.history().split_off(3));
}

#[test]
fn r23_a_task_that_may_be_a_repeat_carries_the_whole_history() {
    let mut w = started();
    w.when(task_completed([schedule("charge")])).when(activity_completed("charge"));
    let (token, _) = w.workflow_task().clone();
    let repeat = tidewright_core::workflow_task(&w.rows, "shop", &token.workflow_id, &token.task, true).unwrap();
    let repeat = repeat.expect("state wants it");
    assert_eq!(repeat.token, token);
    assert!(repeat.task.possible_repeat);
    assert_eq!(repeat.task.events, w.history());
}

#[test]
fn a_second_completion_is_ignored() {
    let mut w = started();
    w.when(task_completed([timer("t", 5_000)])).when(task_completed([complete()])).then_nothing();
}

#[test]
fn a_failed_task_waits_for_its_next_attempt() {
    let mut w = started();
    w.when(task_failed(NonDeterministicError))
        .then_events(["WorkflowTaskFailed NonDeterministicError"])
        .then_facts(["WorkflowTaskRetryScheduled #2"])
        .then_effects([]);
    let pending = w.describe().pending_workflow_task.expect("it waits");
    assert!(pending.backing_off);
    assert_eq!((pending.attempt, pending.time_ms), (2, w.now_ms + 1_000));
    assert_eq!(pending.last_failure, Some(boom()));
    w.when_due(TimerTarget::WorkflowTaskRetry)
        .then_events([])
        .then_facts(["WorkflowTaskDispatched #2"])
        .then_effects(["workflow task 5#2"]);
    let task = &w.workflow_task().1;
    assert_eq!((task.attempt, task.scheduled_event_id, task.started_event_id), (2, 5, 6));
    assert_eq!(task.events, w.history());
}

fn overdue() -> Failure {
    Failure::timeout(TimeoutType::StartToClose, "it ran for more than 10 s; its last await is at orders.rs:7")
}

#[test]
fn r26_an_overdue_task_times_out_and_is_tried_again() {
    let mut w = started();
    w.when(task_failed_with(Unspecified, overdue()))
        .then_events(["WorkflowTaskTimedOut StartToClose"])
        .then_facts(["WorkflowTaskRetryScheduled #2"]);
    assert_eq!(w.describe().pending_workflow_task.and_then(|task| task.last_failure), Some(overdue()));
    w.when_due(TimerTarget::WorkflowTaskRetry);
    w.when(task_failed_with(Unspecified, overdue())).then_events([]).then_facts(["WorkflowTaskRetryScheduled #3"]);
    w.when_due(TimerTarget::WorkflowTaskRetry).when(task_completed([complete()]));
    assert_eq!(w.step.events.len(), 4);
}

#[test]
fn a_tasks_timeout_against_its_completion_in_both_orders() {
    let mut w = started();
    w.when(task_failed_with(Unspecified, overdue())).when(task_completed([complete()])).then_nothing();
    let mut w = started();
    w.when(task_completed([timer("t", 5_000)])).when(task_failed_with(Unspecified, overdue())).then_nothing();
}

#[test]
fn r22_boundaries_of_a_retried_task_become_events_when_it_is_accepted() {
    let mut w = started();
    w.when(task_failed(NonDeterministicError)).when_due(TimerTarget::WorkflowTaskRetry);
    let sent_ms = w.now_ms;
    w.after(20_000)
        .when(task_completed([schedule("charge")]))
        .then_events([
            "WorkflowTaskScheduled #2",
            "WorkflowTaskStarted",
            "WorkflowTaskCompleted",
            "ActivityTaskScheduled charge",
        ])
        .then_effects(["activity task 8#1"]);
    assert_eq!(w.event("WorkflowTaskScheduled").event_time_ms, sent_ms);
    assert_eq!(w.event("WorkflowTaskStarted").event_time_ms, sent_ms);
    assert_eq!(w.event("WorkflowTaskCompleted").event_time_ms, w.now_ms);
    assert_eq!(w.workflow_task().1.started_time_ms, sent_ms);
    let EventAttributes::WorkflowTaskCompleted(completed) = w.attributes("WorkflowTaskCompleted") else { panic!() };
    assert_eq!((completed.scheduled_event_id, completed.started_event_id), (5, 6));
}

#[test]
fn r22_only_the_first_failure_is_an_event_and_delays_double_up_to_half_a_minute() {
    let mut w = started();
    let mut delays = Vec::new();
    for attempt in 2..10 {
        w.when(task_failed(WorkflowTypeNotRegistered));
        w.then_facts([&format!("WorkflowTaskRetryScheduled #{attempt}")]);
        delays.push(w.describe().pending_workflow_task.expect("it waits").time_ms - w.now_ms);
        w.when_due(TimerTarget::WorkflowTaskRetry).then_effects([&format!("workflow task 5#{attempt}")]);
    }
    assert_eq!(delays, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    assert_eq!(w.history().len(), 4);
}

#[test]
fn r2_records_of_retries_are_superseded() {
    let mut w = started();
    for _ in 0..10 {
        w.when(task_failed(WorkflowTypeNotRegistered)).when_due(TimerTarget::WorkflowTaskRetry);
    }
    // What is left: the start, the first failure, and the last dispatch.
    assert_eq!(w.record_count() - w.superseded_count(), 3);
    w.when(task_completed([complete()]));
    assert_eq!(w.record_count() - w.superseded_count(), 3);
}

#[test]
fn a_worker_without_the_history_gets_it_at_once_but_only_once() {
    let mut w = started();
    w.when(task_failed(HistoryUnavailable))
        .then_events(["WorkflowTaskFailed HistoryUnavailable"])
        .then_facts(["WorkflowTaskDispatched #2"])
        .then_effects(["workflow task 5#2"]);
    assert_eq!(w.workflow_task().1.events, w.history());
    w.when(task_failed(HistoryUnavailable)).then_facts(["WorkflowTaskRetryScheduled #3"]).then_effects([]);
}

#[test]
fn what_fails_once_the_history_is_there_is_told_once() {
    let mut w = started();
    w.when(task_failed(HistoryUnavailable));
    w.when(task_failed(NonDeterministicError)).then_events([
        "WorkflowTaskScheduled #2",
        "WorkflowTaskStarted",
        "WorkflowTaskFailed NonDeterministicError",
    ]);
    w.when_due(TimerTarget::WorkflowTaskRetry).then_facts(["WorkflowTaskDispatched #3"]);
    w.when(task_failed(NonDeterministicError)).then_events([]);
    w.when_due(TimerTarget::WorkflowTaskRetry).when(task_completed([complete()]));
}

#[test]
fn nothing_is_heard_of_a_task_that_waits_for_its_next_attempt() {
    let mut w = started();
    w.when(task_failed(NonDeterministicError));
    w.when(task_failed(NonDeterministicError)).then_nothing();
    w.when(task_completed([complete()])).then_nothing();
}

#[test]
fn an_old_attempt_is_not_heard_while_a_newer_one_is_out() {
    let mut w = started();
    let old = task_completed([complete()])(&w);
    w.when(task_failed(NonDeterministicError)).when_due(TimerTarget::WorkflowTaskRetry);
    w.when(old).then_nothing();
}

#[test]
fn r6_a_runs_time_never_steps_back() {
    let mut w = started();
    w.now_ms = START_MS - 50_000;
    w.at_once(task_completed([timer("t", 5_000)]));
    assert_eq!(w.event("WorkflowTaskCompleted").event_time_ms, START_MS + 1_000);
    assert_eq!(w.describe().pending_timers[0].due_ms, START_MS + 6_000);
    w.at_once(due(TimerTarget::Timer)).then_early_by(56_000);
}

#[test]
fn r6_what_is_buffered_moves_the_runs_time_too() {
    let mut w = started();
    w.when(task_completed([schedule("a"), schedule("b")])).when(activity_completed("a"));
    w.after(50_000).when(activity_completed("b"));
    let latest_ms = w.now_ms;
    w.now_ms = START_MS;
    w.at_once(task_completed([]));
    assert_eq!(w.event("ActivityTaskCompleted").event_time_ms, latest_ms);
    assert_eq!(w.event("WorkflowTaskCompleted").event_time_ms, latest_ms);
}

#[test]
fn a_long_text_of_a_failure_is_shortened() {
    let mut w = started();
    let failure = Failure::application("T", "x".repeat(100_000), false);
    w.when(task_failed_with(NonDeterministicError, failure));
    let failure = w.describe().pending_workflow_task.and_then(|task| task.last_failure).expect("it failed");
    assert!(failure.message.len() < 17_000);
}
