//! Retry policies, field by field: when the next attempt is due, and why there is none. A worker made by hand says how an
//! attempt ends.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use end_to_end::World;
use end_to_end::by_hand::schedule_activity;
use serde_json::{Value, json};
use tidewright::prelude::*;
use tidewright_schemas::api::PendingActivityState;
use tidewright_schemas::{EventAttributes, Payload, RetryState};

use crate::site::Site;

const HOUR_MS: u64 = 60 * 60 * 1_000;

/// By the clock that the broker of a test shares with it.
fn now_ms() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

fn boom(more: &Value) -> Value {
    let mut info = json!({"type": "Application", "error_type": "Busy"});
    for (name, value) in more.as_object().into_iter().flatten() {
        info[name] = value.clone();
    }
    json!({"failure": {"message": "come back later", "info": info}, "worker": {"identity": "by hand"}})
}

impl Site<'_> {
    /// Begins a workflow with one activity of this policy.
    async fn begin(&mut self, id: &str, policy: &Value) -> Result<()> {
        let task = self.begun(id).await?;
        let fields = if policy.is_null() { json!({}) } else { json!({ "retry_policy": policy }) };
        self.worker.decide(&task, &[schedule_activity("a", &fields)]).await
    }

    /// Lets the next attempt fail.
    async fn fail(&mut self, attempt: u32, failure: &Value) -> Result<()> {
        let activity = self.worker.activity_task().await?;
        ensure!(activity["attempt"] == attempt, "{activity}");
        self.worker.tell("FailActivity", &activity, failure.clone()).await
    }

    /// The delay before the next attempt of a workflow's only activity, after its last attempt fails: at least and at most.
    async fn delay_after_failure(&mut self, id: &str, attempt: u32, failure: &Value) -> Result<(u64, u64)> {
        let before_ms = now_ms()?;
        self.fail(attempt, failure).await?;
        let backs_off = |run: &tidewright_schemas::api::WorkflowDescription| {
            let activity = run.pending_activities.first();
            activity.is_some_and(|it| it.state == PendingActivityState::BackingOff && it.attempt > attempt)
        };
        let run = self.world.describe_until(id, "it waits for its next attempt", backs_off).await?;
        let due_ms = run.pending_activities[0].next_attempt_ms.context("no time is told")?;
        Ok((due_ms.saturating_sub(now_ms()?), due_ms.saturating_sub(before_ms)))
    }

    /// Why the activity is not tried again.
    async fn ends_with(&self, id: &str) -> Result<RetryState> {
        let ended = |event: &EventAttributes| match event {
            EventAttributes::ActivityTaskFailed(failed) => Some(failed.retry_state),
            _ => None,
        };
        self.world.event(id, ended).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_delay_of_a_policy_is_as_it_says() -> Result<()> {
    let world = World::with_http().await?;
    let mut site = Site::on(&world)?;
    let at_once = boom(&json!({"next_retry_delay_ms": 1}));
    // The policy, what the first attempt says if there is one before the one that is measured, and the delay.
    let cases = [
        ("initial-interval", json!({"initial_interval_ms": HOUR_MS}), None, HOUR_MS),
        ("default-coefficient", json!({"initial_interval_ms": HOUR_MS}), Some(&at_once), 2 * HOUR_MS),
        (
            "coefficient",
            json!({"initial_interval_ms": HOUR_MS, "backoff_coefficient": 3.5}),
            Some(&at_once),
            HOUR_MS * 7 / 2,
        ),
        (
            "maximum-interval",
            json!({"initial_interval_ms": HOUR_MS, "backoff_coefficient": 9.0, "maximum_interval_ms": 2 * HOUR_MS}),
            Some(&at_once),
            2 * HOUR_MS,
        ),
        (
            "default-maximum-interval",
            json!({"initial_interval_ms": 60_000, "backoff_coefficient": 1_000.0}),
            Some(&at_once),
            100 * 60_000,
        ),
    ];
    for (id, policy, first, expected_ms) in cases {
        site.begin(id, &policy).await?;
        if let Some(first) = first {
            site.fail(1, first).await?;
        }
        let attempt = if first.is_some() { 2 } else { 1 };
        let (least, most) = site.delay_after_failure(id, attempt, &boom(&Value::Null)).await?;
        ensure!((least..=most).contains(&expected_ms), "{id}: {expected_ms} ms are not within {least}..={most}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_can_say_when_the_next_attempt_is_and_the_policy_has_a_default() -> Result<()> {
    let world = World::with_http().await?;
    let mut site = Site::on(&world)?;
    site.begin("said", &json!({"initial_interval_ms": 1, "maximum_interval_ms": 1})).await?;
    let (least, most) = site.delay_after_failure("said", 1, &boom(&json!({"next_retry_delay_ms": HOUR_MS}))).await?;
    ensure!((least..=most).contains(&HOUR_MS), "{HOUR_MS} is not within {least}..={most}");
    // Without a policy attempts go on, without end.
    site.begin("default", &Value::Null).await?;
    for attempt in 1..=8 {
        site.fail(attempt, &boom(&json!({"next_retry_delay_ms": 1}))).await?;
    }
    let run = world.describe_until("default", "its ninth attempt is out", |run| {
        run.pending_activities.first().is_some_and(|activity| activity.attempt == 9)
    });
    let activity = run.await?.pending_activities.remove(0);
    ensure!(activity.maximum_attempts == 0, "{activity:?}");
    // Attempts, the last failure and the worker are there to be seen while it is pending.
    let failure = activity.last_failure.context("no failure is told")?;
    ensure!((failure.error_type(), activity.last_worker.as_deref()) == ("Busy", Some("by hand")), "{failure:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_for_no_further_attempt_is_told() -> Result<()> {
    let world = World::with_http().await?;
    let mut site = Site::on(&world)?;
    let soon = 1;
    site.begin("attempts", &json!({"maximum_attempts": 3, "initial_interval_ms": soon})).await?;
    for attempt in 1..=3 {
        site.fail(attempt, &boom(&Value::Null)).await?;
    }
    ensure!(site.ends_with("attempts").await? == RetryState::MaximumAttemptsReached);
    let started = |event: &EventAttributes| match event {
        EventAttributes::ActivityTaskStarted(started) => Some(started.attempt),
        _ => None,
    };
    ensure!(world.event("attempts", started).await? == 3);

    let types = json!({"non_retryable_error_types": ["Other", "Busy"], "initial_interval_ms": soon});
    site.begin("type", &types).await?;
    site.fail(1, &boom(&Value::Null)).await?;
    ensure!(site.ends_with("type").await? == RetryState::NonRetryableFailure);

    let other = json!({"non_retryable_error_types": ["Other"], "initial_interval_ms": soon, "maximum_attempts": 2});
    site.begin("other-type", &other).await?;
    for attempt in 1..=2 {
        site.fail(attempt, &boom(&Value::Null)).await?;
    }
    ensure!(site.ends_with("other-type").await? == RetryState::MaximumAttemptsReached);

    site.begin("flag", &json!({"initial_interval_ms": soon})).await?;
    site.fail(1, &boom(&json!({"non_retryable": true}))).await?;
    ensure!(site.ends_with("flag").await? == RetryState::NonRetryableFailure);
    Ok(())
}

/// Calls an activity with every field of a policy.
#[workflow]
async fn careful(ctx: &WorkflowContext) -> WorkflowResult<()> {
    let policy = RetryPolicy::default().initial_interval(7.millis()).backoff_coefficient(1.5);
    let policy = policy.maximum_interval(9.millis()).maximum_attempts(4).non_retryable(["Fatal", "Worse"]);
    Ok(ctx.activity_named::<()>("Flaky", &()).start_to_close(30.secs()).retry(policy).await?)
}

struct Flaky;

impl Flaky {
    const FLAKY: ActivityDef<Self, (), ()> = ActivityDef::new("Flaky", |_, ctx, ()| Box::pin(Self::run(ctx.attempt())))
        .start_to_close(std::time::Duration::from_secs(30));

    /// Each attempt fails in a way of its own; the third forbids a fourth.
    async fn run(attempt: u32) -> ActivityResult<()> {
        match attempt {
            1 => Err(ActivityError::new("Busy", "first")),
            2 => Err(ActivityError::new("Busy", "second").next_retry_delay(2.millis())),
            _ => Err(ActivityError::new("Fatal", "third").details(&"for good")),
        }
    }
}

impl Activities for Flaky {
    fn register(set: &mut ActivitySet<Self>) {
        set.add(Self::FLAKY);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_a_policy_goes_from_the_code_to_history_and_is_kept_to() -> Result<()> {
    let world = World::with_http().await?;
    let client = world.client()?;
    let _worker = world.run(Worker::new(&client, "q").workflow(careful).activities(Flaky));
    client.start(careful, ()).id("careful").task_queue("q").await?;
    let failure = world.outcome("careful").await?.failure.context("it did not fail")?;
    let cause = failure.cause.context("no cause")?;
    ensure!((cause.error_type(), cause.message.as_str()) == ("Fatal", "third"), "{cause:?}");
    let scheduled = |event: &EventAttributes| match event {
        EventAttributes::ActivityTaskScheduled(scheduled) => Some(scheduled.retry_policy.clone()),
        _ => None,
    };
    let policy = world.event("careful", scheduled).await?;
    let expected = json!({
        "initial_interval_ms": 7, "backoff_coefficient": 1.5, "maximum_interval_ms": 9, "maximum_attempts": 4,
        "non_retryable_error_types": ["Fatal", "Worse"],
    });
    ensure!(serde_json::to_value(&policy)? == expected, "{policy:?}");
    let ended = |event: &EventAttributes| match event {
        EventAttributes::ActivityTaskStarted(started) => Some((started.attempt, started.last_failure.clone())),
        _ => None,
    };
    let (attempt, before) = world.event("careful", ended).await?;
    ensure!(attempt == 3 && before.is_some_and(|failure| failure.message == "second"));
    let details: Option<Payload> = match &cause.info {
        tidewright_schemas::FailureInfo::Application(application) => application.details.clone(),
        _ => None,
    };
    ensure!(details.context("no details")?.read::<String>()? == "for good");
    Ok(())
}
