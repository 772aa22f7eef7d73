//! Starts: at most one open run of an id, and nothing started twice (R4, R8).

use tidewright_core::Context;
use tidewright_schemas::limits::PAYLOAD_BYTES_MAX;
use tidewright_schemas::{Answer, EventAttributes, RowFact, WorkflowIdReusePolicy::*};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::sentences::given;
use crate::support::{ORDER, START_MS, World};

fn completed_order(w: &mut World) -> &mut World {
    w.when(start(ORDER).with_request_id("r1")).when(task_completed([complete()]))
}

fn failed_order(w: &mut World) -> &mut World {
    w.when(start(ORDER).with_request_id("r1")).when(task_completed([fail()]))
}

#[test]
fn a_start_makes_a_run_and_its_first_workflow_task() {
    let mut w = World::default();
    w.when(start(ORDER))
        .then_events(["WorkflowExecutionStarted", "WorkflowTaskScheduled", "WorkflowTaskStarted"])
        .then_facts([])
        .then_effects(["workflow task 2#1"]);
    let (token, task) = w.workflow_task().clone();
    assert_eq!(token.digest, w.describe().history_digest);
    assert_eq!((task.attempt, task.scheduled_event_id, task.started_event_id), (1, 2, 3));
    assert_eq!((task.previous_started_event_id, task.previous_completion_id.clone()), (0, None));
    assert_eq!(task.events, w.history());
    assert_eq!(task.started_time_ms, START_MS + 1_000);
    assert_eq!(w.queues, ["orders"]);
}

#[test]
fn the_caller_is_answered_with_the_run() {
    let mut w = World::default();
    w.when(start(ORDER).answered()).then_effects(["workflow task 2#1", "reply WorkflowStarted"]);
    let run_id = w.run_id();
    let Some(RowFact::Answered(answered)) = w.step.facts.first() else { panic!("no answer: {:?}", w.step) };
    let Answer::WorkflowStarted(started) = &answered.answer else { panic!("another answer: {answered:?}") };
    assert_eq!(started.run_id, run_id);
}

#[test]
fn r4_a_run_is_named_by_where_its_start_stands() {
    let mut w = World::default();
    w.when(start(ORDER));
    let at = |incarnation: &str, partition, offset| {
        let timestamp_ms = START_MS + 1_000;
        Context {
            incarnation: incarnation.to_owned(),
            partition,
            offset,
            timestamp_ms,
            released_offset: 0,
            tombstones_gone_ms: 0,
        }
        .run_id(0)
    };
    assert_eq!(w.run_id(), at("incarnation", 3, 0));
    for other in [at("another", 3, 0), at("incarnation", 4, 0), at("incarnation", 3, 1)] {
        assert_ne!(w.run_id(), other);
    }
}

#[test]
fn r8_a_repeated_start_with_a_request_id_changes_nothing() {
    given(|w| w.when(start(ORDER).with_request_id("r1"))).when(start(ORDER).with_request_id("r1")).then_nothing();
}

#[test]
fn r8_r21_a_repeated_start_gets_the_same_answer() {
    let mut w = given(completed_order);
    let run_id = w.run_id();
    w.when(start(ORDER).with_request_id("r1").answered())
        .then_events([])
        .then_facts(["Answered WorkflowStarted"])
        .then_effects(["reply WorkflowStarted"]);
    assert_eq!(w.run_id(), run_id);
}

#[test]
fn r8_a_cloud_events_id_stands_in_for_the_request_id() {
    let mut w = given(|w| w.when(start(ORDER).with_event_id("e1")));
    w.when(start(ORDER).with_event_id("e1")).then_nothing();
    w.when(start(ORDER).with_request_id("e1")).then_nothing();
    w.when(start(ORDER).with_request_id("r1").with_event_id("e1")).then_dead_lettered("TW0202");
}

#[test]
fn r8_an_older_request_is_remembered_after_a_newer_run() {
    let mut w = given(completed_order);
    let first = w.run_id();
    w.when(start(ORDER).with_request_id("r2"));
    assert_ne!(w.run_id(), first);
    w.when(start(ORDER).with_request_id("r1")).then_nothing();
}

