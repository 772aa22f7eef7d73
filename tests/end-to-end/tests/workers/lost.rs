//! A worker that is killed: what it ran runs elsewhere, long before any timeout of it, and goes on where it was (R28).

use std::time::Instant;

use anyhow::Context as _;
use end_to_end::{World, eventually, processes};
use serde_json::Value;
use tidewright_schemas::api::WorkflowStatus;
use tokio::process::Child;

use crate::crew::{Crew, announced, start, wait};

/// A world whose only worker runs an activity, and has said so. Its timeouts of an hour play no part.
async fn running() -> anyhow::Result<(World, Crew, Child)> {
    let world = World::start().await?;
    let crew = Crew::new()?;
    let victim = crew.start(&world, "victim", 10)?;
    start(&world, "Outlast", "long", &Value::Null).await?;
    announced(&world, "long").await?;
    let heartbeat = |found: &tidewright_schemas::api::WorkflowDescription| {
        found.pending_activities.iter().any(|activity| activity.heartbeat_details.is_some())
    };
    world.describe_until("long", "it is known how far it came", heartbeat).await?;
    Ok((world, crew, victim))
}

async fn is_tried_again_by(other: &str, world: &World, crew: &Crew) -> anyhow::Result<()> {
    let killed = Instant::now();
    crew.wait_for(2).await?;
    println!("killed, and began elsewhere within {:?}", killed.elapsed());
    let outcome = world.outcome("long").await?;
    assert_eq!(outcome.status, WorkflowStatus::Completed, "{outcome:?}");
    let result = outcome.result.map(|result| result.read::<Option<u64>>()).transpose()?;
    assert_eq!(result, Some(Some(42)), "what the first attempt had said before its process was killed");
    let started = world.activity_started("long").await?;
    let failure = started.last_failure.expect("the first attempt failed");
    assert_eq!((started.attempt, failure.error_type()), (2, "TW0320"), "{failure:?}");
    assert_eq!(started.worker.identity, other);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_activity_of_a_worker_that_is_killed_goes_on_elsewhere() -> anyhow::Result<()> {
    let (world, crew, mut victim) = running().await?;
    let other = crew.start(&world, "other", 10)?;
    eventually("the other one takes tasks", || async {
        let seen = world.engine().ok()?.workers();
        let other = seen.iter().find(|seen| seen.beacon.worker.identity == "other")?;
        other.beacon.task_queues.iter().any(|queue| !queue.activity_partitions.is_empty()).then_some(())
    })
    .await?;
    processes::kill(&mut victim).await?;
    is_tried_again_by("other", &world, &crew).await?;
    processes::stop(other).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_with_a_worker_that_came_a_moment_before() -> anyhow::Result<()> {
    let (world, crew, mut victim) = running().await?;
    let other = crew.start(&world, "other", 10)?;
    eventually("the other one is heard", || async {
        let seen = world.engine().ok()?.workers();
        seen.iter().any(|seen| seen.beacon.worker.identity == "other").then_some(())
    })
    .await?;
    // The group does not know of the death before its session timeout, and gives the newcomer nothing until then.
    processes::kill(&mut victim).await?;
    is_tried_again_by("other", &world, &crew).await?;
    processes::stop(other).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_that_had_only_just_begun_goes_on_elsewhere() -> anyhow::Result<()> {
    let world = World::start().await?;
    let crew = Crew::new()?;
    let mut workers = vec![crew.start(&world, "one", 10)?, crew.start(&world, "other", 10)?];
    eventually("both take tasks", || async {
        let seen = world.engine().ok()?.workers();
        let taking = |seen: &&tidewright_runtime::WorkerSeen| {
            seen.beacon.task_queues.iter().any(|queue| !queue.activity_partitions.is_empty())
        };
        (seen.iter().filter(taking).count() == 2).then_some(())
    })
    .await?;
    wait(&world, "short", &[2_000]).await?;
    crew.wait_for(1).await?;
    let began_in: Vec<_> = crew.began()?.into_values().flatten().collect();
    let at = workers.iter().position(|worker| worker.id().is_some_and(|id| began_in.contains(&id)));
    let mut victim = workers.remove(at.context("nobody began it")?);
    let killed = Instant::now();
    processes::kill(&mut victim).await?;
    // It had most likely not said yet that it runs: no record tells of it, and its partitions have no reader for a while.
    crew.wait_for(2).await?;
    println!("killed, and began elsewhere within {:?}", killed.elapsed());
    let outcome = world.outcome("short").await?;
    assert_eq!(outcome.status, WorkflowStatus::Completed, "{outcome:?}");
    for worker in workers {
        processes::stop(worker).await?;
    }
    Ok(())
}
