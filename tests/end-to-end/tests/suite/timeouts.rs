//! The timeouts of activities: which one ran out, how far the activity was, and why it was not tried again, as the workflow
//! sees it, and as history tells it.

use std::future::pending;

use anyhow::{Context as _, Result, ensure};
use end_to_end::by_hand::{ByHand, schedule_activity};
use end_to_end::ways::{WayIn, Ways, start_of};
use end_to_end::{Running, World};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidewright::prelude::*;
use tidewright_schemas::{EventAttributes, Failure, FailureInfo, RetryState, TimeoutFailure, TimeoutType};

const FAR: u64 = 42;

struct Slow;

#[activities]
impl Slow {
    /// Says how far it is, and then nothing more.
    #[activity(start_to_close = "60s")]
    async fn hangs(&self, ctx: &ActivityContext) -> ActivityResult<()> {
        ctx.heartbeat(&FAR)?;
        pending().await
    }

    #[activity(start_to_close = "60s")]
    async fn fails(&self) -> ActivityResult<()> {
        Err(ActivityError::new("Busy", "come back later"))
    }
}

/// What a workflow sees of an activity that failed.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    error_type: String,
    timeout: Option<TimeoutType>,
    retry_state: Option<RetryState>,
    last_heartbeat: Option<u64>,
}

impl Seen {
    fn timed_out(timeout: TimeoutType, retry_state: RetryState, last_heartbeat: Option<u64>) -> Self {
        let error_type = "Timeout".to_owned();
        Self { error_type, timeout: Some(timeout), retry_state: Some(retry_state), last_heartbeat }
    }
}

#[workflow]
async fn sees(ctx: &WorkflowContext, which: String) -> WorkflowResult<Option<Seen>> {
    let soon = 300.millis();
    let attempts = |attempts| RetryPolicy::default().maximum_attempts(attempts).initial_interval(1.millis());
    let hangs = || ctx.activity(Slow::hangs, ());
    let outcome = match which.as_str() {
        "start-to-close" => hangs().start_to_close(soon).retry(attempts(1)).await,
        "start-to-close twice" => hangs().start_to_close(soon).retry(attempts(2)).await,
        "schedule-to-start" => hangs().task_queue("nobody").schedule_to_start(soon).await,
        "schedule-to-close without a worker" => hangs().task_queue("nobody").schedule_to_close(soon).await,
        "schedule-to-close while it runs" => hangs().schedule_to_close(2.secs()).await,
        "schedule-to-close before the next attempt" => {
            let policy = RetryPolicy::default().initial_interval(1.hours());
            ctx.activity(Slow::fails, ()).schedule_to_close(50.secs()).retry(policy).await
        }
        _ => hangs().heartbeat_timeout(soon).retry(attempts(1)).await,
    };
    Ok(outcome.err().map(|failed| Seen {
        error_type: failed.error_type().to_owned(),
        timeout: failed.timeout(),
        retry_state: failed.retry_state(),
        last_heartbeat: failed.last_heartbeat(),
    }))
}

async fn started() -> Result<(World, Running)> {
    let world = World::with_http().await?;
    let worker = Worker::new(&world.client()?, "q").workflow(sees).activities(Slow);
    let running = world.run(worker);
    Ok((world, running))
}