#[test]
fn r8_a_running_workflow_is_not_started_again() {
    let mut w = given(|w| w.when(start(ORDER)));
    for policy in [AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate] {
        w.when(start(ORDER).with_request_id("other").with_policy(policy).answered()).then_rejected("TW0202");
        assert_eq!(w.rejection().run_id, Some(w.run_id()));
    }
}

#[test]
fn r8_a_rejection_with_nobody_to_answer_goes_to_dead_letters() {
    given(|w| w.when(start(ORDER))).when(start(ORDER)).then_dead_lettered("TW0202");
}

#[test]
fn r8_without_a_request_id_a_closed_id_is_not_reopened_unless_the_start_says_so() {
    given(completed_order).when(start(ORDER).answered()).then_rejected("TW0203");
    given(failed_order).when(start(ORDER).answered()).then_rejected("TW0203");
    given(completed_order).when(start(ORDER).with_policy(AllowDuplicate)).then_effects(["workflow task 2#1"]);
}

#[test]
fn with_a_request_id_a_closed_id_is_reused() {
    let mut w = given(completed_order);
    w.when(start(ORDER).with_request_id("r2").answered()).then_effects(["workflow task 2#1", "reply WorkflowStarted"]);
}

#[test]
fn reuse_after_failure_only() {
    let again = || start(ORDER).with_policy(AllowDuplicateFailedOnly).answered();
    given(completed_order).when(again()).then_rejected("TW0203");
    given(failed_order).when(again()).then_effects(["workflow task 2#1", "reply WorkflowStarted"]);
}

#[test]
fn no_reuse_at_all() {
    let again = || start(ORDER).with_request_id("r2").with_policy(RejectDuplicate).answered();
    given(completed_order).when(again()).then_rejected("TW0203");
    given(failed_order).when(again()).then_rejected("TW0203");
}

#[test]
fn workflows_do_not_meet() {
    let mut w = given(|w| w.when(start("order-1")).when(start("order-10")));
    assert_ne!(w.run_of("order-1"), w.run_of("order-10"));
    w.when(start("order-").answered()).then_effects(["workflow task 2#1", "reply WorkflowStarted"]);
}

#[test]
fn names_have_limits() {
    let long = "x".repeat(1_001);
    let mut cases = vec![start(ORDER), start(ORDER), start(ORDER), start(ORDER), start(ORDER), start(ORDER)];
    cases[0].command.workflow_type = String::new();
    cases[1].command.task_queue.clone_from(&long);
    cases[2].command.identity = Some(long.clone());
    cases[3].command.request_id = Some(String::new());
    cases[4].event_id = Some(long);
    cases[5].event_id = Some(String::new());
    for case in cases {
        World::default().when(case.answered()).then_rejected("TW0201");
    }
}

#[test]
fn an_input_has_a_limit() {
    let with = |bytes| {
        let mut start = start(ORDER).answered();
        start.command.input = Some(payload_of(bytes));
        start
    };
    World::default().when(with(PAYLOAD_BYTES_MAX + 1)).then_rejected("TW0204");
    World::default().when(with(PAYLOAD_BYTES_MAX)).then_effects(["workflow task 2#1", "reply WorkflowStarted"]);
}

#[test]
fn a_start_belongs_to_its_trace_if_it_is_one() {
    let traced = |traceparent: &str| {
        let mut w = World::default();
        w.when(|_: &World| {
            let mut request = start(ORDER).request(&World::default());
            request.traceparent = Some(traceparent.to_owned());
            request
        });
        match w.attributes("WorkflowExecutionStarted") {
            EventAttributes::WorkflowExecutionStarted(started) => started.traceparent.clone(),
            other => panic!("{other:?}"),
        }
    };
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(traced(trace).as_deref(), Some(trace));
    assert_eq!(traced(&"0".repeat(100_000)), None);
}
