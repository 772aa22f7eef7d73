//! Reads from the HTTP API of whichever node owns a workflow.
//!
//! A node that is gone, not ready or not the owner any more is no error yet: the request is repeated, at the node that
//! the `cluster` topic names by then, until its time is up.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use tidewright_schemas::WorkflowId;
use tidewright_schemas::api::Problem;
use tokio::time::Instant;

use crate::client::Client;
use crate::error::ReadError;

const RETRY_DELAY: Duration = Duration::from_millis(100);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(2);
/// How long a node may take beyond what it was asked to wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why one request gave nothing.
enum Missed {
    /// Another try may help.
    Passing(String),
    Final(ReadError),
}

/// A read of one workflow.
pub(crate) struct Read<'a> {
    pub(crate) client: &'a Client,
    pub(crate) workflow_id: &'a WorkflowId,
    /// What follows `…/workflows/{id}`, for instance `/result`.
    pub(crate) path: &'a str,
    pub(crate) query: Vec<(&'a str, String)>,
    /// What is asked, as JSON; none is a GET. It may be asked more than once.
    pub(crate) body: Option<Vec<u8>>,
    /// How long the node is asked to wait before it answers.
    pub(crate) server_wait: Duration,
    /// How long the read may take; none is without end.
    pub(crate) patience: Option<Duration>,
}

impl Read<'_> {
    /// Reads, again and again if need be.
    pub(crate) async fn json<T: DeserializeOwned>(&self) -> Result<T, ReadError> {
        let deadline = self.patience.map(|patience| Instant::now() + patience);
        let mut delay = RETRY_DELAY;
        loop {
            let problem = match self.once().await {
                Ok(value) => return Ok(value),
                Err(Missed::Final(error)) => return Err(error),
                Err(Missed::Passing(problem)) => problem,
            };
            if deadline.is_some_and(|deadline| Instant::now() + delay >= deadline) {
                let workflow_id = self.workflow_id.clone();
                return Err(ReadError::Unavailable { workflow_id, message: problem });
            }
            tracing::debug!(workflow_id = %self.workflow_id, "a read will be repeated: {problem}");
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(RETRY_DELAY_MAX);
        }
    }

    async fn once<T: DeserializeOwned>(&self) -> Result<T, Missed> {
        let base = self.client.http_base(self.workflow_id).await.map_err(Missed::Passing)?;
        let namespace = percent_encoded(self.client.config().namespace.as_str());
        let id = percent_encoded(self.workflow_id.as_str());
        let url = format!("{}/api/v1/namespaces/{namespace}/workflows/{id}{}", base.trim_end_matches('/'), self.path);
        let request = match &self.body {
            None => self.client.http().get(&url),
            Some(body) => self.client.http().post(&url).header(CONTENT_TYPE, "application/json").body(body.clone()),
        };
        let request = request.query(&self.query).timeout(self.server_wait + ANSWER_TIMEOUT);
        let response = request.send().await.map_err(|e| Missed::Passing(format!("{url}: {}", chain(&e))))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|e| Missed::Passing(format!("{url}: {}", chain(&e))))?;
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|e| Missed::Passing(format!("{url} answered what this version cannot read: {e}")));
        }
        Err(self.refused(status, &body, &url))
    }

    fn refused(&self, status: StatusCode, body: &[u8], url: &str) -> Missed {
        let problem: Option<Problem> = serde_json::from_slice(body).ok();
        let detail = problem.as_ref().map_or_else(|| format!("{url} answered {status}"), |p| p.detail.clone());
        match (status, problem) {
            (StatusCode::NOT_FOUND, Some(_)) => {
                let workflow_id = self.workflow_id.clone();
                Missed::Final(ReadError::NotFound { workflow_id, message: detail })
            }
            (status, Some(problem)) if is_final(status) => Missed::Final(ReadError::Refused(Box::new(problem))),
            _ => Missed::Passing(detail),
        }
    }
}

/// Whether asking again would not help. A node that says that its time was up has had all the time there was.
fn is_final(status: StatusCode) -> bool {
    let is_passing =
        matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::MISDIRECTED_REQUEST);
    (status.is_client_error() && !is_passing) || status == StatusCode::GATEWAY_TIMEOUT
}

/// An error with its sources, since reqwest's own text leaves them out.
pub(crate) fn chain(error: &reqwest::Error) -> String {
    let sources = std::iter::successors(std::error::Error::source(error), |e| (*e).source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

/// A path segment.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            encoded.push('%');
            encoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
            encoded.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::percent_encoded;

    #[test]
    fn a_path_segment_keeps_its_slashes_to_itself() {
        assert_eq!(percent_encoded("order/1 ü"), "order%2F1%20%C3%BC");
    }
}
