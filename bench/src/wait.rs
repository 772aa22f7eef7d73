//! Waiting for what the engine tells when it is asked.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tidewright::WorkflowHandle;

const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(20);

/// Asks until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let began = Instant::now();
    while !is_so().await.with_context(|| format!("whether {what}"))? {
        ensure!(began.elapsed() < PATIENCE, "within {PATIENCE:?} it did not happen that {what}");
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// How many activities of a workflow a worker has said to run.
pub(crate) async fn running_activities<O>(handle: &WorkflowHandle<O>) -> anyhow::Result<usize> {
    let description = handle.describe().await?;
    Ok(description.pending_activities.iter().filter(|a| a.started_time_ms.is_some()).count())
}
