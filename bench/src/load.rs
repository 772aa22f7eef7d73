//! The load: clients that each start a workflow, await its result, and start the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::future::join_all;
use tidewright::Client;

use crate::job::{Payload, TASK_QUEUE, chain};

/// A workflow that takes longer is an error.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many errors are told; all are counted.
const ERRORS_TOLD: u64 = 5;

/// Who does what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) steps: u32,
    pub(crate) clients: u32,
}

impl Workload {
    pub(crate) fn seq(steps: u32) -> Self {
        Self { name: "seq", steps, clients: 1 }
    }

    /// What [performance.md](../../docs/performance.md) tells of.
    pub(crate) fn all() -> Vec<Self> {
        let latencies = [1, 3, 10].map(Self::seq);
        let throughputs = [16, 64, 256].map(|clients| Self::throughput(3, clients));
        latencies.into_iter().chain(throughputs).collect()
    }

    pub(crate) fn throughput(steps: u32, clients: u32) -> Self {
        Self { name: "throughput", steps, clients: clients.max(1) }
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Length {
    /// Workflows are started for so long; those that are open then are awaited, and count.
    Time(Duration),
    /// So many workflows.
    Workflows(u64),
}

/// What a load found.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// How long each workflow took from the call that starts it to its result, in ascending order.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) errors: u64,
    /// From the first start to the last result.
    pub(crate) elapsed: Duration,
}

/// What the clients of one load share.
struct Shared {
    length: Length,
    began: Instant,
    started: AtomicU64,
    errors: AtomicU64,
}

impl Shared {
    fn one_more(&self) -> bool {
        match self.length {
            Length::Time(time) => self.began.elapsed() < time,
            Length::Workflows(count) => self.started.fetch_add(1, Ordering::Relaxed) < count,
        }
    }

    fn failed(&self, error: &anyhow::Error) {
        if self.errors.fetch_add(1, Ordering::Relaxed) < ERRORS_TOLD {
            eprintln!("a workflow went wrong: {error:#}");
        }
    }
}

/// Runs a load to its end.
pub(crate) async fn run(client: &Client, workload: Workload, length: Length) -> Loaded {
    let (started, errors) = (AtomicU64::new(0), AtomicU64::new(0));
    let shared = Arc::new(Shared { length, began: Instant::now(), started, errors });
    let clients = (0..workload.clients)
        .map(|_| tokio::spawn(one_after_the_other(client.clone(), workload.steps, Arc::clone(&shared))));
    let mut latencies = Vec::new();
    for ended in join_all(clients).await {
        match ended {
            Ok(some) => latencies.extend(some),
            Err(panicked) => shared.failed(&panicked.into()),
        }
    }
    let elapsed = shared.began.elapsed();
    latencies.sort_unstable();
    Loaded { latencies, errors: shared.errors.load(Ordering::Relaxed), elapsed }
}

async fn one_after_the_other(client: Client, steps: u32, shared: Arc<Shared>) -> Vec<Duration> {
    let mut latencies = Vec::new();
    while shared.one_more() {
        let began = Instant::now();
        let done = tokio::time::timeout(PATIENCE, run_one(&client, steps)).await;
        match done.with_context(|| format!("no result within {PATIENCE:?}")).flatten() {
            Ok(()) => latencies.push(began.elapsed()),
            Err(error) => shared.failed(&error),
        }
    }
    latencies
}

/// Runs one workflow and checks its result.
pub(crate) async fn run_one(client: &Client, steps: u32) -> anyhow::Result<()> {
    let payload = Payload::new(steps);
    let handle = client.start(chain, &payload).task_queue(TASK_QUEUE).await?;
    let result = handle.result().await?;
    ensure!(result == payload, "workflow {} gave another result than it should", handle.workflow_id());
    Ok(())
}
