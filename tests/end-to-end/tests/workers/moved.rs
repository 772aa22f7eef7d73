//! Workers that come and go in good order: nothing that runs is repeated (R24, R25).

use std::time::Duration;

use end_to_end::{World, processes};
use tidewright_schemas::api::WorkflowStatus;

use crate::crew::{Crew, wait};

/// Workflows, each with as many activities as there are durations.
const WORKFLOWS: usize = 40;
/// From some that end before anybody hears of them to some that outlive several rebalances, in milliseconds.
const WAITS_MS: [u64; 8] = [0, 50, 200, 400, 600, 1_000, 2_000, 3_000];

#[tokio::test(flavor = "multi_thread")]
async fn adding_and_removing_workers_under_load_repeats_nothing_that_runs() -> anyhow::Result<()> {
    let world = World::start().await?;
    let crew = Crew::new()?;
    let mut workers = vec![crew.start(&world, "first", 40)?];
    for n in 0..WORKFLOWS {
        wait(&world, &format!("w{n}"), &WAITS_MS).await?;
        if n % 4 == 3 {
            // Somebody comes; every other time somebody goes, too: each is a rebalance with activities under way.
            workers.push(crew.start(&world, &format!("worker-{n}"), 40)?);
            crew.wait_for(n * WAITS_MS.len() / 3).await?;
            if n % 8 == 7 {
                let leaves = workers.remove(0);
                processes::stop(leaves).await?;
            }
        }
    }
    for n in 0..WORKFLOWS {
        let id = format!("w{n}");
        let outcome = world.outcome_within(&id, Duration::from_secs(180)).await?;
        assert_eq!(outcome.status, WorkflowStatus::Completed, "{id}: {outcome:?}");
    }
    let began = crew.began()?;
    assert_eq!(began.len(), WORKFLOWS * WAITS_MS.len());
    let repeated: Vec<_> = began.iter().filter(|(_, processes)| processes.len() > 1).collect();
    assert!(repeated.is_empty(), "began more than once: {repeated:?}");
    for worker in workers {
        processes::stop(worker).await?;
    }
    Ok(())
}
