//! Span ids: random, but for spans whose id follows from a history.

use std::cell::Cell;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tidewright_schemas::TraceContext;

thread_local! {
    static NEXT: Cell<Option<TraceContext>> = const { Cell::new(None) };
}

/// The one span that `start` starts gets the ids of `context`: its span id, and its trace id if it has no parent.
pub fn with_ids<T>(context: TraceContext, start: impl FnOnce() -> T) -> T {
    let before = NEXT.replace(Some(context));
    let started = start();
    NEXT.set(before);
    started
}

/// Gives out ids.
#[derive(Debug, Default)]
pub(super) struct Ids {
    random: RandomIdGenerator,
}

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        NEXT.get().map_or_else(|| self.random.new_trace_id(), |next| TraceId::from_bytes(next.trace_id))
    }

    fn new_span_id(&self) -> SpanId {
        NEXT.get().map_or_else(|| self.random.new_span_id(), |next| SpanId::from_bytes(next.span_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_unless_they_are_given() {
        let ids = Ids::default();
        let given = TraceContext { trace_id: [1; 16], span_id: [2; 8], sampled: true };
        let (trace_id, span_id) = with_ids(given, || (ids.new_trace_id(), ids.new_span_id()));
        assert_eq!((trace_id.to_bytes(), span_id.to_bytes()), ([1; 16], [2; 8]));
        assert_ne!(ids.new_span_id(), ids.new_span_id());
        assert_ne!(ids.new_span_id().to_bytes(), [2; 8]);
    }
}
