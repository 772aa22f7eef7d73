//! Nodes come and go, whatever is in the way.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use end_to_end::{Running, World, eventually, in_time};
use provisioning::{
    Addition, DeleteNode, InMemoryCloud, TASK_QUEUE, add_node, add_node_id, delete_node, delete_node_id, worker,
};
use tidewright::{Client, WorkflowHandle, WorkflowStatus};
use tidewright_schemas::EventAttributes;

/// Longer than any test takes.
const HOUR_MS: u64 = 60 * 60 * 1_000;

struct Site {
    client: Client,
    cloud: Arc<InMemoryCloud>,
    _worker: Running,
    world: World,
}

impl Site {
    async fn open() -> anyhow::Result<Self> {
        let world = World::with_http().await?;
        let (client, cloud) = (world.client()?, Arc::new(InMemoryCloud::default()));
        let running = world.run(worker(&client, cloud.clone()));
        Ok(Self { client, cloud, _worker: running, world })
    }

    async fn add(&self, node: &str) -> anyhow::Result<WorkflowHandle<String>> {
        Ok(self.client.start(add_node, node.to_owned()).id(add_node_id(node)).task_queue(TASK_QUEUE).await?)
    }

    async fn delete(&self, node: &str, grace_ms: u64) -> anyhow::Result<Addition> {
        let request = DeleteNode { node: node.to_owned(), grace_ms };
        let run = self.client.start(delete_node, request).id(delete_node_id(node)).task_queue(TASK_QUEUE).await?;
        Ok(in_time("the workflow ends", run.result()).await??)
    }

    /// Waits until the cloud works on a node.
    async fn is_on_it(&self, node: &str) -> anyhow::Result<()> {
        let create = format!("create {node}");
        eventually("the cloud makes a machine", || async { self.cloud.log().contains(&create).then_some(()) }).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_goes_on_where_the_one_before_it_failed() -> anyhow::Result<()> {
    let site = Site::open().await?;
    let adding = site.add("harbour").await?;
    ensure!(in_time("the workflow ends", adding.result()).await?? == "machine-of-harbour");
    // The look at which the machine was half done failed, and a second attempt found the first one's operation.
    ensure!(site.cloud.log() == ["create harbour"], "{:?}", site.cloud.log());
    let history = site.world.history(&add_node_id("harbour")).await?;
    let attempts = history.iter().filter_map(|event| match &event.attributes {
        EventAttributes::ActivityTaskStarted(started) => Some(started.attempt),
        _ => None,
    });
    ensure!(attempts.max() == Some(2), "{history:?}");
    ensure!(site.delete("harbour", HOUR_MS).await? == Addition::NotRunning);
    ensure!(site.cloud.is_empty() && site.cloud.log().last().is_some_and(|last| last == "release harbour"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_deleted_while_it_is_added_is_called_off_and_cleans_up() -> anyhow::Result<()> {
    let site = Site::open().await?;
    let adding = site.add("slow").await?;
    site.is_on_it("slow").await?;
    ensure!(site.delete("slow", HOUR_MS).await? == Addition::CalledOff);
    let failed = in_time("the workflow ends", adding.result()).await?.err().context("it was added")?;
    ensure!(failed.as_failed().is_some_and(|failed| failed.status == WorkflowStatus::Canceled), "{failed}");
    ensure!(site.cloud.log() == ["create slow", "abort slow", "release slow", "delete slow"], "{:?}", site.cloud.log());
    ensure!(site.cloud.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_in_time_is_terminated_and_nothing_is_left() -> anyhow::Result<()> {
    let site = Site::open().await?;
    let adding = site.add("slow-sticky").await?;
    site.is_on_it("slow-sticky").await?;
    // Its cleaning up fails until the machine is deleted, which happens only once it has ended.
    ensure!(site.delete("slow-sticky", 1_000).await? == Addition::Terminated);
    let failed = in_time("the workflow ends", adding.result()).await?.err().context("it was added")?;
    ensure!(failed.as_failed().is_some_and(|failed| failed.status == WorkflowStatus::Terminated), "{failed}");
    ensure!(site.cloud.is_empty(), "{:?}", site.cloud.log());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_never_added_can_be_deleted() -> anyhow::Result<()> {
    let site = Site::open().await?;
    ensure!(site.delete("ghost", HOUR_MS).await? == Addition::NotRunning);
    Ok(())
}
