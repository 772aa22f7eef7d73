//! Tasks that take down whoever runs them: they are held back, and go on once the code is fixed (R26).

use end_to_end::{World, in_time, processes};
use serde_json::Value;
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{EventAttributes, Failure, WorkflowTaskFailedCause};

use crate::crew::{Crew, start, wait};

/// Far more than it takes: each of three deliveries, and what they cannot tell from a first one.
const DEATHS_MAX: usize = 12;

/// Starts workers, one after the other, each of which is taken down, until something is known of the workflow.
async fn until_known<T>(
    world: &World,
    crew: &Crew,
    find: impl AsyncFn() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    for n in 0..DEATHS_MAX {
        let mut worker = crew.start_mortal(world, &format!("mortal-{n}"))?;
        let ended = in_time("the worker is taken down", worker.wait()).await??;
        anyhow::ensure!(!ended.success(), "the worker ended by itself: {ended}");
        if let Some(found) = find().await? {
            return Ok(found);
        }
    }
    anyhow::bail!("{DEATHS_MAX} workers were taken down, and nothing was made of it")
}

/// The same code without the defect does it, and what came behind it.
async fn is_done_by_a_fixed_build(world: &World, crew: &Crew) -> anyhow::Result<()> {
    let fixed = crew.start(world, "fixed", 10)?;
    for id in ["deadly", "behind"] {
        let outcome = world.outcome(id).await?;
        assert_eq!(outcome.status, WorkflowStatus::Completed, "{id}: {outcome:?}");
    }
    processes::stop(fixed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_task_that_takes_its_workers_down_is_withheld() -> anyhow::Result<()> {
    let (world, crew) = (World::start().await?, Crew::new()?);
    start(&world, "Deadly", "deadly", &Value::Null).await?;
    wait(&world, "behind", &[0]).await?;
    let failed = until_known(&world, &crew, async || {
        let history = world.history("deadly").await?;
        Ok(history.into_iter().find_map(|event| match event.attributes {
            EventAttributes::WorkflowTaskFailed(failed) => Some(failed),
            _ => None,
        }))
    })
    .await?;
    assert_eq!((failed.cause, failed.failure.error_type()), (WorkflowTaskFailedCause::TaskWithheld, "TW0322"));
    is_done_by_a_fixed_build(&world, &crew).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_that_takes_its_workers_down_waits_before_it_is_tried_again() -> anyhow::Result<()> {
    let (world, crew) = (World::start().await?, Crew::new()?);
    start(&world, "DeadlyActivity", "deadly", &Value::Null).await?;
    wait(&world, "behind", &[0]).await?;
    let last_failure = async || {
        let found = world.describe_until("deadly", "it is described", |_| true).await?;
        anyhow::Ok(found.pending_activities.into_iter().find_map(|activity| activity.last_failure))
    };
    let is_suspect = |failure: &Failure| failure.error_type() == "TW0321";
    until_known(&world, &crew, async || Ok(last_failure().await?.filter(is_suspect))).await?;
    is_done_by_a_fixed_build(&world, &crew).await
}
