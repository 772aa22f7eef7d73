//! What a start can ask for: policies for an id that is in use, a delay, notes.

use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::limits::PAYLOAD_BYTES_MAX;
use tidewright_schemas::{EventAttributes, TimerTarget, WorkflowIdConflictPolicy};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::sentences::given;
use crate::support::{ORDER, World, workflow_id};

fn conflicting(policy: WorkflowIdConflictPolicy) -> Start {
    start(ORDER).with_request_id("r2").answered().with(|start| start.workflow_id_conflict_policy = Some(policy))
}

#[test]
fn use_existing_answers_with_the_open_run_and_starts_nothing() {
    let mut w = given(|w| w.when(start(ORDER)));
    let run_id = w.run_id();
    w.when(conflicting(WorkflowIdConflictPolicy::UseExisting))
        .then_events([])
        .then_facts(["RequestAttached", "Answered WorkflowStarted before"]);
    assert_eq!(w.run_id(), run_id);
}

#[test]
fn r8_a_repeat_of_a_start_that_met_a_run_starts_nothing_after_its_end_either() {
    let mut w = order_that_decided([]);
    w.when(conflicting(WorkflowIdConflictPolicy::UseExisting));
    w.when(terminate());
    w.when(conflicting(WorkflowIdConflictPolicy::UseExisting))
        .then_events([])
        .then_facts(["Answered WorkflowStarted before"]);
}

#[test]
fn use_existing_without_a_request_id_or_anyone_to_answer_leaves_nothing() {
    let policy = WorkflowIdConflictPolicy::UseExisting;
    let again = start(ORDER).with(|start| start.workflow_id_conflict_policy = Some(policy));
    given(|w| w.when(start(ORDER))).when(again).then_nothing();
}

#[test]
fn r1_terminate_existing_closes_one_run_and_opens_the_next_in_one_record() {
    let mut w = given(|w| w.when(start(ORDER)).when(signal("late")));
    let (first, records) = (w.run_id(), w.record_count());
    w.when(conflicting(WorkflowIdConflictPolicy::TerminateExisting))
        .then_events([
            "WorkflowTaskFailed ForceCloseCommand",
            "WorkflowExecutionSignaled late",
            "WorkflowExecutionTerminated",
            "WorkflowExecutionStarted",
            "WorkflowTaskScheduled",
            "WorkflowTaskStarted",
        ])
        .then_effects(["reply WorkflowStarted", "workflow task 2#1"]);
    assert_eq!(w.record_count(), records + 1);
    assert_ne!(w.run_id(), first);
    let id = workflow_id(ORDER);
    let ended = tidewright_core::read::outcome(&w.rows, &id, &first).unwrap().expect("it is retained");
    assert_eq!(ended.status, WorkflowStatus::Terminated);
    w.when(conflicting(WorkflowIdConflictPolicy::TerminateExisting)).then_events([]);
    w.when(task_completed([complete()])).then_events(["WorkflowTaskCompleted", "WorkflowExecutionCompleted"]);
}

#[test]
fn policies_for_open_runs_do_not_touch_closed_ones() {
    let mut w = order_that_decided([complete()]);
    w.when(conflicting(WorkflowIdConflictPolicy::TerminateExisting)).then_events([
        "WorkflowExecutionStarted",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
}

fn delayed() -> World {
    let mut w = World::default();
    w.when(start(ORDER).with(|start| start.start_delay_ms = Some(30_000)));
    w
}

#[test]
fn a_delayed_start_sends_its_first_task_later() {
    let mut w = delayed();
    w.then_events(["WorkflowExecutionStarted"]).then_effects([]);
    assert_eq!(w.describe().delayed_until_ms, Some(w.now_ms + 30_000));
    w.when_due(TimerTarget::WorkflowStartDelay)
        .then_events(["WorkflowTaskScheduled", "WorkflowTaskStarted"])
        .then_effects(["workflow task 2#1"]);
    assert!(w.due().is_empty());
}

#[test]
fn a_signal_waits_for_the_delay_but_a_signal_with_start_does_not() {
    let mut w = delayed();
    w.when(signal("approve")).then_events(["WorkflowExecutionSignaled approve"]).then_effects([]);
    w.when(cancel_requested()).then_events(["WorkflowExecutionCancelRequested"]).then_effects([]);
    w.when(signal_with_start("go", start(ORDER)))
        .then_events(["WorkflowExecutionSignaled go", "WorkflowTaskScheduled", "WorkflowTaskStarted"])
        .then_effects(["workflow task 5#1"]);
    assert!(w.due().is_empty());
}

#[test]
fn a_delayed_run_can_be_terminated() {
    let mut w = delayed();
    w.when(terminate()).then_events(["WorkflowExecutionTerminated"]);
    assert!(w.due().is_empty());
}

#[test]
fn limits_begin_after_the_delay() {
    let mut w = World::default();
    w.when(start(ORDER).with(|start| {
        start.start_delay_ms = Some(30_000);
        start.workflow_run_timeout_ms = Some(5_000);
    }));
    assert_eq!(w.describe().times_out_ms, Some(w.now_ms + 35_000));
    w.when_due(TimerTarget::WorkflowStartDelay);
    w.when_due(TimerTarget::WorkflowTimeout);
    assert_eq!(w.outcome().status, WorkflowStatus::TimedOut);
}

#[test]
fn notes_and_headers_are_kept() {
    let mut w = World::default();
    w.when(start(ORDER).with(|start| {
        start.memo.insert("customer".to_owned(), json("\"anna\""));
        start.header.insert("tenant".to_owned(), json("7"));
    }));
    assert_eq!(w.describe().memo.get("customer"), Some(&json("\"anna\"")));
    let EventAttributes::WorkflowExecutionStarted(started) = &w.history()[0].attributes else { panic!("no start") };
    assert_eq!(started.header.get("tenant"), Some(&json("7")));
    let large = start("order-2").with(|start| {
        start.memo.insert("everything".to_owned(), payload_of(PAYLOAD_BYTES_MAX + 1));
    });
    w.when(large).then_dead_lettered("TW0204");
}
