//! `POST /api/v1/namespaces/{namespace}/workflows`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tidewright_schemas::api::{StartedWorkflow, workflow_path};
use tidewright_schemas::{Answer, StartWorkflow};

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
    match api.backend.start(start, traceparent(&headers).map(str::to_owned)).await? {
        Answer::WorkflowStarted(started) => {
            let location = workflow_path(&namespace, &workflow_id);
            let body = Json(StartedWorkflow { workflow_id, run_id: started.run_id });
            let mut response = (StatusCode::CREATED, body).into_response();
            if let Ok(location) = HeaderValue::from_str(&location) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            Ok(response)
        }
        Answer::Rejected(rejected) => Err(rejected.into()),
        other => Err(Failed::unexpected_answer(other.type_name())),
    }
}
