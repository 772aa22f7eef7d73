//! A span, a log line and metrics for each request.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use crate::request::traceparent;

/// The usual methods; anything else a caller could make up without end.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    }
}

/// Watches a request from its headers to the head of its answer.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    // The route and not the path: ids would make a metric of their own each.
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let trace_id = traceparent(request.headers()).and_then(|trace| trace.get(3..35));
    // At the highest level, so that a line at any level tells which request it is about.
    let span = tracing::error_span!("request", %method, path = request.uri().path(), trace_id);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let took = began.elapsed();
    if response.status().is_server_error() && route != "/readyz" {
        span.in_scope(|| tracing::warn!(%method, route, status, ?took, "a request failed"));
    } else {
        span.in_scope(|| tracing::debug!(%method, route, status, ?took, "answered"));
    }
    let labels = [("method", method_label(&method).to_owned()), ("route", route), ("status", status.to_string())];
    metrics::counter!("tidewright_http_requests_total", &labels).increment(1);
    metrics::histogram!("tidewright_http_request_duration_seconds", &labels).record(took);
    response
}
