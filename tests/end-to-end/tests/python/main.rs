//! A consumer in another language: `examples/python-history-reader` tells the same stories as the engine, from nothing but
//! the history topic and the published schemas.
//!
//! Needs a Python with the example's requirements, which `TIDEWRIGHT_TEST_PYTHON` names (`scripts/python-venv` makes one);
//! without it the tests are skipped. Runs on the embedded broker, or on the Kafka at `TIDEWRIGHT_TEST_BROKERS`.

mod reader;
mod shop;
mod topic;

use anyhow::ensure;

use crate::reader::Python;
use crate::shop::Shop;

const COMPLETED: &str = "WorkflowExecutionCompleted";

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_in_python_tells_the_stories_that_the_engine_tells() -> anyhow::Result<()> {
    let Some(python) = Python::given()? else { return Ok(()) };
    let mut shop = Shop::open(python).await?;
    for (card, end) in [("visa", COMPLETED), ("declined", "WorkflowExecutionFailed"), ("flaky", COMPLETED)] {
        shop.order(card, end).await?;
    }
    shop.compare_stories().await?;

    // Another owner takes over, and the one before goes on writing as if nothing had happened.
    let before = shop.claims().await?;
    shop.rebuild_engine().await?;
    shop.write_as_a_zombie(&before).await?;
    shop.order("visa", COMPLETED).await?;
    shop.compare_stories().await?;

    // The topic is compacted, and the engine itself is rebuilt from what is left.
    shop.compact_history().await?;
    shop.compare_stories().await?;
    shop.rebuild_engine().await?;
    shop.compare_stories().await?;
    shop.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_hold_without_a_kafka() -> anyhow::Result<()> {
    let Some(python) = Python::given()? else { return Ok(()) };
    let output = python.run(&["-m", "unittest"], &[]).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
