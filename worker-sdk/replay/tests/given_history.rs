//! Given a history, when the run is activated, then these are its decisions.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Mutex;
use std::sync::mpsc;
use std::task::{Poll, Waker};

use futures::FutureExt as _;
use futures::future::{join, select};
use support::{History, activate, activity, here, run_of, words};
use tidewright_replay::{Place, ReplayError, RunContext, WorkflowFuture};
use tidewright_schemas::{FailureInfo, Payload};

fn then(workflow: support::Workflow, history: &History) -> Result<Vec<String>, ReplayError> {
    activate(&mut run_of(workflow), history).map(|decisions| words(&decisions))
}

/// Two activities, one after the other.
fn sequence(ctx: RunContext, _: Option<Payload>) -> WorkflowFuture {
    Box::pin(async move {
        let first = ctx.schedule_activity(activity("First"), here()).await?;
        ctx.schedule_activity(activity("Second"), here()).await?;
        Ok(first)
    })
}

/// An activity against a timer; the loser is dropped.
fn race(ctx: RunContext, _: Option<Payload>) -> WorkflowFuture {
    Box::pin(async move {
        let winner = {
            let work = ctx.schedule_activity(activity("Work"), here());
            let timeout = ctx.start_timer(5, here());
            select(work, timeout).await.factor_first().0
        };
        match winner {
            futures::future::Either::Left(outcome) => outcome,
            futures::future::Either::Right(()) => {
                ctx.schedule_activity(activity("GiveUp"), here()).await?;
                Ok(None)
            }
        }
    })
}

trait FirstOf<A, B> {
    fn factor_first(self) -> (futures::future::Either<A, B>, ());
}

impl<A, B, FA, FB> FirstOf<A, B> for futures::future::Either<(A, FB), (B, FA)> {
    fn factor_first(self) -> (futures::future::Either<A, B>, ()) {
        match self {
            Self::Left((a, _)) => (futures::future::Either::Left(a), ()),
            Self::Right((b, _)) => (futures::future::Either::Right(b), ()),
        }
    }
}

#[test]
fn a_start_asks_for_the_first_activity() {
    assert_eq!(then(sequence, &History::started()).unwrap(), ["schedule 1 First"]);
}

#[test]
fn a_result_leads_to_the_next_step() {
    let history = History::started().task_completed().scheduled("1", "First");
    let history = history.activity_completed("1", "7").task_started();
    assert_eq!(then(sequence, &history).unwrap(), ["schedule 2 Second"]);
    let history = history.task_completed().scheduled("2", "Second").activity_completed("2", "null").task_started();
    assert_eq!(then(sequence, &history).unwrap(), ["complete 7"]);
}

#[test]
fn a_failure_tells_which_activity_and_why() {
    let history = History::started().task_completed().scheduled("1", "First");
    let history = history.activity_failed("1", "no money").task_started();
    let mut run = run_of(|ctx, _| {
        Box::pin(async move {
            let failure = ctx.schedule_activity(activity("First"), here()).await.unwrap_err();
            assert!(matches!(&failure.info, FailureInfo::Activity(a) if a.activity_type == "First"));
            assert_eq!(failure.cause.as_ref().unwrap().error_type(), "Declined");
            Err(failure)
        })
    });
    assert_eq!(words(&activate(&mut run, &history).unwrap()), ["fail activity `First` failed: no money"]);
    assert!(run.is_closed());
}

#[test]
fn what_happened_first_wins_a_race_even_within_one_task() {
    let begun = || History::started().task_completed().scheduled("1", "Work").timer_started("2");
    let work_first = begun().activity_completed("1", "1").fired("2").task_started();
    assert_eq!(then(race, &work_first).unwrap(), ["complete 1"]);
    let timer_first = begun().fired("2").activity_completed("1", "1").task_started();
    assert_eq!(then(race, &timer_first).unwrap(), ["schedule 3 GiveUp"]);
}

#[test]
fn a_dropped_timer_is_cancelled() {
    let history = History::started().task_completed().scheduled("1", "Work").timer_started("2");
    let history = history.activity_completed("1", "1").task_started();
    assert_eq!(then(race, &history).unwrap(), ["cancel 2", "complete 1"]);
}

#[test]
fn a_timer_that_is_dropped_at_once_has_never_been() {
    fn workflow(ctx: RunContext, _: Option<Payload>) -> WorkflowFuture {
        Box::pin(async move {
            drop(ctx.start_timer(10, here()));
            ctx.start_timer(20, here()).await;
            Ok(None)
        })
    }
    assert_eq!(then(workflow, &History::started()).unwrap(), ["timer 2 20ms"]);
}

