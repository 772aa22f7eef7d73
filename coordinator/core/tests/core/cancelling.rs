//! Cancelling activities, and each race in both orders (R30).

use tidewright_schemas::{
    Decision, EventAttributes, RetryState, ScheduleActivity, TimerTarget, WorkerIdentity, WorkflowTaskFailedCause::*,
};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::{World, words};

/// `charge` is event 5; the timer's firing gave the workflow its next task.
fn at_a_task(decision: Decision) -> World {
    let mut w = order_that_decided([decision, timer("t", 100)]);
    w.when_due(TimerTarget::Timer);
    w
}

/// The workflow has asked `charge` to end.
fn asked(w: &mut World) -> &mut World {
    w.when(task_completed([cancel_activity(5)]))
}

fn asked_while_it_waits_for_a_worker() -> World {
    let mut w = at_a_task(schedule("charge"));
    asked(&mut w);
    w
}

fn asked_while_it_runs(decision: Decision) -> World {
    let mut w = at_a_task(decision);
    w.when(started_notice("charge", "a"));
    asked(&mut w);
    w
}

fn canceled(w: &World) -> (Option<String>, WorkerIdentity, u64) {
    let EventAttributes::ActivityTaskCanceled(canceled) = w.attributes("ActivityTaskCanceled") else { panic!() };
    let asked = w.history().into_iter().find(|event| event.attributes.event_type() == "ActivityTaskCancelRequested");
    assert_eq!(Some(canceled.latest_cancel_requested_event_id), asked.map(|event| event.event_id));
    assert_eq!(canceled.scheduled_event_id, 5);
    let details = canceled.details.as_ref().map(|details| details.json_text().unwrap().into_owned());
    (details, canceled.worker.clone(), canceled.started_event_id)
}

