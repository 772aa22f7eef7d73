//! Signals: buffered, ordered, taken once, and never lost while the run is open.

use tidewright_schemas::limits::PAYLOAD_BYTES_MAX;
use tidewright_schemas::{EventAttributes, WorkflowIdConflictPolicy, WorkflowIdReusePolicy::AllowDuplicate};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::sentences::given;
use crate::support::{ORDER, World};

#[test]
fn a_signal_wakes_a_workflow_that_waits() {
    order_that_decided([timer("t", 60_000)])
        .when(signal("approve"))
        .then_events(["WorkflowExecutionSignaled approve", "WorkflowTaskScheduled", "WorkflowTaskStarted"])
        .then_effects(["workflow task 7#1"]);
}

#[test]
fn r22_signals_are_buffered_while_a_workflow_task_is_out_and_keep_their_order() {
    let mut w = given(|w| w.when(start(ORDER)));
    w.when(signal("first")).then_events([]).then_facts(["WorkflowExecutionSignaled first (buffered)"]);
    w.when(signal("second")).then_effects([]);
    w.when(task_completed([timer("t", 60_000)])).then_events([
        "WorkflowTaskCompleted",
        "TimerStarted t",
        "WorkflowExecutionSignaled first",
        "WorkflowExecutionSignaled second",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
    assert_eq!(w.describe().signal_count, 2);
}

#[test]
fn r21_a_repeated_signal_is_answered_and_heard_once() {
    let ask = || {
        signal_with("approve", |signal| {
            signal.request_id = Some("s1".to_owned());
            signal.reply_to = Some(reply_to());
        })
    };
    let mut w = order_that_decided([timer("t", 60_000)]);
    w.when(ask()).then_effects(["workflow task 7#1", "reply RequestAccepted"]);
    w.when(ask()).then_events([]).then_facts(["Answered RequestAccepted"]);
    w.when(signal_with("approve", |signal| signal.request_id = Some("s1".to_owned()))).then_nothing();
    w.when(task_completed([complete()]));
    w.when(ask()).then_events([]).then_facts(["Answered RequestAccepted"]);
    assert_eq!(w.describe().signal_count, 1);
}

#[test]
fn r21_a_repeat_is_known_while_the_first_is_still_buffered() {
    let ask = || signal_with("approve", |signal| signal.request_id = Some("s1".to_owned()));
    given(|w| w.when(start(ORDER)).when(ask())).when(ask()).then_nothing();
}

#[test]
fn a_workflow_that_ends_while_a_signal_comes_hears_it_first() {
    let mut w = given(|w| w.when(start(ORDER)).when(signal("approve")));
    w.when(task_completed([complete()]))
        .then_events(["WorkflowTaskFailed UnhandledCommand", "WorkflowExecutionSignaled approve"])
        .then_facts(["BufferFlushed 1", "WorkflowTaskDispatched #2"])
        .then_effects(["workflow task 6#2"]);
    assert_eq!(w.workflow_task().1.events, w.history(), "the whole history, for the worker's cache has closed the run");
    w.when(task_completed([complete()])).then_events([
        "WorkflowTaskScheduled #2",
        "WorkflowTaskStarted",
        "WorkflowTaskCompleted",
        "WorkflowExecutionCompleted",
    ]);
}

#[test]
fn a_signal_after_the_end_is_rejected() {
    let mut w = order_that_decided([complete()]);
    w.when(signal_with("approve", |signal| signal.reply_to = Some(reply_to()))).then_rejected("TW0207");
    assert_eq!(w.rejection().run_id, Some(w.run_id()));
    w.when(signal("approve")).then_dead_lettered("TW0207");
}

#[test]
fn a_signal_to_nobody_is_rejected() {
    World::default().when(signal("approve")).then_dead_lettered("TW0206");
    let other = tidewright_schemas::RunId::from_text("other");
    order_that_decided([])
        .when(signal_with("approve", |signal| signal.run_id = Some(other)))
        .then_dead_lettered("TW0206");
}

#[test]
fn what_no_signal_may_be_is_rejected() {
    let mut w = order_that_decided([]);
    w.when(signal("")).then_dead_lettered("TW0201");
    w.when(signal_with("s", |signal| signal.identity = Some(String::new()))).then_dead_lettered("TW0201");
    let large = Some(payload_of(PAYLOAD_BYTES_MAX + 1));
    w.when(signal_with("s", |signal| signal.input = large)).then_dead_lettered("TW0204");
}

#[test]
fn a_signal_while_a_task_waits_for_its_retry_is_history_at_once() {
    let mut w = given(|w| w.when(start(ORDER)));
    w.when(task_failed(tidewright_schemas::WorkflowTaskFailedCause::NonDeterministicError));
    w.when(signal("approve")).then_events(["WorkflowExecutionSignaled approve"]).then_effects([]);
}

#[test]
fn signal_with_start_starts_what_is_not_there() {
    World::default()
        .when(signal_with_start("approve", start(ORDER).answered()))
        .then_events([
            "WorkflowExecutionStarted",
            "WorkflowExecutionSignaled approve",
            "WorkflowTaskScheduled",
            "WorkflowTaskStarted",
        ])
        .then_effects(["workflow task 3#1", "reply WorkflowStarted"]);
}

#[test]
fn signal_with_start_signals_what_is_open() {
    let mut w = order_that_decided([timer("t", 60_000)]);
    let run_id = w.run_id();
    w.when(signal_with_start("approve", start(ORDER).answered()))
        .then_events(["WorkflowExecutionSignaled approve", "WorkflowTaskScheduled", "WorkflowTaskStarted"])
        .then_effects(["workflow task 7#1", "reply WorkflowStarted before"]);
    assert_eq!(w.run_id(), run_id);
}

#[test]
fn r8_a_repeated_signal_with_start_does_neither_again() {
    let ask = || signal_with_start("approve", start(ORDER).with_request_id("r1"));
    given(|w| w.when(ask())).when(ask()).then_nothing();
    let mut w = order_that_decided([timer("t", 60_000)]);
    w.when(ask()).then_facts(["RequestAttached"]);
    w.when(ask()).then_nothing();
    w.when(task_completed([complete()]));
    w.when(ask()).then_nothing();
}

#[test]
fn signal_with_start_opens_a_closed_id_by_its_policy() {
    let mut w = order_that_decided([complete()]);
    w.when(signal_with_start("approve", start(ORDER))).then_dead_lettered("TW0203");
    w.when(signal_with_start("approve", start(ORDER).with_policy(AllowDuplicate))).then_effects(["workflow task 3#1"]);
}

#[test]
fn signal_with_start_can_terminate_what_is_open_but_not_fail() {
    let with = |policy| start(ORDER).with(|start| start.workflow_id_conflict_policy = Some(policy));
    let mut w = order_that_decided([timer("t", 60_000)]);
    w.when(signal_with_start("s", with(WorkflowIdConflictPolicy::Fail))).then_dead_lettered("TW0201");
    w.when(signal_with_start("s", with(WorkflowIdConflictPolicy::TerminateExisting))).then_events([
        "WorkflowExecutionTerminated",
        "WorkflowExecutionStarted",
        "WorkflowExecutionSignaled s",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
}

#[test]
fn a_signal_keeps_what_it_was_sent_with() {
    let mut w = order_that_decided([]);
    w.when(signal_with("approve", |signal| signal.identity = Some("anna".to_owned())));
    let EventAttributes::WorkflowExecutionSignaled(signaled) = w.attributes("WorkflowExecutionSignaled") else {
        panic!("no signal")
    };
    assert_eq!((signaled.input.clone(), signaled.identity.as_deref()), (Some(json("7")), Some("anna")));
}
