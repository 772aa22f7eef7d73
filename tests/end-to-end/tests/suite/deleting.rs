//! Deletion for privacy: what is deleted is gone at once for everybody who asks, and from the history topic as soon as that
//! is compacted.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use end_to_end::{World, eventually};
use serde_json::json;
use tidewright::RequestError;
use tidewright::prelude::*;
use tidewright_log::{Admin, LogReader, ReaderOptions, Record, StartAt, TopicKind, TopicSpec};
use tidewright_runtime::Route;
use tidewright_schemas::WorkflowId;

/// How long compaction may take: Apache Kafka looks for work every 15 seconds.
const PATIENCE: Duration = Duration::from_secs(240);
const PARTITIONS: u32 = 3;
const SECRET: &str = "the-customer-is-anna";
const KEPT: &str = "the-customer-is-ben";

/// Waits until it is told a name, and gives it back.
#[workflow]
async fn customer(ctx: &WorkflowContext, _name: String) -> WorkflowResult<String> {
    Ok(ctx.receive_named::<String>("name").await?)
}

/// A world whose history is compacted as soon as may be, and whose deletions are soon forgotten.
async fn eager_world() -> anyhow::Result<World> {
    let mut world = World::without_engine().await?;
    let mut spec = TopicSpec::new(world.topics.history(), TopicKind::History, PARTITIONS);
    let early = [
        ("min.compaction.lag.ms", "0"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("segment.ms", "500"),
        ("delete.retention.ms", "0"),
    ];
    spec.overrides.extend(early.map(|(setting, value)| (setting.to_owned(), value.to_owned())));
    let report = Admin::new(&world.kafka.config())?.ensure_topics(&[spec]).await?;
    ensure!(report.created.len() == 1, "{report:?}");
    world.change_engine(|config| {
        config.limits.position_interval_ms = 100;
        config.limits.tombstones_live_ms = 600_000;
    });
    world.start_engine().await?;
    Ok(world)
}

/// Whether any record of the history holds a text.
async fn history_holds(world: &World, text: &str) -> anyhow::Result<bool> {
    let reader = LogReader::new(&world.kafka.config(), &ReaderOptions::default())?;
    for partition in 0..PARTITIONS {
        let mut log = reader.open(&world.topics.history(), partition, StartAt::Beginning).await?;
        let end = log.end_at_open();
        while log.position() < end {
            for record in log.next_batch(1_000, 16 * 1024 * 1024).await?.records {
                let value = record.value.unwrap_or_default();
                if value.windows(text.len()).any(|part| part == text.as_bytes()) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// A log is compacted up to its last segment only, and a new segment begins with an append.
async fn until_it_is_compacted_away(world: &World, text: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while history_holds(world, text).await? {
        if Instant::now() > deadline {
            bail!("within {PATIENCE:?} {text} was not compacted away");
        }
        for partition in 0..PARTITIONS {
            let filler = Record::to(world.topics.history()).partition(partition).key("filler");
            world.producer.send(filler).await.await?;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

/// Whether a workflow is there, once the engine, in contact with its group, can say so.
async fn is_found(world: &World, id: &str) -> anyhow::Result<bool> {
    let id = WorkflowId::new(id)?;
    let engine = world.engine()?;
    eventually("the engine can be asked", || async {
        match engine.route(&id) {
            Route::Local(view) => view.describe(&id, None, Default::default()).ok().map(|found| found.is_some()),
            Route::Remote { .. } | Route::Unavailable { .. } => None,
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_gone_at_once_and_from_the_topic_when_it_is_compacted() -> anyhow::Result<()> {
    let mut world = eager_world().await?;
    let client = world.client()?;
    let _worker = world.run(Worker::new(&client, "q").workflow(customer));
    let mut runs = Vec::new();
    for (id, name) in [("anna", SECRET), ("ben", KEPT)] {
        let run = client.start(customer, name.to_owned()).id(id).task_queue("q").await?;
        run.signal_named("name", &name).await?;
        world.outcome(id).await?;
        runs.push(run);
    }
    ensure!(history_holds(&world, SECRET).await? && history_holds(&world, KEPT).await?);

    let deleted = runs[0].delete("she asked for it").await?;
    ensure!(deleted.as_str() == runs[0].run_id());
    ensure!(!is_found(&world, "anna").await? && is_found(&world, "ben").await?);
    ensure!(runs[0].delete("she asked again").await? == deleted, "a repeat gets the same answer");
    let late = runs[0].signal_named("name", &"late").await;
    ensure!(matches!(late, Err(RequestError::NotFound { .. })), "{late:?}");
    until_it_is_compacted_away(&world, SECRET).await?;
    ensure!(history_holds(&world, KEPT).await?, "what is not deleted stays");

    world.stop_engine().await;
    world.delete_state()?;
    world.start_engine().await?;
    ensure!(!is_found(&world, "anna").await?, "a rebuild does not bring it back");
    ensure!(world.outcome("ben").await?.result.context("it returned a name")?.read::<String>()? == KEPT);
    let again = client.start(customer, "anna".to_owned()).id("anna").task_queue("q").await?;
    ensure!(again.run_id() != deleted.as_str());
    again.signal_named("name", &"again").await?;
    ensure!(world.outcome("anna").await?.result.context("it returned a name")?.read::<String>()? == "again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_run_is_deleted_by_a_plain_record_and_its_worker_goes_on() -> anyhow::Result<()> {
    let world = World::start().await?;
    let client = world.client()?;
    let _worker = world.run(Worker::new(&client, "q").workflow(customer));
    client.start(customer, SECRET.to_owned()).id("open").task_queue("q").await?;
    let has_begun = |attributes: &tidewright_schemas::EventAttributes| {
        (attributes.event_type() == "WorkflowTaskCompleted").then_some(())
    };
    world.event("open", has_begun).await?;
    world.publish("open", &json!({"type": "DeleteWorkflow", "reason": "asked"}).to_string()).await?;
    eventually("the run is gone", || async { (!is_found(&world, "open").await.ok()?).then_some(()) }).await?;
    world.publish("open", &json!({"type": "DeleteWorkflow", "run_id": "nobody's"}).to_string()).await?;
    let refused = world.records(&world.topics.dead_letters(), 1, |_| true).await?;
    ensure!(refused[0].header("tw-reason") == Some(b"TW0206".as_slice()), "{:?}", refused[0]);
    client.start(customer, String::new()).id("open").task_queue("q").await?.signal_named("name", &"next").await?;
    ensure!(world.outcome("open").await?.result.context("it returned a name")?.read::<String>()? == "next");
    Ok(())
}
