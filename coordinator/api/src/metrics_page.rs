//! `GET /metrics`: everything that goes through the `metrics` facade, in Prometheus' text form.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::router::Api;

/// How often the recorder tidies up what it holds of histograms.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
const SECONDS_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// Takes over the process's metrics. Call it before the engine starts: what was recorded before is lost. Calling it again
/// changes nothing.
pub fn install() {
    handle();
}

pub(crate) fn handle() -> PrometheusHandle {
    let install = || {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS_BUCKETS)
            // Fails only for an empty list of buckets; the default is a summary then.
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("this process records metrics elsewhere already; /metrics stays empty");
        }
        metrics::describe_gauge!("tidewright_build_info", "1, with the version as a label");
        metrics::describe_counter!("tidewright_http_requests_total", "HTTP requests, by route and status");
        metrics::describe_histogram!(
            "tidewright_http_request_duration_seconds",
            metrics::Unit::Seconds,
            "How long HTTP requests took; results are long polls"
        );
        metrics::gauge!("tidewright_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        handle
    };
    HANDLE.get_or_init(install).clone()
}

/// Bounds the memory of histograms; never returns.
pub(crate) async fn upkeep(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP_INTERVAL).await;
        handle.run_upkeep();
    }
}

/// Renders all metrics.
pub(crate) async fn metrics(State(api): State<Arc<Api>>) -> Response {
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (content_type, api.metrics.render()).into_response()
}
