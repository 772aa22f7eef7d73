//! Bounds the spans that wait for the collector: what is beyond is dropped, counted, and told once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{Counter, counter};
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

#[derive(Debug, Clone)]
pub(super) struct Queue {
    inner: Arc<Inner>,
}

struct Inner {
    waiting: AtomicUsize,
    waiting_max: usize,
    told_full: AtomicBool,
    told_failed: AtomicBool,
    exported: Counter,
    dropped: Counter,
    failed: Counter,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("waiting", &self.waiting).field("waiting_max", &self.waiting_max).finish()
    }
}

impl Queue {
    pub(super) fn new(waiting_max: usize) -> Self {
        let count = |outcome: &'static str| counter!("tidewright_trace_spans_total", "outcome" => outcome);
        let inner = Inner {
            waiting: AtomicUsize::new(0),
            waiting_max,
            told_full: AtomicBool::new(false),
            told_failed: AtomicBool::new(false),
            exported: count("exported"),
            dropped: count("dropped"),
            failed: count("failed"),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Hands spans on as long as few enough wait.
    pub(super) fn bounding<P: SpanProcessor>(&self, next: P) -> Bounding<P> {
        Bounding { queue: self.clone(), next }
    }

    /// Counts what becomes of the spans that waited.
    pub(super) fn counting<E: SpanExporter>(&self, next: E) -> Counting<E> {
        Counting { queue: self.clone(), next }
    }

    /// Whether there is room for one more.
    fn enter(&self) -> bool {
        let inner = &self.inner;
        if inner.waiting.fetch_add(1, Ordering::Relaxed) < inner.waiting_max {
            return true;
        }
        inner.waiting.fetch_sub(1, Ordering::Relaxed);
        inner.dropped.increment(1);
        if !inner.told_full.swap(true, Ordering::Relaxed) {
            let max = inner.waiting_max;
            tracing::warn!(
                "{max} spans wait for the OTLP collector; more are dropped and counted in tidewright_trace_spans_total"
            );
        }
        false
    }
}

#[derive(Debug)]
pub(super) struct Bounding<P> {
    queue: Queue,
    next: P,
}

impl<P: SpanProcessor> SpanProcessor for Bounding<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.queue.enter() {
            self.next.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

#[derive(Debug)]
pub(super) struct Counting<E> {
    queue: Queue,
    next: E,
}

impl<E: SpanExporter> SpanExporter for Counting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (count, inner) = (batch.len(), &self.queue.inner);
        let outcome = self.next.export(batch).await;
        inner.waiting.fetch_sub(count, Ordering::Relaxed);
        match &outcome {
            Ok(()) => {
                inner.exported.increment(count as u64);
                inner.told_failed.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                inner.failed.increment(count as u64);
                if !inner.told_failed.swap(true, Ordering::Relaxed) {
                    tracing::warn!("spans do not reach the OTLP collector and are dropped until they do: {error}");
                }
            }
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use opentelemetry::trace::{Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider};

    use super::*;

    /// A collector that answers when it is told to.
    #[derive(Debug)]
    struct Stuck(std::sync::Mutex<mpsc::Receiver<()>>);

    impl SpanExporter for Stuck {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            // The sender goes at the end of the test.
            let _ = self.0.lock().unwrap().recv();
            Ok(())
        }
    }

    #[test]
    fn a_collector_that_does_not_answer_costs_spans_and_nothing_else() {
        let (answer, stuck) = mpsc::channel();
        let queue = Queue::new(10);
        let processor = BatchSpanProcessor::builder(queue.counting(Stuck(stuck.into()))).build();
        let provider = SdkTracerProvider::builder().with_span_processor(queue.bounding(processor)).build();
        let tracer = provider.tracer("test");
        for _ in 0..1_000 {
            drop(tracer.start("span"));
        }
        assert_eq!(queue.inner.waiting.load(Ordering::Relaxed), 10);
        assert!(queue.inner.told_full.load(Ordering::Relaxed));
        drop(answer);
        provider.shutdown().unwrap();
        assert_eq!(queue.inner.waiting.load(Ordering::Relaxed), 0);
    }
}
