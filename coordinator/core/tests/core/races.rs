//! Two things happen at about the same time: whichever comes first, what follows is right.

use tidewright_core::{DueTimer, Request};
use tidewright_schemas::WorkflowIdConflictPolicy::{Fail, TerminateExisting, UseExisting};
use tidewright_schemas::WorkflowIdReusePolicy::{AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate};
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{ScheduleActivity, TimerTarget, WorkflowTaskFailedCause};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::sentences::given;
use crate::support::{ORDER, World};

/// Something that may come first or last.
type Happens = fn(&mut World) -> &mut World;

/// A world to begin with.
type Given = fn() -> World;

/// What is due, to fire it later.
fn due_of(w: &World, target: TimerTarget) -> DueTimer {
    w.due().into_iter().find(|timer| timer.target == target).unwrap_or_else(|| panic!("nothing waits for {target:?}"))
}

/// A timer that was on its way when something else happened.
fn comes_late(w: &mut World, timer: &DueTimer) {
    w.now_ms = w.now_ms.max(timer.due_ms);
    w.take(&fire(timer)).then_nothing();
}

fn charge(change: impl FnOnce(&mut ScheduleActivity)) -> World {
    let mut scheduled = ScheduleActivity { retry_policy: Some(at_most(2)), ..activity("charge") };
    change(&mut scheduled);
    order_that_decided([scheduled.into()])
}

fn status(w: &World) -> WorkflowStatus {
    w.outcome().status
}

#[test]
fn completion_against_start_to_close_in_both_orders() {
    let mut w = charge(|_| ());
    w.when(started_notice("charge", "a"));
    let timeout = due_of(&w, TimerTarget::ActivityStartToClose);
    w.when(activity_completed("charge"));
    comes_late(&mut w, &timeout);

    let mut w = charge(|_| ());
    w.when(started_notice("charge", "a")).when_due(TimerTarget::ActivityStartToClose);
    // R29: the first attempt's late word closes what waits for its second.
    w.when(activity_completed("charge#1"));
    assert_eq!(crate::support::words::event(&w.step.events[1]), "ActivityTaskCompleted");
    assert!(w.due().is_empty());

    let mut w = charge(|scheduled| scheduled.retry_policy = Some(at_most(1)));
    w.when(may_run("charge", "a")).when_due(TimerTarget::ActivityStartToClose);
    w.when(activity_completed("charge")).then_nothing();
}

#[test]
fn completion_against_schedule_to_start_in_both_orders() {
    let waits = |scheduled: &mut ScheduleActivity| scheduled.schedule_to_start_timeout_ms = Some(5_000);
    let mut w = charge(waits);
    let timeout = due_of(&w, TimerTarget::ActivityScheduleToStart);
    w.when(activity_completed("charge"));
    comes_late(&mut w, &timeout);
    let mut w = charge(waits);
    w.when_due(TimerTarget::ActivityScheduleToStart).when(activity_completed("charge")).then_nothing();
}

#[test]
fn a_started_notice_against_schedule_to_start_in_both_orders() {
    let waits = |scheduled: &mut ScheduleActivity| scheduled.schedule_to_start_timeout_ms = Some(5_000);
    let mut w = charge(waits);
    let timeout = due_of(&w, TimerTarget::ActivityScheduleToStart);
    w.when(started_notice("charge", "a"));
    comes_late(&mut w, &timeout);
    let mut w = charge(waits);
    w.when_due(TimerTarget::ActivityScheduleToStart).when(started_notice("charge", "a")).then_nothing();
}

#[test]
fn completion_against_schedule_to_close_in_both_orders() {
    let waits = |scheduled: &mut ScheduleActivity| scheduled.schedule_to_close_timeout_ms = Some(9_000);
    for failed_before in [false, true] {
        let mut w = charge(waits);
        if failed_before {
            w.when(activity_failed("charge"));
        }
        let timeout = due_of(&w, TimerTarget::ActivityScheduleToClose);
        w.when(activity_completed("charge"));
        comes_late(&mut w, &timeout);
        let mut w = charge(waits);
        if failed_before {
            w.when(activity_failed("charge"));
        }
        w.when_due(TimerTarget::ActivityScheduleToClose).when(activity_completed("charge")).then_nothing();
    }
}