/// How history tells the end of a workflow's only activity.
async fn told(world: &World, id: &str) -> Result<(Failure, RetryState)> {
    world
        .event(id, |event| match event {
            EventAttributes::ActivityTaskTimedOut(e) => Some((e.failure.clone(), e.retry_state)),
            EventAttributes::ActivityTaskFailed(e) => Some((e.failure.clone(), e.retry_state)),
            _ => None,
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_timeout_says_which_it_was_and_why_that_is_the_end() -> Result<()> {
    use RetryState::{MaximumAttemptsReached, Timeout};
    use TimeoutType::{Heartbeat, ScheduleToClose, ScheduleToStart, StartToClose};
    let (world, _worker) = started().await?;
    let client = world.client()?;
    let cases = [
        ("start-to-close", Seen::timed_out(StartToClose, MaximumAttemptsReached, Some(FAR))),
        ("start-to-close twice", Seen::timed_out(StartToClose, MaximumAttemptsReached, Some(FAR))),
        ("schedule-to-start", Seen::timed_out(ScheduleToStart, Timeout, None)),
        ("schedule-to-close without a worker", Seen::timed_out(ScheduleToClose, Timeout, None)),
        ("schedule-to-close while it runs", Seen::timed_out(ScheduleToClose, Timeout, Some(FAR))),
        ("heartbeat", Seen::timed_out(Heartbeat, MaximumAttemptsReached, Some(FAR))),
    ];
    for (which, _) in &cases {
        client.start(sees, (*which).to_owned()).id(*which).task_queue("q").await?;
    }
    for (which, expected) in cases {
        let outcome = world.outcome(which).await?;
        let seen: Option<Seen> = outcome.result.with_context(|| which.to_owned())?.read()?;
        ensure!(seen.as_ref() == Some(&expected), "{which}: {seen:?} instead of {expected:?}");
        let (failure, retry_state) = told(&world, which).await?;
        let FailureInfo::Timeout(TimeoutFailure { timeout_type, .. }) = &failure.info else {
            anyhow::bail!("{which}: {failure:?}")
        };
        ensure!((Some(*timeout_type), Some(retry_state)) == (expected.timeout, expected.retry_state), "{failure:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_would_come_too_late_is_not_made() -> Result<()> {
    let (world, _worker) = started().await?;
    let which = "schedule-to-close before the next attempt";
    world.client()?.start(sees, which.to_owned()).id(which).task_queue("q").await?;
    // It ends at once, and with what went wrong: nothing would be won by waiting.
    let seen: Option<Seen> = world.outcome(which).await?.result.context("no result")?.read()?;
    let seen = seen.context("it did not fail")?;
    ensure!((seen.error_type.as_str(), seen.retry_state) == ("Busy", Some(RetryState::Timeout)), "{seen:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_against_its_timeout_in_both_orders() -> Result<()> {
    let world = World::with_http().await?;
    let (ways, mut worker) = (Ways::into(&world)?, ByHand::of(&world)?);
    let beats = json!({"worker": {"identity": "by hand", "incarnation": "by-hand"}, "details": FAR});
    let mut begun = async |id: &str, heartbeat_timeout_ms: u64| {
        ways.accepted(WayIn::Record, id, start_of("T", id, &Value::Null)?).await?;
        let task = worker.workflow_task_of(id).await?;
        let policy = json!({"maximum_attempts": 2, "initial_interval_ms": 3_600_000});
        let fields = json!({"heartbeat_timeout_ms": heartbeat_timeout_ms, "retry_policy": policy});
        worker.decide(&task, &[schedule_activity("a", &fields)]).await?;
        let activity = worker.activity_task().await?;
        worker.tell("RecordActivityHeartbeat", &activity, beats.clone()).await?;
        anyhow::Ok(activity)
    };
    // The attempt falls silent, and what it says afterwards is not heard: its word that it is alive changes nothing.
    let silent = begun("silent", 1).await?;
    let timed_out = |run: &tidewright_schemas::api::WorkflowDescription| {
        run.pending_activities.iter().any(|activity| activity.next_attempt_ms.is_some())
    };
    world.describe_until("silent", "the attempt times out", timed_out).await?;
    let alive = begun("alive", 3_600_000).await?;
    let mut late = beats.clone();
    late["details"] = json!(FAR + 1);
    worker.tell("RecordActivityHeartbeat", &silent, late.clone()).await?;
    worker.tell("RecordActivityHeartbeat", &alive, late).await?;
    let is_further = |run: &tidewright_schemas::api::WorkflowDescription| {
        let details = run.pending_activities.first().and_then(|activity| activity.heartbeat_details.clone());
        details.and_then(|details| details.read::<u64>().ok()) == Some(FAR + 1)
    };
    let alive = world.describe_until("alive", "its word is heard", is_further).await?;
    ensure!(alive.pending_activities[0].attempt == 1, "{alive:?}");
    // A command of the same workflow that comes later is answered, so the late heartbeat was decided before it.
    ways.accepted(WayIn::Record, "silent", end_to_end::ways::signal_of("s", &Value::Null)?).await?;
    let silent = world.describe_until("silent", "it can be described", |_| true).await?;
    ensure!(timed_out(&silent) && !is_further(&silent), "{silent:?}");
    Ok(())
}