#[test]
fn what_may_run_is_asked_to_end_and_says_how_it_did() {
    let mut w = asked_while_it_waits_for_a_worker();
    w.then_events(["WorkflowTaskCompleted", "ActivityTaskCancelRequested"]);
    w.then_facts(["orders told to cancel activity 5"]).then_effects(["orders told to cancel activity 5"]);
    w.when(activity_canceled("charge")).then_events([
        "ActivityTaskStarted #1",
        "ActivityTaskCanceled",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
    let started = w.event("ActivityTaskStarted").event_id;
    assert_eq!(canceled(&w), (Some("\"cleaned up\"".to_owned()), worker("a"), started));
    w.when(activity_canceled("charge")).then_nothing();
}

#[test]
fn workers_are_told_again_whenever_an_attempt_is_heard_of() {
    let mut w = asked_while_it_waits_for_a_worker();
    let told = "orders told to cancel activity 5";
    w.when(started_notice("charge", "a")).then_effects([told]);
    w.when(started_notice("charge", "a")).then_nothing().then_effects([told]);
    w.when(heartbeat("charge", "a")).then_facts(["ActivityHeartbeatRecorded #1", told]).then_effects([told]);
    w.when(heartbeat("charge", "a"));
    assert_eq!(w.superseded_count(), 1, "R2: what workers were told is no state");
}

#[test]
fn what_rests_between_attempts_is_cancelled_at_once() {
    let mut w = at_a_task(schedule("charge"));
    w.when(activity_failed("charge"));
    asked(&mut w).then_events([
        "WorkflowTaskCompleted",
        "ActivityTaskCancelRequested",
        "ActivityTaskCanceled",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
    w.then_effects(["workflow task 13#1"]);
    assert_eq!(canceled(&w), (None, WorkerIdentity::default(), 0));
    assert!(w.due().is_empty() && w.describe().pending_activities.is_empty());
    w.when(activity_completed("charge#1")).then_nothing();
}

#[test]
fn what_was_not_granted_surely_does_not_run() {
    let mut w = at_a_task(with_policy("charge", at_most(1)));
    asked(&mut w);
    assert_eq!(canceled(&w), (None, WorkerIdentity::default(), 0));
    w.when(may_run("charge", "a")).then_facts(["Answered Drop"]);
    let mut w = at_a_task(with_policy("charge", at_most(1)));
    w.when(may_run("charge", "a"));
    asked(&mut w).then_effects(["orders told to cancel activity 5"]);
}

#[test]
fn a_task_that_is_asked_about_before_it_runs_is_cancelled() {
    let mut w = asked_while_it_waits_for_a_worker();
    w.when(may_run("charge", "b"));
    w.then_events(["ActivityTaskCanceled", "WorkflowTaskScheduled", "WorkflowTaskStarted"]);
    w.then_facts(["Answered Drop"]).then_effects(["workflow task 13#1", "reply Drop"]);
    assert_eq!(canceled(&w), (None, worker("b"), 0));
    let mut w = asked_while_it_runs(schedule("charge"));
    w.when(may_run("charge", "b")).then_events([]).then_facts(["Answered Drop"]);
}

#[test]
fn cancel_against_the_loss_of_the_worker_in_both_orders() {
    let mut w = asked_while_it_runs(schedule("charge"));
    w.when(worker_lost("a"));
    assert_eq!(words::event(&w.step.events[1]), "ActivityTaskFailed CancelRequested");
    let mut w = at_a_task(schedule("charge"));
    w.when(started_notice("charge", "a")).when(worker_lost("a")).then_facts(["ActivityDispatched #2"]);
    asked(&mut w).when(may_run("charge", "b"));
    assert_eq!(canceled(&w), (None, worker("b"), 0));
}

#[test]
fn cancel_against_handing_back_in_both_orders() {
    let mut w = asked_while_it_waits_for_a_worker();
    w.when(returned("charge", "b"));
    assert_eq!(canceled(&w), (None, worker("b"), 0));
    let mut w = at_a_task(schedule("charge"));
    w.when(returned("charge", "b")).then_facts(["ActivityDispatched #2"]);
    asked(&mut w).when(may_run("charge", "b"));
    assert_eq!(canceled(&w), (None, worker("b"), 0));
}

#[test]
fn a_task_that_is_lost_is_cancelled() {
    let mut w = asked_while_it_waits_for_a_worker();
    w.when(activity_lost("charge"));
    assert_eq!(canceled(&w), (None, WorkerIdentity::default(), 0));
    let mut w = at_a_task(schedule("charge"));
    w.when(activity_lost("charge")).then_effects(["activity task 5#2"]);
    asked(&mut w).then_effects(["orders told to cancel activity 5"]);
}

#[test]
fn cancel_against_completion_in_both_orders() {
    let mut w = asked_while_it_runs(schedule("charge"));
    w.when(activity_completed("charge")).then_effects(["workflow task 14#1"]);
    w.when(activity_canceled("charge")).then_nothing();
    // The completion came first, and the workflow did not know: what it decided is recorded all the same.
    let mut w = at_a_task(schedule("charge"));
    w.when(activity_completed("charge"));
    asked(&mut w).then_events([
        "WorkflowTaskCompleted",
        "ActivityTaskCancelRequested",
        "ActivityTaskStarted #1",
        "ActivityTaskCompleted",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
    w.then_effects(["workflow task 14#1"]);
    w.when(activity_canceled("charge")).then_nothing();
}

#[test]
fn cancel_against_failure_in_both_orders() {
    let mut w = asked_while_it_runs(schedule("charge"));
    w.when(activity_failed("charge"));
    assert_eq!(words::event(&w.step.events[1]), "ActivityTaskFailed CancelRequested");
    let mut w = at_a_task(schedule("charge"));
    w.when(started_notice("charge", "a")).when(activity_failed("charge"));
    asked(&mut w);
    assert_eq!(canceled(&w).0, None, "it waited for its next attempt");
    w.when(activity_canceled("charge")).then_nothing();
}

#[test]
fn cancel_against_each_timeout_in_both_orders() {
    let limited = || -> Decision {
        let limits = ScheduleActivity {
            heartbeat_timeout_ms: Some(3_000),
            schedule_to_close_timeout_ms: Some(60_000),
            ..activity("charge")
        };
        limits.into()
    };
    use TimerTarget::{ActivityHeartbeat, ActivityScheduleToClose, ActivityStartToClose};
    for (target, state) in [
        (ActivityHeartbeat, RetryState::CancelRequested),
        (ActivityStartToClose, RetryState::CancelRequested),
        (ActivityScheduleToClose, RetryState::Timeout),
    ] {
        let mut w = asked_while_it_runs(limited());
        w.when_due(target);
        let EventAttributes::ActivityTaskTimedOut(late) = w.attributes("ActivityTaskTimedOut") else { panic!() };
        assert_eq!(late.retry_state, state, "{target:?}");
        w.when(activity_canceled("charge")).then_nothing();

        let mut w = at_a_task(limited());
        w.when(started_notice("charge", "a")).when_due(target);
        asked(&mut w);
        let last = w.history().into_iter().rev().map(|event| words::event(&event)).nth(2).unwrap();
        let expected = match target {
            ActivityScheduleToClose => "ActivityTaskTimedOut Timeout",
            _ => "ActivityTaskCanceled",
        };
        assert_eq!(last, expected, "{target:?}");
    }
}

#[test]
fn cancel_against_the_wait_for_a_worker_in_both_orders() {
    let waits = || ScheduleActivity { schedule_to_start_timeout_ms: Some(5_000), ..activity("charge") };
    let mut w = at_a_task(waits().into());
    asked(&mut w);
    w.when_due(TimerTarget::ActivityScheduleToStart);
    assert_eq!(words::event(&w.step.events[0]), "ActivityTaskTimedOut Timeout");
    let mut w = at_a_task(waits().into());
    w.when_due(TimerTarget::ActivityScheduleToStart);
    asked(&mut w);
    assert_eq!(words::event(&w.step.events[2]), "ActivityTaskTimedOut Timeout");
    assert!(w.step.effects.iter().all(|effect| !words::effect(effect).contains("told")));
}

#[test]
fn cancel_against_the_next_attempt_in_both_orders() {
    let mut w = at_a_task(schedule("charge"));
    w.when(activity_failed("charge"));
    let due = w.due().into_iter().find(|due| due.target == TimerTarget::ActivityRetry).unwrap();
    asked(&mut w);
    w.after(60_000).when(fire(&due)).then_nothing();
    let mut w = at_a_task(schedule("charge"));
    w.when(activity_failed("charge")).when_due(TimerTarget::ActivityRetry);
    asked(&mut w).then_effects(["orders told to cancel activity 5"]);
    w.when(activity_canceled("charge#2"));
    assert_eq!(words::event(&w.step.events[0]), "ActivityTaskStarted #2");
}

#[test]
fn r29_an_older_attempts_word_closes_it_too() {
    let mut w = at_a_task(schedule("charge"));
    w.when(started_notice("charge", "a")).when_due(TimerTarget::ActivityStartToClose);
    w.when_due(TimerTarget::ActivityRetry);
    asked(&mut w);
    w.when(heartbeat("charge#1", "a")).then_nothing().then_effects(["orders told to cancel activity 5"]);
    w.when(activity_canceled("charge#1"));
    assert_eq!(words::event(&w.step.events[0]), "ActivityTaskStarted #1");
}

#[test]
fn a_word_that_comes_while_a_workflow_task_is_out_is_buffered() {
    let mut w = asked_while_it_runs(schedule("charge"));
    w.when(signal("s")).when(activity_canceled("charge"));
    w.then_events([]).then_facts(["ActivityTaskStarted #1 + ActivityTaskCanceled (buffered)"]);
    w.when(task_completed([]));
    let started = w.event("ActivityTaskStarted").event_id;
    assert_eq!(canceled(&w).2, started);
}

#[test]
fn who_was_not_asked_to_end_has_failed() {
    let mut w = order_that_decided([schedule("charge")]);
    w.when(activity_canceled("charge"));
    assert_eq!(words::event(&w.step.events[1]), "ActivityTaskFailed NonRetryableFailure");
    let EventAttributes::ActivityTaskFailed(failed) = w.attributes("ActivityTaskFailed") else { panic!() };
    assert_eq!(failed.failure.error_type(), "Canceled");
}

#[test]
fn a_request_for_what_is_not_there_is_refused() {
    let refused = |w: &mut World, decisions: Vec<Decision>| {
        w.when(task_completed_with(decisions));
        assert_eq!(
            words::event(&w.step.events[0]),
            format!("WorkflowTaskFailed {BadRequestCancelActivityAttributes:?}")
        );
    };
    refused(&mut at_a_task(schedule("charge")), vec![cancel_activity(6)]);
    refused(&mut at_a_task(schedule("charge")), vec![cancel_activity(5), cancel_activity(5)]);
    refused(&mut at_a_task(detached("charge")), vec![cancel_activity(5)]);
    let mut w = asked_while_it_waits_for_a_worker();
    w.when(signal("s"));
    refused(&mut w, vec![cancel_activity(5)]);
    let mut w = order_that_decided([schedule("charge")]);
    w.when(activity_completed("charge"));
    refused(&mut w, vec![cancel_activity(5)]);
}

#[test]
fn the_end_of_a_run_is_told_to_the_workers_of_its_open_activities() {
    let on = |id: &str, queue: &str| -> Decision {
        ScheduleActivity { task_queue: Some(queue.to_owned()), ..activity(id) }.into()
    };
    let open = || order_that_decided([on("a", "mail"), on("b", "bank"), on("c", "mail"), timer("t", 100)]);
    let told = "mail and bank told that the run is closed";
    open().when(terminate()).then_facts([told]).then_effects([told]);
    let mut w = open();
    w.when_due(TimerTarget::Timer).when(task_completed([complete()])).then_effects([told]);
    w.when(heartbeat("a", "w")).then_nothing().then_effects(["mail told that activity 5 is closed"]);
    w.when(started_notice("b", "w")).then_nothing().then_effects(["bank told that activity 6 is closed"]);
    w.when(activity_completed("a")).then_nothing().then_effects([]);
    let mut w = open();
    w.when_due(TimerTarget::Timer).when(task_completed([cancel_activity(5), complete()]));
    w.then_facts(["mail told to cancel activity 5", told]);
    let mut w = order_that_decided([on("a", "mail")]);
    w.when(activity_completed("a")).when(task_completed([complete()])).then_effects([]);
}

#[test]
fn an_activity_that_outlives_its_run_hears_nothing_of_its_end() {
    let mut w = order_that_decided([detached("mail"), timer("t", 100)]);
    w.when_due(TimerTarget::Timer).when(task_completed([complete()])).then_effects([]);
    assert!(w.activity_task("mail").1.detached);
    w.when(heartbeat("mail", "a")).then_facts(["ActivityStarted #1 by a", "ActivityHeartbeatRecorded #1"]);
}