#[test]
fn a_failure_against_each_timeout_in_both_orders() {
    let mut w = charge(|_| ());
    w.when(started_notice("charge", "a"));
    let timeout = due_of(&w, TimerTarget::ActivityStartToClose);
    w.when(activity_failed("charge")).then_facts(["ActivityRetryScheduled #2"]);
    comes_late(&mut w, &timeout);
    let mut w = charge(|_| ());
    w.when(started_notice("charge", "a")).when_due(TimerTarget::ActivityStartToClose);
    w.when(activity_failed("charge#1")).then_nothing();
}

#[test]
fn signal_against_close_in_both_orders_for_each_way_to_close() {
    let ends: [(WorkflowStatus, Happens); 4] = [
        (WorkflowStatus::Completed, |w| w.when(task_completed([complete()]))),
        (WorkflowStatus::Failed, |w| w.when(task_completed([fail()]))),
        (WorkflowStatus::Canceled, |w| w.when(task_completed([end_as_cancelled()]))),
        (WorkflowStatus::Terminated, |w| w.when(terminate())),
    ];
    for (expected, end) in ends {
        let mut w = given(|w| w.when(start(ORDER)).when(signal("first")));
        end(&mut w);
        let told = w.history().iter().any(|event| event.attributes.is_from_outside());
        assert!(told, "a signal before the end is in the history");
        if expected == WorkflowStatus::Terminated {
            assert_eq!(status(&w), expected);
        } else {
            assert_eq!(status(&w), WorkflowStatus::Running, "the workflow hears it first");
            end(&mut w);
            assert_eq!(status(&w), expected);
        }
        let mut w = given(|w| w.when(start(ORDER)));
        end(&mut w);
        assert_eq!(status(&w), expected);
        w.when(signal("late")).then_dead_lettered("TW0207");
    }
}

#[test]
fn signal_against_the_runs_timeout_in_both_orders() {
    let limited = || given(|w| w.when(start(ORDER).with(|start| start.workflow_run_timeout_ms = Some(60_000))));
    let mut w = limited();
    w.when(signal("first")).when_due(TimerTarget::WorkflowTimeout).then_events([
        "WorkflowTaskFailed ForceCloseCommand",
        "WorkflowExecutionSignaled first",
        "WorkflowExecutionTimedOut",
    ]);
    let mut w = limited();
    w.when_due(TimerTarget::WorkflowTimeout).when(signal("late")).then_dead_lettered("TW0207");
}

#[test]
fn completion_against_the_runs_timeout_in_both_orders() {
    let limited = || given(|w| w.when(start(ORDER).with(|start| start.workflow_run_timeout_ms = Some(60_000))));
    let mut w = limited();
    let timeout = due_of(&w, TimerTarget::WorkflowTimeout);
    w.when(task_completed([complete()]));
    comes_late(&mut w, &timeout);
    assert_eq!(status(&w), WorkflowStatus::Completed);
    let mut w = limited();
    w.when_due(TimerTarget::WorkflowTimeout).when(task_completed([complete()])).then_nothing();
    assert_eq!(status(&w), WorkflowStatus::TimedOut);
}

#[test]
fn timer_against_signal_in_both_orders() {
    let kinds = |w: &World| {
        let told = w.step.events.iter().map(crate::support::words::event);
        told.filter(|word| word.starts_with("TimerFired") || word.contains("Signaled")).collect::<Vec<_>>()
    };
    // While the workflow waits, each gets a task of its own: what comes second is buffered.
    let mut w = order_that_decided([timer("t", 5_000)]);
    w.when_due(TimerTarget::Timer);
    assert_eq!(kinds(&w), ["TimerFired t"]);
    w.when(signal("s")).when(task_completed([]));
    assert_eq!(kinds(&w), ["WorkflowExecutionSignaled s"]);
    let mut w = order_that_decided([timer("t", 5_000)]);
    w.when(signal("s")).when_due(TimerTarget::Timer).when(task_completed([]));
    assert_eq!(kinds(&w), ["TimerFired t"]);
    // While a task is out, both are buffered, and keep their order.
    let busy = || {
        let mut w = order_that_decided([timer("t", 5_000)]);
        w.when(signal("busy"));
        w
    };
    let mut w = busy();
    w.when_due(TimerTarget::Timer).when(signal("s")).when(task_completed([]));
    assert_eq!(kinds(&w), ["TimerFired t", "WorkflowExecutionSignaled s"]);
    let mut w = busy();
    w.when(signal("s")).when_due(TimerTarget::Timer).when(task_completed([]));
    assert_eq!(kinds(&w), ["WorkflowExecutionSignaled s", "TimerFired t"]);
}

