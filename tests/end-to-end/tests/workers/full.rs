//! A worker without room hands waiting tasks back, and one with room gets them.

use end_to_end::{World, eventually, processes};
use tidewright_schemas::api::WorkflowStatus;

use crate::crew::{Crew, wait};

/// How long the only activity of the full worker takes: far longer than the others wait.
const LONG_MS: u64 = 120_000;

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_with_a_full_worker_goes_to_one_with_room() -> anyhow::Result<()> {
    let world = World::start().await?;
    let crew = Crew::new()?;
    let mut full = crew.start(&world, "full", 1)?;
    wait(&world, "long", &[LONG_MS]).await?;
    crew.wait_for(1).await?;
    let free = crew.start(&world, "free", 10)?;
    eventually("both take tasks", || async {
        let seen = world.engine().ok()?.workers();
        let taking = seen
            .iter()
            .filter(|seen| seen.beacon.task_queues.iter().any(|queue| !queue.activity_partitions.is_empty()));
        (taking.count() == 2).then_some(())
    })
    .await?;
    // Some of them lie in partitions of the full worker, whose slot is taken for much longer than this test waits.
    for n in 0..20 {
        wait(&world, &format!("short-{n}"), &[0]).await?;
    }
    for n in 0..20 {
        let outcome = world.outcome(&format!("short-{n}")).await?;
        assert_eq!(outcome.status, WorkflowStatus::Completed, "{outcome:?}");
    }
    let began = crew.began()?;
    assert!(began.values().all(|processes| processes.len() == 1), "{began:?}");
    processes::kill(&mut full).await?;
    processes::stop(free).await
}
