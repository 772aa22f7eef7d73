//! Requests to cancel: how long until an activity sees one that never heartbeats, while the engine has other work?

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use serde::Serialize;
use tidewright::{Client, WorkflowHandle};
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::job::TASK_QUEUE;
use crate::load;
use crate::options::RunOptions;
use crate::patient::{hear, now_us};
use crate::report::{percentile, rounded};
use crate::wait::{running_activities, until};

/// How many activities wait for their request at the same time: far fewer than a worker has slots.
const WAITING: u32 = 20;
/// Activities of the workflows that keep the engine busy.
const STEPS: u32 = 3;
/// How long an activity may take to hear of its request.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was found.
#[derive(Debug, Serialize)]
struct Measured {
    workload: &'static str,
    broker: String,
    cancels: usize,
    clients: u32,
    /// The first one of all, for which nothing is prepared.
    first_ms: f64,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: Option<f64>,
}

/// Measures on a cluster of its own; prints one JSON object.
pub(crate) async fn benchmark(cancels: u32, clients: u32, run: &RunOptions) -> anyhow::Result<()> {
    let cluster = Cluster::start(run).await?;
    let outcome = measure(&cluster, cancels.max(1), clients, run).await;
    if outcome.is_err() {
        eprintln!("{}", cluster.logs());
    }
    cluster.stop().await;
    println!("{}", serde_json::to_string(&outcome?)?);
    Ok(())
}

async fn measure(cluster: &Cluster, cancels: u32, clients: u32, run: &RunOptions) -> anyhow::Result<Measured> {
    let client = cluster.client()?;
    let mut busy = keep_busy(&client, clients);
    let mut latencies = Vec::new();
    let mut left = cancels;
    while left > 0 {
        let round = left.min(WAITING);
        latencies.extend(cancel_some(&client, round).await?);
        left -= round;
    }
    if let Some(ended) = busy.try_join_next() {
        return Err(ended?.context("a workflow beside those that were cancelled"));
    }
    let first = latencies.first().copied().context("nothing was cancelled")?;
    latencies.sort_unstable();
    let ms_at = |share| percentile(&latencies, share).map(|latency| rounded(1e3 * latency.as_secs_f64()));
    Ok(Measured {
        workload: "cancel",
        broker: run.setting(),
        cancels: latencies.len(),
        clients,
        first_ms: rounded(1e3 * first.as_secs_f64()),
        p50_ms: ms_at(0.5),
        p95_ms: ms_at(0.95),
        p99_ms: ms_at(0.99),
        max_ms: ms_at(1.0),
    })
}

/// Clients that run workflows, one after the other, until it is dropped. It ends with what goes wrong.
fn keep_busy(client: &Client, clients: u32) -> JoinSet<anyhow::Error> {
    let mut busy = JoinSet::new();
    for _ in 0..clients {
        let client = client.clone();
        busy.spawn(async move {
            loop {
                if let Err(error) = load::run_one(&client, STEPS).await {
                    return error;
                }
            }
        });
    }
    busy
}

/// Starts some activities, and once all of them run asks each to end.
async fn cancel_some(client: &Client, count: u32) -> anyhow::Result<Vec<Duration>> {
    let starts = (0..count).map(|_| async { client.start(hear, ()).task_queue(TASK_QUEUE).await });
    let waiting: Vec<WorkflowHandle<u64>> = try_join_all(starts).await?;
    for handle in &waiting {
        until("its activity runs", || async { Ok(running_activities(handle).await? == 1) }).await?;
    }
    let mut latencies = Vec::new();
    for handle in waiting {
        let asked_us = now_us();
        handle.cancel("it has run for long enough").await?;
        let heard = tokio::time::timeout(PATIENCE, handle.result()).await;
        let heard_us = heard.with_context(|| format!("the activity does not end within {PATIENCE:?}"))??;
        ensure!(heard_us >= asked_us, "the activity ended before it was asked to, or the clock was set back");
        latencies.push(Duration::from_micros(heard_us - asked_us));
    }
    Ok(latencies)
}
