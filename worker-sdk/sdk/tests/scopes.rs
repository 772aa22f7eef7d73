//! Cancellation: scopes, the request to end, cleaning up, sagas. Each history is fed to a run that has seen its beginning
//! and to one that has not.

#![allow(clippy::unwrap_used, reason = "tests")]

mod history;

use history::{History, run_of};
use tidewright::prelude::*;
use tidewright_schemas::Decision;

/// What decisions amount to, in words.
fn words(decisions: &[Decision]) -> Vec<String> {
    let word = |decision: &Decision| match decision {
        Decision::ScheduleActivity(d) => format!("schedule {} {}", d.activity_id, d.activity_type),
        Decision::StartTimer(d) => format!("start {}", d.timer_id),
        Decision::CancelTimer(d) => format!("stop {}", d.timer_id),
        Decision::RequestCancelActivity(d) => format!("cancel the activity of event {}", d.scheduled_event_id),
        Decision::CompleteWorkflow(d) => format!("complete {}", d.result.as_ref().unwrap().json_text().unwrap()),
        Decision::FailWorkflow(d) => format!("fail {}", d.failure.error_type()),
        Decision::CancelWorkflow(_) => "end as cancelled".to_owned(),
    };
    decisions.iter().map(word).collect()
}

/// A step of a story: what it adds to a history.
type Step<'a> = &'a dyn Fn(History) -> History;

