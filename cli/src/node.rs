//! A node: engine and HTTP API in this process. `dev`, `serve` and `demo` run one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use tidewright_api::{ApiError, ApiServer};
use tidewright_runtime::{Engine, EngineConfig, PartitionState, Route};
use tidewright_telemetry::traces::{self, TraceExport};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::CliError;
use crate::output::print;
use crate::shutdown::Shutdown;

/// How long the engine may take to end in good order.
const FAREWELL: Duration = Duration::from_secs(20);
/// How often readiness is looked at.
const READY_INTERVAL: Duration = Duration::from_millis(20);

/// What a program that started this one waits for: one line of JSON on stdout.
#[derive(Debug, Serialize)]
pub(crate) struct ReadyLine {
    ready: bool,
    /// `host:port` of the brokers.
    kafka: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    pid: u32,
    /// Where data is kept; null if nowhere.
    data_dir: Option<PathBuf>,
}

impl ReadyLine {
    pub(crate) fn of_broker(kafka: String, data_dir: Option<PathBuf>) -> Self {
        Self { ready: true, kafka, http: None, namespace: None, node: None, pid: std::process::id(), data_dir }
    }

    pub(crate) fn of_node(node: &Node, kafka: String, data_dir: Option<PathBuf>) -> Self {
        Self {
            http: Some(node.http_url.clone()),
            namespace: Some(node.engine.namespace().to_owned()),
            node: Some(node.engine.node().to_owned()),
            ..Self::of_broker(kafka, data_dir)
        }
    }

    pub(crate) fn print(&self) -> Result<(), CliError> {
        let json = serde_json::to_string(self).map_err(|e| CliError::plain(e.to_string()))?;
        print(&format!("{json}\n"))
    }
}

/// A running node.
pub(crate) struct Node {
    engine: Engine,
    http_url: String,
    stop_api: oneshot::Sender<()>,
    api: JoinHandle<Result<(), ApiError>>,
    traces: Option<TraceExport>,
}

impl Node {
    /// Listens, starts the engine, and answers. `flag` is what sets the address.
    pub(crate) async fn start(mut config: EngineConfig, listen: SocketAddr, flag: &str) -> Result<Self, CliError> {
        tidewright_api::install_metrics();
        let traces = traces::from_env("tidewright").map_err(|error| CliError::plain(error.to_string()))?;
        config.new_traces = traces.as_ref().map(TraceExport::new_traces);
        let server = ApiServer::bind(listen).await.map_err(|error| match error {
            ApiError::Listen { address, source } => CliError::address(address, flag, &source),
            other => other.into(),
        })?;
        let http_url = match &config.http_url {
            Some(http_url) => http_url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", server.local_addr()),
        };
        config.http_url = Some(http_url.clone());
        let engine = Engine::start(config).await?;
        let (stop_api, stopped) = oneshot::channel::<()>();
        let answering = server.serve(engine.clone(), async move {
            // An error means that the node was dropped, which ends it, too.
            let _ = stopped.await;
        });
        let api = tokio::spawn(answering);
        Ok(Self { engine, http_url, stop_api, api, traces })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn http_url(&self) -> &str {
        &self.http_url
    }

    /// Waits until the node has joined its cluster and knows what becomes of its partitions; with `all`, until it owns
    /// every partition of the namespace.
    pub(crate) async fn until_ready(&self, all: bool) -> Result<(), CliError> {
        let ready = async {
            while !(self.engine.is_ready() && (!all || self.has_all())) {
                tokio::time::sleep(READY_INTERVAL).await;
            }
        };
        tokio::select! {
            () = ready => Ok(()),
            error = self.engine.failed() => Err(error.into()),
        }
    }

    fn has_all(&self) -> bool {
        let is_stopped = |partition| {
            let mut statuses = self.engine.statuses().into_iter();
            statuses.any(|s| s.partition == partition && matches!(s.state, PartitionState::Stopped { .. }))
        };
        let mut owners = self.engine.owners().into_iter();
        owners.all(|(partition, route)| matches!(route, Route::Local(_)) || is_stopped(partition))
    }

    /// Resolves if the node ends by itself.
    pub(crate) async fn failed(&self) -> CliError {
        self.engine.failed().await.into()
    }

    /// Answers what was asked, finishes what was begun, and leaves the cluster.
    pub(crate) async fn stop(self) -> Result<(), CliError> {
        // An error means that the server has ended already.
        let _ = self.stop_api.send(());
        match self.api.await {
            Ok(served) => served?,
            Err(error) => tracing::error!("the HTTP API ended badly: {error}"),
        }
        if tokio::time::timeout(FAREWELL, self.engine.shutdown()).await.is_err() {
            tracing::warn!(
                "the engine did not end within {FAREWELL:?}; nothing is lost, but the next start takes longer"
            );
        }
        if let Some(traces) = self.traces {
            traces.finish().await;
        }
        Ok(())
    }
}

/// Runs a node until it is told to stop or fails: `ready` is called once it is ready.
pub(crate) async fn run(
    config: EngineConfig,
    listen: SocketAddr,
    flag: &str,
    all: bool,
    shutdown: &Shutdown,
    ready: impl FnOnce(&Node) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let node = tokio::select! {
        node = Box::pin(Node::start(config, listen, flag)) => node?,
        () = shutdown.requested() => return Ok(()),
    };
    let run = async {
        node.until_ready(all).await?;
        ready(&node)?;
        Err(node.failed().await)
    };
    let outcome = tokio::select! {
        outcome = run => outcome,
        () = shutdown.requested() => Ok(()),
    };
    let stopped = node.stop().await;
    outcome.and(stopped)
}
