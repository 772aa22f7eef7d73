//! Queries of one open workflow, one after the other: what does an answer from the run that the worker holds take?

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use tidewright::Client;

use crate::cluster::Cluster;
use crate::job::{Asked, TASK_QUEUE};
use crate::options::RunOptions;
use crate::report::{percentile, rounded};

/// Queries before anything is measured.
const WARM_UP: u32 = 500;
/// Until when the first query must be answered: the worker has its partitions by then.
const FIRST_PATIENCE: Duration = Duration::from_secs(60);

/// What was found.
#[derive(Debug, Serialize)]
struct Measured {
    workload: &'static str,
    broker: String,
    queries: u32,
    seconds: f64,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: Option<f64>,
    engine_cpu_ms_per_query: Option<f64>,
    worker_cpu_ms_per_query: Option<f64>,
}

/// Measures on a cluster of its own; prints one JSON object.
pub(crate) async fn benchmark(queries: u32, run: &RunOptions) -> anyhow::Result<()> {
    let cluster = Cluster::start(run).await?;
    let outcome = measure(&cluster, queries.max(1), run).await;
    if outcome.is_err() {
        eprintln!("{}", cluster.logs());
    }
    cluster.stop().await;
    println!("{}", serde_json::to_string(&outcome?)?);
    Ok(())
}

async fn measure(cluster: &Cluster, queries: u32, run: &RunOptions) -> anyhow::Result<Measured> {
    let client = cluster.client()?;
    ask(&client, WARM_UP).await.context("the warm-up")?;
    let before = cluster.usage();
    let began = Instant::now();
    let mut latencies = ask(&client, queries).await?;
    let (seconds, usage) = (began.elapsed().as_secs_f64(), cluster.usage().since(&before));
    latencies.sort_unstable();
    let ms_at = |share| percentile(&latencies, share).map(|latency| rounded(1e3 * latency.as_secs_f64()));
    let per_query = |cpu: Option<Duration>| cpu.map(|cpu| rounded(1e3 * cpu.as_secs_f64() / f64::from(queries)));
    Ok(Measured {
        workload: "queries",
        broker: run.setting(),
        queries,
        seconds: rounded(seconds),
        p50_ms: ms_at(0.5),
        p95_ms: ms_at(0.95),
        p99_ms: ms_at(0.99),
        max_ms: ms_at(1.0),
        engine_cpu_ms_per_query: per_query(usage.engine.cpu),
        worker_cpu_ms_per_query: per_query(usage.worker.cpu),
    })
}

/// How long each query of a new workflow took.
async fn ask(client: &Client, queries: u32) -> anyhow::Result<Vec<Duration>> {
    let handle = client.start(Asked::run, ()).task_queue(TASK_QUEUE).await?;
    handle.signal(Asked::add, 1).await?;
    let first = handle.query(Asked::sum, ()).timeout(FIRST_PATIENCE).await.context("the first query")?;
    ensure!(first == 1, "the workflow says {first} and not 1");
    let mut latencies = Vec::new();
    for _ in 0..queries {
        let began = Instant::now();
        handle.query(Asked::sum, ()).await?;
        latencies.push(began.elapsed());
    }
    handle.terminate("it has been asked enough").await?;
    Ok(latencies)
}
