//! Orders over HTTP.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use order_fulfilment::order_workflow;
use order_fulfilment::types::{Order, OrderResult};
use serde_json::json;
use tidewright::{Client, ResultError, StartError, WorkflowHandle, WorkflowIdReusePolicy};

use crate::TASK_QUEUE;
use crate::problem::Problem;

/// How long a client that asks for a result is kept waiting before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(10);
const KEY_LENGTH_MAX: usize = 64;

/// `POST /orders`: starts a workflow, or finds the one that the same key has started.
pub(crate) async fn create(
    State(client): State<Client>,
    headers: HeaderMap,
    Json(order): Json<Order>,
) -> Result<Response, Problem> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let key = key.ok_or_else(|| Problem::bad_request("send an Idempotency-Key, so that an order can be sent again"))?;
    let workflow_id = workflow_id(key)?;
    let start = client
        .start(order_workflow, order)
        .id(&workflow_id)
        .task_queue(TASK_QUEUE)
        // The same request is answered with the same run.
        .request_id(key)
        // Nor does an order begin anew that has ended.
        .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate);
    let run_id = match start.await {
        Ok(run) => run.run_id().to_owned(),
        Err(StartError::AlreadyStarted { run_id, .. }) => run_id.as_str().to_owned(),
        Err(error) => return Err(error.into()),
    };
    let body = json!({"workflow_id": workflow_id, "run_id": run_id});
    Ok((StatusCode::ACCEPTED, [(LOCATION, format!("/orders/{key}"))], Json(body)).into_response())
}

/// `GET /orders/{key}`: where the order stands.
pub(crate) async fn status(State(client): State<Client>, Path(key): Path<String>) -> Result<Response, Problem> {
    let description = order(&client, &key)?.describe().await?;
    let body = json!({"status": description.summary.status, "result": format!("/orders/{key}/result")});
    Ok(Json(body).into_response())
}

/// `GET /orders/{key}/result`: waits a while for the order's end.
pub(crate) async fn result(State(client): State<Client>, Path(key): Path<String>) -> Result<Response, Problem> {
    let order = order(&client, &key)?;
    // A result is waited for even before its workflow is there, since somebody's start may be on its way.
    order.describe().await?;
    match tokio::time::timeout(PATIENCE, order.result()).await {
        Err(_elapsed) => Ok((StatusCode::ACCEPTED, [(RETRY_AFTER, "1")]).into_response()),
        Ok(Ok(result)) => Ok(Json(result).into_response()),
        Ok(Err(ResultError::Failed(failed))) => Err(Problem::order_failed(&failed)),
        Ok(Err(ResultError::Read(error))) => Err(error.into()),
        Ok(Err(error)) => Err(Problem::unavailable(&error)),
    }
}

fn order(client: &Client, key: &str) -> Result<WorkflowHandle<OrderResult>, Problem> {
    client.workflow(order_workflow, workflow_id(key)?).map_err(|error| Problem::bad_request(error.to_string()))
}

/// The prefix keeps clients away from workflows that are none of their business.
fn workflow_id(key: &str) -> Result<String, Problem> {
    let is_plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if key.is_empty() || key.len() > KEY_LENGTH_MAX || !is_plain {
        let problem = format!("an Idempotency-Key has 1 to {KEY_LENGTH_MAX} letters, digits, `-` or `_`");
        return Err(Problem::bad_request(problem));
    }
    Ok(format!("order-{key}"))
}
