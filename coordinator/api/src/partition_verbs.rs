//! What an operator does about a stopped partition: `POST …/partitions/{partition}/retry` and `…/skip`.
//!
//! A stopped partition has no owner, so nothing says where it is: this node is asked first, then every other one.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use futures::future::join_all;
use tidewright_runtime::{AcceptedLoss, SkipRefused};
use tidewright_schemas::LostCommands;
use tidewright_schemas::api::{Problem, SkipCommands};

use crate::partitions::internal_path;
use crate::problem::Failed;
use crate::request::{JsonBody, Segments};
use crate::router::Api;

type Path = Segments<(String, u32)>;

/// Most bytes of a reason or a name: they go into a record of the history.
const TEXT_BYTES_MAX: usize = 4_096;

/// Tries a stopped partition again, wherever it is.
pub(crate) async fn retry(State(api): State<Arc<Api>>, path: Path, body: JsonBody) -> Result<StatusCode, Failed> {
    let Segments((namespace, partition)) = path;
    check(&api, &namespace, partition)?;
    match retry_here(&api, partition) {
        Err(refused) => elsewhere(&api, partition, "retry", body.0).await.unwrap_or(Err(refused)),
        done => done,
    }
}

/// Tries a stopped partition of this node again, for another node.
pub(crate) async fn retry_own(State(api): State<Arc<Api>>, path: Path, _: JsonBody) -> Result<StatusCode, Failed> {
    let Segments((namespace, partition)) = path;
    api.check_namespace(&namespace)?;
    retry_here(&api, partition)
}

/// Accepts that commands of a stopped partition are lost, wherever it is.
pub(crate) async fn skip(State(api): State<Arc<Api>>, path: Path, body: JsonBody) -> Result<StatusCode, Failed> {
    let Segments((namespace, partition)) = path;
    check(&api, &namespace, partition)?;
    match skip_here(&api, partition, &body.0) {
        Err(refused) if refused.is_not_stopped() => {
            elsewhere(&api, partition, "skip", body.0).await.unwrap_or(Err(refused))
        }
        done => done,
    }
}

/// Accepts that commands of a stopped partition of this node are lost, for another node.
pub(crate) async fn skip_own(State(api): State<Arc<Api>>, path: Path, body: JsonBody) -> Result<StatusCode, Failed> {
    let Segments((namespace, partition)) = path;
    api.check_namespace(&namespace)?;
    skip_here(&api, partition, &body.0)
}

fn check(api: &Api, namespace: &str, partition: u32) -> Result<(), Failed> {
    api.check_namespace(namespace)?;
    if partition as usize >= api.backend.places().len() {
        return Err(Failed::invalid_parameter(format!("there is no partition {partition}")));
    }
    Ok(())
}

fn retry_here(api: &Api, partition: u32) -> Result<StatusCode, Failed> {
    if api.backend.retry(partition) { Ok(StatusCode::ACCEPTED) } else { Err(Failed::partition_not_stopped(partition)) }
}

fn skip_here(api: &Api, partition: u32, body: &[u8]) -> Result<StatusCode, Failed> {
    let SkipCommands { from_offset, to_offset, reason, identity } = serde_json::from_slice(body).map_err(|e| {
        let example = r#"{"from_offset":17,"to_offset":90,"reason":"retention was on"}"#;
        Failed::invalid_body(format!("the body does not say what is lost: {e}. It looks like this: {example}"))
    })?;
    if [&reason, &identity].into_iter().flatten().any(|text| text.len() > TEXT_BYTES_MAX) {
        return Err(Failed::invalid_body(format!("`reason` and `identity` have at most {TEXT_BYTES_MAX} bytes")));
    }
    let by = identity.unwrap_or_else(|| format!("somebody at node {}", api.backend.node()));
    let accepted = AcceptedLoss { lost: LostCommands { from_offset, to_offset }, by, reason };
    match api.backend.skip(partition, accepted) {
        Ok(()) => Ok(StatusCode::ACCEPTED),
        Err(SkipRefused::NotStopped) => Err(Failed::partition_not_stopped(partition)),
        Err(SkipRefused::OtherReason { message }) => Err(Failed::loss_not_accepted(partition, &message)),
    }
}

/// Asks the other nodes. The answer of one that has the partition stopped; none if none has.
async fn elsewhere(api: &Api, partition: u32, verb: &str, body: Bytes) -> Option<Result<StatusCode, Failed>> {
    let path = format!("{}/{partition}/{verb}", internal_path(api));
    let peers = api.backend.peers();
    let asked = join_all(peers.iter().map(|url| api.proxy.post(url, &path, body.clone()))).await;
    let mut refused = None;
    for (status, answer) in asked.into_iter().flatten() {
        if status == StatusCode::ACCEPTED {
            return Some(Ok(status));
        }
        if let Ok(problem) = serde_json::from_slice::<Problem>(&answer)
            && problem.code == Failed::LOSS_NOT_ACCEPTED
        {
            refused = Some(Err(Failed::passed_on(status, &problem)));
        }
    }
    refused
}
