//! Both ways of polling find what they wait for, and neither writes a look into history.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::{Running, World, in_time};
use serde::Serialize;
use serde::de::DeserializeOwned;
use slow_resource::by_heartbeat::export_by_heartbeat;
use slow_resource::by_retry::export_by_retry;
use slow_resource::{ExportRequest, InMemoryExports, TASK_QUEUE, worker};
use tidewright::prelude::*;
use tidewright_schemas::{EventAttributes, HistoryEvent};

struct Site {
    world: World,
    client: Client,
    exports: Arc<InMemoryExports>,
    _worker: Running,
}

/// Ten looks by the workflow itself would be about a hundred events.
const EVENTS_MAX: usize = 30;

impl Site {
    async fn open() -> anyhow::Result<Self> {
        let world = World::with_http().await?;
        let (client, exports) = (world.client()?, Arc::new(InMemoryExports::default()));
        let running = world.run(worker(&client, exports.clone()));
        Ok(Self { world, client, exports, _worker: running })
    }

    /// Runs one of the workflows to its end; gives its result and its history.
    async fn export<I, O, S>(&self, workflow: WorkflowDef<I, O, S>, input: I) -> anyhow::Result<(O, Vec<HistoryEvent>)>
    where
        I: Serialize,
        O: DeserializeOwned + 'static,
        S: 'static,
    {
        let run = self.client.start(workflow, input).id("export").task_queue(TASK_QUEUE).await?;
        Ok((in_time("the workflow ends", run.result()).await??, self.world.history("export").await?))
    }
}

/// The attempts that it took, by the last start of an activity.
fn attempts(history: &[HistoryEvent]) -> Option<u32> {
    history.iter().rev().find_map(|event| match &event.attributes {
        EventAttributes::ActivityTaskStarted(started) => Some(started.attempt),
        _ => None,
    })
}

fn request() -> ExportRequest {
    ExportRequest { table: "tides".to_owned(), poll_every_ms: 20 }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_retry_each_look_is_an_attempt() -> anyhow::Result<()> {
    let site = Site::open().await?;
    let (url, history) = site.export(export_by_retry, request()).await?;
    ensure!(url.starts_with("https://exports.example/tides-") && site.exports.looks() >= 10, "{url}");
    ensure!(attempts(&history) >= Some(9) && history.len() < EVENTS_MAX, "{history:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn by_heartbeat_only_a_failed_look_is_another_attempt_and_it_goes_on() -> anyhow::Result<()> {
    let site = Site::open().await?;
    let (url, history) = site.export(export_by_heartbeat, request()).await?;
    ensure!(url.starts_with("https://exports.example/tides-") && site.exports.looks() >= 10, "{url}");
    // The second attempt has read in the details what the first one had ordered.
    ensure!(attempts(&history) >= Some(2) && site.exports.orders() == 1, "{history:?}");
    ensure!(history.len() < EVENTS_MAX, "{history:?}");
    Ok(())
}
