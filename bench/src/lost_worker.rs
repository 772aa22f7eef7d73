//! Workers that are killed: how long until another one has begun what they ran?

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;

use crate::cluster::Cluster;
use crate::job::TASK_QUEUE;
use crate::options::RunOptions;
use crate::patient::{move_on, now_us};
use crate::report::{percentile, rounded};
use crate::wait::{running_activities, until};

/// How long it may take until all activities have begun elsewhere.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was found.
#[derive(Debug, Serialize)]
struct Measured {
    workload: &'static str,
    broker: String,
    rounds: u32,
    activities: u32,
    just_joined: bool,
    /// Of all activities of all rounds, from the kill until the next attempt begins.
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    max_ms: Option<f64>,
}

/// Measures on a cluster of its own; prints one JSON object.
pub(crate) async fn benchmark(rounds: u32, activities: u32, just_joined: bool, run: &RunOptions) -> anyhow::Result<()> {
    let mut cluster = Cluster::start(run).await?;
    let outcome = measure(&mut cluster, (rounds.max(1), activities.max(1)), just_joined).await;
    if outcome.is_err() {
        eprintln!("{}", cluster.logs());
    }
    cluster.stop().await;
    let mut latencies = outcome?;
    latencies.sort_unstable();
    let ms_at = |share| percentile(&latencies, share).map(|latency| rounded(1e3 * latency.as_secs_f64()));
    let measured = Measured {
        workload: "lost-worker",
        broker: run.setting(),
        rounds,
        activities,
        just_joined,
        p50_ms: ms_at(0.5),
        p95_ms: ms_at(0.95),
        max_ms: ms_at(1.0),
    };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

/// In each round the only worker gets work, another one comes, and the first one is killed.
async fn measure(
    cluster: &mut Cluster,
    (rounds, activities): (u32, u32),
    just_joined: bool,
) -> anyhow::Result<Vec<Duration>> {
    let client = cluster.client()?;
    let mut latencies = Vec::new();
    for round in 0..rounds {
        let handle = client.start(move_on, activities).task_queue(TASK_QUEUE).await?;
        let all = activities as usize;
        until("all activities run", || async { Ok(running_activities(&handle).await? == all) }).await?;
        let comes = cluster.start_worker()?;
        until("the other worker is there", || async {
            let workers = cluster.seen_workers().await?;
            Ok(workers.iter().any(|worker| worker.identity == comes && (just_joined || worker.takes_activities())))
        })
        .await?;
        cluster.kill_worker(round as usize).await?;
        let killed_us = now_us();
        let began = tokio::time::timeout(PATIENCE, handle.result()).await;
        let began = began.with_context(|| format!("they do not begin elsewhere within {PATIENCE:?}"))??;
        ensure!(began.iter().all(|began_us| *began_us >= killed_us), "an activity began elsewhere before the kill");
        latencies.extend(began.into_iter().map(|began_us| Duration::from_micros(began_us - killed_us)));
    }
    Ok(latencies)
}