#[test]
fn timer_against_its_cancellation_in_both_orders() {
    let mut w = order_that_decided([timer("t", 5_000)]);
    let timer_t = due_of(&w, TimerTarget::Timer);
    w.when(signal("s")).when(task_completed([cancel("t")]));
    comes_late(&mut w, &timer_t);
    let mut w = order_that_decided([timer("t", 5_000)]);
    w.when(signal("s")).when_due(TimerTarget::Timer);
    w.when(task_completed([cancel("t")])).then_events([
        "WorkflowTaskCompleted",
        "TimerCanceled t",
        "TimerFired t",
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
    ]);
}

#[test]
fn termination_against_a_workflow_task_in_both_orders() {
    let mut w = given(|w| w.when(start(ORDER)).when(terminate()));
    w.when(task_completed([schedule("a")])).then_nothing();
    w.when(task_failed(WorkflowTaskFailedCause::NonDeterministicError)).then_nothing();
    let mut w = order_that_decided([schedule("a"), timer("t", 5_000)]);
    w.when(terminate()).then_events(["WorkflowExecutionTerminated"]);
    w.when(activity_completed("a")).then_nothing();
    let mut w = order_that_decided([complete()]);
    w.when(terminate()).then_dead_lettered("TW0207");
}

#[test]
fn a_retry_of_a_workflow_task_against_termination_and_signal_in_both_orders() {
    let failed = || {
        let mut w = given(|w| w.when(start(ORDER)));
        w.when(task_failed(WorkflowTaskFailedCause::NonDeterministicError));
        w
    };
    let mut w = failed();
    let retry = due_of(&w, TimerTarget::WorkflowTaskRetry);
    w.when(terminate());
    comes_late(&mut w, &retry);
    let mut w = failed();
    w.when_due(TimerTarget::WorkflowTaskRetry).when(signal("s")).then_events([]);
    w.when(task_completed([]));
    assert_eq!(w.describe().signal_count, 1);
    let mut w = failed();
    w.when(signal("s")).when_due(TimerTarget::WorkflowTaskRetry).then_effects(["workflow task 6#2"]);
    w.when(task_completed([]));
    assert_eq!(w.describe().signal_count, 1);
}

#[test]
fn a_start_delay_against_signal_with_start_and_termination_in_both_orders() {
    let delayed = || given(|w| w.when(start(ORDER).with(|start| start.start_delay_ms = Some(30_000))));
    let enders: [Happens; 2] = [|w| w.when(signal_with_start("go", start(ORDER))), |w| w.when(terminate())];
    for end in enders {
        let mut w = delayed();
        let delay = due_of(&w, TimerTarget::WorkflowStartDelay);
        end(&mut w);
        comes_late(&mut w, &delay);
        let mut w = delayed();
        w.when_due(TimerTarget::WorkflowStartDelay).then_effects(["workflow task 2#1"]);
        end(&mut w);
        assert!(!w.step.nothing);
    }
}

