//! What workflow code asks for, rightly and wrongly.

use tidewright_schemas::limits::{
    DECISIONS_MAX, NAME_BYTES_MAX, PAYLOAD_BYTES_MAX, PENDING_ACTIVITIES_MAX, PENDING_TIMERS_MAX,
};
use tidewright_schemas::{
    CancelWorkflow, CompleteWorkflow, Decision, EventAttributes, FailWorkflow, Failure, RetryPolicy, ScheduleActivity,
    WorkflowTaskFailedCause as Cause,
};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::{ORDER, World};

fn started() -> World {
    let mut w = World::default();
    w.when(start(ORDER));
    w
}

/// None of the decisions counts, and the worker is told why.
#[track_caller]
fn refused(w: &mut World, decisions: Vec<Decision>, cause: Cause, because: &str) {
    let count = w.step.events.len();
    let attempts = w.describe().pending_workflow_task.expect("a task is out").attempt;
    w.when(task_completed_with(decisions)).then_effects([]);
    if attempts == 1 {
        w.then_events([format!("WorkflowTaskFailed {cause:?}").as_str()]);
    }
    let failure = w.describe().pending_workflow_task.expect("it is tried again").last_failure.expect("it failed");
    assert_eq!(failure.error_type(), "TW0302");
    assert!(failure.message.contains(because), "`{}` does not say `{because}`; {count}", failure.message);
}

#[test]
fn an_activity_is_scheduled_and_its_task_is_sent() {
    let mut w = started();
    let ship = ScheduleActivity { task_queue: Some("shipping".to_owned()), ..activity("ship") };
    w.when(task_completed([schedule("charge"), ship.into()]))
        .then_events(["WorkflowTaskCompleted", "ActivityTaskScheduled charge", "ActivityTaskScheduled ship"])
        .then_effects(["activity task 5#1", "activity task 6#1"]);
    assert_eq!(w.queues, ["orders", "orders", "shipping"]);
    let task = &w.activity_task("charge").1;
    assert_eq!(task.input.as_ref().map(|input| input.json_text().unwrap().into_owned()).unwrap(), "{\"amount\": 1.50}");
    assert_eq!((task.attempt, task.scheduled_event_id, task.start_to_close_timeout_ms), (1, 5, Some(10_000)));
    assert_eq!((task.scheduled_time_ms, task.attempt_scheduled_time_ms), (w.now_ms, w.now_ms));
}

#[test]
fn a_timer_starts() {
    let mut w = started();
    w.when(task_completed([timer("t", 5_000)])).then_events(["WorkflowTaskCompleted", "TimerStarted t"]);
    assert_eq!(w.describe().pending_timers[0].due_ms, w.now_ms + 5_000);
}

#[test]
fn a_run_completes() {
    let mut w = started();
    w.when(task_completed([complete()])).then_events(["WorkflowTaskCompleted", "WorkflowExecutionCompleted"]);
    w.then_effects([]);
}

#[test]
fn a_run_fails() {
    let mut w = started();
    w.when(task_completed([fail()])).then_events(["WorkflowTaskCompleted", "WorkflowExecutionFailed"]);
    w.then_effects([]);
}

#[test]
fn bad_decisions_are_refused_as_a_whole() {
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    let without_timeout = ScheduleActivity { start_to_close_timeout_ms: None, ..activity("a") };
    let bad_policy = with_policy("a", RetryPolicy { backoff_coefficient: 0.5, ..RetryPolicy::default() });
    let no_type = ScheduleActivity { activity_type: String::new(), ..activity("a") };
    let bad_queue = ScheduleActivity { task_queue: Some(long.clone()), ..activity("a") };
    let big = ScheduleActivity { input: Some(payload_of(PAYLOAD_BYTES_MAX + 1)), ..activity("a") };
    let big_result = CompleteWorkflow { result: Some(payload_of(PAYLOAD_BYTES_MAX + 1)) };
    let cases: Vec<(Vec<Decision>, Cause, &str)> = vec![
        (
            vec![schedule("a"), schedule("a")],
            Cause::ScheduleActivityDuplicateId,
            "decision 1 (ScheduleActivity): there is an open activity with the id `a`",
        ),
        (
            vec![timer("t", 1), timer("t", 1)],
            Cause::StartTimerDuplicateId,
            "there is an open timer with the id `t` already",
        ),
        (
            vec![complete(), schedule("a")],
            Cause::BadCompleteWorkflowExecutionAttributes,
            "decision 0 (CompleteWorkflow): it ends the run, so it must be the last",
        ),
        (vec![complete(), fail()], Cause::BadCompleteWorkflowExecutionAttributes, "it must be the last"),
        (vec![cancel("t")], Cause::BadCancelTimerAttributes, "there is no open timer with the id `t`"),
        (
            vec![timer("t", 1), cancel("t"), cancel("t")],
            Cause::BadCancelTimerAttributes,
            "there is no open timer with the id `t`",
        ),
        (vec![without_timeout.into()], Cause::BadScheduleActivityAttributes, "set one"),
        (vec![bad_policy], Cause::BadScheduleActivityAttributes, "backoff_coefficient"),
        (vec![no_type.into()], Cause::BadScheduleActivityAttributes, "`activity_type` has 0 bytes"),
        (vec![bad_queue.into()], Cause::BadScheduleActivityAttributes, "`task_queue` has 1001 bytes"),
        (vec![schedule(&long)], Cause::BadScheduleActivityAttributes, "`activity_id` has 1001 bytes"),
        (vec![timer("", 1)], Cause::BadStartTimerAttributes, "`timer_id` has 0 bytes"),
        (vec![big.into()], Cause::BadScheduleActivityAttributes, "`input` has"),
        (vec![fail(), timer("t", 1)], Cause::BadFailWorkflowExecutionAttributes, "must be the last decision"),
        (
            vec![CancelWorkflow::default().into(), timer("t", 1)],
            Cause::BadCancelWorkflowExecutionAttributes,
            "must be the last",
        ),
        (vec![cancel_activity(3)], Cause::BadRequestCancelActivityAttributes, "event 3 has scheduled no activity"),
        (vec![big_result.into()], Cause::BadCompleteWorkflowExecutionAttributes, "`result` has"),
        (vec![timer("t", 1); DECISIONS_MAX + 1], Cause::BadDecision, "2001 decisions"),
    ];
    for (mut decisions, cause, because) in cases {
        refused(&mut started(), decisions.clone(), cause, because);
        if decisions.len() < DECISIONS_MAX && !because.contains("decision 0") && !because.contains("decision 1") {
            // What is right in front of it does not count either.
            decisions.insert(0, timer("right", 1));
            let mut w = started();
            refused(&mut w, decisions, cause, because);
            assert!(w.describe().pending_timers.is_empty());
        }
    }
}

