//! Orders are taken over HTTP, once for each key, and can be asked for.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use end_to_end::{Running, World};
use order_fulfilment::Services;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

struct Shop {
    world: World,
    address: SocketAddr,
    http: reqwest::Client,
    /// Ends when it is dropped.
    _service: JoinSet<std::io::Result<()>>,
}

impl Shop {
    async fn open() -> anyhow::Result<Self> {
        let world = World::with_http().await?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut service = JoinSet::new();
        service.spawn(axum::serve(listener, http_service::router(world.client()?)).into_future());
        Ok(Self { world, address, http: reqwest::Client::new(), _service: service })
    }

    fn worker(&self) -> anyhow::Result<Running> {
        let worker = order_fulfilment::worker(&self.world.client()?, http_service::TASK_QUEUE, Services::in_memory());
        Ok(self.world.run(worker))
    }

    async fn order(&self, key: &str, card: &str) -> anyhow::Result<Response> {
        let order = json!({
            "order_id": key, "customer": "ada@example.org", "items": [{"sku": "tea-500g", "quantity": 2}],
            "amount_cents": 2_590, "card": card, "address": "1 Harbour Street",
        });
        let request = self.http.post(format!("http://{}/orders", self.address)).header("idempotency-key", key);
        Ok(request.json(&order).send().await?)
    }

    async fn get(&self, path: &str) -> anyhow::Result<Response> {
        Ok(self.http.get(format!("http://{}{path}", self.address)).send().await?)
    }

    /// The result, once there is one.
    async fn result(&self, path: &str) -> anyhow::Result<Response> {
        loop {
            let answer = self.get(&format!("{path}/result")).await?;
            if answer.status() != StatusCode::ACCEPTED {
                return Ok(answer);
            }
            ensure!(answer.headers().contains_key("retry-after"));
        }
    }
}

/// Where an accepted order can be asked for, and what it was told of it.
async fn accepted(answer: Response) -> anyhow::Result<(String, Value)> {
    ensure!(answer.status() == StatusCode::ACCEPTED, "{answer:?}");
    let location = answer.headers().get("location").context("no location")?.to_str()?.to_owned();
    Ok((location, answer.json().await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_accepted_at_once_and_fulfilled_once() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    // Nobody works yet, but orders are taken.
    let (location, first) = accepted(shop.order("4711", "visa").await?).await?;
    ensure!(location == "/orders/4711" && first["workflow_id"] == "order-4711", "{location} {first}");
    let (_, again) = accepted(shop.order("4711", "visa").await?).await?;
    ensure!(again == first, "{again} {first}");
    let status: Value = shop.get(&location).await?.json().await?;
    ensure!(status["status"] == "Running", "{status}");
    let _worker = shop.worker()?;
    let result: Value = shop.result(&location).await?.json().await?;
    ensure!(result["outcome"] == "Completed", "{result}");
    let (_, late) = accepted(shop.order("4711", "visa").await?).await?;
    ensure!(late == first, "{late} {first}");
    let status: Value = shop.get(&location).await?.json().await?;
    ensure!(status["status"] == "Completed", "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_has_a_status_of_its_own() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    let _worker = shop.worker()?;
    let (location, _) = accepted(shop.order("4712", "declined").await?).await?;
    let failed = shop.result(&location).await?;
    ensure!(failed.status() == StatusCode::UNPROCESSABLE_ENTITY, "{failed:?}");
    let problem: Value = failed.json().await?;
    ensure!(problem["title"] == "PaymentDeclined", "{problem}");
    for path in ["/orders/nobody", "/orders/nobody/result"] {
        let missing = shop.get(path).await?;
        ensure!(missing.status() == StatusCode::NOT_FOUND, "{path}: {missing:?}");
    }
    let keyless = shop.order("", "visa").await?;
    ensure!(keyless.status() == StatusCode::BAD_REQUEST, "{keyless:?}");
    let foreign = shop.get("/orders/..%2Fother").await?;
    ensure!(foreign.status() == StatusCode::BAD_REQUEST, "{foreign:?}");
    Ok(())
}
