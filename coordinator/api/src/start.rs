//! `POST /api/v1/namespaces/{namespace}/workflows` and `…/workflows/signal-with-start`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tidewright_schemas::api::{StartedWorkflow, workflow_path};
use tidewright_schemas::{Answer, Command, SignalWithStartWorkflow, StartWorkflow, WorkflowId, WorkflowStarted};

use crate::control::named;
use crate::problem::Failed;
use crate::request::{JsonBody, Segments, traceparent};
use crate::router::Api;

const EXAMPLE: &str =
    r#"{"workflow_type":"OrderWorkflow","workflow_id":"order-1","task_queue":"orders","input":{"any":"JSON"}}"#;

/// Starts a workflow, through any node: the command goes to the owner over Kafka.
pub(crate) async fn start(
    State(api): State<Arc<Api>>,
    Segments(namespace): Segments<String>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Failed> {
    api.check_namespace(&namespace)?;
    let start: StartWorkflow = serde_json::from_slice(&body)
        .map_err(|e| Failed::invalid_body(format!("the body is not a start: {e}. It looks like this: {EXAMPLE}")))?;
    let workflow_id = start.workflow_id.clone();
    let start = StartWorkflow { request_id: named(start.request_id), ..start };
    send(&api, &namespace, workflow_id, start.into(), &headers).await
}

/// Signals a workflow, and starts it if no run is open.
pub(crate) async fn signal_with_start(
    State(api): State<Arc<Api>>,
    Segments(namespace): Segments<String>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Failed> {
    api.check_namespace(&namespace)?;
    let both: SignalWithStartWorkflow = serde_json::from_slice(&body).map_err(|e| {
        let example = format!(r#"{{"start":{EXAMPLE},"signal":{{"signal_name":"approve","input":1}}}}"#);
        Failed::invalid_body(format!("the body is not a signal with a start: {e}. It looks like this: {example}"))
    })?;
    let workflow_id = both.start.workflow_id.clone();
    let start = StartWorkflow { request_id: named(both.start.request_id), ..both.start };
    send(&api, &namespace, workflow_id, SignalWithStartWorkflow { start, ..both }.into(), &headers).await
}

async fn send(
    api: &Api,
    namespace: &str,
    workflow_id: WorkflowId,
    command: Command,
    headers: &HeaderMap,
) -> Result<Response, Failed> {
    match api.backend.request(&workflow_id, command, traceparent(headers).map(str::to_owned)).await? {
        Answer::WorkflowStarted(WorkflowStarted { run_id, started }) => {
            let location = workflow_path(namespace, &workflow_id);
            let body = Json(StartedWorkflow { workflow_id, run_id, started });
            let status = if started { StatusCode::CREATED } else { StatusCode::OK };
            let mut response = (status, body).into_response();
            if let Ok(location) = HeaderValue::from_str(&location) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            Ok(response)
        }
        Answer::Rejected(rejected) => Err(rejected.into()),
        other => Err(Failed::unexpected_answer(other.type_name())),
    }
}
