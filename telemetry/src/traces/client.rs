//! The HTTP client of the export: the same library as everywhere, driven by the process's own runtime.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

/// How much of a collector's answer is read: it says little.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    runtime: Handle,
}

impl Client {
    pub(super) fn new(timeout: Duration) -> Result<Self, String> {
        let runtime = Handle::try_current().map_err(|e| e.to_string())?;
        let http = reqwest::Client::builder().timeout(timeout).build().map_err(|e| e.to_string())?;
        Ok(Self { http, runtime })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request.map(reqwest::Body::from))?;
        let http = self.http.clone();
        // The export waits on a thread of its own, outside the runtime that the client needs.
        self.runtime.spawn(exchange(http, request)).await?
    }
}

async fn exchange(http: reqwest::Client, request: reqwest::Request) -> Result<Response<Bytes>, HttpError> {
    let answer = http.execute(request).await?;
    let status = answer.status();
    let short = answer.content_length().is_some_and(|length| length <= ANSWER_BYTES_MAX);
    let body = if short { answer.bytes().await? } else { Bytes::new() };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    Ok(response)
}
