//! Spans of what owners have committed; `docs/tracing.md` shows how they hang together.
//!
//! They are made after the fact, from a batch's report: a command's span covers its way from being taken up to its commit,
//! and what began with an earlier event (a run, an activity, a timer) gets its span when it ends.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::global::BoxedTracer;
use opentelemetry::trace::{Link, Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use tidewright_owner::{EndedSpan, SpanOf, TracedCommand};
use tidewright_schemas::TraceContext;
use tidewright_telemetry::traces::{remote, with_ids};

/// When a batch was taken up, and when it was appended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchTimes {
    pub(crate) began: SystemTime,
    pub(crate) appended: SystemTime,
}

/// Records spans of one partition.
pub(crate) struct Spans {
    tracer: BoxedTracer,
    namespace: String,
    topic: String,
    partition: u32,
}

impl Spans {
    pub(crate) fn new(namespace: &str, topic: String, partition: u32) -> Self {
        let tracer = opentelemetry::global::tracer("tidewright");
        Self { tracer, namespace: namespace.to_owned(), topic, partition }
    }

    /// A batch is committed now.
    pub(crate) fn committed(&self, traced: &[TracedCommand], times: BatchTimes) {
        let now = SystemTime::now();
        for command in traced {
            self.command(command, times, now);
            for ended in &command.ended {
                self.ended(command, ended);
            }
        }
    }

    fn command(&self, command: &TracedCommand, times: BatchTimes, committed: SystemTime) {
        let mut attributes = self.attributes_of(command);
        attributes.extend([
            KeyValue::new("messaging.system", "kafka"),
            KeyValue::new("messaging.operation.type", "process"),
            KeyValue::new("messaging.destination.name", self.topic.clone()),
            KeyValue::new("messaging.destination.partition.id", self.partition.to_string()),
            KeyValue::new("messaging.kafka.offset", i64::try_from(command.offset).unwrap_or(i64::MAX)),
        ]);
        let builder = SpanBuilder::from_name(command.command)
            .with_kind(SpanKind::Consumer)
            .with_start_time(times.began)
            .with_attributes(attributes)
            .with_links(command.waited_for.iter().map(link).collect());
        let mut span = self.tracer.build_with_context(builder, &child_of(&command.parent));
        if span.is_recording() {
            let own = Context::new().with_remote_span_context(span.span_context().clone());
            for (name, from, to) in [("decide", times.began, times.appended), ("commit", times.appended, committed)] {
                let step = SpanBuilder::from_name(name).with_start_time(from);
                self.tracer.build_with_context(step, &own).end_with_timestamp(to);
            }
        }
        span.end_with_timestamp(committed);
    }

    fn ended(&self, command: &TracedCommand, ended: &EndedSpan) {
        let kind = match ended.of {
            SpanOf::Run => "RunWorkflow",
            SpanOf::Activity => "Activity",
            SpanOf::Timer => "Timer",
        };
        let mut attributes = self.attributes_of(command);
        match ended.of {
            SpanOf::Run => {}
            SpanOf::Activity => attributes.push(KeyValue::new("temporalActivityID", ended.id.clone())),
            SpanOf::Timer => attributes.push(KeyValue::new("temporalTimerID", ended.id.clone())),
        }
        let builder = SpanBuilder::from_name(format!("{kind}:{}", ended.name))
            .with_start_time(at(ended.start_ms))
            .with_attributes(attributes);
        let parent = ended.parent.as_ref().map_or_else(Context::new, child_of);
        let mut span = with_ids(ended.context, || self.tracer.build_with_context(builder, &parent));
        if let Some(failure) = &ended.failure {
            span.set_status(Status::error(failure.clone()));
        }
        // Two clocks of brokers may differ; a span does not end before it begins.
        span.end_with_timestamp(at(ended.end_ms.max(ended.start_ms)));
    }

    fn attributes_of(&self, command: &TracedCommand) -> Vec<KeyValue> {
        vec![
            KeyValue::new("temporalNamespace", self.namespace.clone()),
            KeyValue::new("temporalWorkflowID", command.workflow_id.to_string()),
            KeyValue::new("temporalRunID", command.run_id.to_string()),
            KeyValue::new("temporalWorkflowType", command.workflow_type.clone()),
        ]
    }
}

fn child_of(parent: &TraceContext) -> Context {
    Context::new().with_remote_span_context(remote(parent))
}

fn link(to: &TraceContext) -> Link {
    Link::with_context(remote(to))
}

fn at(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}
