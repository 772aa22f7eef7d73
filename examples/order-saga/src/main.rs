//! Four orders: one that ends well, one that cannot be delivered, and two that are called off on the way.

use std::sync::Arc;
use std::time::Duration;

use order_saga::{Journal, Order, TASK_QUEUE, order_saga, worker};
use playground::Playground;
use tidewright::Client;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let playground = Playground::start().await?;
    let client = playground.client();
    let journal = Arc::new(Journal::default());
    playground.tell(worker(&client, &journal), story(client, journal)).await
}

async fn story(client: Client, journal: Arc<Journal>) -> anyhow::Result<()> {
    for (card, address) in
        [("visa", "1 Harbour Street"), ("closed", "nowhere"), ("visa", "far away"), ("visa", "next door")]
    {
        let order = Order {
            sku: "tide-clock".to_owned(),
            amount_cents: 4_200,
            card: card.to_owned(),
            address: address.to_owned(),
        };
        let run = client.start(order_saga, order).task_queue(TASK_QUEUE).await?;
        println!("An order, paid with `{card}`, to `{address}`:");
        if matches!(address, "far away" | "next door") {
            while !journal.of(run.workflow_id()).iter().any(|what| what == "on the way") {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            run.cancel("the customer changed their mind").await?;
        }
        match run.result().await {
            Ok(receipt) => println!("  {receipt:?}"),
            Err(error) => println!("  {error:#}"),
        }
        println!("  {}", journal.of(run.workflow_id()).join(", "));
    }
    Ok(())
}
