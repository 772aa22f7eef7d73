//! Tasks that cannot be delivered (R19), and tasks that are gone (R27).

use tidewright_schemas::EffectFailure::*;
use tidewright_schemas::{EventAttributes, ScheduleActivity, TimerTarget};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::{ORDER, World};

fn started() -> World {
    let mut w = World::default();
    w.when(start(ORDER));
    w
}

#[test]
fn r19_a_workflow_task_that_cannot_be_sent_waits_until_it_can() {
    let mut w = started();
    w.when(workflow_task_undeliverable())
        .then_events(["WorkflowTaskFailed TaskQueueUnavailable"])
        .then_facts(["WorkflowTaskRetryScheduled #2"]);
    assert!(
        w.describe().pending_workflow_task.and_then(|t| t.last_failure).unwrap().message.contains("broker says no")
    );
    w.when(workflow_task_undeliverable()).then_nothing();
    w.when_due(TimerTarget::WorkflowTaskRetry).when(workflow_task_undeliverable());
    w.then_events([]).then_facts(["WorkflowTaskRetryScheduled #3"]);
}

#[test]
fn r19_it_is_ignored_once_the_task_is_answered() {
    let mut w = started();
    w.when(task_completed([complete()])).when(workflow_task_undeliverable()).then_nothing();
}

#[test]
fn r19_an_activity_task_that_cannot_be_sent_fails_the_activity() {
    for reason in [TopicMissing, Denied, TooLarge, Refused] {
        let mut w = order_that_decided([schedule("a")]);
        w.when(activity_undeliverable("a", reason)).then_events([
            "ActivityTaskFailed NonRetryableFailure",
            "WorkflowTaskScheduled",
            "WorkflowTaskStarted",
        ]);
        let EventAttributes::ActivityTaskFailed(failed) = w.attributes("ActivityTaskFailed") else { panic!() };
        assert_eq!((failed.failure.error_type(), failed.started_event_id), ("TW0303", 0));
        w.when(activity_undeliverable("a", reason)).then_nothing();
    }
}

#[test]
fn r19_r27_trouble_is_ignored_once_a_notice_a_failure_or_a_completion_exists() {
    let mut w = order_that_decided([schedule("a")]);
    let (undeliverable, gone) = (activity_undeliverable("a", Denied)(&w), activity_lost("a")(&w));
    w.when(started_notice("a", "w"));
    w.when(undeliverable.clone()).then_nothing().when(gone.clone()).then_nothing();
    w.when(activity_failed("a"));
    w.when(undeliverable.clone()).then_nothing().when(gone.clone()).then_nothing();
    w.when_due(TimerTarget::ActivityRetry);
    w.when(undeliverable.clone()).then_nothing().when(gone.clone()).then_nothing();
    w.when(activity_completed("a"));
    w.when(undeliverable).then_nothing().when(gone).then_nothing();
}

#[test]
fn r19_a_detached_activity_fails_after_its_run() {
    let mut w = order_that_decided([detached("mail"), complete()]);
    w.when(activity_undeliverable("mail", TooLarge)).then_facts(["DetachedActivityClosed failed"]);
}

#[test]
fn r27_a_lost_workflow_task_is_sent_anew() {
    let mut w = started();
    w.when(workflow_task_lost())
        .then_events(["WorkflowTaskFailed TaskLost"])
        .then_facts(["WorkflowTaskDispatched #2"])
        .then_effects(["workflow task 5#2"]);
    let first = w.workflow_tasks[0].0.clone();
    w.when(lost(&first)).then_nothing();
    w.when(workflow_task_lost()).then_events([]).then_facts(["WorkflowTaskDispatched #3"]);
    w.when(task_completed([complete()])).when(workflow_task_lost()).then_nothing();
}

#[test]
fn r27_what_was_buffered_goes_with_the_new_task() {
    let mut w = order_that_decided([schedule("a"), schedule("b")]);
    w.when(activity_completed("a")).when(activity_completed("b")).when(workflow_task_lost());
    w.then_events(["WorkflowTaskFailed TaskLost", "ActivityTaskStarted #1", "ActivityTaskCompleted"]);
    assert_eq!(w.workflow_task().1.events, w.history());
}

#[test]
fn r27_a_lost_activity_task_is_a_new_attempt_at_once() {
    let mut w = order_that_decided([schedule("a")]);
    w.when(activity_lost("a")).then_events([]).then_facts(["ActivityDispatched #2"]);
    w.then_effects(["activity task 5#2"]);
    w.when(activity_lost("a#1")).then_nothing();
    w.when(activity_completed("a#1")).then_effects(["workflow task 8#1"]);
}

#[test]
fn r27_a_lost_task_does_not_use_up_the_attempts() {
    let mut w = order_that_decided([with_policy("a", at_most(1))]);
    w.when(activity_lost("a")).then_facts(["ActivityDispatched #2"]);
    w.when(may_run("a#1", "w")).then_facts(["Answered Drop"]);
    w.when(may_run("a#2", "w")).then_facts(["ActivityStarted #2 by w", "Answered Run"]);
    w.when(activity_failed("a"));
    assert_eq!(crate::support::words::event(&w.step.events[1]), "ActivityTaskFailed MaximumAttemptsReached");
}

#[test]
fn r27_a_task_that_is_lost_too_late_closes_the_activity() {
    let brief = ScheduleActivity { schedule_to_close_timeout_ms: Some(5_000), ..activity("a") };
    let mut w = order_that_decided([brief.into()]);
    w.after(5_000).when(activity_lost("a")).then_events([
        "ActivityTaskFailed Timeout",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
}
