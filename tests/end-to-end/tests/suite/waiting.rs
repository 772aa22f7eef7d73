//! Select, join, conditions with a timeout, nested scopes, and cleaning up: what comes first in history decides, and what is
//! not waited for any more is taken back. Each workflow is advanced by a worker that keeps it, and by one that replays it
//! at every task.

use anyhow::{Context as _, Result, ensure};
use end_to_end::{Running, World};
use serde_json::Value;
use tidewright::prelude::*;
use tidewright_schemas::EventAttributes;
use tidewright_schemas::api::{PendingActivityState, WorkflowDescription, WorkflowStatus};

struct Steps;

#[activities]
impl Steps {
    #[activity(start_to_close = "30s")]
    async fn double(&self, number: u64) -> ActivityResult<u64> {
        Ok(number * 2)
    }

    #[activity(start_to_close = "120s")]
    async fn until_cancelled(&self, ctx: &ActivityContext) -> ActivityResult<()> {
        ctx.cancelled().await;
        Err(ActivityError::canceled("stopped"))
    }
}

const LEFT: SignalDef<String> = SignalDef::new("left");
const RIGHT: SignalDef<String> = SignalDef::new("right");

/// Whichever signal comes first, by a select whose first branch is the other.
#[workflow]
async fn selects(ctx: &WorkflowContext) -> WorkflowResult<String> {
    select! {
        right = ctx.receive(RIGHT) => Ok(right?),
        left = ctx.receive(LEFT) => Ok(left?),
        slept = ctx.sleep(3650.days()) => slept.map(|()| "never".to_owned()).map_err(Into::into),
    }
}

/// All of several activities, timers and signals.
#[workflow]
async fn joins(ctx: &WorkflowContext) -> WorkflowResult<(u64, u64, String)> {
    let numbers = futures::future::try_join_all((1..=5).map(|number| ctx.activity(Steps::double, number)));
    let (numbers, slept, left) = join!(numbers, ctx.sleep(1.millis()), ctx.receive(LEFT));
    slept?;
    let numbers = numbers?;
    Ok((numbers.iter().sum(), numbers[0], left?))
}

/// Ends with the first error of several, and takes back what the others had asked for.
#[workflow]
async fn tries(ctx: &WorkflowContext) -> WorkflowResult<String> {
    let fails = async {
        ctx.receive(LEFT).await?;
        Err::<(), WorkflowError>(WorkflowError::new("Enough", "the other one is not waited for"))
    };
    let waits = async { Ok::<(), WorkflowError>(ctx.sleep(3650.days()).await?) };
    let failed = try_join!(fails, waits).err().map(|error| error.error_type().to_owned());
    ctx.sleep(1.millis()).await?;
    Ok(failed.unwrap_or_default())
}

/// Counts to a goal, or for as long as it may.
#[derive(Default)]
struct Counts {
    count: u64,
}

#[workflow]
impl Counts {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>, patience_ms: u64) -> WorkflowResult<String> {
        match ctx.wait_for(|counts| (counts.count >= 3).then_some(counts.count)).timeout(patience_ms.millis()).await {
            Ok(count) => Ok(format!("counted {count}")),
            Err(TimeoutError::Elapsed(Elapsed { limit })) => Ok(format!("nothing within {limit:?}")),
            Err(TimeoutError::Failed(canceled)) => Err(canceled.into()),
        }
    }

    #[signal]
    fn add(&mut self, number: u64) {
        self.count += number;
    }
}

/// A scope within a scope: the inner one alone is cancelled, then the outer one with what is left in it.
#[workflow]
async fn scopes(ctx: &WorkflowContext) -> WorkflowResult<Vec<String>> {
    let (outer, mut told) = (ctx.scope(), Vec::new());
    let inner = outer.scope();
    let wait = ActivityCancellationType::WaitCancellationCompleted;
    let in_inner = inner.activity(Steps::until_cancelled, ()).cancellation_type(wait);
    let in_outer = outer.activity(Steps::until_cancelled, ()).cancellation_type(wait);
    let control = async {
        ctx.receive(LEFT).await?;
        inner.cancel();
        ctx.receive(RIGHT).await?;
        outer.cancel();
        Ok::<_, WorkflowError>(())
    };
    let (in_inner, in_outer, control) = join!(in_inner, in_outer, control);
    control?;
    for ended in [in_inner, in_outer] {
        let stopped = ended.err().filter(|failed| failed.is_canceled()).and_then(|failed| failed.details::<String>());
        told.push(stopped.unwrap_or_default());
    }
    told.push(format!("{} {} {}", inner.is_canceled(), outer.is_canceled(), ctx.is_canceled()));
    Ok(told)
}

/// Cleans up although it was asked to end, in a scope that is not cancelled with it.
#[workflow]
async fn cleans_up(ctx: &WorkflowContext) -> WorkflowResult<()> {
    let waited = ctx.receive(LEFT).await;
    let cleanup = ctx.non_cancellable();
    ensure_even(cleanup.activity(Steps::double, 21).await?)?;
    cleanup.sleep(1.millis()).await?;
    waited.map(drop).map_err(Into::into)
}

