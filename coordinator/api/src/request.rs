//! Reading requests: each part that is wrong is answered by a problem that names it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use tidewright_schemas::limits::COMMAND_BYTES_MAX;
use tidewright_schemas::{RunId, TraceContext, WorkflowId, headers};

use crate::problem::Failed;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A query string. A parameter that is not known is an error, since a mistyped filter would say something wrong.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failed> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(params)| Self(params)).map_err(|e| Failed::invalid_parameter(e.body_text()))
    }
}

/// Segments of the path.
pub(crate) struct Segments<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failed> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(segments)| Self(segments)).map_err(|e| Failed::invalid_parameter(e.body_text()))
    }
}

/// A JSON body, as bytes.
pub(crate) struct JsonBody(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Failed;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failed> {
        // A web page may send a form or plain text to any address without being asked; JSON it may not.
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !content_type.is_some_and(is_json) {
            return Err(Failed::not_json(content_type.unwrap_or("nothing in particular")));
        }
        let read = read_body(request.into_body());
        tokio::time::timeout(BODY_TIMEOUT, read).await.map_err(|_| Failed::too_slow())?.map(Self)
    }
}

async fn read_body(body: Body) -> Result<Bytes, Failed> {
    let read = axum::body::to_bytes(body, COMMAND_BYTES_MAX).await;
    read.map_err(|error| match std::error::Error::source(&error) {
        Some(source) if source.is::<LengthLimitError>() => Failed::too_large(COMMAND_BYTES_MAX),
        _ => Failed::invalid_body(format!("the body cannot be read: {error}")),
    })
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// A workflow id from a path.
pub(crate) fn workflow_id(text: String) -> Result<WorkflowId, Failed> {
    WorkflowId::new(text).map_err(Failed::invalid_parameter)
}

/// A run id from a query.
pub(crate) fn run_id(text: Option<String>) -> Result<Option<RunId>, Failed> {
    match text {
        // It becomes part of a key.
        Some(text) if text.is_empty() || text.len() > 64 || !text.bytes().all(|b| b.is_ascii_graphic()) => {
            Err(Failed::invalid_parameter("`run_id` is no run id: leave it out for the latest run"))
        }
        text => Ok(text.map(RunId::from_text)),
    }
}

/// The caller's trace, if it is one. What is not is passed over, as W3C says.
pub(crate) fn traceparent(headers_in: &HeaderMap) -> Option<&str> {
    let text = headers_in.get(headers::TRACEPARENT)?.to_str().ok()?;
    TraceContext::parse(text).map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trace_is_a_trace() {
        let read = |text: &str| {
            let mut map = HeaderMap::new();
            map.insert(headers::TRACEPARENT, text.parse().unwrap());
            traceparent(&map).map(str::to_owned)
        };
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(read(good).as_deref(), Some(good));
        assert_eq!(read("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), None);
    }

    #[test]
    fn json_goes_by_several_names() {
        assert!(is_json("application/json; charset=utf-8"));
        assert!(is_json("Application/CloudEvents+JSON"));
        assert!(!is_json("text/plain"));
        assert!(!is_json("application/x-www-form-urlencoded"));
    }
}
