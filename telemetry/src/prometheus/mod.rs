//! The recorder behind the `metrics` facade, and its page for Prometheus.
//!
//! A process has one recorder. [`install`] makes it; what was recorded before is lost, so call it first.

mod buckets;
mod server;

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

pub use server::{MetricsServer, ServeError};

/// The content type of [`Recorder::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How often the recorder tidies up what it holds of histograms.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

static RECORDER: OnceLock<Recorder> = OnceLock::new();

/// The process's recorder. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    handle: PrometheusHandle,
    process: Collector,
}

/// The process's recorder; the first call makes it.
pub fn install() -> Recorder {
    RECORDER.get_or_init(Recorder::new).clone()
}

impl Recorder {
    fn new() -> Self {
        let builder = buckets::ALL.iter().try_fold(PrometheusBuilder::new(), |builder, (matcher, bounds)| {
            builder.set_buckets_for_metric((*matcher).into(), bounds)
        });
        // Fails only for an empty list of buckets; the default is a summary then.
        let recorder = builder.unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("this process records metrics elsewhere already; /metrics stays empty");
        }
        let process = Collector::default();
        process.describe();
        Self { handle, process }
    }

    /// Everything that was recorded, in Prometheus' text form ([`CONTENT_TYPE`]).
    #[must_use]
    pub fn render(&self) -> String {
        self.process.collect();
        self.handle.render()
    }

    /// Bounds the memory of histograms; never returns.
    pub async fn upkeep(&self) {
        loop {
            tokio::time::sleep(UPKEEP_INTERVAL).await;
            self.handle.run_upkeep();
        }
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}

/// Which metrics a list of buckets is for.
#[derive(Debug, Clone, Copy)]
enum Buckets {
    Named(&'static str),
    EndingIn(&'static str),
}

impl From<Buckets> for Matcher {
    fn from(buckets: Buckets) -> Self {
        match buckets {
            Buckets::Named(name) => Self::Full(name.to_owned()),
            Buckets::EndingIn(end) => Self::Suffix(end.to_owned()),
        }
    }
}
