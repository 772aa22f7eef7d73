//! Around the end of a run or of an attempt: whichever comes first, what follows is right.

use tidewright_core::query;
use tidewright_core::read;
use tidewright_schemas::WorkflowIdConflictPolicy::{Fail, TerminateExisting, UseExisting};
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{
    RetryPolicy, ScheduleActivity, TimerTarget, WorkflowIdConflictPolicy, WorkflowIdReusePolicy,
    WorkflowTaskFailedCause,
};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::sentences::given;
use crate::support::{ORDER, World, workflow_id};

fn again(policy: WorkflowIdConflictPolicy) -> Start {
    start(ORDER).with_request_id("r2").answered().with(|start| start.workflow_id_conflict_policy = Some(policy))
}

#[test]
fn start_against_close_in_both_orders_for_each_conflict_policy() {
    for policy in [Fail, UseExisting, TerminateExisting] {
        let mut w = given(|w| w.when(start(ORDER)));
        let first = w.run_id();
        w.when(again(policy));
        let latest = w.run_id();
        match policy {
            Fail => drop(w.then_rejected("TW0202")),
            UseExisting => drop(w.then_effects(["reply WorkflowStarted before"])),
            TerminateExisting => assert_ne!(latest, first),
        }
        // The completion of the run that was met; of the one that was terminated it comes to nothing.
        w.when(task_completed([complete()]));
        assert_eq!((w.outcome().status, w.run_id()), (WorkflowStatus::Completed, latest), "{policy:?}");

        let mut w = order_that_decided([complete()]);
        let first = w.run_id();
        w.when(again(policy)).then_effects(["workflow task 2#1", "reply WorkflowStarted"]);
        assert_ne!(w.run_id(), first, "{policy:?}");
    }
}

#[test]
fn a_completion_of_what_another_start_has_terminated_is_not_that_of_the_next_run() {
    let mut w = given(|w| w.when(start(ORDER)));
    let late = w.workflow_task().0.clone();
    w.when(again(TerminateExisting));
    let command =
        tidewright_schemas::CompleteWorkflowTask::new(String::new(), "late".to_owned(), vec![complete()], worker("w"));
    w.when(with_token(late, command)).then_nothing();
    assert_eq!(w.outcome().status, WorkflowStatus::Running);
}

#[test]
fn signal_with_start_against_close_in_both_orders() {
    let both = |id: &str| signal_with_start("go", start(ORDER).with_request_id(id).answered());
    let mut w = given(|w| w.when(start(ORDER)));
    let first = w.run_id();
    w.when(both("r2")).then_facts([
        "WorkflowExecutionSignaled go (buffered)",
        "RequestAttached",
        "Answered WorkflowStarted before",
    ]);
    // The run hears it before it ends.
    w.when(task_completed([complete()]))
        .then_events(["WorkflowTaskFailed UnhandledCommand", "WorkflowExecutionSignaled go"])
        .then_effects(["workflow task 6#2"]);
    w.when(task_completed([complete()]));
    assert_eq!((w.outcome().status, w.run_id()), (WorkflowStatus::Completed, first.clone()));

    let mut w = order_that_decided([complete()]);
    w.when(both("r2")).then_effects(["workflow task 3#1", "reply WorkflowStarted"]);
    assert_eq!(w.describe().signal_count, 1);
    assert_ne!(w.run_id(), first);
    let mut w = order_that_decided([complete()]);
    let reject = start(ORDER).with_request_id("r2").answered().with_policy(WorkflowIdReusePolicy::RejectDuplicate);
    w.when(signal_with_start("go", reject)).then_rejected("TW0203");
}

fn beating(change: impl FnOnce(&mut ScheduleActivity)) -> World {
    let retry_policy = Some(RetryPolicy { initial_interval_ms: 60_000, ..RetryPolicy::default() });
    let mut scheduled = ScheduleActivity { heartbeat_timeout_ms: Some(3_000), retry_policy, ..activity("copy") };
    change(&mut scheduled);
    order_that_decided([scheduled.into()])
}

#[test]
fn a_heartbeat_against_each_timeout_of_its_attempt_in_both_orders() {
    for target in [TimerTarget::ActivityHeartbeat, TimerTarget::ActivityStartToClose] {
        let mut w = beating(|scheduled| scheduled.start_to_close_timeout_ms = Some(4_000));
        w.when(started_notice("copy", "a"));
        if target == TimerTarget::ActivityStartToClose {
            // The heartbeat's own timeout stays away.
            w.after(2_500).at_once(heartbeat("copy", "a"));
        }
        w.when_due(target).then_facts(["ActivityRetryScheduled #2"]);
        w.when(heartbeat("copy", "a")).then_nothing();
        assert_eq!(w.describe().pending_activities[0].attempt, 2);
    }
    let mut w = beating(|_| ());
    w.when(started_notice("copy", "a"));
    let of_start = w.due().into_iter().find(|due| due.target == TimerTarget::ActivityHeartbeat).unwrap();
    w.after(2_000).at_once(heartbeat("copy", "a"));
    w.after(1_000).at_once(fire(&of_start)).then_nothing();
    assert_eq!(w.describe().pending_activities[0].attempt, 1);
}

#[test]
fn a_heartbeat_against_the_end_of_its_activity_in_both_orders() {
    let mut w = beating(|_| ());
    w.when(heartbeat("copy", "a")).when(activity_completed("copy"));
    assert!(w.due().is_empty());
    let mut w = beating(|_| ());
    w.when(started_notice("copy", "a")).when(activity_completed("copy"));
    // Whoever still runs it is told that nobody waits.
    w.when(heartbeat("copy", "a")).then_events([]).then_effects(["orders told that activity 5 is closed"]);
}

#[test]
fn query_against_deletion_in_both_orders() {
    let asked = |w: &World, run_id| query::standing(&w.rows, &workflow_id(ORDER), run_id).unwrap();
    let mut w = order_that_decided([timer("t", 60_000)]);
    let run_id = w.run_id();
    let basis = asked(&w, &run_id).and_then(|standing| standing.basis).expect("it has a state");
    assert_eq!(query::was_accepted(&w.rows, &workflow_id(ORDER), &run_id, &basis).unwrap(), Some(true));
    w.when(delete());
    // An answer that was on its way is not told, and nobody is asked any more.
    assert_ne!(query::was_accepted(&w.rows, &workflow_id(ORDER), &run_id, &basis).unwrap(), Some(true));
    assert!(asked(&w, &run_id).is_none());
    assert_eq!(read::find_run(&w.rows, &workflow_id(ORDER), None).unwrap(), None);
}

#[test]
fn a_failed_workflow_task_against_each_request_in_both_orders() {
    let requests: [fn(&mut World) -> &mut World; 2] = [|w| w.when(signal("s")), |w| w.when(cancel_requested())];
    for ask in requests {
        let mut w = given(|w| w.when(start(ORDER)));
        ask(&mut w);
        w.when(task_failed(WorkflowTaskFailedCause::NonDeterministicError));
        assert_eq!(w.describe().buffered_events, 0, "what was buffered stands behind the failure");
        let mut w = given(|w| w.when(start(ORDER)));
        w.when(task_failed(WorkflowTaskFailedCause::NonDeterministicError));
        ask(&mut w);
        assert_eq!((w.step.events.len(), w.describe().buffered_events), (1, 0));
        w.when_due(TimerTarget::WorkflowTaskRetry).when(task_completed([end_as_cancelled()]));
        assert_eq!(w.outcome().status, WorkflowStatus::Canceled);
    }
}
