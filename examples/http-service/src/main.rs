//! The service on port 8080, or where the first argument says: `127.0.0.1:9000`. A worker for orders runs beside it.

use order_fulfilment::Services;
use playground::Playground;
use tidewright::Client;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let playground = Playground::start().await?;
    let client = playground.client();
    let worker = order_fulfilment::worker(&client, http_service::TASK_QUEUE, Services::in_memory());
    playground.tell(worker, serve(client, listen)).await
}

async fn serve(client: Client, listen: String) -> anyhow::Result<()> {
    let listener = TcpListener::bind(&listen).await?;
    println!("Orders are taken on http://{}/orders", listener.local_addr()?);
    Ok(axum::serve(listener, http_service::router(client)).await?)
}
