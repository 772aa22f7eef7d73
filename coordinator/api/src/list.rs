//! `GET /api/v1/namespaces/{namespace}/workflows`: runs of all partitions, newest first.
//!
//! Keys order runs across partitions, so a page token is nothing but the key from which to go on: it holds no state and
//! stays good however partitions move. A page may hold fewer runs than asked for, even none, and still have a next one:
//! a filter that hardly anything matches is looked for in bounded steps.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::Deserialize;
use tidewright_schemas::api::{WorkflowList, WorkflowStatus};

use crate::list_partition::{self, Ask, Filter, PAGE_MAX, Part, after};
use crate::problem::Failed;
use crate::request::{Params, Segments};
use crate::router::Api;

const PAGE_DEFAULT: usize = 100;
/// Longest token: a key holds a workflow id, a run id and a few bytes more.
const TOKEN_BYTES_MAX: usize = 4_096;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListParams {
    status: Option<WorkflowStatus>,
    workflow_type: Option<String>,
    page_size: Option<usize>,
    page_token: Option<String>,
}

/// Lists runs.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Segments(namespace): Segments<String>,
    Params(params): Params<ListParams>,
) -> Result<Json<WorkflowList>, Failed> {
    api.check_namespace(&namespace)?;
    let ask = Ask {
        from: read_token(params.page_token.as_deref().unwrap_or_default())?,
        limit: params.page_size.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX),
        filter: Filter { status: params.status, workflow_type: params.workflow_type },
    };
    let places = api.backend.places().into_iter();
    let parts = try_join_all(places.map(|(number, place)| list_partition::ask(&api, number, place, &ask))).await?;
    Ok(Json(merge(parts, ask.limit)))
}

fn read_token(token: &str) -> Result<Vec<u8>, Failed> {
    let wrong =
        || Failed::invalid_parameter("`page_token` is not one that a list answered; leave it out to begin anew");
    if token.len() > TOKEN_BYTES_MAX {
        return Err(wrong());
    }
    URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())
}

fn merge(parts: Vec<Part>, limit: usize) -> WorkflowList {
    // Beyond the partition that was looked at least far, another one's runs may come first.
    let horizon = parts.iter().filter_map(|part| part.next.clone()).min();
    let mut runs: Vec<_> = parts.into_iter().flat_map(|part| part.runs).collect();
    runs.retain(|(key, _)| horizon.as_ref().is_none_or(|horizon| key < horizon));
    runs.sort_by(|(a, _), (b, _)| a.cmp(b));
    let next = if runs.len() > limit {
        runs.truncate(limit);
        runs.last().map(|(key, _)| after(key))
    } else {
        horizon
    };
    WorkflowList {
        workflows: runs.into_iter().map(|(_, run)| run).collect(),
        next_page_token: next.map(|key| URL_SAFE_NO_PAD.encode(key)),
    }
}
