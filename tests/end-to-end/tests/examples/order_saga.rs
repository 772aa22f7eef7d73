//! Whatever happens to an order, what was done for it is undone in reverse.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use end_to_end::{Running, World, eventually, in_time};
use order_saga::{Journal, Order, Receipt, TASK_QUEUE, order_saga, worker};
use tidewright::prelude::*;
use tidewright::{CompensationFailed, WorkflowFailed, WorkflowHandle, WorkflowStatus};

struct Shop {
    client: Client,
    journal: Arc<Journal>,
    _worker: Running,
    _world: World,
}

impl Shop {
    async fn open() -> anyhow::Result<Self> {
        let world = World::with_http().await?;
        let (client, journal) = (world.client()?, Arc::new(Journal::default()));
        let running = world.run(worker(&client, &journal));
        Ok(Self { client, journal, _worker: running, _world: world })
    }

    async fn order(&self, card: &str, address: &str) -> anyhow::Result<WorkflowHandle<Receipt>> {
        let order = Order {
            sku: "tide-clock".to_owned(),
            amount_cents: 4_200,
            card: card.to_owned(),
            address: address.to_owned(),
        };
        Ok(self.client.start(order_saga, order).id("order").task_queue(TASK_QUEUE).await?)
    }

    /// Calls the order off once the courier is on the way, and gives how it ended.
    async fn call_off(&self, run: &WorkflowHandle<Receipt>) -> anyhow::Result<WorkflowFailed> {
        let on_the_way = || async { self.done().iter().any(|what| what == "on the way").then_some(()) };
        eventually("the courier is on the way", on_the_way).await?;
        run.cancel("the customer changed their mind").await?;
        failed(run).await
    }

    fn done(&self) -> Vec<String> {
        self.journal.of("order")
    }
}

async fn failed(run: &WorkflowHandle<Receipt>) -> anyhow::Result<WorkflowFailed> {
    let error = in_time("the workflow ends", run.result()).await?.err().context("the order was fulfilled")?;
    error.as_failed().cloned().context(error)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_fulfilled() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    let run = shop.order("visa", "1 Harbour Street").await?;
    let receipt = in_time("the workflow ends", run.result()).await??;
    ensure!(receipt.payment_id.starts_with("visa"), "{receipt:?}");
    ensure!(shop.done() == ["reserved", "charged", "delivered", "confirmed"], "{:?}", shop.done());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_undone_is_reported_and_the_rest_is_undone() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    let failed = failed(&shop.order("closed", "nowhere").await?).await?;
    ensure!(shop.done() == ["reserved", "charged", "released"], "{:?}", shop.done());
    let undone = CompensationFailed::all_of(&failed.failure);
    let [refund] = undone.as_slice() else { anyhow::bail!("{failed:?}") };
    ensure!(refund.compensation == "Refund" && refund.error_type == "AccountClosed", "{refund:?}");
    // Why the order failed in the first place is there, too.
    let why = std::iter::successors(Some(&*failed.failure), |failure| failure.cause.as_deref());
    ensure!(why.into_iter().any(|failure| failure.error_type() == "AddressUnreachable"), "{failed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_undone_when_a_later_step_fails() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    let failed = failed(&shop.order("visa", "nowhere").await?).await?;
    ensure!(shop.done() == ["reserved", "charged", "refunded", "released"], "{:?}", shop.done());
    ensure!(failed.status == WorkflowStatus::Failed && CompensationFailed::all_of(&failed.failure).is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_stops_when_the_customer_cancels_leaves_only_the_earlier_ones_to_undo() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    let run = shop.order("visa", "far away").await?;
    let failed = shop.call_off(&run).await?;
    ensure!(failed.status == WorkflowStatus::Canceled, "{failed:?}");
    let expected = ["reserved", "charged", "on the way", "turned round", "refunded", "released"];
    ensure!(shop.done() == expected, "{:?}", shop.done());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_done_although_the_customer_cancels_is_undone_too() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    let run = shop.order("visa", "next door").await?;
    let failed = shop.call_off(&run).await?;
    ensure!(failed.status == WorkflowStatus::Canceled, "{failed:?}");
    let expected = ["reserved", "charged", "on the way", "delivered", "called back", "refunded", "released"];
    ensure!(shop.done() == expected, "{:?}", shop.done());
    Ok(())
}
