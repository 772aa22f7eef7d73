//! What the process says while it works: on stderr, for people unless JSON is asked for.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt as _, dynamic_filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::error::CliError;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// How much is logged when the filter says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verbosity {
    Errors,
    Warnings,
    Progress,
}

/// Whether the broker in this process is being stopped.
static BROKER_LEAVES: AtomicBool = AtomicBool::new(false);

/// Kafka clients of this process let go in the background, so some notice when the broker in this process ends after
/// them. That is no news, and is not logged from here on.
pub(crate) fn broker_leaves() {
    BROKER_LEAVES.store(true, Ordering::Relaxed);
}

/// Options for the log.
#[derive(Debug, Args)]
pub(crate) struct LogOptions {
    #[arg(long, global = true, value_enum, default_value = "text", help_heading = "Log")]
    log_format: LogFormat,
    #[arg(long, global = true, help_heading = "Log")]
    log: Option<String>,
}

impl LogOptions {
    /// Sets up the log of the process.
    pub(crate) fn install(&self, verbosity: Verbosity) -> Result<(), CliError> {
        let default = match verbosity {
            Verbosity::Errors => "error",
            Verbosity::Warnings => "warn",
            Verbosity::Progress => "info",
        };
        let text = self.log.as_deref().filter(|text| !text.trim().is_empty()).unwrap_or(default);
        let filter = EnvFilter::try_new(text).map_err(|error| {
            CliError::plain(format!("`{text}` is no log filter: {error}"))
                .hint("--log and TIDEWRIGHT_LOG take a level (`debug`) or levels by target (`tidewright_runtime=debug,warn`)")
                .usage()
        })?;
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let lines = match self.log_format {
            LogFormat::Json => lines.json().boxed(),
            LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        };
        let is_news = dynamic_filter_fn(|metadata, _| {
            !(BROKER_LEAVES.load(Ordering::Relaxed) && metadata.target().starts_with("tidewright_log"))
        });
        let installed = tracing_subscriber::registry().with(lines.with_filter(filter.and(is_news))).try_init();
        installed.map_err(|error| CliError::plain(error.to_string()))
    }
}
