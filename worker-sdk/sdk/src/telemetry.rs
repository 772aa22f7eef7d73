//! Export of a worker's spans to an OpenTelemetry collector (feature `opentelemetry`).
//!
//! ```no_run
//! use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
//! use tracing_subscriber::util::SubscriberInitExt as _;
//!
//! # async fn main_of_a_worker() -> Result<(), Box<dyn std::error::Error>> {
//! // None unless OTEL_EXPORTER_OTLP_ENDPOINT names a collector.
//! let traces = tidewright::telemetry::from_env("orders")?;
//! tracing_subscriber::registry()
//!     .with(tracing_subscriber::fmt::layer().with_filter(tracing_subscriber::EnvFilter::new("warn")))
//!     .with(traces.as_ref().map(|traces| traces.layer()))
//!     .init();
//! // … the worker runs …
//! if let Some(traces) = traces {
//!     traces.finish().await;
//! }
//! # Ok(())
//! # }
//! ```

pub use tidewright_telemetry::traces::{TraceExport, TracesError, from_env};