#[test]
fn a_cancellation_that_came_too_late_leaves_no_event_and_that_is_fine() {
    fn workflow(ctx: RunContext, _: Option<Payload>) -> WorkflowFuture {
        Box::pin(async move {
            let timer = ctx.start_timer(5, here());
            ctx.schedule_activity(activity("A"), here()).await?;
            drop(timer);
            ctx.schedule_activity(activity("B"), here()).await?;
            Ok(None)
        })
    }
    let history = History::started().task_completed().timer_started("1").scheduled("2", "A");
    let history = history.activity_completed("2", "0").task_started();
    assert_eq!(then(workflow, &history).unwrap(), ["cancel 1", "schedule 3 B"]);
    // The timer fired while that task was out: no TimerCanceled, the firing is flushed behind the decisions.
    let history = history.task_completed().scheduled("3", "B").fired("1").task_started();
    assert!(then(workflow, &history).unwrap().is_empty());
    let history = history.task_completed().activity_completed("3", "0").task_started();
    assert_eq!(then(workflow, &history).unwrap(), ["complete "]);
}

#[test]
fn parallel_activities_are_asked_for_together() {
    fn workflow(ctx: RunContext, _: Option<Payload>) -> WorkflowFuture {
        Box::pin(async move {
            ctx.detach_activity(activity("Mail"));
            let (a, b) =
                join(ctx.schedule_activity(activity("A"), here()), ctx.schedule_activity(activity("B"), here())).await;
            a.and(b)
        })
    }
    let begun = History::started();
    assert_eq!(then(workflow, &begun).unwrap(), ["detach 1 Mail", "schedule 2 A", "schedule 3 B"]);
    let history = begun.task_completed().scheduled("1", "Mail").scheduled("2", "A").scheduled("3", "B");
    let one = history.activity_completed("3", "3").task_started();
    assert!(then(workflow, &one).unwrap().is_empty());
    let both = one.task_completed().activity_completed("2", "2").task_started();
    assert_eq!(then(workflow, &both).unwrap(), ["complete 3"]);
}

#[test]
fn failed_tasks_do_not_count() {
    let history = History::started().task_failed().task_started();
    assert_eq!(then(sequence, &history).unwrap(), ["schedule 1 First"]);
    let history = history.task_completed().scheduled("1", "First").activity_completed("1", "7").task_started();
    let history = history.task_failed().task_started();
    assert_eq!(then(sequence, &history).unwrap(), ["schedule 2 Second"]);
    let history = history.task_timed_out().task_started();
    assert_eq!(then(sequence, &history).unwrap(), ["schedule 2 Second"]);
}

#[test]
fn a_task_that_is_sent_again_has_no_boundaries_until_it_is_accepted() {
    let mut run = run_of(sequence);
    let history = History::started().task_failed();
    for event in &history.events {
        run.apply(event).unwrap();
    }
    let (scheduled, started) = (history.last_id() + 1, history.last_id() + 2);
    assert_eq!(words(&run.activate(started, 5).unwrap()), ["schedule 1 First"]);
    // The next task brings what is new: from the completion on, or from the boundaries on.
    let accepted = history.task_started().task_completed().scheduled("1", "First").activity_completed("1", "7");
    let accepted = accepted.task_started();
    for event in &accepted.events[(scheduled - 1) as usize..] {
        run.apply(event).unwrap();
    }
    assert_eq!(words(&run.activate(accepted.last_id(), 0).unwrap()), ["schedule 2 Second"]);
}

#[test]
fn another_activity_than_recorded_is_told_with_both_sides() {
    let history = History::started().task_completed().scheduled("1", "Zeroth");
    let history = history.activity_completed("1", "7").task_started();
    let error = then(sequence, &history).unwrap_err();
    let ReplayError::NonDeterministic { event_id, recorded, current, .. } = error else { panic!("{error}") };
    assert_eq!(event_id, 5);
    assert_eq!(recorded, "activity 1 of type `Zeroth`");
    assert_eq!(current, "activity 1 of type `First`");
}

