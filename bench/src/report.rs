//! Results: JSON for programs, a table for people.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::cluster::Usages;
use crate::job::PAYLOAD_BYTES;
use crate::load::{Loaded, Workload};

/// One result.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measured {
    pub(crate) workload: &'static str,
    pub(crate) broker: String,
    pub(crate) steps: u32,
    pub(crate) clients: u32,
    pub(crate) payload_bytes: usize,
    pub(crate) workflows: usize,
    pub(crate) seconds: f64,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p95_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    pub(crate) max_ms: Option<f64>,
    /// The median of the workflows' latency, divided by their activities.
    pub(crate) p50_ms_per_activity: Option<f64>,
    pub(crate) workflows_per_s: f64,
    pub(crate) activities_per_s: f64,
    pub(crate) engine_cpu_ms_per_workflow: Option<f64>,
    pub(crate) worker_cpu_ms_per_workflow: Option<f64>,
    pub(crate) load_cpu_ms_per_workflow: Option<f64>,
    pub(crate) broker_cpu_ms_per_workflow: Option<f64>,
    pub(crate) engine_rss_mb: Option<f64>,
    pub(crate) worker_rss_mb: Option<f64>,
    pub(crate) errors: u64,
}

impl Measured {
    pub(crate) fn new(workload: Workload, broker: String, loaded: &Loaded, usages: &Usages) -> Self {
        let Workload { name, steps, clients } = workload;
        let workflows = loaded.latencies.len();
        let seconds = loaded.elapsed.as_secs_f64();
        let ms_at = |share| percentile(&loaded.latencies, share).map(|latency| rounded(1e3 * latency.as_secs_f64()));
        let per_workflow = |cpu: Option<Duration>| {
            cpu.filter(|_| workflows > 0).map(|cpu| rounded(1e3 * cpu.as_secs_f64() / workflows as f64))
        };
        let mb = |bytes: Option<u64>| bytes.map(|bytes| rounded(bytes as f64 / 1e6));
        let workflows_per_s = workflows as f64 / seconds;
        Self {
            workload: name,
            broker,
            steps,
            clients,
            payload_bytes: PAYLOAD_BYTES,
            workflows,
            seconds: rounded(seconds),
            p50_ms: ms_at(0.5),
            p95_ms: ms_at(0.95),
            p99_ms: ms_at(0.99),
            max_ms: ms_at(1.0),
            p50_ms_per_activity: ms_at(0.5).filter(|_| steps > 0).map(|ms| rounded(ms / f64::from(steps))),
            workflows_per_s: rounded(workflows_per_s),
            activities_per_s: rounded(workflows_per_s * f64::from(steps)),
            engine_cpu_ms_per_workflow: per_workflow(usages.engine.cpu),
            worker_cpu_ms_per_workflow: per_workflow(usages.worker.cpu),
            load_cpu_ms_per_workflow: per_workflow(usages.load.cpu),
            broker_cpu_ms_per_workflow: per_workflow(usages.broker.cpu),
            engine_rss_mb: mb(usages.engine.rss_bytes),
            worker_rss_mb: mb(usages.worker.rss_bytes),
            errors: loaded.errors,
        }
    }
}

/// The smallest sample that at least this share of all samples does not exceed.
pub(crate) fn percentile(ascending: &[Duration], share: f64) -> Option<Duration> {
    let rank = (share * ascending.len() as f64).ceil() as usize;
    ascending.get(rank.saturating_sub(1)).copied()
}

/// To a thousandth: more digits than that are noise.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// Results in columns: a table for people, which is Markdown, too.
#[derive(Debug, Default)]
pub(crate) struct Table {
    results: Vec<Measured>,
}

const TITLES: [&str; 13] = [
    "workload",
    "broker",
    "steps",
    "clients",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "max ms",
    "workflows/s",
    "engine ms",
    "worker ms",
    "broker ms",
    "errors",
];

impl Table {
    pub(crate) fn add(&mut self, result: Measured) {
        self.results.push(result);
    }

    /// Of all results together.
    pub(crate) fn errors(&self) -> u64 {
        self.results.iter().map(|result| result.errors).sum()
    }
}

fn row(result: &Measured) -> [String; TITLES.len()] {
    let number = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.2}"));
    [
        result.workload.to_owned(),
        result.broker.clone(),
        result.steps.to_string(),
        result.clients.to_string(),
        number(result.p50_ms),
        number(result.p95_ms),
        number(result.p99_ms),
        number(result.max_ms),
        format!("{:.0}", result.workflows_per_s),
        number(result.engine_cpu_ms_per_workflow),
        number(result.worker_cpu_ms_per_workflow),
        number(result.broker_cpu_ms_per_workflow),
        result.errors.to_string(),
    ]
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = TITLES.map(str::to_owned);
        let rows: Vec<_> = self.results.iter().map(row).collect();
        let rows = || std::iter::once(&titles).chain(&rows);
        let widths: Vec<_> =
            (0..TITLES.len()).map(|column| rows().map(|row| row[column].len()).max().unwrap_or_default()).collect();
        for (line, row) in rows().enumerate() {
            for (cell, width) in row.iter().zip(&widths) {
                write!(f, "| {cell:>width$} ")?;
            }
            writeln!(f, "|")?;
            if line == 0 {
                widths.iter().try_for_each(|width| write!(f, "|{:->width$}:", "", width = width + 1))?;
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(count: u64) -> Vec<Duration> {
        (1..=count).map(Duration::from_millis).collect()
    }

    #[test]
    fn a_percentile_is_a_sample() {
        assert_eq!(percentile(&samples(100), 0.5), Some(Duration::from_millis(50)));
        assert_eq!(percentile(&samples(100), 0.99), Some(Duration::from_millis(99)));
        assert_eq!(percentile(&samples(3), 0.5), Some(Duration::from_millis(2)));
        assert_eq!(percentile(&samples(3), 1.0), Some(Duration::from_millis(3)));
        assert_eq!(percentile(&samples(1), 0.5), Some(Duration::from_millis(1)));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn figures_are_per_workflow_and_second() {
        let loaded = Loaded { latencies: samples(4), errors: 1, elapsed: Duration::from_secs(2) };
        let mut usages = Usages::default();
        usages.engine.cpu = Some(Duration::from_millis(40));
        let result = Measured::new(Workload::throughput(3, 16), "kafka".to_owned(), &loaded, &usages);
        assert_eq!((result.workflows_per_s, result.activities_per_s), (2.0, 6.0));
        assert_eq!(result.engine_cpu_ms_per_workflow, Some(10.0));
        assert_eq!((result.worker_cpu_ms_per_workflow, result.errors), (None, 1));
    }
}
