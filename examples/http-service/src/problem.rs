//! What goes wrong, as an answer: problem details (RFC 9457).

use std::fmt::Display;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tidewright::{ReadError, StartError, WorkflowFailed};

/// An answer that is no good news.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    title: String,
    detail: String,
}

impl Problem {
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, title: "BadRequest".to_owned(), detail: detail.into() }
    }

    /// The request was fine and may be sent again.
    pub(crate) fn unavailable(error: &impl Display) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, title: "Unavailable".to_owned(), detail: error.to_string() }
    }

    /// The order is at its end, and it is not the one that was hoped for.
    pub(crate) fn order_failed(failed: &WorkflowFailed) -> Self {
        let (title, detail) = (failed.error_type().to_owned(), failed.failure.message.clone());
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, title, detail }
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        match error {
            StartError::WorkflowId(_) | StartError::Input(_) => Self::bad_request(error.to_string()),
            _ => Self::unavailable(&error),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotFound { .. } => {
                let (status, title) = (StatusCode::NOT_FOUND, "NotFound".to_owned());
                Self { status, title, detail: "there is no such order".to_owned() }
            }
            _ => Self::unavailable(&error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({"title": self.title, "detail": self.detail, "status": self.status.as_u16()});
        (self.status, [(CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
    }
}
