//! Somebody acknowledges an incident, sooner or later, or nobody does.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use end_to_end::{Running, World, eventually, in_time};
use incident_escalation::{Acknowledged, Escalation, Incident, OnCall, Pager, TASK_QUEUE, worker};
use tidewright::{Client, WorkflowHandle};

const SOON_MS: u64 = 200;
/// Longer than any test takes.
const HOUR_MS: u64 = 60 * 60 * 1_000;

async fn world() -> anyhow::Result<(World, Client, Running)> {
    let world = World::with_http().await?;
    let client = world.client()?;
    let pager = Pager { unreachable: Arc::new(["Ben".to_owned()]) };
    let running = world.run(worker(&client, pager));
    Ok((world, client, running))
}

async fn begin(client: &Client, rota: &[(&str, u64)]) -> anyhow::Result<WorkflowHandle<Acknowledged, Escalation>> {
    let on_call = |(name, ms): &(&str, u64)| OnCall { name: (*name).to_owned(), acknowledge_within_ms: *ms };
    let incident = Incident { summary: "the lights are out".to_owned(), rota: rota.iter().map(on_call).collect() };
    Ok(client.start(Escalation::run, incident).id("incident").task_queue(TASK_QUEUE).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_or_cannot_be_reached_is_passed_over() -> anyhow::Result<()> {
    let (_world, client, _worker) = world().await?;
    let run = begin(&client, &[("Anna", SOON_MS), ("Ben", HOUR_MS), ("Carol", HOUR_MS)]).await?;
    let standing = eventually("Carol is paged", || async {
        let standing = run.query(Escalation::standing, ()).await.ok()?;
        standing.paged.iter().any(|name| name == "Carol").then_some(standing)
    })
    .await?;
    ensure!(standing.on_duty.as_deref() == Some("Carol") && standing.acknowledged_by.is_none(), "{standing:?}");
    run.signal(Escalation::acknowledge, "Carol".to_owned()).await?;
    let acknowledged = in_time("the workflow ends", run.result()).await??;
    ensure!(acknowledged.by == "Carol" && acknowledged.paged == ["Anna", "Carol"], "{acknowledged:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_ends_it() -> anyhow::Result<()> {
    let (_world, client, _worker) = world().await?;
    let run = begin(&client, &[("Anna", HOUR_MS), ("Carol", HOUR_MS)]).await?;
    // Somebody who happened to see it.
    run.signal(Escalation::acknowledge, "Dora".to_owned()).await?;
    run.signal(Escalation::acknowledge, "Anna".to_owned()).await?;
    let acknowledged = in_time("the workflow ends", run.result()).await??;
    ensure!(acknowledged.by == "Dora" && acknowledged.paged == ["Anna"], "{acknowledged:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_that_nobody_takes_fails_loudly() -> anyhow::Result<()> {
    let (_world, client, _worker) = world().await?;
    let run = begin(&client, &[("Anna", SOON_MS), ("Ben", HOUR_MS), ("Carol", SOON_MS)]).await?;
    let error = in_time("the workflow ends", run.result()).await?.err().context("somebody took it")?;
    let failed = error.as_failed().context("it did not fail")?;
    ensure!(failed.error_type() == "NobodyAcknowledged", "{failed}");
    Ok(())
}
