//! What went wrong, as RFC 9457 has it.
//!
//! Codes from TW0601 are the API's own; others are passed on from the engine.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tidewright_runtime::{QueryError, ReadError, RequestError};
use tidewright_schemas::api::Problem;
use tidewright_schemas::{Failure, Rejected, RunId, WorkflowId};

use crate::pages::error_title;

/// Media type of a problem.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// The status of a problem, by its code. One that a newer engine may have, and that is not known here, is the request's
/// fault: the engine rejects nothing else.
pub(crate) fn status_of(code: &str) -> StatusCode {
    match code {
        "TW0206" | "TW0601" | "TW0602" | "TW0603" => StatusCode::NOT_FOUND,
        "TW0604" => StatusCode::METHOD_NOT_ALLOWED,
        "TW0612" => StatusCode::REQUEST_TIMEOUT,
        "TW0202" | "TW0203" | "TW0207" | "TW0615" | "TW0616" | "TW0630" | "TW0633" | "TW0636" => StatusCode::CONFLICT,
        "TW0204" | "TW0606" => StatusCode::PAYLOAD_TOO_LARGE,
        "TW0607" => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "TW0634" => StatusCode::UNPROCESSABLE_ENTITY,
        "TW0632" => StatusCode::TOO_MANY_REQUESTS,
        "TW0611" => StatusCode::INTERNAL_SERVER_ERROR,
        "TW0614" => StatusCode::BAD_GATEWAY,
        "TW0508" | "TW0609" | "TW0610" | "TW0613" => StatusCode::SERVICE_UNAVAILABLE,
        "TW0507" | "TW0631" => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// An error on its way to the caller. Boxed, since results of handlers are moved around a lot.
#[derive(Debug)]
pub(crate) struct Failed(Box<Details>);

#[derive(Debug)]
struct Details {
    status: StatusCode,
    code: String,
    detail: String,
    run_id: Option<RunId>,
    /// What user code said about it.
    failure: Option<Failure>,
    /// What helps is to ask again.
    passing: bool,
}

impl Failed {
    fn new(code: &str, detail: impl Into<String>) -> Self {
        let (status, code, detail) = (status_of(code), code.to_owned(), detail.into());
        Self(Box::new(Details { status, code, detail, run_id: None, failure: None, passing: false }))
    }

    fn passing(mut self) -> Self {
        self.0.passing = true;
        self
    }

    /// TW0601 `WorkflowNotFound`.
    pub(crate) fn workflow_not_found(namespace: &str, id: &WorkflowId, run: Option<&RunId>) -> Self {
        let run = run.map_or_else(String::new, |run| format!(" with the run {run}"));
        let detail = format!(
            "namespace `{namespace}` has no workflow `{id}`{run}; check the id, or list what there is with GET \
             /api/v1/namespaces/{namespace}/workflows"
        );
        Self::new("TW0601", detail)
    }

    /// TW0602 `NamespaceNotFound`.
    pub(crate) fn namespace_not_found(asked: &str, served: &str) -> Self {
        let detail = format!("this node serves the namespace `{served}`, not `{asked}`; check the name or the address");
        Self::new("TW0602", detail)
    }

    /// TW0615 `PartitionNotStopped`.
    pub(crate) fn partition_not_stopped(partition: u32) -> Self {
        let detail = format!(
            "partition {partition} has not stopped, so there is nothing to try again; the list of partitions shows how it \
             stands"
        );
        Self::new("TW0615", detail)
    }

    /// Whether it is TW0615: another node may have the partition.
    pub(crate) fn is_not_stopped(&self) -> bool {
        self.0.code == "TW0615"
    }

    pub(crate) const LOSS_NOT_ACCEPTED: &str = "TW0616";

    /// TW0616 `LossNotAccepted`.
    pub(crate) fn loss_not_accepted(partition: u32, message: &str) -> Self {
        let detail = format!(
            "what was accepted is not what stopped partition {partition}, so nothing was passed over. It stopped: {message}"
        );
        Self::new(Self::LOSS_NOT_ACCEPTED, detail)
    }

    /// What another node answered.
    pub(crate) fn passed_on(status: StatusCode, problem: &Problem) -> Self {
        let mut failed = Self::new(&problem.code, problem.detail.clone());
        failed.0.status = status;
        failed
    }

    /// TW0603 `RouteNotFound`.
    pub(crate) fn route_not_found(path: &str) -> Self {
        let detail = format!(
            "there is nothing at {path}; the API is under /api/v1/namespaces/{{namespace}}/workflows, and a workflow id \
             with slashes must be percent-encoded"
        );
        Self::new("TW0603", detail)
    }

    /// TW0604 `MethodNotAllowed`.
    pub(crate) fn method_not_allowed(method: &str, path: &str) -> Self {
        let detail = format!("{method} is not possible on {path}; the `allow` header names what is");
        Self::new("TW0604", detail)
    }

    /// TW0605 `InvalidRequestBody`.
    pub(crate) fn invalid_body(problem: impl std::fmt::Display) -> Self {
        Self::new("TW0605", problem.to_string())
    }

    /// TW0606 `RequestTooLarge`.
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        let detail = format!(
            "the request's body is larger than {bytes_max} bytes; store what is large elsewhere and pass a reference to it"
        );
        Self::new("TW0606", detail)
    }

    /// TW0607 `UnsupportedMediaType`.
    pub(crate) fn not_json(content_type: &str) -> Self {
        let detail = format!(
            "the body is sent as `{content_type}`, but only JSON is understood: send the header `content-type: \
             application/json`"
        );
        Self::new("TW0607", detail)
    }

    /// TW0608 `InvalidParameter`.
    pub(crate) fn invalid_parameter(problem: impl std::fmt::Display) -> Self {
        Self::new("TW0608", problem.to_string())
    }

    /// TW0609 `PartitionUnavailable`.
    pub(crate) fn unavailable(reason: impl std::fmt::Display) -> Self {
        let detail = format!("{reason}; ask again in a moment, and see /readyz if it lasts");
        Self::new("TW0609", detail).passing()
    }

    /// TW0610 `OwnerUnreachable`.
    pub(crate) fn owner_unreachable(http_url: &str, problem: impl std::fmt::Display) -> Self {
        let detail = format!(
            "the workflow's owner at {http_url} does not answer this node ({problem}); ask again in a moment. If it \
             lasts, check that nodes reach each other under what --advertise-http says"
        );
        Self::new("TW0610", detail).passing()
    }

    /// TW0611 `StateUnreadable`.
    pub(crate) fn state_unreadable(problem: &str) -> Self {
        tracing::error!(problem, "[TW0611] a request failed, since the state store cannot be read");
        Self::new("TW0611", problem)
    }

    /// TW0612 `RequestTimeout`.
    pub(crate) fn too_slow() -> Self {
        let detail = "the request's body did not arrive in time; send it again";
        Self::new("TW0612", detail).passing()
    }

    /// TW0613 `NodeStopping`.
    pub(crate) fn stopping() -> Self {
        let detail = "this node is stopping; ask again, and another node or its successor answers";
        Self::new("TW0613", detail).passing()
    }

    /// TW0614 `UnexpectedAnswer`.
    pub(crate) fn unexpected_answer(kind: &str) -> Self {
        let detail = format!("the owner answered a start with {kind}: it runs a version that this node does not know");
        Self::new("TW0614", detail)
    }
}

impl Failed {
    /// Why a query was not answered.
    pub(crate) fn query(error: QueryError, namespace: &str, id: &WorkflowId, run: Option<&RunId>) -> Self {
        let (code, detail) = (error.code().unwrap_or_default(), error.to_string());
        let of_run = |run_id| {
            let mut failed = Self::new(code, detail.clone());
            failed.0.run_id = Some(run_id);
            failed
        };
        match error {
            QueryError::Read(error) => error.into(),
            QueryError::NotFound => Self::workflow_not_found(namespace, id, run),
            QueryError::Rejected { run_id, .. } | QueryError::NotReady { run_id, .. } => of_run(run_id),
            QueryError::NoWorker { .. } | QueryError::NotAnswered { .. } => Self::new(code, detail),
            QueryError::TooMany { .. } | QueryError::Unavailable(_) => Self::new(code, detail).passing(),
            QueryError::Failed { run_id, failed } => {
                let mut problem = of_run(run_id);
                problem.0.failure = Some(*failed.failure);
                problem
            }
        }
    }
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotOwned => Self::unavailable("the workflow's partition is changing its owner"),
            ReadError::Store(problem) => Self::state_unreadable(&problem),
        }
    }
}

impl From<RequestError> for Failed {
    fn from(error: RequestError) -> Self {
        Self::new(error.code(), error.to_string()).passing()
    }
}

impl From<Rejected> for Failed {
    fn from(rejected: Rejected) -> Self {
        let mut failed = Self::new(&rejected.code, rejected.message);
        failed.0.run_id = rejected.run_id;
        failed
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let Details { status, code, detail, run_id, failure, passing } = *self.0;
        let problem = Problem {
            kind: format!("/errors/{code}"),
            title: error_title(&code).unwrap_or(&code).to_owned(),
            status: status.as_u16(),
            detail,
            run_id,
            failure,
            code,
        };
        let mut response = (status, axum::Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if passing {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
