//! Many signals to one workflow: does one more cost more, the more came before?

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use serde::Serialize;
use tidewright::Client;

use crate::cluster::Cluster;
use crate::job::{ADD, TASK_QUEUE, tally};
use crate::options::RunOptions;

/// A tenth of the signals at the beginning is compared with a tenth at the end.
const PARTS: u32 = 10;
/// Signals to another workflow, before anything is measured.
const WARM_UP: u32 = 500;
/// How long the workflow may take to hear the last of them.
const PATIENCE: Duration = Duration::from_secs(300);

/// What was found.
#[derive(Debug, Serialize)]
struct Measured {
    workload: &'static str,
    broker: String,
    signals: u32,
    in_flight: u32,
    seconds: f64,
    /// From the call to the acknowledgement, in each tenth of the signals: its time divided by its signals.
    ms_per_signal: Vec<f64>,
    /// The last tenth's by the first's.
    last_by_first: f64,
    /// From the last acknowledgement until the workflow has heard all of them and its result is there.
    until_all_heard_ms: f64,
}

/// Measures on a cluster of its own; prints one JSON object.
pub(crate) async fn benchmark(signals: u32, in_flight: u32, run: &RunOptions) -> anyhow::Result<()> {
    let cluster = Cluster::start(run).await?;
    let outcome = measure(&cluster, signals, in_flight.max(1), run).await;
    if outcome.is_err() {
        eprintln!("{}", cluster.logs());
    }
    cluster.stop().await;
    println!("{}", serde_json::to_string(&outcome?)?);
    Ok(())
}

async fn measure(cluster: &Cluster, signals: u32, in_flight: u32, run: &RunOptions) -> anyhow::Result<Measured> {
    let client = cluster.client()?;
    signal_all(&client, WARM_UP, in_flight).await.context("the warm-up")?;
    let (parts, until_all_heard) = signal_all(&client, signals, in_flight).await?;
    let per_part = f64::from((signals / PARTS).max(1));
    let ms_per_signal: Vec<_> = parts.iter().map(|part| part.as_secs_f64() * 1_000.0 / per_part).collect();
    let (first, last) = ms_per_signal.first().zip(ms_per_signal.last()).context("no signals")?;
    Ok(Measured {
        workload: "signals",
        broker: run.setting(),
        signals,
        in_flight,
        seconds: parts.iter().sum::<Duration>().as_secs_f64(),
        last_by_first: last / first,
        ms_per_signal,
        until_all_heard_ms: until_all_heard.as_secs_f64() * 1_000.0,
    })
}

/// How long each part took, and how long the workflow needed to hear the rest.
async fn signal_all(client: &Client, signals: u32, in_flight: u32) -> anyhow::Result<(Vec<Duration>, Duration)> {
    let handle = client.start(tally, ()).task_queue(TASK_QUEUE).await?;
    let mut parts = Vec::new();
    for _ in 0..PARTS {
        let began = Instant::now();
        let of_each = (signals / PARTS).max(1).div_ceil(in_flight);
        let senders = (0..in_flight).map(|_| async {
            for _ in 0..of_each {
                handle.signal(ADD, 1).await?;
            }
            anyhow::Ok(())
        });
        try_join_all(senders).await?;
        parts.push(began.elapsed());
    }
    let began = Instant::now();
    handle.signal(ADD, 0).await?;
    let heard = tokio::time::timeout(PATIENCE, handle.result()).await.context("the workflow does not end")??;
    let sent = PARTS * in_flight * (signals / PARTS).max(1).div_ceil(in_flight);
    ensure!(heard == sent, "the workflow heard {heard} signals of {sent}");
    Ok((parts, began.elapsed()))
}