#[test]
fn ids_are_unique_among_what_is_open() {
    let open = || {
        let mut w = order_that_decided([schedule("a"), schedule("b"), timer("t", 5_000)]);
        w.when(activity_completed("a"));
        w
    };
    refused(
        &mut open(),
        vec![schedule("b")],
        Cause::ScheduleActivityDuplicateId,
        "there is an open activity with the id `b`",
    );
    refused(&mut open(), vec![timer("t", 1)], Cause::StartTimerDuplicateId, "there is an open timer with the id `t`");
    open().when(task_completed([schedule("a"), cancel("t"), timer("t", 1)])).then_events([
        "WorkflowTaskCompleted",
        "ActivityTaskScheduled a",
        "TimerCanceled t",
        "TimerStarted t",
    ]);
}

#[test]
fn a_task_with_bad_decisions_is_tried_again_and_can_succeed() {
    let mut w = started();
    w.when(task_completed([cancel("t")])).when_due(tidewright_schemas::TimerTarget::WorkflowTaskRetry);
    w.when(task_completed([complete()])).then_events([
        "WorkflowTaskScheduled #2",
        "WorkflowTaskStarted",
        "WorkflowTaskCompleted",
        "WorkflowExecutionCompleted",
    ]);
}

#[test]
fn a_run_has_only_so_many_open_activities() {
    let mut w = started();
    let half = PENDING_ACTIVITIES_MAX as usize / 2;
    w.check_compaction = false;
    w.when(task_completed_with((0..half).map(|n| schedule(&format!("a{n}"))).collect()));
    w.when(activity_completed("a0"));
    w.when(task_completed_with((0..=half).map(|n| schedule(&format!("b{n}"))).collect()));
    assert_eq!(w.describe().pending_activities.len(), 100);
    w.when(activity_completed("a1"));
    refused(
        &mut w,
        vec![schedule("c"), schedule("d")],
        Cause::PendingActivitiesLimitExceeded,
        "more than 2000 open activities",
    );
}

#[test]
fn a_run_has_only_so_many_open_timers() {
    let mut w = started();
    w.check_compaction = false;
    let all: Vec<_> = (0..PENDING_TIMERS_MAX).map(|n| timer(&format!("t{n}"), 5_000)).collect();
    w.when(task_completed_with(all)).when_due(tidewright_schemas::TimerTarget::Timer);
    refused(&mut w, vec![timer("x", 1), timer("y", 1)], Cause::BadDecision, "more than 2000 open timers");
}

#[test]
fn cancelling_everything_at_once_is_quick() {
    let mut w = started();
    w.check_compaction = false;
    let all: Vec<_> = (0..PENDING_TIMERS_MAX - 1).map(|n| timer(&format!("t{n}"), 5_000)).collect();
    w.when(task_completed_with([vec![schedule("a")], all].concat())).when(activity_completed("a"));
    w.when(task_completed_with((0..PENDING_TIMERS_MAX - 1).map(|n| cancel(&format!("t{n}"))).collect()));
    assert!(w.describe().pending_timers.is_empty());
    let canceled = w.step.events.iter().filter_map(|event| match &event.attributes {
        EventAttributes::TimerCanceled(canceled) => Some(canceled.started_event_id),
        _ => None,
    });
    let canceled: Vec<_> = canceled.collect();
    assert_eq!(canceled.len(), PENDING_TIMERS_MAX as usize - 1);
    assert!(canceled.is_sorted());
}

#[test]
fn a_runs_failure_is_shortened_not_refused() {
    let mut w = started();
    let mut failure = Failure::application("T", "no", false);
    failure.stack_trace = "x".repeat(PAYLOAD_BYTES_MAX);
    w.when(task_completed([FailWorkflow { failure }.into()]))
        .then_events(["WorkflowTaskCompleted", "WorkflowExecutionFailed"]);
}
