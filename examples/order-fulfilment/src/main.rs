//! A worker process for orders.

use anyhow::Context as _;
use clap::Parser;
use order_fulfilment::{Services, register};
use tidewright::telemetry::TraceExport;
use tidewright::{Client, Worker};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// A worker for the order workflow: validate, pay, ship, refund if it cannot be shipped, confirm.
///
/// It is configured by the environment: TIDEWRIGHT_BROKERS, TIDEWRIGHT_NAMESPACE, TIDEWRIGHT_TOPIC_PREFIX,
/// TIDEWRIGHT_HTTP_URL, TIDEWRIGHT_IDENTITY, TIDEWRIGHT_KAFKA_<PROPERTY>, TIDEWRIGHT_MAX_CONCURRENT_ACTIVITIES,
/// TIDEWRIGHT_MAX_CONCURRENT_WORKFLOW_TASKS, TIDEWRIGHT_MAX_CACHED_RUNS, TIDEWRIGHT_GRACEFUL_SHUTDOWN_TIMEOUT_MS,
/// TIDEWRIGHT_METRICS_LISTEN; RUST_LOG for the log; OTEL_EXPORTER_OTLP_ENDPOINT and other OTEL_ variables for traces; TIDEWRIGHT_ORDER_AUDIT names a file that each attempt of an activity is noted in, and ORDER_ACTIVITY_DELAY_MS
/// makes each take that long.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Which task queue to serve.
    #[arg(long, env = "TIDEWRIGHT_TASK_QUEUE", default_value = "orders")]
    task_queue: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let traces = tidewright::telemetry::from_env("order-fulfilment").context("traces cannot be exported")?;
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(filter))
        .with(traces.as_ref().map(TraceExport::layer))
        .init();
    let client = Client::from_env().context("the client cannot be made")?;
    let options = tidewright::WorkerOptions::from_env().context("the worker cannot be configured")?;
    let services = Services::from_env().context("the activities cannot be set up")?;
    let worker = Worker::new(&client, arguments.task_queue).options(options);
    let ended = register(worker, services).run().await.context("the worker ended");
    if let Some(traces) = traces {
        traces.finish().await;
    }
    ended
}