fn ensure_even(number: u64) -> WorkflowResult<()> {
    if number.is_multiple_of(2) { Ok(()) } else { Err(WorkflowError::new("Odd", number)) }
}

struct Site {
    world: World,
    client: Client,
    _worker: Running,
}

impl Site {
    /// A worker that keeps so many runs; with none it replays each at every task.
    async fn keeping(runs: usize) -> Result<Self> {
        let world = World::with_http().await?;
        let client = world.client()?;
        let mut options = WorkerOptions::default();
        options.max_cached_runs = runs;
        let worker = Worker::new(&client, "q").options(options).activities(Steps);
        let worker = worker.workflow(selects).workflow(joins).workflow(tries).workflow(Counts::run);
        let running = world.run(worker.workflow(scopes).workflow(cleans_up));
        Ok(Self { world, client, _worker: running })
    }

    async fn result<T: serde::de::DeserializeOwned>(&self, id: &str) -> Result<T> {
        let outcome = self.world.outcome(id).await?;
        Ok(outcome.result.with_context(|| format!("{id} is {:?}: {:?}", outcome.status, outcome.failure))?.read()?)
    }

    async fn count(&self, id: &str, event_type: &str) -> Result<usize> {
        let history = self.world.history(id).await?;
        Ok(history.iter().filter(|event| event.attributes.event_type() == event_type).count())
    }

    async fn until(&self, id: &str, event_type: &str, count: usize) -> Result<()> {
        end_to_end::eventually(event_type, || async {
            self.count(id, event_type).await.ok().filter(|found| *found >= count).map(drop)
        })
        .await
    }
}

async fn everything_on(site: &Site) -> Result<()> {
    let client = &site.client;
    let run = client.start(selects, ()).id("selects").task_queue("q").await?;
    site.until("selects", "TimerStarted", 1).await?;
    run.signal(LEFT, "left".to_owned()).await?;
    ensure!(site.result::<String>("selects").await? == "left");
    ensure!(site.count("selects", "TimerCanceled").await? == 1, "the timer that lost is taken back");

    let run = client.start(joins, ()).id("joins").task_queue("q").await?;
    run.signal(LEFT, "told".to_owned()).await?;
    ensure!(site.result::<(u64, u64, String)>("joins").await? == (30, 2, "told".to_owned()));

    let run = client.start(tries, ()).id("tries").task_queue("q").await?;
    site.until("tries", "TimerStarted", 1).await?;
    run.signal(LEFT, String::new()).await?;
    ensure!(site.result::<String>("tries").await? == "Enough");
    ensure!((site.count("tries", "TimerCanceled").await?, site.count("tries", "TimerFired").await?) == (1, 1));

    let run = client.start(Counts::run, 3_600_000).id("counts").task_queue("q").await?;
    for number in [1_u64, 1, 5] {
        run.signal(Counts::add, number).await?;
    }
    let counted: String = site.result("counts").await?;
    ensure!(counted == "counted 7" || counted == "counted 3", "{counted}");
    client.start(Counts::run, 1).id("elapsed").task_queue("q").await?;
    ensure!(site.result::<String>("elapsed").await? == "nothing within 1ms");
    let run = client.start(Counts::run, 3_600_000).id("canceled").task_queue("q").await?;
    run.cancel("not needed").await?;
    ensure!(site.world.outcome("canceled").await?.status == WorkflowStatus::Canceled);
    Ok(())
}

async fn every_scope_on(site: &Site) -> Result<()> {
    let run = site.client.start(scopes, ()).id("scopes").task_queue("q").await?;
    // One that has not begun would have nothing to say.
    let both_run = |run: &WorkflowDescription| {
        let started = run.pending_activities.iter().filter(|activity| activity.state == PendingActivityState::Started);
        started.count() == 2
    };
    site.world.describe_until("scopes", "both activities run", both_run).await?;
    run.signal(LEFT, String::new()).await?;
    site.until("scopes", "ActivityTaskCanceled", 1).await?;
    ensure!(site.count("scopes", "ActivityTaskCancelRequested").await? == 1, "the outer one is not cancelled");
    run.signal(RIGHT, String::new()).await?;
    ensure!(site.result::<Vec<String>>("scopes").await? == ["stopped", "stopped", "true true false"]);

    let run = site.client.start(cleans_up, ()).id("cleans").task_queue("q").await?;
    run.cancel("not needed").await?;
    ensure!(site.world.outcome("cleans").await?.status == WorkflowStatus::Canceled);
    let completed = site.world.event("cleans", |event| match event {
        EventAttributes::ActivityTaskCompleted(completed) => completed.result.clone(),
        _ => None,
    });
    ensure!(completed.await?.read::<Value>()? == 42);
    ensure!(site.count("cleans", "TimerFired").await? == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn select_join_and_conditions_end_as_history_says() -> Result<()> {
    everything_on(&Site::keeping(1_000).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn select_join_and_conditions_end_alike_when_every_task_is_a_replay() -> Result<()> {
    everything_on(&Site::keeping(0).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_are_cancelled_from_within_and_cleaning_up_is_not() -> Result<()> {
    every_scope_on(&Site::keeping(1_000).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_end_alike_when_every_task_is_a_replay() -> Result<()> {
    every_scope_on(&Site::keeping(0).await?).await
}
