//! Upper bounds of the buckets of histograms.

use super::Buckets;

/// What a machine does: a read-back, an activity, a request.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// What people and months do: from 10 ms to 30 days.
const LONG_SECONDS: &[f64] = &[
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    5.0,
    30.0,
    60.0,
    300.0,
    1_800.0,
    3_600.0,
    21_600.0,
    86_400.0,
    604_800.0,
    2_592_000.0,
];
const COUNTS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];
const EVENTS: &[f64] = &[10.0, 20.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0, 10_000.0, 50_000.0];
const BYTES: &[f64] = &[1e3, 4e3, 16e3, 64e3, 256e3, 1e6, 4e6, 16e6, 64e6];

/// A full name goes before an end.
pub(super) const ALL: &[(Buckets, &[f64])] = &[
    (Buckets::Named("tidewright_workflow_end_to_end_latency_seconds"), LONG_SECONDS),
    (Buckets::Named("tidewright_activity_schedule_to_start_latency_seconds"), LONG_SECONDS),
    (Buckets::Named("tidewright_activity_execution_latency_seconds"), LONG_SECONDS),
    (Buckets::Named("tidewright_command_batch_size"), COUNTS),
    (Buckets::Named("tidewright_workflow_history_events"), EVENTS),
    (Buckets::Named("tidewright_workflow_history_bytes"), BYTES),
    (Buckets::EndingIn("_seconds"), SECONDS),
];
