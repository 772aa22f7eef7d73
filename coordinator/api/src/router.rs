//! Which handler answers what, and what they share.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{Method, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tidewright_telemetry::prometheus::Recorder;
use tokio::sync::watch;

use crate::backend::Backend;
use crate::pages::error_page;
use crate::problem::Failed;
use crate::proxy::Proxy;
use crate::{
    control, describe, list, list_partition, metrics_page, observe, partition_verbs, partitions, probes, query, start,
    workers,
};

/// What handlers share.
pub(crate) struct Api {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) proxy: Proxy,
    pub(crate) metrics: Recorder,
    pub(crate) stopped: watch::Receiver<bool>,
}

impl Api {
    /// Resolves when the server stops: whoever waits for something long gives up then.
    pub(crate) async fn stopping(&self) {
        let mut stopped = self.stopped.clone();
        // An error means that the server is gone already.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    pub(crate) fn check_namespace(&self, asked: &str) -> Result<(), Failed> {
        let served = self.backend.namespace();
        if asked == served { Ok(()) } else { Err(Failed::namespace_not_found(asked, served)) }
    }
}

/// Runs what blocks on the store where it does not hold up other requests.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failed> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failed::state_unreadable(&error.to_string()))
}

/// All routes.
pub(crate) fn router(api: Arc<Api>) -> Router {
    const WORKFLOWS: &str = "/api/v1/namespaces/{namespace}/workflows";
    let of_workflow = |rest: &str| format!("{WORKFLOWS}/{{workflow_id}}{rest}");
    Router::new()
        .route(WORKFLOWS, post(start::start).get(list::list))
        .route(&format!("{WORKFLOWS}/signal-with-start"), post(start::signal_with_start))
        .route(&of_workflow("/signal"), post(control::signal))
        .route(&of_workflow("/cancel"), post(control::cancel))
        .route(&of_workflow("/terminate"), post(control::terminate))
        .route(&of_workflow("/query"), post(query::query))
        .route(&of_workflow(""), get(describe::describe).delete(control::delete))
        .route(&of_workflow("/history"), get(describe::history))
        .route(&of_workflow("/result"), get(describe::result))
        .route("/internal/v1/namespaces/{namespace}/partitions/{partition}/workflows", get(list_partition::serve))
        .route("/api/v1/namespaces/{namespace}/partitions", get(partitions::list))
        .route("/api/v1/namespaces/{namespace}/partitions/{partition}/retry", post(partition_verbs::retry))
        .route("/internal/v1/namespaces/{namespace}/partitions", get(partitions::own))
        .route("/api/v1/namespaces/{namespace}/partitions/{partition}/skip", post(partition_verbs::skip))
        .route("/internal/v1/namespaces/{namespace}/partitions/{partition}/skip", post(partition_verbs::skip_own))
        .route("/internal/v1/namespaces/{namespace}/partitions/{partition}/retry", post(partition_verbs::retry_own))
        .route("/api/v1/namespaces/{namespace}/workers", get(workers::list))
        .route("/healthz", get(probes::healthz))
        .route("/readyz", get(probes::readyz))
        .route("/metrics", get(metrics_page::metrics))
        .route("/errors/{code}", get(explain))
        .fallback(async |uri: Uri| Failed::route_not_found(uri.path()))
        .method_not_allowed_fallback(async |method: Method, uri: Uri| {
            Failed::method_not_allowed(method.as_str(), uri.path())
        })
        .layer(middleware::from_fn(observe::observe))
        .with_state(api)
}

/// `GET /errors/{code}`: where a problem's `type` points.
async fn explain(Path(code): Path<String>, uri: Uri) -> Result<Response, Failed> {
    let page = error_page(&code).ok_or_else(|| Failed::route_not_found(uri.path()))?;
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], page).into_response())
}
