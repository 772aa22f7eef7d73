//! Metrics of the engine, through the `metrics` facade; `docs/metrics.md` lists them.
//!
//! Handles are made once and kept: recording costs an atomic operation, and no text is put together for it.

mod partition;
mod sampler;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tidewright_core::ChangedRun;
use tidewright_owner::Report;
use tidewright_schemas::api::WorkflowStatus;
use tidewright_telemetry::Labelled;

use crate::status::{PartitionState, PartitionStatus};

pub(crate) use partition::PartitionMeters;
pub(crate) use sampler::run as sample;

/// The engine's metrics of one namespace.
pub(crate) struct Meters {
    namespace: Arc<str>,
    decided: Labelled<Counter>,
    rejected: Labelled<Counter>,
    dead_letters: Labelled<Counter>,
    runs: Labelled<RunMeters>,
    commit_latency: Histogram,
    batch_size: Histogram,
    recovery_duration: Histogram,
    recovered_records: Counter,
    claims: Counter,
    deposed: Counter,
    workers_gone: Counter,
    states: [Gauge; 3],
    effects_in_flight: Gauge,
    sampled: sampler::Gauges,
    /// Made when a partition first comes to this node, and kept: its gauges say 0 while it is elsewhere.
    partitions: Mutex<std::collections::BTreeMap<u32, Arc<PartitionMeters>>>,
}

/// What is counted for each workflow type and task queue.
struct RunMeters {
    started: Counter,
    completed: Counter,
    failed: Counter,
    canceled: Counter,
    terminated: Counter,
    timed_out: Counter,
    latency: Histogram,
    history_events: Histogram,
    history_bytes: Histogram,
}

impl Meters {
    pub(crate) fn new(namespace: &str) -> Self {
        let namespace: Arc<str> = namespace.into();
        let by_code = |name: &'static str, label: &'static str| {
            let namespace = Arc::clone(&namespace);
            Labelled::new(
                move |code, _| counter!(name, "namespace" => Arc::clone(&namespace), label => code.to_owned()),
            )
        };
        let (decided, runs) = (Arc::clone(&namespace), Arc::clone(&namespace));
        let of = || Arc::clone(&namespace);
        let state = |state: &'static str| gauge!("tidewright_partitions", "namespace" => of(), "state" => state);
        Self {
            decided: Labelled::new(move |command, outcome| {
                let (namespace, command, outcome) = (Arc::clone(&decided), command.to_owned(), outcome.to_owned());
                counter!("tidewright_command_decided_total", "namespace" => namespace, "command" => command, "outcome" => outcome)
            }),
            rejected: by_code("tidewright_command_rejected_total", "code"),
            dead_letters: by_code("tidewright_dead_letters_total", "reason"),
            runs: Labelled::new(move |workflow_type, task_queue| RunMeters::new(&runs, workflow_type, task_queue)),
            commit_latency: histogram!("tidewright_commit_latency_seconds", "namespace" => of()),
            batch_size: histogram!("tidewright_command_batch_size", "namespace" => of()),
            recovery_duration: histogram!("tidewright_recovery_duration_seconds", "namespace" => of()),
            recovered_records: counter!("tidewright_recovery_records_total", "namespace" => of()),
            claims: counter!("tidewright_owner_claims_total", "namespace" => of()),
            deposed: counter!("tidewright_owner_deposed_total", "namespace" => of()),
            workers_gone: counter!("tidewright_workers_gone_total", "namespace" => of()),
            states: ["owned", "recovering", "stopped"].map(state),
            effects_in_flight: gauge!("tidewright_effects_in_flight", "namespace" => of()),
            sampled: sampler::Gauges::new(&namespace),
            partitions: Mutex::default(),
            namespace,
        }
    }

    /// What is measured of one partition.
    pub(crate) fn partition(&self, partition: u32) -> Arc<PartitionMeters> {
        let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        let meters = partitions.entry(partition).or_insert_with(|| PartitionMeters::new(&self.namespace, partition));
        Arc::clone(meters)
    }

    /// A batch is committed. `took` is the time from its append to its read-back; none if it appended nothing.
    pub(crate) fn committed(&self, report: &Report, took: Option<Duration>) {
        for (&(command, outcome), &count) in &report.decided {
            self.decided.get(command, outcome.name()).increment(count);
        }
        for (code, &count) in &report.rejected {
            self.rejected.get(code, "").increment(count);
        }
        for (code, &count) in &report.dead_letters {
            self.dead_letters.get(code, "").increment(count);
        }
        for run in &report.runs {
            self.runs.get(&run.workflow_type, &run.task_queue).changed(run);
        }
        self.batch_size.record(float(report.commands));
        if let Some(took) = took {
            self.commit_latency.record(took);
        }
    }

    /// A partition was claimed and recovered.
    pub(crate) fn owned(&self, took: Duration, records: u64) {
        self.claims.increment(1);
        self.recovery_duration.record(took);
        self.recovered_records.increment(records);
    }

    pub(crate) fn deposed(&self) {
        self.deposed.increment(1);
    }

    pub(crate) fn workers_gone(&self, count: usize) {
        self.workers_gone.increment(count as u64);
    }

    pub(crate) fn partitions(&self, statuses: &[PartitionStatus]) {
        let mut counts = [0, 0, 0];
        for status in statuses {
            counts[match status.state {
                PartitionState::Owned { .. } => 0,
                PartitionState::Recovering => 1,
                PartitionState::Stopped { .. } => 2,
            }] += 1;
        }
        for (gauge, count) in self.states.iter().zip(counts) {
            gauge.set(float(count));
        }
        let in_flight: usize = statuses.iter().map(|status| status.effects_in_flight).sum();
        self.effects_in_flight.set(float(in_flight as u64));
    }
}

impl RunMeters {
    fn new(namespace: &Arc<str>, workflow_type: &str, task_queue: &str) -> Self {
        let labels = [
            ("namespace", namespace.to_string()),
            ("workflow_type", workflow_type.to_owned()),
            ("task_queue", task_queue.to_owned()),
        ];
        Self {
            started: counter!("tidewright_workflow_started_total", &labels),
            completed: counter!("tidewright_workflow_completed_total", &labels),
            failed: counter!("tidewright_workflow_failed_total", &labels),
            canceled: counter!("tidewright_workflow_canceled_total", &labels),
            terminated: counter!("tidewright_workflow_terminated_total", &labels),
            timed_out: counter!("tidewright_workflow_timed_out_total", &labels),
            latency: histogram!("tidewright_workflow_end_to_end_latency_seconds", &labels),
            history_events: histogram!("tidewright_workflow_history_events", &labels),
            history_bytes: histogram!("tidewright_workflow_history_bytes", &labels),
        }
    }

    fn changed(&self, run: &ChangedRun) {
        match run.status {
            WorkflowStatus::Running => self.started.increment(1),
            WorkflowStatus::Completed => self.completed.increment(1),
            WorkflowStatus::Failed => self.failed.increment(1),
            WorkflowStatus::Canceled => self.canceled.increment(1),
            WorkflowStatus::Terminated => self.terminated.increment(1),
            WorkflowStatus::TimedOut => self.timed_out.increment(1),
        }
        if let Some(close_time_ms) = run.close_time_ms {
            self.latency.record(Duration::from_millis(close_time_ms.saturating_sub(run.start_time_ms)));
            self.history_events.record(float(run.history_events));
            self.history_bytes.record(float(run.history_bytes));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floating point; what is counted is far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}