/// Feeds growing histories: what each step adds follows what the one before decided. All decisions in words, and the last
/// as they are.
fn decided<I, O, S>(
    workflow: WorkflowDef<I, O, S>,
    input: &str,
    steps: &[Step<'_>],
) -> (Vec<Vec<String>>, Vec<Decision>)
where
    I: serde::de::DeserializeOwned + Send + 'static,
    O: serde::Serialize + 'static,
    S: Send + 'static,
{
    let mut live = run_of(workflow);
    let mut history = History::begun(input);
    let mut decisions = history.same(&mut live, &mut run_of(workflow));
    let mut told = vec![words(&decisions)];
    for step in steps {
        history = step(history.completed(&decisions)).task();
        decisions = history.same(&mut live, &mut run_of(workflow));
        told.push(words(&decisions));
    }
    (told, decisions)
}

fn story<I, O, S>(workflow: WorkflowDef<I, O, S>, input: &str, steps: &[Step<'_>]) -> Vec<Vec<String>>
where
    I: serde::de::DeserializeOwned + Send + 'static,
    O: serde::Serialize + 'static,
    S: Send + 'static,
{
    decided(workflow, input, steps).0
}

const GO: SignalDef<()> = SignalDef::new("go");

#[workflow]
async fn unaware(ctx: &WorkflowContext) -> WorkflowResult<()> {
    ctx.sleep(3650.days()).await?;
    Ok(())
}

#[test]
fn a_workflow_that_is_asked_to_end_ends_where_it_waits() {
    let told = story(unaware, "null", &[&|h| h.cancel_requested()]);
    assert_eq!(told, [vec!["start 1"], vec!["stop 1", "end as cancelled"]]);
}

#[test]
fn what_happened_before_the_request_counts() {
    let told = story(unaware, "null", &[&|h| h.fired("1").cancel_requested()]);
    assert_eq!(told[1], ["complete null"]);
}

#[workflow]
async fn waits(ctx: &WorkflowContext, what: String) -> WorkflowResult<()> {
    match what.as_str() {
        "activity" => ctx.activity_named::<()>("A", &()).start_to_close(1.secs()).await?,
        "signal" => ctx.receive(GO).await?,
        "timeout" => ctx.receive(GO).timeout(1.hours()).await?,
        "together" => {
            let both = async { try_join!(ctx.receive(GO), ctx.sleep(1.hours())) };
            ctx.timeout(2.hours(), both).await??;
        }
        _ => ctx.canceled().await,
    }
    Ok(())
}

#[test]
fn every_kind_of_wait_hears_the_request() {
    for (what, ends) in [
        ("activity", "end as cancelled"),
        ("signal", "end as cancelled"),
        ("timeout", "end as cancelled"),
        ("together", "end as cancelled"),
        ("canceled", "complete null"),
    ] {
        let told = story(waits, &format!("{what:?}"), &[&|h| h.cancel_requested()]);
        assert_eq!(told[1].last().unwrap(), ends, "{what}: {told:?}");
    }
}

#[test]
fn a_signal_that_came_is_taken_although_the_workflow_was_asked_to_end() {
    let both: Step<'_> = &|h| h.signaled("go", "null").cancel_requested();
    assert_eq!(story(waits, r#""signal""#, &[both])[1], ["complete null"]);
    let both: Step<'_> = &|h| h.cancel_requested().signaled("go", "null");
    assert_eq!(story(waits, r#""signal""#, &[both])[1], ["end as cancelled"]);
}

#[test]
fn a_timeout_that_ran_out_is_a_failure_of_its_own() {
    let told = story(waits, r#""timeout""#, &[&|h| h.fired("1")]);
    assert_eq!(told[1], ["fail Timeout"]);
    let told = story(waits, r#""together""#, &[&|h| h.fired("2")]);
    assert_eq!(told[1], ["stop 1", "fail Timeout"]);
}

#[workflow]
async fn cleans_up(ctx: &WorkflowContext) -> WorkflowResult<()> {
    let slept = ctx.sleep(30.days()).await;
    // In the cancelled scope nothing is asked for any more.
    if ctx.is_canceled() {
        assert!(ctx.activity_named::<()>("Never", &()).start_to_close(1.secs()).await.unwrap_err().is_canceled());
    }
    let cleanup = ctx.non_cancellable();
    cleanup.activity_named::<()>("CleanUp", &()).start_to_close(1.secs()).await?;
    cleanup.sleep(1.secs()).await?;
    Ok(slept?)
}

#[test]
fn cleaning_up_runs_although_the_workflow_was_asked_to_end() {
    let told = story(cleans_up, "null", &[&|h| h.cancel_requested(), &|h| h.done("2", "null"), &|h| h.fired("3")]);
    assert_eq!(told[1..], [vec!["stop 1", "schedule 2 CleanUp"], vec!["start 3"], vec!["end as cancelled"]]);
}

/// A race in a scope, whose inner scope ends by itself.
#[workflow]
async fn nested(ctx: &WorkflowContext) -> WorkflowResult<String> {
    let (outer, inner) = (ctx.scope(), ctx.scope().scope());
    let work = async {
        let first = inner.sleep(1.hours()).await;
        format!("{first:?}")
    };
    let stop = async {
        ctx.receive(GO).await?;
        inner.cancel();
        inner.cancel();
        WorkflowResult::Ok(())
    };
    let (slept, stopped, kept) = join!(work, stop, outer.sleep(2.hours()));
    stopped?;
    kept?;
    Ok(format!("{slept} {} {}", outer.is_canceled(), inner.is_canceled()))
}

#[test]
fn a_scope_is_cancelled_alone_and_the_rest_goes_on() {
    let told = story(nested, "null", &[&|h| h.signaled("go", "null"), &|h| h.fired("2")]);
    assert_eq!(told[0], ["start 1", "start 2"]);
    assert_eq!(told[1], ["stop 1"]);
    assert_eq!(told[2], [r#"complete "Err(Canceled) false true""#]);
}

#[test]
fn nested_scopes_are_cancelled_with_the_workflow() {
    let told = story(nested, "null", &[&|h| h.cancel_requested()]);
    assert_eq!(told[1], ["stop 1", "stop 2", "end as cancelled"]);
}

#[workflow]
async fn patient(ctx: &WorkflowContext, cancellation: String) -> WorkflowResult<u64> {
    let kind = match cancellation.as_str() {
        "try" => ActivityCancellationType::TryCancel,
        "wait" => ActivityCancellationType::WaitCancellationCompleted,
        _ => ActivityCancellationType::Abandon,
    };
    let attempt = ctx.scope();
    let work = attempt.activity_named::<u64>("Work", &()).start_to_close(1.hours()).cancellation_type(kind);
    let stop = async {
        ctx.receive(GO).await?;
        attempt.cancel();
        WorkflowResult::Ok(())
    };
    let (done, _) = join!(work, stop);
    match done {
        Err(failed) if failed.is_canceled() => Ok(0),
        done => Ok(done?),
    }
}

/// Cancels its work, and sleeps before it ends.
#[workflow]
async fn patient_twice(ctx: &WorkflowContext) -> WorkflowResult<u64> {
    let attempt = ctx.scope();
    let work = attempt.activity_named::<u64>("Work", &()).start_to_close(1.hours());
    let stop = async {
        ctx.receive(GO).await?;
        attempt.cancel();
        WorkflowResult::Ok(())
    };
    let (done, _) = join!(work, stop);
    ctx.sleep(1.secs()).await?;
    Ok(done.unwrap_or(0))
}

#[test]
fn an_activity_is_cancelled_with_its_scope_as_its_call_says() {
    let told = story(patient, r#""try""#, &[&|h| h.signaled("go", "null")]);
    assert_eq!(told[1], ["cancel the activity of event 5", "complete 0"]);
    let told = story(patient, r#""abandon""#, &[&|h| h.signaled("go", "null")]);
    assert_eq!(told[1], ["complete 0"]);
    let told = story(patient, r#""wait""#, &[&|h| h.signaled("go", "null"), &|h| h.canceled("1")]);
    assert_eq!(told[1..], [vec!["cancel the activity of event 5"], vec!["complete 0"]]);
    // It completed all the same.
    let told = story(patient, r#""wait""#, &[&|h| h.signaled("go", "null"), &|h| h.done("1", "7")]);
    assert_eq!(told[2], ["complete 7"]);
}

#[test]
fn an_activity_against_its_cancellation_in_both_orders() {
    let told = story(patient, r#""try""#, &[&|h| h.done("1", "7").signaled("go", "null")]);
    assert_eq!(told[1], ["complete 7"]);
    // To cancel what has ended already, as far as history goes, means nothing: the work is not thrown away.
    let told = story(patient, r#""try""#, &[&|h| h.signaled("go", "null").done("1", "7")]);
    assert_eq!(told[1], ["complete 7"]);
    // It came too late: nobody waits for it any more.
    let told = story(patient_twice, "null", &[&|h| h.signaled("go", "null"), &|h| h.done("1", "7").fired("2")]);
    assert_eq!(told[1..], [vec!["cancel the activity of event 5", "start 2"], vec!["complete 0"]]);
}

struct Shop;

#[activities]
impl Shop {
    #[activity(start_to_close = "30s")]
    async fn step(&self, _number: u64) -> ActivityResult<u64> {
        Ok(0)
    }

    #[activity(start_to_close = "30s")]
    async fn undo_first(&self, _number: u64) -> ActivityResult<()> {
        Ok(())
    }

    #[activity]
    async fn undo_second(&self, _number: u64) -> ActivityResult<()> {
        Ok(())
    }
}

#[workflow]
async fn saga(ctx: &WorkflowContext, parallel: bool) -> WorkflowResult<u64> {
    let mut saga = Saga::new(ctx);
    if parallel {
        saga = saga.parallel();
    }
    let one = ctx.activity(Shop::step, 1).await?;
    saga.on_failure(Shop::undo_first, one);
    let two = match ctx.activity(Shop::step, 2).await {
        Ok(two) => two,
        Err(failed) => return saga.compensate(failed).await,
    };
    saga.on_failure_call(ctx.activity(Shop::undo_second, two).start_to_close(1.secs()));
    saga.on_failure_do("rest", |ctx| async move { Ok(ctx.sleep(1.secs()).await?) });
    saga.run(ctx.activity(Shop::step, 3)).await
}

#[test]
fn what_was_done_is_undone_last_first() {
    let told = story(
        saga,
        "false",
        &[
            &|h| h.done("1", "10"),
            &|h| h.done("2", "20"),
            &|h| h.failed("3", "NoTruck"),
            &|h| h.fired("4"),
            &|h| h.done("5", "null"),
            &|h| h.done("6", "null"),
        ],
    );
    let expected = ["start 4", "schedule 5 UndoSecond", "schedule 6 UndoFirst", "fail Activity"];
    assert_eq!(told[3..].concat(), expected);
}

#[test]
fn a_compensation_that_fails_stops_no_other_and_is_told() {
    let steps: [Step<'_>; 3] = [&|h| h.done("1", "10"), &|h| h.failed("2", "NoMoney"), &|h| h.failed("3", "Locked")];
    let (_, decisions) = decided(saga, "false", &steps);
    let [Decision::FailWorkflow(failed)] = decisions.as_slice() else { panic!("{decisions:?}") };
    assert_eq!(failed.failure.error_type(), "CompensationFailed");
    assert!(failed.failure.message.contains("1 of 1 compensations failed"), "{}", failed.failure.message);
    let told = CompensationFailed::all_of(&failed.failure);
    assert_eq!((told.len(), told[0].compensation.as_str(), told[0].error_type.as_str()), (1, "UndoFirst", "Locked"));
    let cause = failed.failure.cause.as_deref().unwrap();
    assert_eq!(cause.cause.as_deref().unwrap().error_type(), "NoMoney");
}

#[test]
fn compensations_may_run_at_the_same_time() {
    let told = story(
        saga,
        "true",
        &[&|h| h.done("1", "10"), &|h| h.done("2", "20"), &|h| h.failed("3", "NoTruck"), &|h| {
            h.fired("4").done("6", "null").failed("5", "Locked")
        }],
    );
    assert_eq!(told[3], ["start 4", "schedule 5 UndoSecond", "schedule 6 UndoFirst"]);
    assert_eq!(told[4], ["fail CompensationFailed"]);
}

#[test]
fn a_saga_undoes_what_was_done_when_the_workflow_is_asked_to_end() {
    let told = story(saga, "false", &[&|h| h.done("1", "10"), &|h| h.cancel_requested(), &|h| h.done("3", "null")]);
    assert_eq!(told[1..3].concat().last().unwrap(), "schedule 3 UndoFirst");
    assert_eq!(told[3], ["end as cancelled"]);
}

#[workflow]
async fn undoes_what_may_have_happened(ctx: &WorkflowContext) -> WorkflowResult<u64> {
    let mut steps = Saga::new(ctx);
    steps.on_failure(Shop::undo_first, 1);
    steps.run(ctx.activity(Shop::step, 1)).await
}

#[test]
fn a_step_that_was_in_flight_is_undone_if_that_was_registered_before_it() {
    let told = story(undoes_what_may_have_happened, "null", &[&|h| h.cancel_requested(), &|h| h.done("2", "null")]);
    assert_eq!(told[0], ["schedule 1 Step"]);
    assert_eq!(told[1], ["cancel the activity of event 5", "schedule 2 UndoFirst"]);
    assert_eq!(told[2], ["end as cancelled"]);
}

#[workflow]
async fn lots(ctx: &WorkflowContext) -> WorkflowResult<String> {
    let (a, b) = (ctx.random::<u64>(), ctx.random::<[u8; 3]>());
    let (c, d) = (ctx.random_range(10..20), ctx.random_range(5..5));
    assert!((10..20).contains(&c) && d == 5 && (0.0..1.0).contains(&ctx.random::<f64>()));
    ctx.sleep(1.secs()).await?;
    Ok(format!("{a} {b:?} {c} {} {}", ctx.random::<bool>(), ctx.uuid()))
}

#[test]
fn randomness_is_specified() {
    let told = story(lots, "null", &[&|h| h.fired("1")]);
    // ChaCha12 seeded with the SHA-256 of the run's id: it must never change.
    let expected = r#"complete "12397439852772794964 [105, 120, 23] 10 false 732f9be2-90ab-4ccc-a088-cc25603ac151""#;
    assert_eq!(told[1], [expected]);
}
