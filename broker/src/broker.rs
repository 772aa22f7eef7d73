//! The broker as a whole: opens its storage, listens, and ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::config::BrokerConfig;
use crate::error::BrokerError;
use crate::group::housekeeping;
use crate::server::connection;
use crate::state::Shared;

/// More threads than this do not make one node faster.
const THREADS_MAX: usize = 4;
/// How long requests in progress may take to end.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long to wait before accepting again after a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running broker, on threads of its own: a client that blocks its thread, as clients do when they close, never blocks
/// the broker that it waits for. It ends with [`Broker::shutdown`], or abruptly when it is dropped, in which case its
/// directory and its port are free a moment later. Either way the next broker on the directory goes on where this one
/// stopped.
#[must_use = "a broker ends when it is dropped"]
pub struct Broker {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    threads: Threads,
}

impl Broker {
    /// Returns once clients can connect.
    pub async fn start(config: BrokerConfig) -> Result<Self, BrokerError> {
        let threads = Threads::start()?;
        let (listener, shared) = threads.spawn(open(config)).await??;
        let address = shared.address;
        let (stop, stopped) = watch::channel(false);
        let serving = threads.spawn(serve(listener, shared, stopped));
        tracing::info!(%address, "the broker is listening");
        Ok(Self { address, stop, serving, threads })
    }

    /// Where it listens, with the port that it took if it was told to take any.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets requests in progress be answered, closes all connections and lets go of the directory.
    pub async fn shutdown(self) -> Result<(), BrokerError> {
        self.stop.send_replace(true);
        self.serving.await?;
        // Waits for the threads that still delete files; it blocks, so a thread for that does it.
        Ok(tokio::task::spawn_blocking(move || self.threads.end()).await?)
    }
}

/// A runtime that may be dropped anywhere.
struct Threads(Option<Runtime>);

impl Threads {
    fn start() -> Result<Self, BrokerError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let mut runtime = runtime::Builder::new_multi_thread();
        runtime.worker_threads(threads).thread_name("tidewright-broker").enable_all();
        runtime.build().map(|runtime| Self(Some(runtime))).map_err(BrokerError::Threads)
    }

    fn spawn<F: Future<Output: Send> + Send + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        self.0.as_ref().expect("only `end` and `drop` take the runtime").spawn(future)
    }

    fn end(mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_timeout(FAREWELL);
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

async fn open(config: BrokerConfig) -> Result<(TcpListener, Arc<Shared>), BrokerError> {
    let listen = config.listen;
    let refuse = |source| BrokerError::Listen { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(refuse)?;
    let address = listener.local_addr().map_err(refuse)?;
    let shared = tokio::task::spawn_blocking(move || Shared::open(config, address)).await??;
    Ok((listener, Arc::new(shared)))
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let mut groups = JoinSet::new();
    groups.spawn(housekeeping::watch_deadlines(shared.clone()));
    groups.spawn(housekeeping::sweep(shared.clone()));
    groups.spawn(housekeeping::compact(shared.clone()));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => admit(&mut connections, stream, peer, &shared, &stopped),
                Err(error) => {
                    // Most likely out of file descriptors: whoever waits is accepted when a connection ends.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            _ = stopped.changed() => break,
        }
    }
    drop(listener);
    let farewell = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
        tracing::warn!("gave up on connections that did not end");
    }
    // Aborts what is left and waits until it is gone, so that nobody holds the directory any more.
    connections.shutdown().await;
    groups.shutdown().await;
    let stopping = tokio::task::spawn_blocking(move || {
        shared.coordinator.stop();
        shared.topics.stop();
    });
    if let Err(error) = stopping.await {
        tracing::error!(%error, "could not sync the logs; a start will read their ends");
    }
}

fn admit(
    connections: &mut JoinSet<()>,
    stream: TcpStream,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    stopped: &watch::Receiver<bool>,
) {
    let max = shared.config.limits.connections_max;
    if connections.len() >= max {
        tracing::warn!(%peer, max, "refused a connection: the limit is reached");
        return;
    }
    let (shared, mut stopped) = (shared.clone(), stopped.clone());
    connections.spawn(async move {
        if let Err(error) = connection::serve(stream, &shared, &mut stopped).await {
            tracing::debug!(%peer, %error, "closed a connection");
        }
    });
}
