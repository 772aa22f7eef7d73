//! Partitions as operators see them: `GET …/partitions`.
//!
//! A node knows its own partitions. For the others it asks every node that the cluster topic names: one that has stopped
//! has no owner, so nothing else says where it is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures::future::join_all;
use tidewright_runtime::{PartitionState, PartitionStatus};
use tidewright_schemas::api::{
    PartitionDescription, PartitionList, PartitionProblem, PartitionStanding, encode_segment,
};

use crate::problem::Failed;
use crate::request::Segments;
use crate::router::Api;

/// Every partition of the namespace, wherever it is.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Segments(namespace): Segments<String>,
) -> Result<Json<PartitionList>, Failed> {
    api.check_namespace(&namespace)?;
    Ok(Json(all(&api).await))
}

/// Those of this node, for other nodes. Never asks on.
pub(crate) async fn own(
    State(api): State<Arc<Api>>,
    Segments(namespace): Segments<String>,
) -> Result<Json<PartitionList>, Failed> {
    api.check_namespace(&namespace)?;
    Ok(Json(PartitionList { partitions: of_this_node(&api).await, unreachable: Vec::new() }))
}

pub(crate) fn internal_path(api: &Api) -> String {
    format!("/internal/v1/namespaces/{}/partitions", encode_segment(api.backend.namespace()))
}

async fn all(api: &Api) -> PartitionList {
    let path = internal_path(api);
    let peers = api.backend.peers();
    let ask = async |url: &String| match api.proxy.ask(url, &path).await {
        // A node of another namespace has none of these.
        Ok((StatusCode::NOT_FOUND, _)) => Ok(Vec::new()),
        Ok((status, body)) if status.is_success() => {
            serde_json::from_slice::<PartitionList>(&body).map(|list| list.partitions).map_err(|_| url.clone())
        }
        _ => Err(url.clone()),
    };
    let (own, others) = tokio::join!(of_this_node(api), join_all(peers.iter().map(ask)));
    let count = u32::try_from(api.backend.places().len()).unwrap_or(u32::MAX);
    let mut partitions: Vec<_> = (0..count).map(PartitionDescription::unassigned).collect();
    let mut unreachable = Vec::new();
    for answer in std::iter::once(Ok(own)).chain(others) {
        match answer {
            Ok(found) => found.into_iter().for_each(|found| put(&mut partitions, found)),
            Err(url) => unreachable.push(url),
        }
    }
    PartitionList { partitions, unreachable }
}

/// While a partition moves, two nodes may tell of it: whoever claimed last has it.
fn put(partitions: &mut [PartitionDescription], found: PartitionDescription) {
    let Some(known) = partitions.get_mut(found.partition as usize) else { return };
    if known.state == PartitionStanding::Unassigned || found.epoch_offset > known.epoch_offset {
        *known = found;
    }
}

async fn of_this_node(api: &Api) -> Vec<PartitionDescription> {
    let count = u32::try_from(api.backend.places().len()).unwrap_or(u32::MAX);
    let statuses = api.backend.statuses().into_iter().filter(|status| status.partition < count);
    join_all(statuses.map(async |status| {
        let commands_end = api.backend.commands_end(status.partition).await;
        describe(status, api.backend.node(), commands_end)
    }))
    .await
}

fn describe(status: PartitionStatus, node: &str, commands_end: Option<u64>) -> PartitionDescription {
    let PartitionStatus { partition, state, applied_offset, effects_in_flight } = status;
    let (state, epoch_offset, problem) = match state {
        PartitionState::Recovering => (PartitionStanding::Recovering, None, None),
        PartitionState::Owned { epoch_offset } => (PartitionStanding::Owned, Some(epoch_offset), None),
        PartitionState::Stopped { code, message, lost_commands } => {
            (PartitionStanding::Stopped, None, Some(PartitionProblem { code, detail: message, lost_commands }))
        }
    };
    let applied_offset = (state == PartitionStanding::Owned).then_some(applied_offset);
    PartitionDescription {
        node: Some(node.to_owned()),
        epoch_offset,
        applied_offset,
        commands_end,
        effects_in_flight,
        problem,
        ..PartitionDescription { state, ..PartitionDescription::unassigned(partition) }
    }
}