/// Each way to close, and whether a start that allows the id only after a failure may use it again.
#[test]
fn every_reuse_policy_against_every_closed_status() {
    let limited = || start(ORDER).with(|start| start.workflow_run_timeout_ms = Some(9_000));
    let closed: [(WorkflowStatus, Happens); 5] = [
        (WorkflowStatus::Completed, |w| w.when(task_completed([complete()]))),
        (WorkflowStatus::Failed, |w| w.when(task_completed([fail()]))),
        (WorkflowStatus::Canceled, |w| w.when(task_completed([end_as_cancelled()]))),
        (WorkflowStatus::Terminated, |w| w.when(terminate())),
        (WorkflowStatus::TimedOut, |w| w.when_due(TimerTarget::WorkflowTimeout)),
    ];
    for (expected, close) in closed {
        for policy in [AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate] {
            for conflict in [None, Some(Fail), Some(UseExisting), Some(TerminateExisting)] {
                let mut w = given(|w| w.when(limited()));
                close(&mut w);
                assert_eq!(status(&w), expected);
                let first = w.run_id();
                let again = start(ORDER).with_request_id("r2").with_policy(policy).answered();
                w.when(again.with(|start| start.workflow_id_conflict_policy = conflict));
                let may = match policy {
                    AllowDuplicate => true,
                    AllowDuplicateFailedOnly => expected != WorkflowStatus::Completed,
                    RejectDuplicate => false,
                };
                if may {
                    w.then_effects(["workflow task 2#1", "reply WorkflowStarted"]);
                    assert_ne!(w.run_id(), first);
                } else {
                    w.then_rejected("TW0203");
                    assert_eq!(w.rejection().run_id, Some(first));
                }
            }
        }
    }
}

/// An open run, whatever its workflow task is doing.
#[test]
fn every_conflict_policy_against_every_state_of_an_open_run() {
    let states: [(&str, Given); 5] = [
        ("delayed", || given(|w| w.when(start(ORDER).with(|start| start.start_delay_ms = Some(30_000))))),
        ("out", || given(|w| w.when(start(ORDER)))),
        ("idle", || order_that_decided([timer("t", 60_000)])),
        ("backing off", || {
            given(|w| w.when(start(ORDER)).when(task_failed(WorkflowTaskFailedCause::NonDeterministicError)))
        }),
        ("out again", || {
            let mut w = given(|w| w.when(start(ORDER)));
            w.when(task_failed(WorkflowTaskFailedCause::NonDeterministicError));
            w.when_due(TimerTarget::WorkflowTaskRetry);
            w
        }),
    ];
    for (name, state) in states {
        for policy in [Fail, UseExisting, TerminateExisting] {
            let mut w = state();
            let first = w.run_id();
            let again = start(ORDER).with_request_id("r2").answered();
            w.when(again.with(|start| start.workflow_id_conflict_policy = Some(policy)));
            match policy {
                Fail => {
                    w.then_rejected("TW0202");
                }
                UseExisting => {
                    w.then_events([]).then_effects(["reply WorkflowStarted before"]);
                }
                TerminateExisting => {
                    // The rows of the record, the answer among them, are of both runs; the next one's task comes last.
                    w.then_effects(["reply WorkflowStarted", "workflow task 2#1"]);
                    let ended = w.step.events.iter().any(|event| event.attributes.closes_as().is_some());
                    assert!(ended, "{name}: the run before is terminated in the same record");
                }
            }
            assert_eq!(w.run_id() == first, policy != TerminateExisting, "{name}, {policy:?}");
        }
    }
}

#[test]
fn start_against_close_in_both_orders() {
    let again = || start(ORDER).with_request_id("r2").answered();
    let mut w = given(|w| w.when(start(ORDER)));
    w.when(again()).then_rejected("TW0202");
    w.when(task_completed([complete()]));
    // The rejected request is not taken: asked again after the end, it starts.
    w.when(again()).then_effects(["workflow task 2#1", "reply WorkflowStarted"]);
    let mut w = order_that_decided([complete()]);
    w.when(again()).then_effects(["workflow task 2#1", "reply WorkflowStarted"]);
}

#[test]
fn r21_requests_under_one_id_are_taken_once_whatever_they_ask() {
    let requests: [fn() -> Request; 3] = [
        || cancel_with(|c| (c.request_id, c.reply_to) = (Some("r".to_owned()), Some(reply_to()))),
        || terminate_with(|c| (c.request_id, c.reply_to) = (Some("r".to_owned()), Some(reply_to()))),
        || {
            let ask = signal_with("s", |c| (c.request_id, c.reply_to) = (Some("r".to_owned()), Some(reply_to())));
            ask(&World::default())
        },
    ];
    for ask in requests {
        let mut w = order_that_decided([timer("t", 60_000)]);
        w.when(ask());
        assert!(!w.step.events.is_empty());
        w.when(ask()).then_events([]).then_facts(["Answered RequestAccepted"]);
        w.when(terminate());
        w.when(ask()).then_events([]).then_facts(["Answered RequestAccepted"]);
    }
}
