//! One export in each way.

use std::sync::Arc;

use playground::Playground;
use slow_resource::by_heartbeat::export_by_heartbeat;
use slow_resource::by_retry::export_by_retry;
use slow_resource::{ExportRequest, InMemoryExports, TASK_QUEUE, worker};
use tidewright::Client;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let playground = Playground::start().await?;
    let client = playground.client();
    let exports = Arc::new(InMemoryExports::default());
    playground.tell(worker(&client, exports), story(client)).await
}

async fn story(client: Client) -> anyhow::Result<()> {
    let request = ExportRequest { table: "tides".to_owned(), poll_every_ms: 100 };
    let by_retry = client.start(export_by_retry, &request).task_queue(TASK_QUEUE).await?;
    println!("polled by retry:     {}", by_retry.result().await?);
    let by_heartbeat = client.start(export_by_heartbeat, &request).task_queue(TASK_QUEUE).await?;
    println!("polled by heartbeat: {}", by_heartbeat.result().await?);
    Ok(())
}
