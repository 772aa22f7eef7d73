//! Activities that hear that they should end, and those that say how far they came.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use end_to_end::{Running, World, eventually};
use tidewright::prelude::*;
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{EventAttributes, TimeoutType};
use tokio::sync::mpsc;

/// What the code of activities tells the test.
#[derive(Debug, PartialEq)]
enum Told {
    Runs,
    Ended(CancelReason),
}

struct Nodes {
    told: mpsc::UnboundedSender<Told>,
}

#[activities]
impl Nodes {
    /// Never heartbeats, and ends only when it is told to.
    #[activity(start_to_close = "120s")]
    async fn add(&self, ctx: &ActivityContext) -> ActivityResult<()> {
        self.told.send(Told::Runs)?;
        let reason = ctx.cancelled().await;
        self.told.send(Told::Ended(reason))?;
        Err(ActivityError::canceled("rolled back"))
    }

    #[activity(start_to_close = "10s")]
    async fn clean_up(&self) -> ActivityResult<()> {
        Ok(())
    }

    /// The first attempt falls silent; the next one says where the first one was.
    #[activity(start_to_close = "120s", heartbeat_timeout = "2s")]
    async fn copy(&self, ctx: &ActivityContext) -> ActivityResult<u64> {
        if let Some(rows) = ctx.heartbeat_details()? {
            return Ok(rows);
        }
        ctx.heartbeat(&42_u64)?;
        self.told.send(Told::Runs)?;
        std::future::pending().await
    }
}

#[workflow]
async fn add_node(ctx: &WorkflowContext, wait: bool) -> WorkflowResult<String> {
    let kind =
        if wait { ActivityCancellationType::WaitCancellationCompleted } else { ActivityCancellationType::TryCancel };
    let added = ctx.activity(Nodes::add, ()).cancellation_type(kind).await;
    let Err(failed) = added else { return Ok("added".to_owned()) };
    ctx.non_cancellable().activity(Nodes::clean_up, ()).await?;
    Ok(format!("{}: {:?}", failed.is_canceled(), failed.details::<String>()))
}

#[workflow]
async fn copy(ctx: &WorkflowContext, once: bool) -> WorkflowResult<u64> {
    let attempts = RetryPolicy::default().maximum_attempts(once.into()).initial_interval(10.millis());
    match ctx.activity(Nodes::copy, ()).retry(attempts).await {
        Err(failed) if failed.timeout() == Some(TimeoutType::Heartbeat) => {
            Ok(failed.last_heartbeat::<u64>().unwrap_or_default() + 1_000)
        }
        outcome => Ok(outcome?),
    }
}

struct Site {
    world: World,
    client: Client,
    worker: Running,
    told: mpsc::UnboundedReceiver<Told>,
}

impl Site {
    async fn start() -> anyhow::Result<Self> {
        let world = World::with_http().await?;
        let client = world.client()?;
        let (worker, told) = Self::worker(&world)?;
        Ok(Self { world, client, worker, told })
    }

    fn worker(world: &World) -> anyhow::Result<(Running, mpsc::UnboundedReceiver<Told>)> {
        let (sender, told) = mpsc::unbounded_channel();
        let worker = Worker::new(&world.client()?, "q").workflow(add_node).workflow(copy);
        Ok((world.run(worker.activities(Nodes { told: sender })), told))
    }

    async fn hears(&mut self, expected: Told) -> anyhow::Result<()> {
        let told = eventually("an activity says something", || std::future::ready(self.told.try_recv().ok())).await?;
        ensure!(told == expected, "{told:?} instead of {expected:?}");
        Ok(())
    }

    async fn result<T: serde::de::DeserializeOwned>(&self, id: &str) -> anyhow::Result<T> {
        let outcome = self.world.outcome(id).await?;
        Ok(outcome.result.with_context(|| format!("{id} is {:?}", outcome.status))?.read()?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_cancel_reaches_an_activity_that_never_heartbeats() -> anyhow::Result<()> {
    let mut site = Site::start().await?;
    let run = site.client.start(add_node, true).id("node").task_queue("q").await?;
    site.hears(Told::Runs).await?;
    let asked = Instant::now();
    run.cancel("DeleteNode").await?;
    site.hears(Told::Ended(CancelReason::Requested)).await?;
    println!("a request to cancel took {:?} from its sender to the activity", asked.elapsed());
    ensure!(site.result::<String>("node").await? == r#"true: Some("rolled back")"#);
    let history = site.world.history("node").await?;
    let count = |wanted: &str| history.iter().filter(|event| event.attributes.event_type() == wanted).count();
    ensure!(count("ActivityTaskCancelRequested") == 1 && count("ActivityTaskCanceled") == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_wait_goes_on_at_once_and_the_activity_hears_it_all_the_same() -> anyhow::Result<()> {
    let mut site = Site::start().await?;
    let run = site.client.start(add_node, false).id("node").task_queue("q").await?;
    site.hears(Told::Runs).await?;
    run.cancel("DeleteNode").await?;
    ensure!(site.result::<String>("node").await? == "true: None");
    eventually("the activity hears it", || std::future::ready(site.told.try_recv().ok())).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_workflow_is_the_end_of_its_activities() -> anyhow::Result<()> {
    let mut site = Site::start().await?;
    let run = site.client.start(add_node, true).id("node").task_queue("q").await?;
    site.hears(Told::Runs).await?;
    run.terminate("DeleteNode").await?;
    site.hears(Told::Ended(CancelReason::WorkflowClosed)).await?;
    ensure!(site.world.outcome("node").await?.status == WorkflowStatus::Terminated);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_the_next_attempt_goes_on_where_the_last_one_was() -> anyhow::Result<()> {
    let mut site = Site::start().await?;
    let run = site.client.start(copy, false).id("copy").task_queue("q").await?;
    site.hears(Told::Runs).await?;
    let last = || async {
        let pending = run.describe().await.ok()?.pending_activities.pop()?;
        pending.heartbeat_details?.read::<u64>().ok()
    };
    ensure!(eventually("the heartbeat arrives", last).await? == 42);
    site.worker.crash().await;
    let (_worker, _told) = Site::worker(&site.world)?;
    let outcome = site.world.outcome("copy").await?;
    ensure!(outcome.result.context("it completed")?.read::<u64>()? == 42);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_sees_that_heartbeats_stopped_and_how_far_the_activity_was() -> anyhow::Result<()> {
    let site = Site::start().await?;
    site.client.start(copy, true).id("copy").task_queue("q").await?;
    ensure!(site.result::<u64>("copy").await? == 1_042);
    let timed_out = site.world.event("copy", |event| match event {
        EventAttributes::ActivityTaskTimedOut(timed_out) => Some(timed_out.clone()),
        _ => None,
    });
    ensure!(timed_out.await?.started_event_id > 0);
    Ok(())
}
