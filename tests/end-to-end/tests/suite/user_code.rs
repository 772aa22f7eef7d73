//! What user code does wrong is a clear failure in history, and the rest goes on.

use end_to_end::World;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;
use tidewright::prelude::*;
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{EventAttributes, Failure, WorkflowTaskFailedCause};

struct Trouble;

/// A value that cannot be written as JSON.
#[derive(Deserialize)]
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("this value cannot be written"))
    }
}

#[activities]
impl Trouble {
    #[activity(start_to_close = "10s")]
    async fn panics(&self, _ctx: &ActivityContext, _input: ()) -> ActivityResult<()> {
        panic!("the activity panicked on purpose")
    }

    #[activity(start_to_close = "10s")]
    async fn unwritable(&self, _ctx: &ActivityContext, _input: ()) -> ActivityResult<Unwritable> {
        Ok(Unwritable)
    }

    #[activity(start_to_close = "10s")]
    async fn too_large(&self, _ctx: &ActivityContext, _input: ()) -> ActivityResult<String> {
        Ok("x".repeat(3 * 1024 * 1024))
    }
}

#[workflow]
async fn calls(ctx: &WorkflowContext, which: String) -> WorkflowResult<()> {
    let once = RetryPolicy::default().maximum_attempts(1);
    match which.as_str() {
        "panics" => ctx.activity(Trouble::panics, ()).retry(once).await?,
        "unwritable" => {
            ctx.activity(Trouble::unwritable, ()).await?;
        }
        "too_large" => {
            ctx.activity(Trouble::too_large, ()).await?;
        }
        _ => ctx.activity_named::<()>("NobodyHasThis", &()).start_to_close(10.secs()).await?,
    }
    Ok(())
}

#[workflow]
async fn panics(_ctx: &WorkflowContext, _input: ()) -> WorkflowResult<()> {
    panic!("the workflow panicked on purpose")
}

async fn started() -> anyhow::Result<(World, end_to_end::Running)> {
    let world = World::start().await?;
    let worker = Worker::new(&world.client()?, "q").workflow(calls).workflow(panics).activities(Trouble);
    let running = world.run(worker);
    Ok((world, running))
}

async fn start(world: &World, id: &str, workflow_type: &str, input: &str) -> anyhow::Result<()> {
    let start = json!({"type": "StartWorkflow", "workflow_type": workflow_type, "workflow_id": id, "task_queue": "q", "input": input});
    world.publish(id, &start.to_string()).await
}

/// The failure of the activity in a workflow's history.
async fn activity_failure(world: &World, id: &str) -> anyhow::Result<Failure> {
    world
        .event(id, |event| match event {
            EventAttributes::ActivityTaskFailed(failed) => Some(failed.failure.clone()),
            _ => None,
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_that_goes_wrong_fails_clearly() -> anyhow::Result<()> {
    let (world, _worker) = started().await?;
    let cases = [
        ("panics", "Panic", "on purpose"),
        ("unwritable", "ResultNotSerializable", "cannot be written"),
        ("too_large", "ResultTooLarge", "bytes"),
        ("unknown", "ActivityTypeNotRegistered", "NobodyHasThis"),
    ];
    for (which, _, _) in cases {
        start(&world, which, "Calls", which).await?;
    }
    for (which, error_type, says) in cases {
        let failure = activity_failure(&world, which).await?;
        assert_eq!(failure.error_type(), error_type, "{which}: {failure:?}");
        assert!(failure.message.contains(says), "{which}: {}", failure.message);
        assert_eq!(world.outcome(which).await?.status, WorkflowStatus::Failed, "{which}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_cannot_be_advanced_says_why_and_waits() -> anyhow::Result<()> {
    let (world, _worker) = started().await?;
    start(&world, "unregistered", "NobodyHasThisWorkflow", "").await?;
    let null = json!({"type": "StartWorkflow", "workflow_type": "Panics", "workflow_id": "panicking", "task_queue": "q", "input": null});
    world.publish("panicking", &null.to_string()).await?;
    let cases = [
        ("unregistered", WorkflowTaskFailedCause::WorkflowTypeNotRegistered, "NobodyHasThisWorkflow"),
        ("panicking", WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure, "on purpose"),
    ];
    for (id, cause, says) in cases {
        let failed = world
            .event(id, |event| match event {
                EventAttributes::WorkflowTaskFailed(failed) => Some(failed.clone()),
                _ => None,
            })
            .await?;
        assert_eq!(failed.cause, cause, "{id}");
        assert!(failed.failure.message.contains(says), "{id}: {}", failed.failure.message);
    }
    // The worker goes on with others.
    start(&world, "after", "Calls", "unknown").await?;
    assert_eq!(world.outcome("after").await?.status, WorkflowStatus::Failed);
    Ok(())
}
