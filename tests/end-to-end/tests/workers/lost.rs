//! A worker that is killed: what it ran runs elsewhere, long before any timeout of it (R28).

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use end_to_end::{World, eventually, processes};
use tidewright_schemas::EventAttributes;
use tidewright_schemas::api::WorkflowStatus;

use crate::crew::{Crew, wait};

#[tokio::test(flavor = "multi_thread")]
async fn a_long_activity_of_a_worker_that_is_killed_runs_elsewhere() -> anyhow::Result<()> {
    let world = World::start().await?;
    let crew = Crew::new()?;
    let mut victim = crew.start(&world, "victim", 10)?;
    // Long enough that it is announced, and that its timeout of an hour plays no part.
    wait(&world, "long", &[3_000]).await?;
    crew.wait_for(1).await?;
    let started = world.describe_until("long", "the start is announced", |description| {
        description.pending_activities.iter().any(|a| a.state == tidewright_schemas::api::PendingActivityState::Started)
    });
    started.await?;
    let other = crew.start(&world, "other", 10)?;
    eventually("the other one takes tasks", || async {
        let seen = world.engine().ok()?.workers();
        let other = seen.iter().find(|seen| seen.beacon.worker.identity == "other")?;
        other.beacon.task_queues.iter().any(|queue| !queue.activity_partitions.is_empty()).then_some(())
    })
    .await?;
    processes::kill(&mut victim).await?;
    let killed = (Instant::now(), SystemTime::now());
    let outcome = world.outcome("long").await?;
    assert_eq!(outcome.status, WorkflowStatus::Completed, "{outcome:?}");
    let started = world
        .event("long", |event| match event {
            EventAttributes::ActivityTaskStarted(started) => Some(started.clone()),
            _ => None,
        })
        .await?;
    let failure = started.last_failure.expect("the first attempt failed");
    assert_eq!((started.attempt, failure.error_type()), (2, "TW0320"), "{failure:?}");
    assert_eq!(started.worker.identity, "other");
    let killed_ms = u64::try_from(killed.1.duration_since(UNIX_EPOCH)?.as_millis())?;
    println!(
        "killed at {killed_ms}; the whole repeat, 3 s of work included, took {:?}; processes {:?}",
        killed.0.elapsed(),
        crew.began()?
    );
    processes::stop(other).await
}
