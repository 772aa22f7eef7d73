//! What becomes of an activity that is cancelled, explicitly or by being dropped.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use futures::future::select;
use support::{History, activate, activity, cancelled_by, here, run_of, words};
use tidewright_replay::ActivityCancellationType::{self, Abandon, TryCancel, WaitCancellationCompleted};
use tidewright_replay::{ActivityRequest, Run, RunContext};
use tidewright_schemas::{Failure, FailureInfo, Payload, RetryState};

/// What came of an activity, in words: its result, or its failure's retry state and the cause's details.
fn told(outcome: Result<Option<Payload>, Box<Failure>>) -> String {
    let failure = match outcome {
        Ok(result) => return format!("completed {}", result.unwrap().json_text().unwrap()),
        Err(failure) => failure,
    };
    let FailureInfo::Activity(info) = &failure.info else { panic!("{failure:?}") };
    match &failure.cause.as_ref().unwrap().info {
        FailureInfo::Canceled(canceled) => {
            assert_eq!(info.retry_state, RetryState::CancelRequested);
            let details = canceled.details.as_ref().map(|details| details.json_text().unwrap().into_owned());
            format!("cancelled {}", details.unwrap_or_default())
        }
        other => format!("failed {}", other.type_name()),
    }
}

async fn work_until_signal(ctx: RunContext, cancellation_type: ActivityCancellationType) -> String {
    let work = ctx.schedule_activity(ActivityRequest { cancellation_type, ..activity("Work") }, here());
    told(cancelled_by(work, ctx.receive_signal("stop", here())).await)
}

fn run_with(cancellation_type: ActivityCancellationType) -> Run {
    run_of(move |ctx, _| {
        Box::pin(async move { Ok(Some(Payload::new(&work_until_signal(ctx, cancellation_type).await).unwrap())) })
    })
}

fn scheduled() -> History {
    History::started().task_completed().scheduled("1", "Work")
}

/// What a run decides at each of its workflow tasks; the last one is current.
fn then(cancellation_type: ActivityCancellationType, history: &History) -> Vec<String> {
    words(&activate(&mut run_with(cancellation_type), history).unwrap())
}

#[test]
fn who_waits_for_a_cancelled_activity_hears_it_at_once() {
    let history = scheduled().signaled("stop", "1").task_started();
    assert_eq!(then(TryCancel, &history), ["cancel the activity of event 5", "complete \"cancelled \""]);
}

#[test]
fn an_abandoned_activity_is_left_alone() {
    let history = scheduled().signaled("stop", "1").task_started();
    assert_eq!(then(Abandon, &history), ["complete \"cancelled \""]);
}

#[test]
fn who_wants_to_know_waits_for_the_activitys_own_end() {
    let asked = scheduled().signaled("stop", "1").task_started();
    assert_eq!(then(WaitCancellationCompleted, &asked), ["cancel the activity of event 5"]);
    let asked = asked.task_completed().activity_cancel_requested(5);
    let cancelled = asked.clone().activity_canceled("1", "7").task_started();
    assert_eq!(then(WaitCancellationCompleted, &cancelled), ["complete \"cancelled 7\""]);
    let completed = asked.clone().activity_completed("1", "8").task_started();
    assert_eq!(then(WaitCancellationCompleted, &completed), ["complete \"completed 8\""]);
    let failed = asked.activity_failed("1", "no").task_started();
    assert_eq!(then(WaitCancellationCompleted, &failed), ["complete \"failed Application\""]);
}

#[test]
fn an_end_that_history_has_already_is_not_cancelled() {
    for kind in [TryCancel, WaitCancellationCompleted, Abandon] {
        let history = scheduled().signaled("stop", "1").activity_completed("1", "8").task_started();
        assert_eq!(then(kind, &history), ["complete \"completed 8\""], "{kind:?}");
        let history = scheduled().activity_completed("1", "8").signaled("stop", "1").task_started();
        assert_eq!(then(kind, &history), ["complete \"completed 8\""], "{kind:?}");
    }
}

#[test]
fn what_the_activity_does_after_it_was_given_up_is_nobodys_concern() {
    let run = || {
        run_of(|ctx, _| {
            Box::pin(async move {
                let told = work_until_signal(ctx.clone(), TryCancel).await;
                ctx.start_timer(9, here()).await;
                Ok(Some(Payload::new(&told).unwrap()))
            })
        })
    };
    let asked = scheduled().signaled("stop", "1").task_started().task_completed();
    let asked = asked.activity_cancel_requested(5).timer_started("2");
    for late in [asked.clone().activity_completed("1", "8"), asked.clone().activity_canceled("1", "7")] {
        let history = late.task_started().task_completed().fired("2").task_started();
        assert_eq!(words(&activate(&mut run(), &history).unwrap()), ["complete \"cancelled \""]);
    }
}

#[test]
fn an_activity_that_is_cancelled_at_once_has_never_been() {
    for cancellation_type in [TryCancel, WaitCancellationCompleted, Abandon] {
        let mut run = run_of(move |ctx, _| {
            Box::pin(async move {
                let work = ctx.schedule_activity(ActivityRequest { cancellation_type, ..activity("Work") }, here());
                work.cancel();
                Ok(Some(Payload::new(&told(work.await)).unwrap()))
            })
        });
        assert_eq!(words(&activate(&mut run, &History::started()).unwrap()), ["complete \"cancelled \""]);
    }
}

#[test]
fn an_activity_that_is_dropped_is_cancelled_unless_it_is_to_be_left_alone() {
    let race = |cancellation_type| {
        run_of(move |ctx, _| {
            Box::pin(async move {
                let work = ctx.schedule_activity(ActivityRequest { cancellation_type, ..activity("Work") }, here());
                let stop = ctx.receive_signal("stop", here());
                drop(select(work, stop).await);
                ctx.start_timer(9, here()).await;
                Ok(None)
            })
        })
    };
    let history = scheduled().signaled("stop", "1").task_started();
    for (kind, decided) in [
        (TryCancel, vec!["cancel the activity of event 5", "timer 2 9ms"]),
        (WaitCancellationCompleted, vec!["cancel the activity of event 5", "timer 2 9ms"]),
        (Abandon, vec!["timer 2 9ms"]),
    ] {
        assert_eq!(words(&activate(&mut race(kind), &history).unwrap()), decided, "{kind:?}");
    }
    let ended = scheduled().signaled("stop", "1").activity_completed("1", "8").task_started();
    assert_eq!(words(&activate(&mut race(TryCancel), &ended).unwrap()), ["timer 2 9ms"]);
}

#[test]
fn a_closed_run_can_be_replayed_though_something_ended_with_it() {
    let history = scheduled().signaled("stop", "1").task_started().task_completed();
    let history = history.activity_completed("1", "8").activity_cancel_requested(5);
    let mut run = run_with(TryCancel);
    history.events.iter().try_for_each(|event| run.apply(event)).unwrap();
    assert!(run.is_closed());
}

#[test]
fn a_cancellation_that_the_code_does_not_repeat_is_told() {
    let history = scheduled().signaled("stop", "1").task_started().task_completed().activity_cancel_requested(5);
    let history = history.signaled("stop", "2").task_started();
    let error = activate(&mut run_with(Abandon), &history).unwrap_err().to_string();
    assert!(error.contains("the request to cancel the activity of event 5"), "{error}");
}
