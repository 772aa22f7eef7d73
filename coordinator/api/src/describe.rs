//! What is asked of one workflow: where it stands, its history, its result.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use tidewright_runtime::PendingPage;
use tidewright_schemas::{EventId, WorkflowId};

use crate::backend::{Partition, Place};
use crate::problem::Failed;
use crate::proxy;
use crate::request::{Params, Segments, run_id, workflow_id};
use crate::router::{Api, blocking};

/// Longest wait of one request.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Events of a page when nothing is said, and at most; a page is also bounded in bytes.
const EVENTS_DEFAULT: usize = 1_000;
const EVENTS_MAX: usize = 10_000;

/// Where a workflow's partition is, unless it is here.
pub(crate) enum Found {
    Here(Arc<dyn Partition>),
    Elsewhere(Response),
}

/// What was asked, as another node is asked if need be.
pub(crate) struct Ask<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) uri: &'a Uri,
    /// How long the answer may take.
    pub(crate) server_wait: Duration,
    /// The body of a POST; a GET has none.
    pub(crate) json: Option<Bytes>,
}

impl<'a> Ask<'a> {
    fn get(headers: &'a HeaderMap, uri: &'a Uri) -> Self {
        Self { headers, uri, server_wait: Duration::ZERO, json: None }
    }
}

/// Asks the owner if that is another node.
pub(crate) async fn find(api: &Api, id: &WorkflowId, ask: Ask<'_>) -> Result<Found, Failed> {
    match api.backend.place(id) {
        Place::Local(partition) => Ok(Found::Here(partition)),
        Place::Unavailable { reason } => Err(Failed::unavailable(reason)),
        Place::Remote { http_url } => {
            proxy::refuse_second_hop(ask.headers)?;
            let answer = api.proxy.forward(&http_url, ask.uri, ask.server_wait, ask.json);
            tokio::select! {
                answer = answer => answer.map(Found::Elsewhere),
                () = api.stopping() => Err(Failed::stopping()),
            }
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DescribeParams {
    run_id: Option<String>,
    pending_from_event_id: Option<EventId>,
    pending_limit: Option<usize>,
}

/// `GET …/workflows/{id}`.
pub(crate) async fn describe(
    State(api): State<Arc<Api>>,
    Segments((namespace, id)): Segments<(String, String)>,
    Params(params): Params<DescribeParams>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Failed> {
    api.check_namespace(&namespace)?;
    let (id, run) = (workflow_id(id)?, run_id(params.run_id)?);
    let page = PendingPage {
        from_event_id: params.pending_from_event_id.unwrap_or(1),
        limit: params.pending_limit.unwrap_or(PendingPage::LIMIT_DEFAULT).clamp(1, PendingPage::LIMIT_MAX),
    };
    match find(&api, &id, Ask::get(&headers, &uri)).await? {
        Found::Elsewhere(response) => Ok(response),
        Found::Here(partition) => {
            let (of, of_run) = (id.clone(), run.clone());
            match blocking(move || partition.describe(&of, of_run.as_ref(), page)).await?? {
                Some(description) => Ok(Json(description).into_response()),
                None => Err(Failed::workflow_not_found(&namespace, &id, run.as_ref())),
            }
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryParams {
    run_id: Option<String>,
    from_event_id: Option<EventId>,
    limit: Option<usize>,
    wait_ms: Option<u64>,
}

/// `GET …/workflows/{id}/history`: of an open run, waits for events that are yet to come for a while.
pub(crate) async fn history(
    State(api): State<Arc<Api>>,
    Segments((namespace, id)): Segments<(String, String)>,
    Params(params): Params<HistoryParams>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Failed> {
    api.check_namespace(&namespace)?;
    let (id, run) = (workflow_id(id)?, run_id(params.run_id)?);
    let from = params.from_event_id.unwrap_or(1);
    let limit = params.limit.unwrap_or(EVENTS_DEFAULT).clamp(1, EVENTS_MAX);
    let wait = Duration::from_millis(params.wait_ms.unwrap_or(0)).min(WAIT_MAX);
    match find(&api, &id, Ask { server_wait: wait, ..Ask::get(&headers, &uri) }).await? {
        Found::Elsewhere(response) => Ok(response),
        Found::Here(partition) => {
            let (of, of_run) = (id.clone(), run.clone());
            let page = if wait.is_zero() {
                blocking(move || partition.history(&of, of_run.as_ref(), from, limit)).await??
            } else {
                tokio::select! {
                    page = partition.history_when_there(&of, of_run.as_ref(), from, limit, wait) => page?,
                    () = api.stopping() => return Err(Failed::stopping()),
                }
            };
            match page {
                Some(page) => Ok(Json(page).into_response()),
                None => Err(Failed::workflow_not_found(&namespace, &id, run.as_ref())),
            }
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResultParams {
    run_id: Option<String>,
    wait_ms: Option<u64>,
}

/// `GET …/workflows/{id}/result`: waits for the end for a while, and for the beginning, too.
pub(crate) async fn result(
    State(api): State<Arc<Api>>,
    Segments((namespace, id)): Segments<(String, String)>,
    Params(params): Params<ResultParams>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Failed> {
    api.check_namespace(&namespace)?;
    let (id, run) = (workflow_id(id)?, run_id(params.run_id)?);
    let wait = Duration::from_millis(params.wait_ms.unwrap_or(0)).min(WAIT_MAX);
    match find(&api, &id, Ask { server_wait: wait, ..Ask::get(&headers, &uri) }).await? {
        Found::Elsewhere(response) => Ok(response),
        Found::Here(partition) => {
            let outcome = tokio::select! {
                outcome = partition.outcome(&id, run.as_ref(), wait) => outcome?,
                () = api.stopping() => return Err(Failed::stopping()),
            };
            match outcome {
                Some(outcome) => Ok(Json(outcome).into_response()),
                None => Err(Failed::workflow_not_found(&namespace, &id, run.as_ref())),
            }
        }
    }
}
