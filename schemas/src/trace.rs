//! W3C trace context, and the span ids that everybody who takes part in a run agrees on.
//!
//! A run's trace context is data: what its start's record carried is in `WorkflowExecutionStarted`. The ids of the spans
//! that others refer to (a run, an activity, a timer, an attempt) follow from ids that history holds, so they are the
//! same after a recovery, on any node and in any worker, and nothing has to be remembered for them. Each is the beginning
//! of the SHA-256 of a text: `run/<run id>`, `event/<run id>/<event id>`, `attempt/<run id>/<event id>/<attempt>`, and
//! `trace/<run id>` for the trace of a run whose start had none.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::{EventId, RunId};

/// A position in a trace: what `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The span that others are to be children of.
    pub span_id: [u8; 8],
    /// Whether it is recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent`. What is none is passed over, as W3C says.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace_id, span_id) = (bytes::<1>(parts.next()?)?, bytes(parts.next()?)?, bytes(parts.next()?)?);
        let [flags] = bytes::<1>(parts.next()?)?;
        // Version 0 ends here; a later one may say more.
        let more = parts.next().is_some();
        let valid = version != [0xff] && !(version == [0] && more) && trace_id != [0; 16] && span_id != [0; 8];
        valid.then_some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }

    /// The context of a run's own span: it continues the trace of the run's start. A run without one begins a trace, of
    /// which the share `new_traces` (0 to 1) is recorded.
    #[must_use]
    pub fn of_run(run_id: &RunId, started: Option<&str>, new_traces: f64) -> Self {
        let span_id = derived(format_args!("run/{run_id}"));
        if let Some(started) = started.and_then(Self::parse) {
            return Self { span_id, ..started };
        }
        let trace_id = derived(format_args!("trace/{run_id}"));
        Self { trace_id, span_id, sampled: is_sampled(trace_id, new_traces) }
    }

    /// The same trace, at the span of what an event began: an activity or a timer.
    #[must_use]
    pub fn at_event(self, run_id: &RunId, event_id: EventId) -> Self {
        Self { span_id: derived(format_args!("event/{run_id}/{event_id}")), ..self }
    }

    /// The same trace, at the span of an attempt of an activity.
    #[must_use]
    pub fn at_attempt(self, run_id: &RunId, scheduled_event_id: EventId, attempt: u32) -> Self {
        Self { span_id: derived(format_args!("attempt/{run_id}/{scheduled_event_id}/{attempt}")), ..self }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        let (trace_id, span_id) = (u128::from_be_bytes(self.trace_id), u64::from_be_bytes(self.span_id));
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{flags:02x}")
    }
}

/// As OpenTelemetry's sampler by ratio decides, so that everybody decides alike.
fn is_sampled(trace_id: [u8; 16], ratio: f64) -> bool {
    let low = u128::from_be_bytes(trace_id) as u64 >> 1;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of 2^63 needs no more digits"
    )]
    let bound = (ratio.clamp(0.0, 1.0) * (1_u64 << 63) as f64) as u64;
    low < bound
}

fn derived<const N: usize>(text: fmt::Arguments<'_>) -> [u8; N] {
    let digest = Sha256::digest(text.to_string());
    let mut id = [0; N];
    id.copy_from_slice(&digest[..N]);
    id
}

/// Exactly `N` bytes in lower case hexadecimal.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if text.len() != 2 * N || !text.bytes().all(lower) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(0..) {
        *byte = u8::from_str_radix(&text[2 * pair..2 * pair + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_read_is_what_was_written() {
        assert_eq!(TraceContext::parse(PARENT).unwrap().to_string(), PARENT);
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        assert_eq!(TraceContext::parse(later).unwrap().to_string(), PARENT);
    }

    #[test]
    fn what_is_no_context_is_none() {
        for bad in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_run_continues_the_trace_of_its_start_under_ids_that_others_can_work_out() {
        let run_id = RunId::from_text("01a1fe5c-c210-879f-a05f-cef229804e88");
        let run = TraceContext::of_run(&run_id, Some(PARENT), 0.0);
        assert_eq!(
            run.to_string(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-RUN-01"
                .replace("RUN", &hex("run/01a1fe5c-c210-879f-a05f-cef229804e88"))
        );
        let attempt = run.at_attempt(&run_id, 5, 2).to_string();
        assert!(attempt.contains(&hex("attempt/01a1fe5c-c210-879f-a05f-cef229804e88/5/2")), "{attempt}");
        assert_ne!(run.at_event(&run_id, 5), run.at_attempt(&run_id, 5, 1));
    }

    fn hex(text: &str) -> String {
        Sha256::digest(text)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_run_without_a_trace_begins_one_that_is_recorded_as_often_as_asked() {
        let runs: Vec<_> = (0..1_000).map(|n| RunId::from_text(format!("run-{n}"))).collect();
        let recorded = |ratio| runs.iter().filter(|run_id| TraceContext::of_run(run_id, None, ratio).sampled).count();
        assert_eq!((recorded(0.0), recorded(1.0)), (0, 1_000));
        assert!((150..350).contains(&recorded(0.25)), "{}", recorded(0.25));
        assert_eq!(TraceContext::of_run(&runs[0], None, 1.0), TraceContext::of_run(&runs[0], Some("nonsense"), 1.0));
    }
}
