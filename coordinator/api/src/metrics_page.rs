//! `GET /metrics`: everything that goes through the `metrics` facade, in Prometheus' text form.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use tidewright_telemetry::prometheus::{self, Recorder};

use crate::router::Api;

/// Takes over the process's metrics. Call it before the engine starts: what was recorded before is lost. Calling it again
/// changes nothing.
pub fn install() {
    drop(recorder());
}

pub(crate) fn recorder() -> Recorder {
    let recorder = prometheus::install();
    metrics::gauge!("tidewright_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    recorder
}

/// Renders all metrics.
pub(crate) async fn metrics(State(api): State<Arc<Api>>) -> Response {
    ([(header::CONTENT_TYPE, prometheus::CONTENT_TYPE)], api.metrics.render()).into_response()
}
