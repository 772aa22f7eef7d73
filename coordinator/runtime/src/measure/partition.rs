//! What is measured of one partition.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Gauge, gauge};

use super::float;

/// The gauges of one partition.
pub(crate) struct PartitionMeters {
    lag_records: Gauge,
    lag_seconds: Gauge,
    recovery_remaining: Gauge,
    /// The broker's timestamp of the last command that was decided, in milliseconds since 1970.
    last_decided_ms: AtomicU64,
}

impl PartitionMeters {
    pub(super) fn new(namespace: &str, partition: u32) -> Arc<Self> {
        let labels = [("namespace", namespace.to_owned()), ("partition", partition.to_string())];
        Arc::new(Self {
            lag_records: gauge!("tidewright_owner_lag_records", &labels),
            lag_seconds: gauge!("tidewright_owner_lag_seconds", &labels),
            recovery_remaining: gauge!("tidewright_recovery_remaining_records", &labels),
            last_decided_ms: AtomicU64::new(0),
        })
    }

    pub(crate) fn recovering(&self, remaining: u64) {
        self.recovery_remaining.set(float(remaining));
    }

    pub(crate) fn decided(&self, timestamp_ms: u64) {
        self.last_decided_ms.store(timestamp_ms, Ordering::Relaxed);
    }

    /// How far the owner is behind: commands, and the age of the last one that it has decided; 0 if nothing waits.
    pub(crate) fn lag(&self, records: u64, now_ms: u64) {
        let decided_ms = self.last_decided_ms.load(Ordering::Relaxed);
        let behind_ms = if records == 0 || decided_ms == 0 { 0 } else { now_ms.saturating_sub(decided_ms) };
        self.lag_records.set(float(records));
        self.lag_seconds.set(float(behind_ms) / 1_000.0);
    }

    /// The partition went to another node, or nowhere.
    pub(crate) fn left(&self) {
        self.recovering(0);
        self.decided(0);
        self.lag(0, 0);
    }
}
