//! The server.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tidewright_runtime::Engine;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::router::{Api, router};
use crate::{connections, metrics_page};

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The client that asks other nodes cannot be made.
    #[error("cannot make the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// The API's listener. Connections wait until [`ApiServer::serve`] answers them.
#[derive(Debug)]
pub struct ApiServer {
    listener: TcpListener,
    local_addr: SocketAddr,
}

impl ApiServer {
    /// Listens; port 0 takes any free port.
    pub async fn bind(address: SocketAddr) -> Result<Self, ApiError> {
        let refuse = |source| ApiError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(refuse)?;
        let local_addr = listener.local_addr().map_err(refuse)?;
        Ok(Self { listener, local_addr })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Answers for `engine` until `shutdown` resolves; then requests in progress are answered, long polls at once, and it
    /// returns.
    pub async fn serve(self, engine: Engine, shutdown: impl Future<Output = ()> + Send) -> Result<(), ApiError> {
        self.serve_backend(Arc::new(engine), shutdown).await
    }

    pub(crate) async fn serve_backend(
        self,
        backend: Arc<dyn Backend>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ApiError> {
        let (stop, stopped) = watch::channel(false);
        let proxy = Proxy::new(backend.node())?;
        let metrics = metrics_page::recorder();
        let api = Api { backend, proxy, metrics: metrics.clone(), stopped: stopped.clone() };
        let serving = connections::serve(self.listener, router(Arc::new(api)), stopped);
        let stopping = async {
            shutdown.await;
            stop.send_replace(true);
            // Only the end of the connections ends the server.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = serving => {}
            () = stopping => {}
            () = metrics.upkeep() => {}
        }
        Ok(())
    }
}
