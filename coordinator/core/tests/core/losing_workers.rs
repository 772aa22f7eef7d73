//! Workers that are gone (R28): what they ran is tried elsewhere. Each race in both orders.

use tidewright_core::workflow_of_worker;
use tidewright_schemas::api::PendingActivityState;
use tidewright_schemas::{Decision, EventAttributes, RetryPolicy, ScheduleActivity, TimerTarget, WorkerIdentity};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::{ORDER, World};

/// An activity that worker `w` runs.
fn running() -> World {
    let mut w = order_that_decided([schedule("a")]);
    w.when(started_notice("a", "w"));
    w
}

fn last_code(w: &World) -> String {
    let failure = w.describe().pending_activities[0].last_failure.clone().expect("an attempt failed");
    failure.error_type().to_owned()
}

#[test]
fn r28_what_it_ran_is_sent_again_at_once() {
    let mut w = running();
    w.when(worker_lost("w")).then_events([]).then_facts(["ActivityDispatched #2"]);
    w.then_effects(["activity task 5#2"]);
    let task = &w.activity_task("a").1;
    assert_eq!((task.attempt, task.possible_repeat), (2, true));
    let pending = w.describe().pending_activities.remove(0);
    assert_eq!((pending.state, pending.last_worker.as_deref()), (PendingActivityState::Scheduled, Some("w")));
    assert_eq!(last_code(&w), "TW0320");
    w.when(worker_lost("w")).then_nothing();
}

#[test]
fn r28_what_it_had_not_begun_or_another_runs_is_left() {
    let mut w = order_that_decided([schedule("a"), schedule("b"), schedule("c")]);
    w.when(started_notice("b", "other")).when(started_notice("c", "w")).when(activity_failed("c"));
    w.when(worker_lost("w")).then_nothing();
}

#[test]
fn r28_a_worker_that_came_back_keeps_what_it_began_since() {
    let mut w = running();
    let lost = worker_lost("w")(&w);
    w.when(lost.clone()).then_facts(["ActivityDispatched #2"]);
    w.when(started_notice("a", "w")).when(lost).then_nothing();
    w.when(activity_completed("a")).then_effects(["workflow task 8#1"]);
}

#[test]
fn r28_a_replayed_loss_from_before_the_start_does_nothing() {
    let mut w = order_that_decided([schedule("a")]);
    let lost = worker_lost("w")(&w);
    w.when(started_notice("a", "w")).when(lost).then_nothing();
}

#[test]
fn r28_worker_lost_against_completion() {
    let mut w = running();
    let completed = activity_completed("a")(&w);
    w.when(worker_lost("w")).when(completed);
    w.then_events(["ActivityTaskStarted #1", "ActivityTaskCompleted", "WorkflowTaskScheduled", "WorkflowTaskStarted"]);
    let mut w = running();
    w.when(activity_completed("a")).when(worker_lost("w")).then_nothing();
}

#[test]
fn r28_worker_lost_against_failure() {
    let mut w = running();
    let failed = activity_failed("a")(&w);
    w.when(worker_lost("w")).when(failed).then_nothing();
    let mut w = running();
    w.when(activity_failed("a")).then_facts(["ActivityRetryScheduled #2"]).when(worker_lost("w")).then_nothing();
}

#[test]
fn r28_worker_lost_against_a_timeout_of_the_attempt() {
    let mut w = running();
    let timeout = due(TimerTarget::ActivityStartToClose)(&w);
    w.when(worker_lost("w")).after(600_000).when(timeout).then_nothing();
    let mut w = running();
    w.when_due(TimerTarget::ActivityStartToClose).when(worker_lost("w")).then_nothing();
}

#[test]
fn r28_worker_lost_against_the_end_of_the_run() {
    let mut w = running();
    w.when(worker_lost("w")).when(terminate());
    assert!(w.outcome().failure.is_some());
    let mut w = running();
    w.when(terminate()).when(worker_lost("w")).then_nothing();
}

#[test]
fn r28_worker_lost_against_the_next_attempt_of_another_worker() {
    let mut w = running();
    w.when(activity_failed("a")).when_due(TimerTarget::ActivityRetry).when(started_notice("a", "other"));
    w.when(worker_lost("w")).then_nothing();
    w.when(worker_lost("other")).then_facts(["ActivityDispatched #3"]);
}

fn attempts(maximum: u32) -> Decision {
    with_policy("a", at_most(maximum))
}

