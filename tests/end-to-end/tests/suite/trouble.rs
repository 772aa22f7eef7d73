//! What goes wrong around a workflow is told in its history, and the rest goes on.

use end_to_end::World;
use serde_json::json;
use tidewright_schemas::{EventAttributes, WorkflowTaskFailedCause};

#[tokio::test(flavor = "multi_thread")]
async fn a_task_queue_whose_topic_cannot_be_made_fails_the_workflow_task_and_nothing_else() -> anyhow::Result<()> {
    let mut world = World::without_engine().await?;
    // No broker makes a topic without partitions.
    world.change_engine(|config| config.task_partitions = 0);
    world.start_engine().await?;
    let start = json!({"type": "StartWorkflow", "workflow_type": "T", "workflow_id": "stuck", "task_queue": "nowhere"});
    world.publish("stuck", &start.to_string()).await?;
    let failed = world.event("stuck", |event| match event {
        EventAttributes::WorkflowTaskFailed(failed) => Some(failed.clone()),
        _ => None,
    });
    let failed = failed.await?;
    assert_eq!(failed.cause, WorkflowTaskFailedCause::TaskQueueUnavailable);
    assert!(failed.failure.message.contains("could not be created"), "{}", failed.failure.message);

    // The topic appears: the workflow goes on by itself.
    world.stop_engine().await;
    world.change_engine(|config| config.task_partitions = 2);
    world.start_engine().await?;
    let mut tasks = world.consumer(&world.topics.workflow_tasks("nowhere"))?;
    let task = world.take(&mut tasks).await?.json()?;
    assert_eq!(task["workflow_id"], "stuck");
    assert!(task["attempt"].as_u64() > Some(1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_makes_no_sense_fails_the_workflow_task_and_says_why() -> anyhow::Result<()> {
    let world = World::start().await?;
    let start = json!({"type": "StartWorkflow", "workflow_type": "T", "workflow_id": "w", "task_queue": "q"});
    world.publish("w", &start.to_string()).await?;
    let mut tasks = world.consumer(&world.topics.workflow_tasks("q"))?;
    let task = world.take(&mut tasks).await?.json()?;
    let decision = json!({"type": "ScheduleActivity", "activity_id": "1", "activity_type": "A"});
    let complete =
        json!({"type": "CompleteWorkflowTask", "token": task["token"], "completion_id": "c", "decisions": [decision]});
    world.publish("w", &complete.to_string()).await?;
    let failed = world.event("w", |event| match event {
        EventAttributes::WorkflowTaskFailed(failed) => Some(failed.clone()),
        _ => None,
    });
    let failed = failed.await?;
    assert_eq!(failed.cause, WorkflowTaskFailedCause::BadScheduleActivityAttributes);
    assert!(failed.failure.message.contains("start_to_close_timeout_ms"), "{}", failed.failure.message);
    let again = world.take(&mut tasks).await?.json()?;
    assert_eq!(again["attempt"], 2);
    Ok(())
}
