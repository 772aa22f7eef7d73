//! Asking another node what only that node knows: over one hop, with bounded answers.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use bytes::{Bytes, BytesMut};

use crate::problem::Failed;

/// Says that a node asks on behalf of somebody, and which one: whoever gets it must not ask on.
pub(crate) const FORWARDED_BY: &str = "tidewright-forwarded-by";
/// How long an owner may take beyond what it was asked to wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Largest answer that is passed on: a page of history and its framing stay far below.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Two nodes that each believe the other to be the owner must not ask each other for ever.
pub(crate) fn refuse_second_hop(headers: &HeaderMap) -> Result<(), Failed> {
    match headers.get(FORWARDED_BY) {
        None => Ok(()),
        Some(_) => Err(Failed::unavailable("the workflow's partition is changing its owner")),
    }
}

/// Asks other nodes.
pub(crate) struct Proxy {
    client: reqwest::Client,
    node: String,
}

impl Proxy {
    pub(crate) fn new(node: &str) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // A node is asked directly; where it is was announced by itself.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { client, node: node.chars().filter(char::is_ascii_graphic).collect() })
    }

    /// The owner's answer to the same request, whatever it is: a GET, or a POST of JSON.
    pub(crate) async fn forward(
        &self,
        http_url: &str,
        uri: &Uri,
        server_wait: Duration,
        json: Option<Bytes>,
    ) -> Result<Response, Failed> {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let method = if json.is_some() { Method::POST } else { Method::GET };
        let (status, content_type, body) = self.request(method, http_url, path, server_wait, json).await?;
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        if let Some(content_type) = content_type {
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        }
        Ok(response)
    }

    /// Another node's answer to a GET, whatever it is.
    pub(crate) async fn ask(&self, http_url: &str, path: &str) -> Result<(StatusCode, Bytes), Failed> {
        let (status, _, body) = self.get(http_url, path, Duration::ZERO).await?;
        Ok((status, body))
    }

    /// Another node's answer to a POST of JSON, whatever it is.
    pub(crate) async fn post(&self, http_url: &str, path: &str, json: Bytes) -> Result<(StatusCode, Bytes), Failed> {
        let (status, _, body) = self.request(Method::POST, http_url, path, Duration::ZERO, Some(json)).await?;
        Ok((status, body))
    }

    /// The body of a successful GET.
    pub(crate) async fn fetch(&self, http_url: &str, path: &str) -> Result<Bytes, Failed> {
        let (status, _, body) = self.get(http_url, path, Duration::ZERO).await?;
        if status.is_success() { Ok(body) } else { Err(Failed::owner_unreachable(http_url, status)) }
    }

    async fn get(
        &self,
        http_url: &str,
        path: &str,
        server_wait: Duration,
    ) -> Result<(StatusCode, Option<header::HeaderValue>, Bytes), Failed> {
        self.request(Method::GET, http_url, path, server_wait, None).await
    }

    async fn request(
        &self,
        method: Method,
        http_url: &str,
        path: &str,
        server_wait: Duration,
        json: Option<Bytes>,
    ) -> Result<(StatusCode, Option<header::HeaderValue>, Bytes), Failed> {
        let unreachable = |problem: &dyn std::fmt::Display| Failed::owner_unreachable(http_url, problem);
        let url = format!("{}{path}", http_url.trim_end_matches('/'));
        let mut request = self.client.request(method, url);
        if let Some(json) = json {
            request = request.header(header::CONTENT_TYPE, "application/json").body(json);
        }
        let request = request.header(FORWARDED_BY, &self.node).timeout(server_wait + ANSWER_TIMEOUT);
        let mut response = request.send().await.map_err(|e| unreachable(&e.without_url()))?;
        let status = response.status();
        let content_type = response.headers().get(header::CONTENT_TYPE).cloned();
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| unreachable(&e.without_url()))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(unreachable(&format!("its answer is larger than {ANSWER_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, content_type, body.freeze()))
    }
}
