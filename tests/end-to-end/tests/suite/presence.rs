//! Workers that are there, and those that are gone.

use end_to_end::{World, eventually};
use order_fulfilment::Services;
use tidewright_runtime::Life;
use tidewright_schemas::TaskKind;

/// How the workers of a queue stand.
fn lives(world: &World) -> anyhow::Result<Vec<Life>> {
    Ok(world.engine()?.workers().into_iter().map(|seen| seen.life).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_seen_while_it_runs_and_said_to_have_left_when_it_stops() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    assert!(!world.engine()?.has_worker(TaskKind::Workflow, "orders"));
    let worker = world.run(order_fulfilment::worker(&world.client()?, "orders", Services::in_memory()));
    eventually("the worker is seen", || async {
        world.engine().ok().filter(|engine| engine.has_worker(TaskKind::Workflow, "orders")).map(drop)
    })
    .await?;
    assert!(world.engine()?.has_worker(TaskKind::Activity, "orders"));
    assert!(!world.engine()?.has_worker(TaskKind::Activity, "mail"));
    let seen = world.engine()?.workers();
    assert_eq!(seen[0].beacon.task_queues[0].activities.map(|slots| slots.total), Some(100));
    worker.stop().await?;
    eventually("it has left", || async { lives(&world).ok().filter(|lives| *lives == [Life::Left]).map(drop) }).await?;
    assert!(!world.engine()?.has_worker(TaskKind::Workflow, "orders"));
    // A node that comes later knows as much.
    world.stop_engine().await;
    world.start_engine().await?;
    eventually("it is known to have left", || async {
        lives(&world).ok().filter(|lives| *lives == [Life::Left]).map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_falls_silent_is_lost() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _stays = world.run(order_fulfilment::worker(&world.client()?, "orders", Services::in_memory()));
    let crashes = world.run(order_fulfilment::worker(&world.client()?, "mail", Services::in_memory()));
    let both = [TaskKind::Workflow, TaskKind::Activity];
    eventually("both are seen", || async {
        let engine = world.engine().ok()?;
        both.iter().all(|kind| engine.has_worker(*kind, "orders") && engine.has_worker(*kind, "mail")).then_some(())
    })
    .await?;
    crashes.crash().await;
    eventually("one is lost", || async {
        let seen = world.engine().ok()?.workers();
        let lost: Vec<_> = seen.iter().filter(|seen| seen.life == Life::Lost).collect();
        (lost.len() == 1 && lost[0].beacon.task_queues[0].task_queue == "mail").then_some(())
    })
    .await?;
    assert!(!world.engine()?.has_worker(TaskKind::Workflow, "mail"));
    Ok(())
}
