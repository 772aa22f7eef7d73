//! Spans of what a worker does, through the `tracing` facade: whatever layers the application has see them. With the
//! feature `opentelemetry` they continue the trace of their workflow, and what they send carries it on.

use tidewright_schemas::{ActivityTask, EventAttributes, TraceContext, WorkflowTask};
use tracing::{Span, field};

/// The span of an attempt of an activity: user code runs within it.
pub(crate) fn attempt(task: &ActivityTask, traceparent: Option<&str>) -> Span {
    let span = tracing::info_span!(
        "RunActivity",
        otel.name = format!("RunActivity:{}", task.activity_type),
        otel.kind = "consumer",
        otel.status_code = field::Empty,
        otel.status_description = field::Empty,
        temporalNamespace = task.namespace,
        temporalWorkflowID = %task.workflow_id,
        temporalRunID = %task.run_id,
        temporalActivityID = task.activity_id,
        activity_type = task.activity_type,
        attempt = task.attempt,
        trace_id = field::Empty,
    );
    let Some(context) = traceparent.filter(|_| !span.is_disabled()).and_then(TraceContext::parse) else { return span };
    record_trace(&span, &context);
    let (run_id, event_id) = (&task.run_id, task.scheduled_event_id);
    // The wait for a retry may have been long: it is linked to the attempt before.
    let before = (task.attempt > 1).then(|| context.at_attempt(run_id, event_id, task.attempt - 1));
    // A repeat of an attempt is another span.
    let own = (!task.possible_repeat).then(|| context.at_attempt(run_id, event_id, task.attempt));
    adopt(&span, &context, own, before.into_iter().collect());
    span
}

/// The span of a workflow task. What it brings news of is linked: the wait for it may have been long.
pub(crate) fn workflow_task(task: &WorkflowTask, traceparent: Option<&str>) -> Span {
    let span = tracing::info_span!(
        "RunWorkflowTask",
        otel.name = format!("RunWorkflowTask:{}", task.workflow_type),
        otel.kind = "consumer",
        otel.status_code = field::Empty,
        otel.status_description = field::Empty,
        temporalNamespace = task.namespace,
        temporalWorkflowID = %task.workflow_id,
        temporalRunID = %task.run_id,
        workflow_type = task.workflow_type,
        attempt = task.attempt,
        trace_id = field::Empty,
    );
    let Some(context) = traceparent.filter(|_| !span.is_disabled()).and_then(TraceContext::parse) else { return span };
    record_trace(&span, &context);
    let news = task.events.iter().filter(|event| event.event_id > task.previous_started_event_id);
    let began = news.filter_map(|event| match &event.attributes {
        EventAttributes::TimerFired(e) => Some(e.started_event_id),
        closed => closed.closes_activity(),
    });
    let links = began.map(|event_id| context.at_event(&task.run_id, event_id)).collect();
    adopt(&span, &context, None, links);
    span
}

/// What a span did came to nothing.
pub(crate) fn failed(span: &Span, why: &str) {
    span.record("otel.status_code", "ERROR");
    span.record("otel.status_description", why);
}

/// For lines of the log that are written within the span.
fn record_trace(span: &Span, context: &TraceContext) {
    let text = context.to_string();
    span.record("trace_id", text.get(3..35));
}

/// Makes a span a child of one elsewhere, under an id that others can work out, with links to what it follows.
#[cfg(feature = "opentelemetry")]
fn adopt(span: &Span, parent: &TraceContext, own: Option<TraceContext>, links: Vec<TraceContext>) {
    use opentelemetry::trace::TraceContextExt as _;
    use tidewright_telemetry::traces::{remote, with_ids};
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    let parent = opentelemetry::Context::new().with_remote_span_context(remote(parent));
    // An application may have no layer for OpenTelemetry, or none for this span.
    if span.set_parent(parent).is_err() {
        return;
    }
    for link in links {
        span.add_link(remote(&link));
    }
    if let Some(own) = own {
        // Asked for its context, the span gets its ids.
        with_ids(own, || drop(span.context()));
    }
}

#[cfg(not(feature = "opentelemetry"))]
fn adopt(_: &Span, _: &TraceContext, _: Option<TraceContext>, _: Vec<TraceContext>) {}

/// The `traceparent` of what is sent from within a span: the span's own, or the one that was received.
#[cfg(feature = "opentelemetry")]
pub(crate) fn onward(span: &Span, received: Option<&str>) -> Option<String> {
    use opentelemetry::trace::TraceContextExt as _;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    let own = tidewright_telemetry::traces::position(span.context().span().span_context());
    own.map(|context| context.to_string()).or_else(|| received.map(str::to_owned))
}

#[cfg(not(feature = "opentelemetry"))]
pub(crate) fn onward(_: &Span, received: Option<&str>) -> Option<String> {
    received.map(str::to_owned)
}
