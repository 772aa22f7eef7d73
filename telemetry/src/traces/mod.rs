//! Spans go to an OpenTelemetry collector, over OTLP and HTTP, if the environment names one.
//!
//! | variable | means |
//! |---|---|
//! | `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | where the collector is; without one nothing is exported |
//! | `OTEL_SDK_DISABLED=true`, `OTEL_TRACES_EXPORTER=none` | nothing is exported |
//! | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | who the process says it is |
//! | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | which traces are recorded |
//! | `OTEL_BSP_*`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_TIMEOUT`, … | as OpenTelemetry has them |
//!
//! Export never blocks or fails work: spans wait in a bounded queue, and what does not fit is dropped and counted.

mod client;
mod ids;
mod queue;

use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState, TracerProvider as _};
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use tidewright_schemas::TraceContext;
use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

pub use ids::with_ids;

/// The name under which spans are recorded.
const SCOPE: &str = "tidewright";
/// How long the last spans have at the end.
const FAREWELL: Duration = Duration::from_secs(3);
/// How long the collector has for a request, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise, in milliseconds.
const TIMEOUT_MS: u64 = 10_000;
/// How many spans wait, unless `OTEL_BSP_MAX_QUEUE_SIZE` says otherwise.
const QUEUE_MAX: usize = 2_048;

/// Traces cannot be exported.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be exported: {0}; check the OTEL_* variables, or set OTEL_SDK_DISABLED=true")]
pub struct TracesError(String);

/// The export of this process's spans. Call [`TraceExport::finish`] at the end: what waits is sent then.
#[derive(Debug, Clone)]
pub struct TraceExport {
    provider: SdkTracerProvider,
    new_traces: f64,
}

/// Begins to export spans if the environment asks for it; `service` is the name unless `OTEL_SERVICE_NAME` says otherwise.
/// Call it once, within a tokio runtime.
pub fn from_env(service: &'static str) -> Result<Option<TraceExport>, TracesError> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if !is_asked_for(variable) {
        return Ok(None);
    }
    let number = |name: &str| variable(name).and_then(|value| value.parse::<u64>().ok());
    let timeout = number("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT").or_else(|| number("OTEL_EXPORTER_OTLP_TIMEOUT"));
    let error = |problem: String| TracesError(problem);
    let client = client::Client::new(Duration::from_millis(timeout.unwrap_or(TIMEOUT_MS))).map_err(error)?;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(client)
        .build()
        .map_err(|e| TracesError(e.to_string()))?;
    let waiting_max =
        number("OTEL_BSP_MAX_QUEUE_SIZE").and_then(|size| usize::try_from(size).ok()).unwrap_or(QUEUE_MAX);
    let queue = queue::Queue::new(waiting_max);
    let batches = BatchConfigBuilder::default().with_max_queue_size(waiting_max).build();
    let processor = BatchSpanProcessor::builder(queue.counting(exporter)).with_batch_config(batches).build();
    let resource = Resource::builder();
    let resource = match variable("OTEL_SERVICE_NAME") {
        Some(_) => resource,
        None => resource.with_service_name(service),
    };
    let provider = SdkTracerProvider::builder()
        .with_span_processor(queue.bounding(processor))
        .with_id_generator(ids::Ids::default())
        .with_resource(resource.build())
        .build();
    opentelemetry::global::set_tracer_provider(provider.clone());
    tracing::info!("traces are exported over OTLP");
    Ok(Some(TraceExport { provider, new_traces: new_traces(variable) }))
}

fn is_asked_for(variable: impl Fn(&str) -> Option<String>) -> bool {
    let is = |name: &str, value: &str| variable(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
    let endpoint = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT"));
    endpoint.is_some() && !is("OTEL_SDK_DISABLED", "true") && !is("OTEL_TRACES_EXPORTER", "none")
}

/// The share of new traces that is recorded.
fn new_traces(variable: impl Fn(&str) -> Option<String>) -> f64 {
    let ratio = || variable("OTEL_TRACES_SAMPLER_ARG").and_then(|ratio| ratio.parse().ok());
    match variable("OTEL_TRACES_SAMPLER").as_deref() {
        Some("always_off" | "parentbased_always_off") => 0.0,
        Some("traceidratio" | "parentbased_traceidratio") => ratio().unwrap_or(1.0),
        _ => 1.0,
    }
}

impl TraceExport {
    /// The share of new traces that is recorded, from 0 to 1.
    #[must_use]
    pub fn new_traces(&self) -> f64 {
        self.new_traces
    }

    /// Makes spans of the `tracing` crate, from level `info` up, spans of the export.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + 'static + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let layer = tracing_opentelemetry::layer().with_tracer(self.provider.tracer(SCOPE));
        layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_filter(LevelFilter::INFO)
    }

    /// Sends what waits, for a few seconds at most.
    pub async fn finish(self) {
        let finished = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(FAREWELL)).await;
        if let Ok(Err(error)) = finished {
            tracing::warn!("the last spans may be lost: {error}");
        }
    }
}

/// A context as OpenTelemetry has it, of a span elsewhere.
#[must_use]
pub fn remote(context: &TraceContext) -> SpanContext {
    let flags = if context.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace_id, span_id) = (TraceId::from_bytes(context.trace_id), SpanId::from_bytes(context.span_id));
    SpanContext::new(trace_id, span_id, flags, true, TraceState::default())
}

/// The other way round; none if it is of no span.
#[must_use]
pub fn position(context: &SpanContext) -> Option<TraceContext> {
    context.is_valid().then(|| TraceContext {
        trace_id: context.trace_id().to_bytes(),
        span_id: context.span_id().to_bytes(),
        sampled: context.is_sampled(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn nothing_is_exported_unless_a_collector_is_named() {
        assert!(!is_asked_for(of(&[])));
        assert!(is_asked_for(of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")])));
        assert!(is_asked_for(of(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318/v1/traces")])));
        assert!(!is_asked_for(of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), ("OTEL_SDK_DISABLED", "True")])));
        assert!(!is_asked_for(of(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
            ("OTEL_TRACES_EXPORTER", "none")
        ])));
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "nothing is computed")]
    fn the_sampler_says_how_many_new_traces_are_recorded() {
        assert_eq!(new_traces(of(&[])), 1.0);
        assert_eq!(new_traces(of(&[("OTEL_TRACES_SAMPLER", "parentbased_always_off")])), 0.0);
        let tenth = of(&[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.1")]);
        assert_eq!(new_traces(tenth), 0.1);
    }

    #[test]
    fn a_context_is_the_same_on_both_sides() {
        let context = TraceContext { trace_id: [7; 16], span_id: [9; 8], sampled: true };
        assert_eq!(position(&remote(&context)), Some(context));
        assert_eq!(position(&SpanContext::empty_context()), None);
    }
}
