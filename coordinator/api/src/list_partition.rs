//! Runs of one partition, filtered where they are: of this node's store, or of another node's over an internal route.
//!
//! A look reads a bounded number of rows however few of them match, and says how far it came.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use tidewright_schemas::api::{WorkflowStatus, WorkflowSummary, encode_segment};

use crate::backend::{Partition, Place};
use crate::problem::Failed;
use crate::request::{Params, Segments};
use crate::router::{Api, blocking};

/// Rows that one look at a partition reads at most.
const ROWS_READ_MAX: usize = 5_000;
/// Rows that are read at a time.
const CHUNK_ROWS: usize = 500;
/// Runs of a page at most.
pub(crate) const PAGE_MAX: usize = 1_000;

/// Which runs are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) status: Option<WorkflowStatus>,
    pub(crate) workflow_type: Option<String>,
}

impl Filter {
    fn matches(&self, run: &WorkflowSummary) -> bool {
        self.status.is_none_or(|status| status == run.status)
            && self.workflow_type.as_ref().is_none_or(|wanted| *wanted == run.workflow_type)
    }
}

/// What is asked of a partition.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) filter: Filter,
    pub(crate) from: Vec<u8>,
    pub(crate) limit: usize,
}

/// Matching runs of one partition in order.
#[derive(Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) runs: Vec<(Vec<u8>, WorkflowSummary)>,
    /// Everything below this key was looked at; none if there is nothing beyond.
    pub(crate) next: Option<Vec<u8>>,
}

/// The key right after another.
pub(crate) fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// Looks at a partition of this node. Blocks on the store.
fn look(partition: &dyn Partition, ask: &Ask) -> Result<Part, Failed> {
    let (mut runs, mut from, mut rows_read) = (Vec::new(), ask.from.clone(), 0);
    while rows_read < ROWS_READ_MAX {
        let chunk = partition.list(&from, CHUNK_ROWS)?;
        let is_last = chunk.len() < CHUNK_ROWS;
        rows_read += chunk.len();
        for (key, run) in chunk {
            from = after(&key);
            if ask.filter.matches(&run) {
                runs.push((key, run));
                if runs.len() >= ask.limit {
                    return Ok(Part { runs, next: Some(from) });
                }
            }
        }
        if is_last {
            return Ok(Part { runs, next: None });
        }
    }
    Ok(Part { runs, next: Some(from) })
}

/// Looks at a partition wherever it is.
pub(crate) async fn ask(api: &Api, number: u32, place: Place, ask: &Ask) -> Result<Part, Failed> {
    match place {
        Place::Unavailable { reason } => Err(Failed::unavailable(reason)),
        Place::Local(partition) => {
            let ask = ask.clone();
            blocking(move || look(partition.as_ref(), &ask)).await?
        }
        Place::Remote { http_url } => {
            let body = api.proxy.fetch(&http_url, &path(api.backend.namespace(), number, ask)).await?;
            let wire: PartWire =
                serde_json::from_slice(&body).map_err(|e| Failed::owner_unreachable(&http_url, format!("{e}")))?;
            wire.read().ok_or_else(|| Failed::owner_unreachable(&http_url, "its answer cannot be read"))
        }
    }
}

fn path(namespace: &str, number: u32, ask: &Ask) -> String {
    let namespace = encode_segment(namespace);
    let mut path = format!("/internal/v1/namespaces/{namespace}/partitions/{number}/workflows?limit={}", ask.limit);
    if !ask.from.is_empty() {
        path.push_str(&format!("&from={}", URL_SAFE_NO_PAD.encode(&ask.from)));
    }
    if let Some(status) = ask.filter.status {
        path.push_str(&format!("&status={}", status.as_str()));
    }
    if let Some(workflow_type) = &ask.filter.workflow_type {
        path.push_str(&format!("&workflow_type={}", encode_segment(workflow_type)));
    }
    path
}

/// A [`Part`] between nodes.
#[derive(Serialize, Deserialize)]
pub(crate) struct PartWire {
    runs: Vec<RunWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct RunWire {
    key: String,
    run: WorkflowSummary,
}

impl PartWire {
    fn of(part: Part) -> Self {
        let runs = part.runs.into_iter().map(|(key, run)| RunWire { key: URL_SAFE_NO_PAD.encode(key), run }).collect();
        Self { runs, next: part.next.map(|key| URL_SAFE_NO_PAD.encode(key)) }
    }

    fn read(self) -> Option<Part> {
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let runs = self.runs.into_iter().map(|entry| Some((decode(&entry.key)?, entry.run))).collect::<Option<_>>()?;
        let next = match &self.next {
            None => None,
            Some(text) => Some(decode(text)?),
        };
        Some(Part { runs, next })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartParams {
    limit: usize,
    from: Option<String>,
    status: Option<WorkflowStatus>,
    workflow_type: Option<String>,
}

/// `GET /internal/v1/namespaces/{namespace}/partitions/{partition}/workflows`: for other nodes. Never asks on.
pub(crate) async fn serve(
    State(api): State<Arc<Api>>,
    Segments((namespace, number)): Segments<(String, u32)>,
    Params(params): Params<PartParams>,
) -> Result<Json<PartWire>, Failed> {
    api.check_namespace(&namespace)?;
    let from = URL_SAFE_NO_PAD.decode(params.from.unwrap_or_default());
    let ask = Ask {
        filter: Filter { status: params.status, workflow_type: params.workflow_type },
        from: from.map_err(|_| Failed::invalid_parameter("`from` is not base64"))?,
        limit: params.limit.clamp(1, PAGE_MAX),
    };
    let place = api.backend.places().into_iter().find(|(partition, _)| *partition == number).map(|(_, place)| place);
    match place {
        Some(Place::Local(partition)) => {
            Ok(Json(PartWire::of(blocking(move || look(partition.as_ref(), &ask)).await??)))
        }
        Some(Place::Unavailable { reason }) => Err(Failed::unavailable(reason)),
        Some(Place::Remote { .. }) => Err(Failed::unavailable(format!("partition {number} is not here any more"))),
        None => Err(Failed::invalid_parameter(format!("there is no partition {number}"))),
    }
}
