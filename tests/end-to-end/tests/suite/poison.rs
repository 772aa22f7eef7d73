//! Tasks that nobody comes to an end with, and records that are none: what lies behind them goes on.

use end_to_end::{Taken, World, eventually};
use serde_json::{Value, json};
use tidewright::prelude::*;
use tidewright_log::Record;
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{EventAttributes, WorkflowTaskFailedCause};

async fn start(world: &World, id: &str) -> anyhow::Result<()> {
    let start = json!({"type": "StartWorkflow", "workflow_type": "T", "workflow_id": id, "task_queue": "q"});
    world.publish(id, &start.to_string()).await
}

/// Asks for a task as a worker of this name would, and says what it is told.
async fn confirm(world: &World, task: &Taken, asker: &str) -> anyhow::Result<String> {
    let task = task.json()?;
    let id = task["workflow_id"].as_str().unwrap_or_default();
    let question = format!("{asker}-{:08x}", rand::random::<u32>());
    let confirm = json!({
        "type": "ConfirmTask", "token": task["token"], "worker": {"identity": asker, "incarnation": asker},
        "reply_to": {"partition": 0, "correlation_id": question},
    });
    world.publish(id, &confirm.to_string()).await?;
    let replies = world.topics.replies();
    let value = |value: Option<&[u8]>| serde_json::from_slice::<Value>(value.unwrap_or_default()).unwrap_or_default();
    let answers =
        world.records(&replies, 1, |reply| value(reply.value.as_deref())["correlation_id"] == question).await?;
    Ok(value(answers[0].value.as_deref())["answer"]["verdict"].as_str().unwrap_or_default().to_owned())
}

async fn complete(world: &World, task: &Taken) -> anyhow::Result<()> {
    let task = task.json()?;
    let end = json!({"type": "CompleteWorkflow", "result": "fine"});
    let complete =
        json!({"type": "CompleteWorkflowTask", "token": task["token"], "completion_id": "c", "decisions": [end]});
    world.publish(task["workflow_id"].as_str().unwrap_or_default(), &complete.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_three_workers_did_not_come_to_an_end_with_is_withheld_and_those_behind_it_are_not()
-> anyhow::Result<()> {
    let world = World::start().await?;
    start(&world, "poison").await?;
    let mut tasks = world.consumer(&world.topics.workflow_tasks("q"))?;
    let poison = world.take(&mut tasks).await?;
    start(&world, "behind").await?;
    // The first delivery is not asked about.
    for asker in ["second", "third"] {
        assert_eq!(confirm(&world, &poison, asker).await?, "Run", "{asker}");
    }
    assert_eq!(confirm(&world, &poison, "third").await?, "Run", "the one who asked last is told the same again");
    assert_eq!(confirm(&world, &poison, "fourth").await?, "Drop");
    let failed = world.event("poison", |event| match event {
        EventAttributes::WorkflowTaskFailed(failed) => Some(failed.clone()),
        _ => None,
    });
    let failed = failed.await?;
    assert_eq!((failed.cause, failed.failure.error_type()), (WorkflowTaskFailedCause::TaskWithheld, "TW0322"));
    assert_eq!(failed.worker.identity, "fourth");

    // Whichever comes first of the other workflow's task and the next attempt of this one.
    for _ in 0..2 {
        let task = world.take(&mut tasks).await?;
        let attempt = if task.json()?["workflow_id"] == "poison" { 2 } else { 1 };
        assert_eq!(task.json()?["attempt"], attempt);
        complete(&world, &task).await?;
    }
    for id in ["behind", "poison"] {
        assert_eq!(world.outcome(id).await?.status, WorkflowStatus::Completed, "{id}");
    }
    Ok(())
}

struct Work;

#[activities]
impl Work {
    #[activity(start_to_close = "1h")]
    async fn work(&self) -> ActivityResult<()> {
        Ok(())
    }
}

#[workflow]
async fn job(ctx: &WorkflowContext, _input: ()) -> WorkflowResult<()> {
    Ok(ctx.activity(Work::work, ()).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_task_is_passed_over_and_committed_and_what_lies_behind_it_runs() -> anyhow::Result<()> {
    let world = World::start().await?;
    let client = world.client()?;
    let worker = world.run(Worker::new(&client, "q").workflow(job).activities(Work));
    // The first run shows that the topics are there and read.
    client.start(job, ()).id("before").task_queue("q").await?;
    assert_eq!(world.outcome("before").await?.status, WorkflowStatus::Completed);
    let admin = tidewright_log::Admin::new(&world.kafka.config())?;
    let topics = [world.topics.workflow_tasks("q"), world.topics.activity_tasks("q")];
    let garbage: [Option<&str>; 4] = [Some("this is not json"), Some("[]"), Some(r#"{"token": 7}"#), None];
    for topic in &topics {
        for partition in 0..admin.partition_count(topic).await?.unwrap_or(0) {
            for value in garbage {
                let mut record = Record::to(topic).partition(partition).key("garbage");
                record.value = value.map(|value| value.as_bytes().to_vec());
                world.producer.send(record).await.await?;
            }
        }
    }
    for n in 0..10 {
        client.start(job, ()).id(format!("behind-{n}")).task_queue("q").await?;
    }
    for n in 0..10 {
        assert_eq!(world.outcome(&format!("behind-{n}")).await?.status, WorkflowStatus::Completed, "{n}");
    }
    // Nobody meets it again: a group has no lag.
    for topic in &topics {
        let partitions: Vec<u32> = (0..admin.partition_count(topic).await?.unwrap_or(0)).collect();
        eventually("all of it is committed", || async {
            let committed = admin.committed(topic, topic, &partitions).await.ok()?;
            for partition in &partitions {
                let end = admin.watermarks(topic, *partition).await.ok()?.high;
                if committed.get(partition) != Some(&end) {
                    return None;
                }
            }
            Some(())
        })
        .await?;
    }
    worker.stop().await
}
