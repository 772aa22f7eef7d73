//! Lets an example be run with one command: a Kafka and an engine in its own process, kept in memory. Where
//! `TIDEWRIGHT_BROKERS` names a Kafka, that one is used, with the engine that runs on it.
//!
//! Nothing here is needed in a service: there the client comes from `Client::from_env`, and the worker ends with the
//! process (`Worker::run`).

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;
use tidewright::{Client, ClientConfig, Worker};
use tidewright_api::{ApiError, ApiServer};
use tidewright_broker::{Broker, BrokerConfig, Storage};
use tidewright_log::KafkaConfig;
use tidewright_owner::trust::Secret;
use tidewright_runtime::{Engine, EngineConfig, Route};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing_subscriber::EnvFilter;

/// How long the engine may take to end in good order.
const FAREWELL: Duration = Duration::from_secs(20);
/// How often readiness is looked at.
const READY_INTERVAL: Duration = Duration::from_millis(20);

/// Where an example runs.
pub struct Playground {
    client: Client,
    /// What runs in this process; none where there is a Kafka with an engine already.
    here: Option<Here>,
}

struct Here {
    engine: Engine,
    stop_api: oneshot::Sender<()>,
    api: JoinHandle<Result<(), ApiError>>,
    broker: Broker,
    _state: TempDir,
}

impl Playground {
    /// Starts what is needed. `RUST_LOG` says what is logged; by default it is errors.
    pub async fn start() -> anyhow::Result<Self> {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
        if std::env::var_os("TIDEWRIGHT_BROKERS").is_some_and(|brokers| !brokers.is_empty()) {
            return Ok(Self { client: Client::from_env()?, here: None });
        }
        let here = Here::start().await?;
        let client = Client::new(ClientConfig::new(here.broker.address().to_string()))?;
        Ok(Self { client, here: Some(here) })
    }

    /// Starts workflows, and more.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Runs a worker until the story has been told, or somebody presses Ctrl-C.
    pub async fn tell(self, worker: Worker, story: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
        let mut told = Ok(());
        let until_told = worker.run_until(async {
            told = tokio::select! {
                told = story => told,
                interrupted = tokio::signal::ctrl_c() => interrupted.context("Ctrl-C cannot be listened for"),
            };
        });
        let ran = Box::pin(until_told).await;
        if let Some(here) = self.here {
            here.stop().await?;
        }
        ran?;
        told
    }
}

impl Here {
    async fn start() -> anyhow::Result<Self> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let broker = BrokerConfig { listen, storage: Storage::Memory, ..BrokerConfig::default() };
        let broker = Broker::start(broker).await?;
        let state = tempfile::Builder::new().prefix("tidewright-").tempdir()?;
        let secret = Secret::new(rand::random::<[u8; Secret::BYTES_MIN]>())?;
        let server = ApiServer::bind(listen).await?;
        let kafka = KafkaConfig::new(broker.address().to_string());
        let mut config = EngineConfig::new(kafka, secret, state.path());
        config.http_url = Some(format!("http://{}", server.local_addr()));
        let engine = Engine::start(config).await?;
        until_ready(&engine).await?;
        let (stop_api, stopped) = oneshot::channel::<()>();
        let serving = server.serve(engine.clone(), async move {
            // An error means that the playground was dropped, which ends it, too.
            let _ = stopped.await;
        });
        let api = tokio::spawn(serving);
        Ok(Self { engine, stop_api, api, broker, _state: state })
    }

    async fn stop(self) -> anyhow::Result<()> {
        // An error means that the server has ended already.
        let _ = self.stop_api.send(());
        self.api.await??;
        // Nothing is kept, so nothing is lost if the engine takes too long.
        let _ = tokio::time::timeout(FAREWELL, self.engine.shutdown()).await;
        Ok(self.broker.shutdown().await?)
    }
}

/// Waits until the engine owns every partition.
async fn until_ready(engine: &Engine) -> anyhow::Result<()> {
    let ready = async {
        while !engine.owners().iter().all(|(_, route)| matches!(route, Route::Local(_))) {
            tokio::time::sleep(READY_INTERVAL).await;
        }
    };
    tokio::select! {
        () = ready => Ok(()),
        error = engine.failed() => Err(error.into()),
    }
}
