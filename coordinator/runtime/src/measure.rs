//! Metrics of the engine, through the `metrics` facade.

use tidewright_owner::Counts;

use crate::status::{PartitionState, PartitionStatus};

pub(crate) fn committed(counts: &Counts) {
    metrics::counter!("tidewright_command_decided_total").increment(counts.commands);
    metrics::counter!("tidewright_workflow_started_total").increment(counts.started);
    metrics::counter!("tidewright_workflow_completed_total").increment(counts.completed);
    metrics::counter!("tidewright_workflow_failed_total").increment(counts.failed);
    metrics::counter!("tidewright_dead_letters_total").increment(counts.dead_letters);
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating point; these counts are far below 2^52")]
pub(crate) fn partitions(statuses: &[PartitionStatus]) {
    let count = |wanted: fn(&PartitionState) -> bool| statuses.iter().filter(|s| wanted(&s.state)).count() as f64;
    metrics::gauge!("tidewright_partitions_owned").set(count(|s| matches!(s, PartitionState::Owned { .. })));
    metrics::gauge!("tidewright_partitions_recovering").set(count(|s| matches!(s, PartitionState::Recovering)));
    metrics::gauge!("tidewright_partitions_stopped").set(count(|s| matches!(s, PartitionState::Stopped { .. })));
    let in_flight: usize = statuses.iter().map(|s| s.effects_in_flight).sum();
    metrics::gauge!("tidewright_effects_in_flight").set(in_flight as f64);
}
