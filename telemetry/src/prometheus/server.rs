//! `GET /metrics` for a process that serves nothing else.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{CONTENT_TYPE, Recorder};

/// How many scrapers are answered at the same time; others wait.
const CONNECTIONS_MAX: usize = 32;
/// How long a connection may take for a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the system gives no connection, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The page cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be served on {address}: {source}; name another address, or none")]
pub struct ServeError {
    /// The address that was asked for.
    pub address: SocketAddr,
    source: std::io::Error,
}

/// Listens; connections wait until [`MetricsServer::serve`] answers them.
#[derive(Debug)]
pub struct MetricsServer {
    listener: TcpListener,
    local_addr: SocketAddr,
}

impl MetricsServer {
    /// Listens; port 0 takes any free port.
    pub async fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let refuse = |source| ServeError { address, source };
        let listener = TcpListener::bind(address).await.map_err(refuse)?;
        let local_addr = listener.local_addr().map_err(refuse)?;
        Ok(Self { listener, local_addr })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Answers until it is dropped.
    pub async fn serve(self, recorder: Recorder) {
        tokio::select! {
            () = accept(self.listener, recorder.clone()) => {}
            () = recorder.upkeep() => {}
        }
    }
}

async fn accept(listener: TcpListener, recorder: Recorder) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Ends its connections with itself.
    let mut connections = JoinSet::new();
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let recorder = recorder.clone();
                connections.spawn(async move {
                    answer(stream, recorder).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("a connection for metrics is not accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, recorder: Recorder) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = respond(&request, &recorder);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    let connection = http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!("a connection for metrics ended: {error}");
    }
}

fn respond(request: &Request<Incoming>, recorder: &Recorder) -> Response<Full<Bytes>> {
    let (status, content_type, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, CONTENT_TYPE, recorder.render()),
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET it\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "text/plain", "metrics are under /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
