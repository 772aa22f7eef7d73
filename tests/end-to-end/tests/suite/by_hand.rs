//! A worker made by hand of nothing but the schemas: whatever speaks Kafka can take part.

use end_to_end::World;
use serde_json::json;
use tidewright_schemas::api::WorkflowStatus;

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_published_as_a_record_runs_to_its_end() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    let start = json!({"type": "StartWorkflow", "workflow_type": "T", "workflow_id": "order-1", "task_queue": "q", "input": {"n": 1}});
    world.publish("order-1", &start.to_string()).await?;

    let mut workflow_tasks = world.consumer(&world.topics.workflow_tasks("q"))?;
    let task = world.take(&mut workflow_tasks).await?.json()?;
    assert_eq!(task["events"][0]["attributes"]["input"], json!({"n": 1}));
    let decision = json!({"type": "ScheduleActivity", "activity_id": "1", "activity_type": "A", "input": [2], "start_to_close_timeout_ms": 5000});
    let complete =
        json!({"type": "CompleteWorkflowTask", "token": task["token"], "completion_id": "c1", "decisions": [decision]});
    world.publish("order-1", &complete.to_string()).await?;

    let mut activity_tasks = world.consumer(&world.topics.activity_tasks("q"))?;
    let activity = world.take(&mut activity_tasks).await?.json()?;
    assert_eq!(activity["input"], json!([2]));
    let done = json!({"type": "CompleteActivity", "token": activity["token"], "result": {"ok": true}});
    world.publish("order-1", &done.to_string()).await?;

    let task = world.take(&mut workflow_tasks).await?.json()?;
    assert_eq!(task["previous_completion_id"], "c1");
    let end = json!({"type": "CompleteWorkflow", "result": "fine"});
    let complete =
        json!({"type": "CompleteWorkflowTask", "token": task["token"], "completion_id": "c2", "decisions": [end]});
    world.publish("order-1", &complete.to_string()).await?;

    let outcome = world.outcome("order-1").await?;
    assert_eq!(outcome.status, WorkflowStatus::Completed);
    let history = world.history("order-1").await?;

    // The state is gone: it is rebuilt from Kafka alone, byte for byte.
    world.stop_engine().await;
    world.delete_state()?;
    world.start_engine().await?;
    assert_eq!(serde_json::to_string(&world.history("order-1").await?)?, serde_json::to_string(&history)?);
    world.stop_engine().await;
    Ok(())
}
