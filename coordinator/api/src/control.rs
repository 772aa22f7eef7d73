//! `POST /api/v1/namespaces/{namespace}/workflows/{workflow_id}/…`: what may be asked of a workflow that was started.
//! Through any node: the command goes to the owner over Kafka.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tidewright_schemas::api::AcceptedRequest;
use tidewright_schemas::{
    Answer, Command, DeleteWorkflow, RequestCancelWorkflow, SignalWorkflow, TerminateWorkflow, WorkflowId,
};

use crate::problem::Failed;
use crate::request::{JsonBody, Params, Segments, run_id, traceparent, workflow_id};
use crate::router::Api;

/// A request that is sent again until it is answered has an id, so that it is heard once.
pub(crate) fn named(request_id: Option<String>) -> Option<String> {
    request_id.or_else(|| Some(uuid::Uuid::new_v4().to_string()))
}

pub(crate) async fn signal(
    api: State<Arc<Api>>,
    path: Segments<(String, String)>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Json<AcceptedRequest>, Failed> {
    let signal: SignalWorkflow = read(&body, r#"{"signal_name":"approve","input":{"any":"JSON"}}"#)?;
    let command = SignalWorkflow { request_id: named(signal.request_id), ..signal };
    ask(api, path, &headers, command.into()).await
}

pub(crate) async fn cancel(
    api: State<Arc<Api>>,
    path: Segments<(String, String)>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Json<AcceptedRequest>, Failed> {
    let cancel: RequestCancelWorkflow = read(&body, r#"{"reason":"the customer changed their mind"}"#)?;
    let command = RequestCancelWorkflow { request_id: named(cancel.request_id), ..cancel };
    ask(api, path, &headers, command.into()).await
}

pub(crate) async fn terminate(
    api: State<Arc<Api>>,
    path: Segments<(String, String)>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Json<AcceptedRequest>, Failed> {
    let terminate: TerminateWorkflow = read(&body, r#"{"reason":"it hangs"}"#)?;
    let command = TerminateWorkflow { request_id: named(terminate.request_id), ..terminate };
    ask(api, path, &headers, command.into()).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteParams {
    run_id: Option<String>,
    reason: Option<String>,
    request_id: Option<String>,
    identity: Option<String>,
}

/// `DELETE …/workflows/{id}`: of one run, the latest unless one is named.
pub(crate) async fn delete(
    api: State<Arc<Api>>,
    path: Segments<(String, String)>,
    Params(params): Params<DeleteParams>,
    headers: HeaderMap,
) -> Result<Json<AcceptedRequest>, Failed> {
    let DeleteParams { run_id: run, reason, request_id, identity } = params;
    let command =
        DeleteWorkflow { run_id: run_id(run)?, reason, request_id: named(request_id), identity, reply_to: None };
    ask(api, path, &headers, command.into()).await
}

pub(crate) fn read<T: DeserializeOwned>(body: &[u8], example: &str) -> Result<T, Failed> {
    serde_json::from_slice(body).map_err(|e| {
        Failed::invalid_body(format!("the body does not fit the request: {e}. It looks like this: {example}"))
    })
}

async fn ask(
    State(api): State<Arc<Api>>,
    Segments((namespace, id)): Segments<(String, String)>,
    headers: &HeaderMap,
    command: Command,
) -> Result<Json<AcceptedRequest>, Failed> {
    api.check_namespace(&namespace)?;
    let workflow_id: WorkflowId = workflow_id(id)?;
    match api.backend.request(&workflow_id, command, traceparent(headers).map(str::to_owned)).await? {
        Answer::RequestAccepted(accepted) => Ok(Json(AcceptedRequest { workflow_id, run_id: accepted.run_id })),
        Answer::Rejected(rejected) => Err(rejected.into()),
        other => Err(Failed::unexpected_answer(other.type_name())),
    }
}
