//! Requests to a node.
//!
//! A node that is taking over a partition says so and is asked again for a while. Answers are kept as they came, so that
//! `-o json` shows what a newer node says, too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use tidewright_schemas::api::{Problem, SkipCommands, encode_segment, workflow_path};
use tidewright_schemas::topics::Topics;
use tidewright_schemas::{WorkflowId, headers};

use super::options::{RunOptions, ServerOptions};
use crate::error::CliError;
use crate::output::Output;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a node may take beyond what it was asked to wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);
/// How long a node is asked again.
const PATIENCE: Duration = Duration::from_secs(20);
const RETRY_DELAY: Duration = Duration::from_millis(300);

/// A node, or several behind one address.
pub(crate) struct Server {
    client: reqwest::Client,
    address: String,
    namespace: String,
    /// Whether a node was there before: one that was is waited for when it starts again.
    was_reached: AtomicBool,
}

/// Why a request was not answered.
enum Missed {
    /// No node could be reached.
    Unreachable(CliError),
    /// It may be another time.
    Passing(CliError),
    Final(CliError),
}

impl Server {
    pub(crate) fn new(options: &ServerOptions) -> Result<Self, CliError> {
        let address = options.http_url.trim_end_matches('/');
        if !address.starts_with("http://") {
            return Err(CliError::plain(format!("`{address}` is no http:// URL"))
                .hint("an address is like http://127.0.0.1:8233; for TLS put a proxy in between")
                .usage());
        }
        let client = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).build();
        let client = client.map_err(|e| CliError::plain(format!("cannot make an HTTP client: {e}")))?;
        Ok(Self {
            client,
            address: address.to_owned(),
            namespace: options.namespace.clone(),
            was_reached: AtomicBool::new(false),
        })
    }

    /// The default namespace at an address.
    pub(crate) fn at(address: &str) -> Result<Self, CliError> {
        let namespace = Topics::DEFAULT_NAMESPACE.to_owned();
        Self::new(&ServerOptions { http_url: address.to_owned(), namespace, output: Output::Text })
    }

    fn workflows_path(&self) -> String {
        format!("/api/v1/namespaces/{}/workflows", encode_segment(&self.namespace))
    }

    /// `GET …/workflows`.
    pub(crate) async fn list(&self, query: &[(&str, String)]) -> Result<String, CliError> {
        self.read(&self.workflows_path(), query, Duration::ZERO).await
    }

    fn partitions_path(&self) -> String {
        format!("/api/v1/namespaces/{}/partitions", encode_segment(&self.namespace))
    }

    /// `GET …/partitions`.
    pub(crate) async fn partitions(&self) -> Result<String, CliError> {
        self.read(&self.partitions_path(), &[], Duration::ZERO).await
    }

    /// `GET …/workers`.
    pub(crate) async fn workers(&self, query: &[(&str, String)]) -> Result<String, CliError> {
        let path = format!("/api/v1/namespaces/{}/workers", encode_segment(&self.namespace));
        self.read(&path, query, Duration::ZERO).await
    }

    /// `POST …/partitions/{partition}/retry`.
    pub(crate) async fn retry_partition(&self, partition: u32) -> Result<(), CliError> {
        self.post_to_partition(partition, "retry", "{}".to_owned()).await
    }

    /// `POST …/partitions/{partition}/skip`.
    pub(crate) async fn skip_commands(&self, partition: u32, skip: &SkipCommands) -> Result<(), CliError> {
        let body = serde_json::to_string(skip).map_err(|e| CliError::plain(e.to_string()))?;
        self.post_to_partition(partition, "skip", body).await
    }

    async fn post_to_partition(&self, partition: u32, verb: &str, body: String) -> Result<(), CliError> {
        let path = format!("{}/{partition}/{verb}", self.partitions_path());
        let request = || {
            let request = self.request(Method::POST, &path, Duration::ZERO);
            request.header("content-type", "application/json").body(body.clone())
        };
        self.patiently(request).await.map(|_| ())
    }

    /// `GET …/workflows/{id}` and what is below it.
    pub(crate) async fn of_run(
        &self,
        run: &RunOptions,
        below: &str,
        mut query: Vec<(&str, String)>,
        server_wait: Duration,
    ) -> Result<String, CliError> {
        let path = format!("{}{below}", workflow_path(&self.namespace, &run.workflow_id));
        query.extend(run.run_id.iter().map(|run_id| ("run_id", run_id.as_str().to_owned())));
        self.read(&path, &query, server_wait).await
    }

    /// `POST …/workflows`. The body must hold a request id: it may be sent more than once.
    pub(crate) async fn start(&self, body: String, traceparent: Option<&str>) -> Result<String, CliError> {
        self.post(&self.workflows_path(), body, traceparent).await
    }

    /// `POST …/workflows/signal-with-start`, with a request id.
    pub(crate) async fn signal_with_start(&self, body: String, traceparent: Option<&str>) -> Result<String, CliError> {
        self.post(&format!("{}/signal-with-start", self.workflows_path()), body, traceparent).await
    }

    /// `POST …/workflows/{id}/{verb}`. What is not harmless when it comes twice holds a request id.
    pub(crate) async fn ask(&self, workflow_id: &WorkflowId, verb: &str, body: String) -> Result<String, CliError> {
        self.post(&format!("{}/{verb}", workflow_path(&self.namespace, workflow_id)), body, None).await
    }

    /// `POST …/workflows/{id}/query`; the answer may take this long.
    pub(crate) async fn query(&self, id: &WorkflowId, body: String, wait: Duration) -> Result<String, CliError> {
        let path = format!("{}/query", workflow_path(&self.namespace, id));
        let request =
            || self.request(Method::POST, &path, wait).header("content-type", "application/json").body(body.clone());
        self.patiently(request).await
    }

    /// `DELETE …/workflows/{id}`, with a request id.
    pub(crate) async fn delete(&self, workflow_id: &WorkflowId, query: &[(&str, String)]) -> Result<String, CliError> {
        let path = workflow_path(&self.namespace, workflow_id);
        self.patiently(|| self.request(Method::DELETE, &path, Duration::ZERO).query(query)).await
    }

    async fn post(&self, path: &str, body: String, traceparent: Option<&str>) -> Result<String, CliError> {
        self.patiently(|| {
            let request = self.request(Method::POST, path, Duration::ZERO);
            let request = request.header("content-type", "application/json").body(body.clone());
            match traceparent {
                Some(traceparent) => request.header(headers::TRACEPARENT, traceparent),
                None => request,
            }
        })
        .await
    }

    async fn read(&self, path: &str, query: &[(&str, String)], server_wait: Duration) -> Result<String, CliError> {
        self.patiently(|| self.request(Method::GET, path, server_wait).query(query)).await
    }

    fn request(&self, method: Method, path: &str, server_wait: Duration) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.address)).timeout(server_wait + ANSWER_TIMEOUT)
    }

    async fn patiently(&self, request: impl Fn() -> RequestBuilder) -> Result<String, CliError> {
        let mut failing_since = None;
        loop {
            let error = match self.once(request()).await {
                Ok(body) => return Ok(body),
                Err(Missed::Final(error)) => return Err(error),
                Err(Missed::Unreachable(error)) if !self.was_reached.load(Ordering::Relaxed) => return Err(error),
                Err(Missed::Unreachable(error) | Missed::Passing(error)) => error,
            };
            if failing_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                return Err(error);
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    async fn once(&self, request: RequestBuilder) -> Result<String, Missed> {
        let unreachable = |e: reqwest::Error| {
            let error = CliError::server_unreachable(&self.address, chain(&e));
            // A connection that ends or hangs in the middle was one.
            if e.is_connect() || e.is_builder() { Missed::Unreachable(error) } else { Missed::Passing(error) }
        };
        let response = request.send().await.map_err(unreachable)?;
        self.was_reached.store(true, Ordering::Relaxed);
        let status = response.status();
        let body = response.text().await.map_err(unreachable)?;
        if status.is_success() {
            return Ok(body);
        }
        let error = match serde_json::from_str::<Problem>(&body) {
            Ok(problem) => CliError::problem(&problem),
            Err(_) => {
                let problem = format!("{} answered {status}, and not as a Tidewright node does", self.address);
                return Err(Missed::Final(
                    CliError::coded("TW0706", problem).hint("check --address and TIDEWRIGHT_HTTP_URL"),
                ));
            }
        };
        Err(if status == StatusCode::SERVICE_UNAVAILABLE { Missed::Passing(error) } else { Missed::Final(error) })
    }
}

/// Reads an answer.
pub(crate) fn parse<T: DeserializeOwned>(body: &str) -> Result<T, CliError> {
    serde_json::from_str(body).map_err(|error| {
        CliError::coded("TW0706", format!("the node answered what this version cannot read: {error}"))
            .hint("`-o json` shows the answer as it is; a newer `tidewright` reads it")
    })
}

/// An error with its sources, since reqwest's own text leaves them out.
pub(crate) fn chain(error: &reqwest::Error) -> String {
    // The innermost one says what happened; those around it only where.
    let last = std::iter::successors(std::error::Error::source(error), |e| (*e).source()).last();
    last.map_or_else(|| error.to_string(), ToString::to_string)
}
