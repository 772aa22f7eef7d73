//! `GET …/workers`: who works for the namespace. Every node reads the same topic, so each answers by itself.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;
use tidewright_runtime::{Life, WorkerSeen};
use tidewright_schemas::WorkerStanding;
use tidewright_schemas::api::{WorkerDescription, WorkerList, WorkerState};

use crate::problem::Failed;
use crate::request::{Params, Segments};
use crate::router::Api;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkersParams {
    /// Only those that work on this queue.
    task_queue: Option<String>,
    /// Those that are gone for less than an hour, too.
    #[serde(default)]
    all: bool,
}

/// Lists workers.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Segments(namespace): Segments<String>,
    Params(params): Params<WorkersParams>,
) -> Result<Json<WorkerList>, Failed> {
    api.check_namespace(&namespace)?;
    let wanted = |worker: &WorkerDescription| {
        let is_there = matches!(worker.state, WorkerState::Running | WorkerState::Leaving);
        let queue = params.task_queue.as_ref();
        (params.all || is_there) && queue.is_none_or(|queue| worker.task_queues.iter().any(|q| q.task_queue == *queue))
    };
    let mut workers: Vec<_> = api.backend.workers().into_iter().map(describe).filter(wanted).collect();
    workers.sort_by(|a, b| (Reverse(a.started_at_ms), &a.incarnation).cmp(&(Reverse(b.started_at_ms), &b.incarnation)));
    Ok(Json(WorkerList { workers }))
}

fn describe(seen: WorkerSeen) -> WorkerDescription {
    let WorkerSeen { beacon, life, last_seen_ms } = seen;
    let state = match (life, beacon.state) {
        (Life::Lost, _) => WorkerState::Lost,
        (Life::Left, _) => WorkerState::Left,
        (Life::Alive, WorkerStanding::Leaving) => WorkerState::Leaving,
        (Life::Alive, _) => WorkerState::Running,
    };
    WorkerDescription {
        identity: beacon.worker.identity,
        incarnation: beacon.worker.incarnation,
        state,
        started_at_ms: beacon.started_at_ms,
        last_seen_ms,
        sdk: beacon.sdk,
        build_id: beacon.build_id,
        task_queues: beacon.task_queues,
    }
}
