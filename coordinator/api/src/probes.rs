//! Health and readiness.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use tidewright_runtime::{PartitionState, PartitionStatus};

use crate::router::Api;

/// `GET /healthz`: the process answers.
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Health {
    status: &'static str,
    version: &'static str,
}

/// `GET /readyz`: whether this node has joined and knows what becomes of each of its partitions.
pub(crate) async fn readyz(State(api): State<Arc<Api>>) -> (StatusCode, Json<Readiness>) {
    let backend = &api.backend;
    let ready = backend.is_ready() && !*api.stopped.borrow();
    let partitions = backend.statuses().into_iter().map(Partition::from).collect();
    let body =
        Readiness { ready, node: backend.node().to_owned(), namespace: backend.namespace().to_owned(), partitions };
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body))
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Readiness {
    ready: bool,
    node: String,
    namespace: String,
    /// Those that are assigned to this node.
    partitions: Vec<Partition>,
}

#[derive(Serialize, JsonSchema)]
struct Partition {
    partition: u32,
    state: &'static str,
    /// Every command below this offset is decided.
    applied_offset: u64,
    /// What is sent and not acknowledged.
    effects_in_flight: usize,
    /// Offset of the owner's claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch_offset: Option<u64>,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Stopped>,
}

#[derive(Serialize, JsonSchema)]
struct Stopped {
    code: String,
    detail: String,
}

impl From<PartitionStatus> for Partition {
    fn from(status: PartitionStatus) -> Self {
        let (state, epoch_offset, problem) = match status.state {
            PartitionState::Recovering => ("Recovering", None, None),
            PartitionState::Owned { epoch_offset } => ("Owned", Some(epoch_offset), None),
            PartitionState::Stopped { code, message, .. } => ("Stopped", None, Some(Stopped { code, detail: message })),
        };
        let PartitionStatus { partition, applied_offset, effects_in_flight, .. } = status;
        Self { partition, state, applied_offset, effects_in_flight, epoch_offset, problem }
    }
}
