//! A completion whose token history does not know is ignored (R23).

use tidewright_core::TaskToken;
use tidewright_schemas::{RunId, TaskKind, TimerTarget, WorkflowTaskFailedCause::NonDeterministicError};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::{ORDER, World, workflow_id};

/// A token in every wrong form.
fn wrong_forms(right: &TaskToken) -> Vec<TaskToken> {
    let form = |change: fn(&mut TaskToken)| {
        let mut token = right.clone();
        change(&mut token);
        token
    };
    vec![
        form(|token| token.digest = "another".to_owned()),
        form(|token| token.task.attempt += 1),
        form(|token| token.task.run_id = RunId::from_text("another")),
        form(|token| token.task.scheduled_event_id += 1),
        form(|token| token.task.kind = TaskKind::Activity),
        form(|token| token.task.kind = TaskKind::Workflow),
    ]
    .into_iter()
    .filter(|token| token != right)
    .collect()
}

#[test]
fn r23_a_workflow_tasks_token_must_be_exact() {
    let mut w = World::default();
    w.when(start(ORDER));
    let right = w.workflow_task().0.clone();
    for token in wrong_forms(&right) {
        let mut completion = task_completed([complete()])(&w);
        completion.token = Some(token.clone());
        w.when(completion).then_nothing();
        let mut failure = task_failed(NonDeterministicError)(&w);
        failure.token = Some(token.clone());
        w.when(failure).then_nothing();
        w.when(may_run_token(token, "b")).then_facts(["Answered Drop"]);
    }
}

#[test]
fn r23_an_activitys_token_must_name_what_was_scheduled() {
    let mut w = order_that_decided([schedule("a"), schedule("b")]);
    let right = w.activity_task("b").0.clone();
    for token in wrong_forms(&right) {
        for mut request in [activity_completed("b")(&w), activity_failed("b")(&w), started_notice("b", "w")(&w)] {
            request.token = Some(token.clone());
            w.when(request).then_nothing();
        }
        w.when(may_run_token(token, "b")).then_facts(["Answered Drop"]);
    }
}

#[test]
fn a_command_without_its_token_goes_to_dead_letters() {
    let mut w = order_that_decided([schedule("a")]);
    for mut request in [task_completed([])(&w), activity_completed("a")(&w), activity_failed("a")(&w)] {
        request.token = None;
        w.when(request).then_dead_lettered("TW0107");
    }
    let mut question = may_run("a", "b")(&w);
    question.token = None;
    w.when(question).then_rejected("TW0107");
}

#[test]
fn r1_a_token_of_another_workflow_is_no_token() {
    let mut w = order_that_decided([schedule("a")]);
    let mut request = activity_completed("a")(&w);
    request.workflow_id = workflow_id("order-2");
    w.when(request).then_dead_lettered("TW0107");
}

#[test]
fn r23_tokens_of_a_run_say_nothing_about_the_next() {
    let mut w = order_that_decided([schedule("a"), complete()]);
    let old_task = w.workflow_task().0.clone();
    w.when(start(ORDER).with_request_id("again")).when(task_completed([schedule("a")]));
    let mut late = task_completed([complete()])(&w);
    late.token = Some(old_task);
    w.when(late).then_nothing();
    assert_ne!(w.activity_task("a").0.digest, "");
}

#[test]
fn r23_what_was_scheduled_otherwise_has_another_digest() {
    let one = order_that_decided([schedule("a")]);
    let same = order_that_decided([schedule("a")]);
    let other = order_that_decided([schedule("a"), timer("t", 1)]);
    assert_eq!(one.activity_task("a").0, same.activity_task("a").0);
    assert_ne!(one.activity_task("a").0.digest, other.activity_task("a").0.digest);
}

#[test]
fn r23_attempts_share_the_digest_so_that_a_late_one_is_known() {
    let mut w = order_that_decided([schedule("a")]);
    w.when(activity_failed("a")).when_due(TimerTarget::ActivityRetry);
    assert_eq!(w.activity_task("a#1").0.digest, w.activity_task("a#2").0.digest);
}
