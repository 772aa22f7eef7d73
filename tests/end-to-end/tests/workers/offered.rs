//! A task whose partition nobody reads is offered by name to a worker with room (ADR 0011).

use end_to_end::{World, eventually};
use serde_json::{Value, json};
use tidewright::prelude::*;
use tidewright_log::{GroupError, GroupEvent, Record};
use tidewright_runtime::WorkerSeen;
use tidewright_schemas::api::WorkflowStatus;

/// Who announces the first attempt and falls silent.
const SILENT: &str = "silent";

struct Work;

#[activities]
impl Work {
    #[activity(start_to_close = "1h")]
    async fn work(&self, ctx: &ActivityContext) -> ActivityResult<u32> {
        Ok(ctx.attempt())
    }
}

#[workflow]
async fn job(ctx: &WorkflowContext, _input: ()) -> WorkflowResult<u32> {
    Ok(ctx.activity(Work::work, ()).await?)
}

async fn beacon_of_the_silent(world: &World) -> anyhow::Result<()> {
    let beacon = json!({
        "type": "WorkerBeacon", "worker": worker(), "state": "Running", "started_at_ms": 1,
        "task_queues": [{"task_queue": "q", "activities": {"total": 1, "used": 1}, "activity_partitions": [0]}],
    });
    let record = Record::to(world.topics.workers()).partition(0).key(format!("worker/{SILENT}"));
    world.producer.send(record.value(beacon.to_string())).await.await?;
    Ok(())
}

fn worker() -> Value {
    json!({"identity": SILENT, "incarnation": SILENT})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_in_a_partition_without_a_reader_is_offered_to_a_worker_with_room() -> anyhow::Result<()> {
    let world = World::start().await?;
    // A member of the group that goes on for as long as the test does, with the only partition, and takes nothing.
    let mut holder = world.consumer(&world.topics.activity_tasks("q"))?;
    let client = world.client()?;
    let mut options = WorkerOptions::default();
    options.task_topic_partitions = 1;
    let workflows = world.run(Worker::new(&client, "q").options(options.clone()).workflow(job));
    client.start(job, ()).id("job").task_queue("q").await?;
    let first = world.take(&mut holder).await?.json()?;
    beacon_of_the_silent(&world).await?;
    let started = json!({"type": "RecordActivityStarted", "token": first["token"], "worker": worker()});
    world.publish("job", &started.to_string()).await?;
    // It joins while nobody rebalances: the one who holds the partition keeps it.
    let activities = world.run(Worker::new(&client, "q").options(options).activities(Work));

    let outcome = world.outcome("job").await?;
    assert_eq!(
        (outcome.status, outcome.result.map(|result| result.read::<u32>()).transpose()?),
        (WorkflowStatus::Completed, Some(2))
    );
    let started = world.activity_started("job").await?;
    assert_eq!(
        (started.attempt, started.last_failure.map(|failure| failure.error_type().to_owned())),
        (2, Some("TW0320".to_owned()))
    );
    // The record stands where it stood, and whoever meets it confirms it.
    let tasks = world.records(&world.topics.activity_tasks("q"), 2, |_| true).await?;
    let second: Value = serde_json::from_slice(tasks[1].value.as_deref().unwrap_or_default())?;
    assert_eq!((&second["attempt"], &second["possible_repeat"]), (&json!(2), &json!(true)));
    drop(holder);
    activities.stop().await?;
    workflows.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_worker_had_taken_and_not_announced_is_offered() -> anyhow::Result<()> {
    let world = World::start().await?;
    // It keeps the only partition for as long as the test lasts, commits nothing and says nothing of what it takes: without
    // an offer nobody else would ever meet the task.
    let mut holder = world.consumer(&world.topics.activity_tasks("q"))?;
    let client = world.client()?;
    let mut options = WorkerOptions::default();
    options.task_topic_partitions = 1;
    let workflows = world.run(Worker::new(&client, "q").options(options.clone()).workflow(job));
    client.start(job, ()).id("job").task_queue("q").await?;
    let taken = async {
        loop {
            match holder.next(1, 1).await {
                Ok(GroupEvent::Records(_)) => return anyhow::Ok(()),
                // The engine makes the topic with its first task.
                Ok(_) | Err(GroupError::TopicMissing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    };
    end_to_end::in_time("the task is taken", taken).await??;
    let activities = world.run(Worker::new(&client, "q").options(options).activities(Work));
    eventually("somebody has room", || async {
        let has_room = |seen: &WorkerSeen| seen.beacon.task_queues.iter().any(|queue| queue.activities.is_some());
        world.engine().ok()?.workers().iter().any(has_room).then_some(())
    })
    .await?;
    beacon_of_the_silent(&world).await?;

    let outcome = world.outcome("job").await?;
    let attempt = outcome.result.map(|result| result.read::<u32>()).transpose()?;
    assert_eq!((outcome.status, attempt), (WorkflowStatus::Completed, Some(1)), "nobody was known to have begun it");
    drop(holder);
    activities.stop().await?;
    workflows.stop().await
}
