//! Is a task that may be a repeat still wanted (R25)?

use tidewright_core::{activity_task, is_wanted, pending_tasks};
use tidewright_schemas::{ScheduleActivity, TaskKind, TimerTarget, WorkflowTaskFailedCause::NonDeterministicError};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::{ORDER, World};

#[test]
fn r25_a_task_that_history_waits_for_runs() {
    let mut w = order_that_decided([schedule("a")]);
    w.when(may_run("a", "b")).then_events([]);
    w.then_facts(["ActivityStarted #1 by b", "Answered Run"]).then_effects(["reply Run"]);
}

#[test]
fn r25_a_task_that_runs_elsewhere_is_dropped() {
    let mut w = order_that_decided([schedule("a")]);
    w.when(started_notice("a", "w")).when(may_run("a", "b")).then_facts(["Answered Drop"]);
}

#[test]
fn r25_a_task_that_is_done_or_superseded_is_dropped() {
    let mut w = order_that_decided([schedule("a")]);
    w.when(activity_failed("a")).when(may_run("a#1", "b")).then_facts(["Answered Drop"]);
    w.when_due(TimerTarget::ActivityRetry);
    w.when(may_run("a#1", "b")).then_facts(["Answered Drop"]);
    w.when(may_run("a#2", "b")).then_facts(["ActivityStarted #2 by b", "Answered Run"]);
    w.when(activity_completed("a#2")).when(may_run("a#2", "b")).then_facts(["Answered Drop"]);
}

#[test]
fn r26_a_workflow_task_is_confirmed_likewise() {
    let mut w = World::default();
    w.when(start(ORDER));
    let token = w.workflow_task().0.clone();
    w.when(may_run_token(token.clone(), "b")).then_facts(["WorkflowTaskDelivered 2 times", "Answered Run"]);
    w.when(task_failed(NonDeterministicError)).when(may_run_token(token.clone(), "b")).then_facts(["Answered Drop"]);
    w.when_due(TimerTarget::WorkflowTaskRetry).when(may_run_token(token, "b")).then_facts(["Answered Drop"]);
    let token = w.workflow_task().0.clone();
    w.when(may_run_token(token.clone(), "b")).then_facts(["WorkflowTaskDelivered 2 times", "Answered Run"]);
    w.when(task_completed([complete()])).when(may_run_token(token, "b")).then_facts(["Answered Drop"]);
}

#[test]
fn r25_leave_to_run_is_bound_to_who_asked_and_every_other_asker_is_refused() {
    let mut w = order_that_decided([schedule("a")]);
    w.when(may_run("a", "a")).then_facts(["ActivityStarted #1 by a", "Answered Run"]);
    // The answer was lost: asked again, it is the same (R21).
    w.when(may_run("a", "a")).then_facts(["Answered Run"]);
    w.when(may_run("a", "b")).then_facts(["Answered Drop"]);
    w.when(activity_failed("a")).when_due(TimerTarget::ActivityRetry);
    w.when(may_run("a", "b")).then_facts(["ActivityStarted #2 by b", "Answered Run"]);
}

fn at_most_once() -> World {
    order_that_decided([with_policy("pay", at_most(1))])
}

#[test]
fn r25_an_activity_with_one_attempt_is_always_confirmed() {
    assert!(at_most_once().activity_task("pay").1.possible_repeat);
    assert!(!order_that_decided([schedule("pay")]).activity_task("pay").1.possible_repeat);
}

#[test]
fn r25_its_grant_is_bound_to_who_asked_and_every_other_asker_is_refused() {
    let mut w = at_most_once();
    w.when(may_run("pay", "a")).then_facts(["ActivityStarted #1 by a", "Answered Run"]).then_effects(["reply Run"]);
    // The answer was lost: asked again, it is the same (R21).
    w.when(may_run("pay", "a")).then_facts(["Answered Run"]);
    w.when(may_run("pay", "b")).then_facts(["Answered Drop"]);
    w.when(started_notice("pay", "a")).then_nothing();
    w.when(activity_lost("pay")).then_nothing();
    w.when(activity_completed("pay")).then_effects(["workflow task 8#1"]);
    w.when(may_run("pay", "a")).then_facts(["Answered Drop"]);
}

#[test]
fn r25_a_granted_attempt_times_out_and_is_not_repeated() {
    let mut w = at_most_once();
    w.when(may_run("pay", "a")).when_due(TimerTarget::ActivityStartToClose);
    assert_eq!(crate::support::words::event(&w.step.events[1]), "ActivityTaskTimedOut MaximumAttemptsReached");
    w.when(may_run("pay", "a")).then_facts(["Answered Drop"]);
}

#[test]
fn r25_a_grant_outlives_the_run_of_a_detached_activity() {
    let mail = ScheduleActivity { detached: true, retry_policy: Some(at_most(1)), ..activity("mail") };
    let mut w = order_that_decided([mail.into(), complete()]);
    w.when(may_run("mail", "a")).then_facts(["ActivityStarted #1 by a", "Answered Run"]);
    w.when(may_run("mail", "b")).then_facts(["Answered Drop"]);
    w.when(activity_completed("mail")).then_facts(["DetachedActivityClosed ok"]);
}

#[test]
fn r25_who_does_not_say_who_it_is_gets_no_second_answer() {
    let mut w = at_most_once();
    w.when(may_somebody_run("pay")).then_facts(["ActivityStarted #1 by ", "Answered Run"]);
    w.when(may_somebody_run("pay")).then_facts(["Answered Drop"]);
}

#[test]
fn r18_only_what_state_waits_for_is_sent_again() {
    let mut w = order_that_decided([schedule("a")]);
    let token = w.activity_task("a").0.clone();
    let wanted = |w: &World| {
        let task = activity_task(&w.rows, "shop", &token.workflow_id, &token.task, true).unwrap();
        assert_eq!(task.is_some(), is_wanted(&w.rows, &token.workflow_id, &token.task).unwrap());
        task.is_some_and(|sent| sent.task.possible_repeat && sent.token == token)
    };
    assert!(wanted(&w));
    w.when(started_notice("a", "w"));
    assert!(!wanted(&w));
    w.when(activity_failed("a"));
    assert!(!wanted(&w));
    w.when(activity_completed("a"));
    assert!(!wanted(&w));
}

#[test]
fn r27_pending_tasks_are_those_that_a_backlog_must_hold() {
    let mut w = order_that_decided([schedule("a"), schedule("b"), schedule("c")]);
    w.when(start("order-2")).when(started_notice("b", "w"));
    let mut found = Vec::new();
    for kind in [TaskKind::Workflow, TaskKind::Activity] {
        let mut from = Vec::new();
        loop {
            let (tasks, next) = pending_tasks(&w.rows, kind, &from, 1).unwrap();
            found.extend(
                tasks
                    .into_iter()
                    .map(|(id, queue, task)| format!("{id} {queue} {}#{}", task.scheduled_event_id, task.attempt)),
            );
            match next {
                Some(next) => from = next,
                None => break,
            }
        }
    }
    assert_eq!(found, ["order-2 orders 2#1", "order-1 orders 5#1", "order-1 orders 7#1"]);
}