#[test]
fn r28_attempts_are_used_up_by_it() {
    let mut w = order_that_decided([attempts(2)]);
    w.when(started_notice("a", "w")).when(worker_lost("w")).when(started_notice("a", "w")).when(worker_lost("w"));
    w.then_events([
        "ActivityTaskStarted #2",
        "ActivityTaskFailed MaximumAttemptsReached",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
    let EventAttributes::ActivityTaskFailed(failed) = w.attributes("ActivityTaskFailed") else { panic!() };
    assert_eq!((failed.failure.error_type(), failed.worker.identity.as_str()), ("TW0320", "w"));
}

#[test]
fn r28_a_granted_attempt_that_runs_at_most_once_ends() {
    let mut w = order_that_decided([attempts(1)]);
    w.when(may_run("a", "w")).when(worker_lost("w"));
    assert_eq!(crate::support::words::event(&w.step.events[1]), "ActivityTaskFailed MaximumAttemptsReached");
    w.when(may_run("a", "other")).then_facts(["Answered Drop"]);
}

#[test]
fn r28_the_third_worker_in_a_row_makes_the_activity_a_suspect() {
    let mut w = order_that_decided([schedule("a")]);
    for attempt in [2, 3] {
        w.when(started_notice("a", "w")).when(worker_lost("w"));
        w.then_facts([&format!("ActivityDispatched #{attempt}")]);
        assert_eq!(last_code(&w), "TW0320");
    }
    w.when(started_notice("a", "w")).when(worker_lost("w")).then_facts(["ActivityRetryScheduled #4"]);
    assert_eq!(last_code(&w), "TW0321");
    w.when_due(TimerTarget::ActivityRetry).when(started_notice("a", "w")).when(worker_lost("w"));
    w.then_facts(["ActivityRetryScheduled #5"]);
    // One that fails by itself takes no worker down.
    w.when_due(TimerTarget::ActivityRetry).when(activity_failed("a")).when_due(TimerTarget::ActivityRetry);
    w.when(started_notice("a", "w")).when(worker_lost("w")).then_facts(["ActivityDispatched #7"]);
}

#[test]
fn r28_a_policy_can_forbid_another_attempt() {
    let policy = RetryPolicy { non_retryable_error_types: vec!["TW0320".to_owned()], ..RetryPolicy::default() };
    let mut w = order_that_decided([with_policy("a", policy)]);
    w.when(started_notice("a", "w")).when(worker_lost("w"));
    assert_eq!(crate::support::words::event(&w.step.events[1]), "ActivityTaskFailed NonRetryableFailure");
}

#[test]
fn r28_all_that_it_ran_for_a_run_is_one_record() {
    let mut w = order_that_decided([schedule("a"), attempts(1).renamed("b"), attempts(1).renamed("c")]);
    for name in ["a", "b", "c"] {
        w.when(may_run(name, "w"));
    }
    w.when(worker_lost("w"));
    w.then_facts([
        "ActivityDispatched #2",
        "ActivityTaskStarted #1 + ActivityTaskFailed MaximumAttemptsReached (buffered)",
    ]);
    w.then_effects(["workflow task 10#1", "activity task 5#2"]);
    w.when(task_completed([])).then_facts(["BufferFlushed 1"]);
}

trait Renamed {
    fn renamed(self, id: &str) -> Decision;
}

impl Renamed for Decision {
    fn renamed(self, id: &str) -> Decision {
        let Decision::ScheduleActivity(activity) = self else { return self };
        ScheduleActivity { activity_id: id.to_owned(), ..activity }.into()
    }
}

#[test]
fn r28_a_detached_activity_outlives_its_run_and_its_worker() {
    let mail = ScheduleActivity { detached: true, ..activity("mail") };
    let mut w = order_that_decided([mail.into(), complete()]);
    w.when(started_notice("mail", "w")).when(worker_lost("w")).then_facts(["ActivityDispatched #2"]);
    w.when(activity_completed("mail")).then_facts(["DetachedActivityClosed ok"]);
}

#[test]
fn r7_one_command_takes_so_many_and_the_index_has_the_rest() {
    let ids: Vec<String> = (0..150).map(|n| format!("a{n}")).collect();
    let mut w = World::default();
    w.check_compaction = false;
    w.when(start(ORDER)).when(task_completed_with(ids.iter().map(|id| schedule(id)).collect()));
    for id in &ids {
        w.at_once(started_notice(id, "w"));
    }
    w.when(worker_lost("w"));
    assert_eq!(w.step.facts.len(), 100);
    let found = |w: &World| workflow_of_worker(&w.rows, "w-1", &[]).unwrap();
    assert_eq!(found(&w).map(|found| found.workflow_id.as_str().to_owned()).as_deref(), Some(ORDER));
    w.when(worker_lost("w"));
    assert_eq!(w.step.facts.len(), 50);
    assert_eq!(found(&w), None);
}

#[test]
fn r28_a_worker_is_looked_up_workflow_by_workflow() {
    let mut w = running();
    for id in ["order-2", "order-10"] {
        w.when(start(id)).when(task_completed([schedule("a")])).when(started_notice("a", "w"));
    }
    w.when(start("order-3")).when(task_completed([schedule("a")])).when(started_notice("a", "ww"));
    let (mut from, mut found) = (Vec::new(), Vec::new());
    while let Some(next) = workflow_of_worker(&w.rows, "w-1", &from).unwrap() {
        found.push(next.workflow_id.as_str().to_owned());
        from = next.next;
    }
    assert_eq!(found, ["order-1", "order-10", "order-2"]);
}

#[test]
fn r28_who_does_not_say_who_it_is_is_never_lost() {
    let mut w = order_that_decided([attempts(1)]);
    w.when(may_somebody_run("a")).then_facts(["ActivityStarted #1 by ", "Answered Run"]);
    let mut nobody = worker_lost("w")(&w);
    if let tidewright_schemas::Command::WorkerLost(lost) = &mut nobody.command {
        lost.incarnation = WorkerIdentity::default().incarnation;
    }
    w.when(nobody).then_nothing();
}
