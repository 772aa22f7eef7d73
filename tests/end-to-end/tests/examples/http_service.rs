//! Orders are taken over HTTP, once for each key, and can be asked for.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use end_to_end::processes::{self, PROCESS_PATIENCE};
use end_to_end::{Running, World, binaries, in_time};
use order_fulfilment::Services;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;

struct Shop {
    world: World,
    host: String,
    http: reqwest::Client,
    /// Ends when it is dropped.
    _service: JoinSet<std::io::Result<()>>,
}

impl Shop {
    async fn open() -> anyhow::Result<Self> {
        let world = World::with_http().await?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let host = listener.local_addr()?.to_string();
        let mut service = JoinSet::new();
        service.spawn(axum::serve(listener, http_service::router(world.client()?)).into_future());
        Ok(Self { world, host, http: reqwest::Client::new(), _service: service })
    }

    fn worker(&self) -> anyhow::Result<Running> {
        let worker = order_fulfilment::worker(&self.world.client()?, http_service::TASK_QUEUE, Services::in_memory());
        Ok(self.world.run(worker))
    }

    async fn order(&self, key: &str, card: &str) -> anyhow::Result<Response> {
        send_order(&self.http, &self.host, key, card).await
    }

    async fn get(&self, path: &str) -> anyhow::Result<Response> {
        Ok(self.http.get(format!("http://{}{path}", self.host)).send().await?)
    }

    async fn result(&self, path: &str) -> anyhow::Result<Response> {
        result_of(&self.http, &self.host, path).await
    }
}

async fn send_order(http: &reqwest::Client, host: &str, key: &str, card: &str) -> anyhow::Result<Response> {
    let order = json!({
        "order_id": key, "customer": "ada@example.org", "items": [{"sku": "tea-500g", "quantity": 2}],
        "amount_cents": 2_590, "card": card, "address": "1 Harbour Street",
    });
    let request = http.post(format!("http://{host}/orders")).header("idempotency-key", key);
    Ok(request.json(&order).send().await?)
}

/// The result of an order, once there is one.
async fn result_of(http: &reqwest::Client, host: &str, path: &str) -> anyhow::Result<Response> {
    let asked = async {
        loop {
            let answer = http.get(format!("http://{host}{path}/result")).send().await?;
            if answer.status() != StatusCode::ACCEPTED {
                return Ok(answer);
            }
            ensure!(answer.headers().contains_key("retry-after"));
        }
    };
    in_time("the order ends", asked).await?
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

#[tokio::test(flavor = "multi_thread")]
async fn the_service_runs_by_one_command_until_it_is_interrupted() -> anyhow::Result<()> {
    binaries::build_packages(&["http-service"])?;
    let mut service = Command::new(binaries::path("http-service")?)
        .arg("127.0.0.1:0")
        .env_remove("TIDEWRIGHT_BROKERS")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut said = BufReader::new(service.stdout.take().context("it has no output")?).lines();
    let first = tokio::time::timeout(PROCESS_PATIENCE, said.next_line()).await.context("it does not start")??;
    let first = first.context("it has ended")?;
    let (_, orders) = first.split_once("http://").with_context(|| first.clone())?;
    let (host, _) = orders.split_once('/').with_context(|| first.clone())?;
    let http = reqwest::Client::new();
    let (location, _) = accepted(send_order(&http, host, "4713", "visa").await?).await?;
    let result: Value = result_of(&http, host, &location).await?.json().await?;
    ensure!(result["outcome"] == "Completed", "{result}");
    processes::send_signal(&service, "INT").await?;
    let ended = tokio::time::timeout(PROCESS_PATIENCE, service.wait()).await.context("it does not end")??;
    ensure!(ended.success(), "{ended}");
    Ok(())
}
