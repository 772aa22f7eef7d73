//! Queries: what they are about, and which answers may be told.

use tidewright_core::query::{self, Asked, OutgoingQuery, Standing};
use tidewright_schemas::WorkflowTaskFailedCause::NonDeterministicError;
use tidewright_schemas::api::{QueryWorkflow, WorkflowStatus};
use tidewright_schemas::{QueryBasis, RunId, TimerTarget};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::{NAMESPACE, ORDER, World, workflow_id};

const URL: &str = "http://node/history";

fn standing(w: &World) -> Standing {
    query::standing(&w.rows, &workflow_id(ORDER), &w.run_id()).unwrap().expect("a run")
}

fn asked(w: &World, history_url: Option<&str>) -> Option<OutgoingQuery> {
    let query = QueryWorkflow { query_type: "status".to_owned(), query_args: Some(json("7")), ..Default::default() };
    let asked = Asked { query, exact: false, history_url: history_url.map(str::to_owned) };
    query::query_task(&w.rows, NAMESPACE, &workflow_id(ORDER), &w.run_id(), asked).unwrap()
}

fn accepted(w: &World, started_event_id: u64, completion_id: &str) -> Option<bool> {
    let basis = QueryBasis { started_event_id, completion_id: completion_id.to_owned() };
    query::was_accepted(&w.rows, &workflow_id(ORDER), &w.run_id(), &basis).unwrap()
}

#[test]
fn a_run_that_waits_is_asked_about_its_last_accepted_task() {
    let w = order_that_decided([schedule("a")]);
    let standing = standing(&w);
    assert_eq!((standing.status, standing.hears_with), (WorkflowStatus::Running, None));
    let OutgoingQuery { task, task_queue, .. } = asked(&w, Some(URL)).expect("a state");
    assert_eq!(task_queue, "orders");
    assert_eq!((task.query_type.as_str(), task.basis.started_event_id, task.last_event_id), ("status", 3, 5));
    assert_eq!((Some(&task.basis), task.events), (standing.basis.as_ref(), w.history()));
    assert_eq!(task.history_url.as_deref(), Some(URL));
}

#[test]
fn a_long_history_is_left_for_the_worker_to_page_if_it_can() {
    let mut w = order_that_decided([]);
    for number in 0..40 {
        w.when(signal(&format!("s{number}"))).when(task_completed([]));
    }
    let task = asked(&w, Some(URL)).expect("a state").task;
    assert_eq!((task.events.len(), task.last_event_id), (0, w.history().len() as u64));
    assert_eq!(asked(&w, None).expect("a state").task.events, w.history());
}

#[test]
fn a_run_whose_code_has_never_run_has_no_state() {
    let mut w = World::default();
    w.when(start(ORDER));
    assert_eq!((standing(&w).basis, standing(&w).hears_with), (None, Some(3)));
    assert_eq!(asked(&w, None), None);
    w.when(task_failed(NonDeterministicError));
    assert!(standing(&w).last_failure.is_some() && standing(&w).hears_with.is_none());
    w.when(terminate());
    assert_eq!((standing(&w).status, standing(&w).hears_with), (WorkflowStatus::Terminated, None));
    assert_eq!(asked(&w, None), None);
}

#[test]
fn what_a_run_was_told_is_heard_with_the_task_that_is_out_or_the_one_after_it() {
    let mut w = order_that_decided([]);
    w.when(signal("first"));
    let first = standing(&w).hears_with.expect("a task is out");
    assert!(!standing(&w).has_heard(first));
    w.when(signal("second"));
    let second = standing(&w).hears_with.expect("a task is out");
    assert!(second > first);
    w.when(task_completed([]));
    assert!(standing(&w).has_heard(first) && !standing(&w).has_heard(second));
    w.when(task_completed([]));
    assert!(standing(&w).has_heard(second));
}

#[test]
fn a_task_that_fails_is_not_waited_for() {
    let mut w = order_that_decided([]);
    w.when(signal("first"));
    let hears_with = standing(&w).hears_with.expect("a task is out");
    w.when(task_failed(NonDeterministicError));
    assert!(standing(&w).has_heard(hears_with));
    assert_eq!(asked(&w, None).expect("a state").task.basis.started_event_id, 3);
    w.when_due(TimerTarget::WorkflowTaskRetry);
    assert!(standing(&w).hears_with.is_some());
}

#[test]
fn a_run_that_ended_is_asked_about_its_end() {
    let mut w = order_that_decided([complete()]);
    let task = asked(&w, None).expect("a state").task;
    assert_eq!((standing(&w).status, task.events), (WorkflowStatus::Completed, w.history()));
    w = order_that_decided([schedule("a")]);
    w.when(signal("first")).when(terminate());
    let standing = standing(&w);
    assert_eq!((standing.status, standing.hears_with), (WorkflowStatus::Terminated, None));
    assert_eq!(standing.basis.expect("its code ran").started_event_id, 3);
}

#[test]
fn an_answer_may_be_told_if_history_has_the_completion_that_it_followed() {
    let mut w = order_that_decided([]);
    assert_eq!(accepted(&w, 3, &standing(&w).basis.expect("its code ran").completion_id), Some(true));
    assert_eq!(accepted(&w, 3, "another"), Some(false));
    w.when(signal("first"));
    // The worker that answered is ahead: its completion is on its way.
    let ahead = standing(&w).hears_with.expect("a task is out");
    assert_eq!(accepted(&w, ahead, "on its way"), None);
    w.when(task_completed([]));
    let basis = standing(&w).basis.expect("its code ran");
    assert_eq!(basis.started_event_id, ahead);
    assert_eq!(accepted(&w, ahead, &basis.completion_id), Some(true));
    assert_eq!(accepted(&w, ahead, "on its way"), Some(false));
    w.when(signal("second")).when(task_completed([]));
    assert_eq!(accepted(&w, ahead, &basis.completion_id), Some(true), "also once it has gone on");
}

#[test]
fn an_answer_after_a_completion_that_came_to_nothing_may_not_be_told() {
    let mut w = order_that_decided([]);
    w.when(signal("first"));
    let ahead = standing(&w).hears_with.expect("a task is out");
    w.when(task_failed(NonDeterministicError));
    assert_eq!(accepted(&w, ahead, "of another worker"), Some(false));
    let mut w = order_that_decided([]);
    w.when(signal("first")).when(terminate());
    assert_eq!(accepted(&w, ahead, "of another worker"), Some(false));
    let nobody = query::standing(&w.rows, &workflow_id(ORDER), &RunId::from_text("another")).unwrap();
    assert_eq!(nobody, None);
}
