//! Real processes, killed with SIGKILL at random moments: every order ends as it should, nothing is lost, and nothing
//! whose completion was recorded runs again.
//!
//! Runs on the embedded broker, or on the Kafka at `TIDEWRIGHT_TEST_BROKERS`. `TIDEWRIGHT_KILLS_SEED` repeats a run.

mod audit;
mod fleet;
mod leaves;
mod orders;
mod schedule;

use std::time::Duration;

use anyhow::Context as _;
use end_to_end::Kafka;

use crate::audit::Audit;
use crate::fleet::Fleet;
use crate::leaves::Leaves;
use crate::orders::Orders;
use crate::schedule::Schedule;

/// How many orders are published while processes die.
const ORDERS: usize = 220;
/// How many processes are killed.
const KILLS: usize = 32;
/// How long the last order may take once nobody is killed any more.
const PATIENCE: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn every_order_ends_as_it_should_whoever_is_killed() -> anyhow::Result<()> {
    let seed = match std::env::var("TIDEWRIGHT_KILLS_SEED") {
        Ok(text) => text.parse().context("TIDEWRIGHT_KILLS_SEED is no number")?,
        Err(_) => rand::random(),
    };
    println!("TIDEWRIGHT_KILLS_SEED={seed}");
    let kafka = Kafka::start().await?;
    let mut fleet = Fleet::start(&kafka).await?;
    let orders = Orders::new(&kafka, fleet.topics(), ORDERS)?;
    let mut schedule = Schedule::new(seed, KILLS, ORDERS);
    while let Some(step) = schedule.next() {
        tokio::time::sleep(step.pause).await;
        for order in step.publish {
            orders.publish(order).await?;
        }
        if let Some(victim) = step.kill {
            fleet.kill_and_restart(victim, step.lose_state).await?;
        }
    }
    assert!(fleet.kills() >= 30, "only {} processes were killed", fleet.kills());
    let histories = orders.wait_for_all(&fleet, PATIENCE).await?;
    let leaves = Leaves::read(&kafka, fleet.topics()).await?;
    Audit::read(&fleet.audit_path())?.check(&histories, &leaves)?;
    fleet.check_rebuild(&histories).await?;
    fleet.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn any_node_answers_and_a_zombie_changes_nothing() -> anyhow::Result<()> {
    let kafka = Kafka::start().await?;
    let mut fleet = Fleet::start(&kafka).await?;
    let orders = Orders::new(&kafka, fleet.topics(), 40)?;
    for order in 0..10 {
        orders.publish(order).await?;
    }
    // A second node takes over some of the partitions while orders are under way.
    fleet.start_second().await?;
    for order in 10..20 {
        orders.publish(order).await?;
    }
    let ids: Vec<_> = (0..20).map(orders::id).collect();
    orders.same_from_both(&fleet, &ids).await?;

    // The first node stands still for longer than its session: the second takes over everything.
    fleet.signal_first("STOP").await?;
    for order in 20..30 {
        orders.publish(order).await?;
    }
    for order in 20..30 {
        orders.ended_on_second(&fleet, order).await?;
    }
    // It goes on where it was, and finds that it owns nothing any more.
    fleet.signal_first("CONT").await?;
    for order in 30..40 {
        orders.publish(order).await?;
    }
    let ids: Vec<_> = (0..40).map(orders::id).collect();
    orders.same_from_both(&fleet, &ids).await?;
    let histories = orders.wait_for_all(&fleet, PATIENCE).await?;
    let leaves = Leaves::read(&kafka, fleet.topics()).await?;
    Audit::read(&fleet.audit_path())?.check(&histories, &leaves)?;
    fleet.stop().await
}
