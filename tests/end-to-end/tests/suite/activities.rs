//! Where activities run, how often, and whether their workflow waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use end_to_end::{Running, World, eventually};
use serde::{Deserialize, Serialize};
use tidewright::prelude::*;
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{EventAttributes, RetryState};
use tokio::sync::Semaphore;

/// What a test lets activities do, and sees of them.
#[derive(Default)]
struct Bench {
    begun: AtomicUsize,
    ended: AtomicUsize,
    gate: Option<Arc<Semaphore>>,
}

struct Shop(Arc<Bench>);

#[activities]
impl Shop {
    #[activity(start_to_close = "120s")]
    async fn ship(&self) -> ActivityResult<String> {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.0.gate {
            gate.acquire().await?.forget();
        }
        self.0.ended.fetch_add(1, Ordering::SeqCst);
        Ok("shipped".to_owned())
    }
}

/// What another team promises.
#[activities(task_queue = "payments")]
trait Payments {
    #[activity(start_to_close = "30s")]
    async fn charge(&self, cents: u64) -> ActivityResult<String>;
}

struct Gateway;

#[activities]
impl Payments for Gateway {
    async fn charge(&self, cents: u64) -> ActivityResult<String> {
        Ok(format!("charged {cents}"))
    }
}

#[workflow]
async fn elsewhere(ctx: &WorkflowContext) -> WorkflowResult<Vec<String>> {
    let shipped = ctx.activity(Shop::ship, ()).task_queue("shipping").await?;
    let charged = ctx.activity(Payments.charge, 42).await?;
    let by_name = ctx.activity_named::<String>("Charge", &7).task_queue("payments").start_to_close(30.secs()).await?;
    Ok(vec![shipped, charged, by_name])
}

#[workflow]
async fn forgets(ctx: &WorkflowContext) -> WorkflowResult<String> {
    ctx.activity(Shop::ship, ()).detach();
    Ok("done".to_owned())
}

#[derive(Serialize, Deserialize)]
struct Once {
    error_type: String,
    retry_state: Option<RetryState>,
}

#[workflow]
async fn once(ctx: &WorkflowContext) -> WorkflowResult<Option<Once>> {
    let outcome = ctx.activity(Shop::ship, ()).retry(RetryPolicy::never()).await;
    Ok(outcome
        .err()
        .map(|failed| Once { error_type: failed.error_type().to_owned(), retry_state: failed.retry_state() }))
}

/// A bench whose activities wait until they are let go.
fn gated() -> (Arc<Bench>, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    (Arc::new(Bench { gate: Some(Arc::clone(&gate)), ..Bench::default() }), gate)
}

async fn until(what: &str, counter: &AtomicUsize, count: usize) -> Result<()> {
    eventually(what, || async { (counter.load(Ordering::SeqCst) >= count).then_some(()) }).await
}

fn worker(world: &World, bench: &Arc<Bench>) -> Result<Running> {
    let worker =
        Worker::new(&world.client()?, "q").workflow(forgets).workflow(once).activities(Shop(Arc::clone(bench)));
    Ok(world.run(worker))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_runs_on_another_queue_also_another_teams_by_contract() -> Result<()> {
    let world = World::with_http().await?;
    let client = world.client()?;
    let bench = Arc::new(Bench::default());
    let _ours = world.run(Worker::new(&client, "q").workflow(elsewhere));
    let _shipping = world.run(Worker::new(&client, "shipping").activities(Shop(Arc::clone(&bench))));
    let _payments = world.run(Worker::new(&client, "payments").activities(Gateway));
    client.start(elsewhere, ()).id("elsewhere").task_queue("q").await?;
    let outcome = world.outcome("elsewhere").await?;
    let said: Vec<String> = outcome.result.context("it did not complete")?.read()?;
    ensure!(said == ["shipped", "charged 42", "charged 7"], "{said:?}");
    let queues: Vec<_> = world
        .history("elsewhere")
        .await?
        .iter()
        .filter_map(|event| match &event.attributes {
            EventAttributes::ActivityTaskScheduled(scheduled) => Some(scheduled.task_queue.clone()),
            _ => None,
        })
        .collect();
    ensure!(queues == ["shipping", "payments", "payments"], "{queues:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_fired_and_forgotten_outlives_its_workflow() -> Result<()> {
    let world = World::with_http().await?;
    let (bench, gate) = gated();
    let _worker = worker(&world, &bench)?;
    let client = world.client()?;
    let run = client.start(forgets, ()).id("forgets").task_queue("q").await?;
    ensure!(world.outcome("forgets").await?.status == WorkflowStatus::Completed);
    until("the activity runs", &bench.begun, 1).await?;
    let pending = world.describe_until("forgets", "it is there", |_| true).await?.pending_activities;
    ensure!(pending.len() == 1 && pending[0].detached, "{pending:?}");
    ensure!(bench.ended.load(Ordering::SeqCst) == 0, "it was not told to end");
    gate.add_permits(1);
    until("the activity ends", &bench.ended, 1).await?;
    world.describe_until("forgets", "nothing is pending", |run| run.pending_activities.is_empty()).await?;
    ensure!(run.result().await? == "done");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_tried_once_is_not_begun_again_after_its_worker_is_gone() -> Result<()> {
    let mut world = World::without_engine().await?;
    world.change_engine(|config| config.worker_silence = Duration::from_secs(1));
    world.start_engine().await?;
    let (bench, _gate) = gated();
    let crashes = worker(&world, &bench)?;
    world.client()?.start(once, ()).id("once").task_queue("q").await?;
    until("the activity runs", &bench.begun, 1).await?;
    let (other, gate) = gated();
    gate.add_permits(1);
    let _stays = worker(&world, &other)?;
    crashes.crash().await;
    let outcome = world.outcome("once").await?;
    let seen: Option<Once> = outcome.result.context("it did not complete")?.read()?;
    let seen = seen.context("the activity succeeded")?;
    ensure!(seen.retry_state == Some(RetryState::MaximumAttemptsReached), "{:?}", seen.retry_state);
    ensure!(seen.error_type == "TW0320", "{}", seen.error_type);
    ensure!((bench.begun.load(Ordering::SeqCst), other.begun.load(Ordering::SeqCst)) == (1, 0));
    Ok(())
}
