//! A worker that is told to stop: what runs hears it, and goes on elsewhere.

use std::time::Duration;

use end_to_end::{World, eventually, processes};
use serde_json::Value;
use tidewright_schemas::api::WorkflowStatus;

use crate::crew::{Crew, announced, start};

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_hears_that_its_process_was_told_to_stop() -> anyhow::Result<()> {
    let mut world = World::without_engine().await?;
    // However slow this machine is, nobody is missed who only says late that it is there.
    world.change_engine(|config| config.worker_silence = Duration::from_secs(600));
    world.start_engine().await?;
    let crew = Crew::new()?;
    let leaves = crew.start(&world, "leaves", 10)?;
    start(&world, "Listen", "long", &Value::Null).await?;
    announced(&world, "long").await?;
    let first = leaves.id();
    processes::stop(leaves).await?;
    let heard = crew.noted("WorkerShutdown")?;
    assert_eq!(heard.into_values().flatten().map(Some).collect::<Vec<_>>(), [first]);

    let comes = crew.start(&world, "comes", 10)?;
    let outcome = world.outcome("long").await?;
    assert_eq!(outcome.status, WorkflowStatus::Completed, "{outcome:?}");
    let started = world.activity_started("long").await?;
    // Nobody had asked the activity to end, so that it did is a failure like any other, and is tried again.
    let failure = started.last_failure.expect("the first attempt failed");
    assert_eq!((started.attempt, failure.error_type()), (2, "WorkerShutdown"), "{failure:?}");
    eventually("the first one is said to have left", || async {
        let seen = world.engine().ok()?.workers();
        let first = seen.iter().find(|seen| seen.beacon.worker.identity == "leaves")?;
        (first.life == tidewright_runtime::Life::Left).then_some(())
    })
    .await?;
    processes::stop(comes).await
}