#[test]
fn a_difference_is_a_diff_with_places_and_the_old_code_goes_on() {
    /// Makes the calls of `sequence`, and a third one.
    fn longer(ctx: RunContext, _: Option<Payload>) -> WorkflowFuture {
        Box::pin(async move {
            for name in ["First", "Second", "Third"] {
                ctx.schedule_activity(activity(name), here()).await?;
            }
            Ok(None)
        })
    }
    let history = History::started().task_completed().scheduled("1", "First").activity_completed("1", "7");
    let history = history.task_started().task_completed().scheduled("2", "Other").activity_completed("2", "8");
    let error = then(longer, &history.clone().task_started()).unwrap_err();
    assert_eq!(error.code(), Some("TW0901"));
    let text = error.to_string();
    let diff: Vec<_> =
        text.lines().filter(|line| ["  ", "- ", "+ "].iter().any(|start| line.starts_with(start))).collect();
    let [before, recorded, current] = diff.as_slice() else { panic!("{text}") };
    assert_eq!(*before, "  event 5: activity 1 of type `First`");
    assert_eq!(*recorded, "- event 11: activity 2 of type `Other`");
    assert!(current.starts_with("+ the code: activity 2 of type `Second`, at "), "{current}");
    assert!(current.contains("given_history.rs:"), "{current}");

    // The task failed; code that does as it did goes on.
    fn as_recorded(ctx: RunContext, _: Option<Payload>) -> WorkflowFuture {
        Box::pin(async move {
            ctx.schedule_activity(activity("First"), here()).await?;
            ctx.schedule_activity(activity("Other"), here()).await
        })
    }
    let history = history.task_started().task_failed().task_started();
    assert_eq!(then(as_recorded, &history).unwrap(), ["complete 8"]);
}

#[test]
fn a_missing_or_a_further_decision_is_not_deterministic() {
    let further = History::started().task_completed().scheduled("1", "First").timer_started("2");
    let further = further.activity_completed("1", "7").task_started();
    let error = then(sequence, &further).unwrap_err().to_string();
    assert!(error.contains("the start of timer 2") && error.contains("nothing more"), "{error}");

    let missing = History::started().task_completed().task_started();
    let error = then(sequence, &missing).unwrap_err().to_string();
    assert!(error.contains("event 5") && error.contains("activity 1 of type `First`"), "{error}");
}

#[test]
fn a_panic_is_a_value_that_says_where() {
    fn workflow(_: RunContext, _: Option<Payload>) -> WorkflowFuture {
        Box::pin(async move { panic!("kaboom") })
    }
    let ReplayError::Panicked(panic) = then(workflow, &History::started()).unwrap_err() else { panic!() };
    assert_eq!(panic.message, "kaboom");
    assert!(panic.location.contains("given_history.rs"));
}

#[test]
fn waiting_for_nothing_of_its_own_is_told() {
    fn workflow(_: RunContext, _: Option<Payload>) -> WorkflowFuture {
        Box::pin(futures::future::pending())
    }
    assert_eq!(then(workflow, &History::started()), Err(ReplayError::Stuck { last_await: Place(None) }));
}

#[test]
fn a_wake_from_outside_is_told() {
    static WAKERS: Mutex<Option<mpsc::Sender<Waker>>> = Mutex::new(None);
    let (send, receive) = mpsc::channel();
    *WAKERS.lock().unwrap() = Some(send);
    fn workflow(ctx: RunContext, _: Option<Payload>) -> WorkflowFuture {
        let foreign = futures::future::poll_fn(|cx| -> Poll<()> {
            let sender = WAKERS.lock().unwrap().clone().unwrap();
            let _ = sender.send(cx.waker().clone());
            Poll::Pending
        });
        Box::pin(async move { select(foreign, ctx.schedule_activity(activity("A"), here())).map(|_| Ok(None)).await })
    }
    let mut run = run_of(workflow);
    let history = History::started();
    assert_eq!(words(&activate(&mut run, &history).unwrap()), ["schedule 1 A"]);
    receive.recv().unwrap().wake();
    let history = history.task_completed().scheduled("1", "A").activity_completed("1", "7").task_started();
    let error = activate(&mut run, &history).unwrap_err();
    assert!(matches!(error, ReplayError::WokenFromOutside { .. }), "{error}");
    assert!(error.to_string().contains("given_history.rs:"), "{error}");
}

#[test]
fn spinning_is_told() {
    fn workflow(_: RunContext, _: Option<Payload>) -> WorkflowFuture {
        Box::pin(futures::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::Pending
        }))
    }
    assert!(matches!(then(workflow, &History::started()), Err(ReplayError::Spins { .. })));
}

#[test]
fn time_and_randomness_repeat() {
    fn workflow(ctx: RunContext, _: Option<Payload>) -> WorkflowFuture {
        Box::pin(async move {
            let mut bytes = [0; 4];
            ctx.fill_random(&mut bytes);
            Ok(Some(Payload::new(&(ctx.now_ms(), bytes)).unwrap()))
        })
    }
    let once = then(workflow, &History::started()).unwrap();
    assert_eq!(once, then(workflow, &History::started()).unwrap());
    assert!(once[0].starts_with("complete [1030,["), "{once:?}");
}

#[test]
fn a_gap_is_told() {
    let history = History::started();
    let mut run = run_of(sequence);
    run.apply(&history.events[0]).unwrap();
    assert!(matches!(run.apply(&history.events[2]), Err(ReplayError::BadHistory(_))));
}
