//! `POST …/workflows/{workflow_id}/query`: a question that a worker answers. It leaves no trace in history; the node that
//! owns the workflow asks.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use tidewright_runtime::query_timeout;
use tidewright_schemas::api::QueryWorkflow;
use tidewright_schemas::limits::{NAME_BYTES_MAX, PAYLOAD_BYTES_MAX};

use crate::control::read;
use crate::describe::{Ask, Found, find};
use crate::problem::Failed;
use crate::request::{JsonBody, Segments, workflow_id};
use crate::router::Api;

pub(crate) async fn query(
    State(api): State<Arc<Api>>,
    Segments((namespace, id)): Segments<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
    JsonBody(body): JsonBody,
) -> Result<Response, Failed> {
    api.check_namespace(&namespace)?;
    let id = workflow_id(id)?;
    let query: QueryWorkflow = read(&body, r#"{"query_type":"status","query_args":{"any":"JSON"}}"#)?;
    check(&query)?;
    let ask = Ask { headers: &headers, uri: &uri, server_wait: query_timeout(&query), json: Some(body) };
    if let Found::Elsewhere(response) = find(&api, &id, ask).await? {
        return Ok(response);
    }
    let run_id = query.run_id.clone();
    let answered = tokio::select! {
        answered = api.backend.query(&id, query) => answered,
        () = api.stopping() => return Err(Failed::stopping()),
    };
    match answered {
        Ok(answer) => Ok(Json(answer).into_response()),
        Err(error) => Err(Failed::query(error, &namespace, &id, run_id.as_ref())),
    }
}

fn check(query: &QueryWorkflow) -> Result<(), Failed> {
    let name_bytes = query.query_type.len();
    if !(1..=NAME_BYTES_MAX).contains(&name_bytes) {
        let problem = format!("`query_type` has {name_bytes} bytes; it takes from 1 to {NAME_BYTES_MAX}");
        return Err(Failed::invalid_body(problem));
    }
    match query.query_args.as_ref().map_or(0, tidewright_schemas::Payload::size) {
        bytes if bytes > PAYLOAD_BYTES_MAX => Err(Failed::too_large(PAYLOAD_BYTES_MAX)),
        _ => Ok(()),
    }
}
