//! The command line.

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::load::Length;

/// Measures the whole system: broker, engine, worker and load are processes of their own.
///
/// Activities do nothing; every payload is 100 bytes of JSON. Each result is one JSON object on stdout and a line of a
/// table on stderr.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Latency: one workflow after the other
    Seq {
        /// How many activities a workflow runs, one after the other
        #[arg(long, value_name = "N", default_value_t = 3)]
        steps: u32,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Throughput: clients that each start a workflow, await its result, and start the next
    Throughput {
        /// How many activities a workflow runs, one after the other
        #[arg(long, value_name = "N", default_value_t = 3)]
        steps: u32,
        /// How many workflows are open at the same time
        #[arg(long, value_name = "N", default_value_t = 64)]
        clients: u32,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Many signals to one workflow: what one costs at the end, by what it costs at the beginning
    Signals {
        /// How many
        #[arg(long, value_name = "N", default_value_t = 10_000)]
        signals: u32,
        /// How many are on their way at the same time
        #[arg(long, value_name = "N", default_value_t = 1)]
        in_flight: u32,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Latency of queries: one after the other, of a workflow that the worker holds
    Queries {
        /// How many
        #[arg(long, value_name = "N", default_value_t = 10_000)]
        queries: u32,
        #[command(flatten)]
        run: RunOptions,
    },
    /// From a request to cancel until the activity sees it, which never heartbeats
    Cancel {
        /// How many activities are asked to end, one after the other
        #[arg(long, value_name = "N", default_value_t = 200)]
        cancels: u32,
        /// Clients that run workflows of three activities meanwhile
        #[arg(long, value_name = "N", default_value_t = 16)]
        clients: u32,
        #[command(flatten)]
        run: RunOptions,
    },
    /// From the kill of a worker until another one has begun what it ran
    LostWorker {
        /// How many workers are killed, one after the other
        #[arg(long, value_name = "N", default_value_t = 10)]
        rounds: u32,
        /// How many activities each of them runs
        #[arg(long, value_name = "N", default_value_t = 10)]
        activities: u32,
        /// Kill it as soon as the other worker is heard of, before that one has got any partition
        #[arg(long)]
        just_joined: bool,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Latency with 1, 3 and 10 activities, and throughput with 16, 64 and 256 clients, one after the other
    All {
        #[command(flatten)]
        run: RunOptions,
    },
    /// The worker of a benchmark, configured by the environment
    #[command(hide = true)]
    Worker,
}

/// What all workloads have in common.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// Measure for so many seconds
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// Measure so many workflows instead
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    workflows: Option<u64>,
    /// Run the same for so many seconds first
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = seconds)]
    warm_up: f64,
    /// A Kafka that is there, as host:port; the embedded broker by default, on disk
    #[arg(long, value_name = "LIST")]
    pub(crate) brokers: Option<String>,
    /// When the embedded broker's records are made to survive a loss of power
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Fsync::Every, conflicts_with = "brokers")]
    pub(crate) fsync: Fsync,
    /// The process id of that Kafka, if it runs here and its CPU time is to be told
    #[arg(long, value_name = "PID", requires = "brokers")]
    pub(crate) broker_pid: Option<u32>,
    /// What the results call the broker; `embedded` with its policy, or `kafka`, by default
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
}

/// As `tidewright broker --fsync` knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fsync {
    /// Before they are acknowledged
    Every,
    /// Within 100 ms
    Interval,
    /// When the operating system sees fit
    Os,
}

impl Fsync {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Every => "every",
            Self::Interval => "interval",
            Self::Os => "os",
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("seconds are a number between 0 and 86400".to_owned()),
    }
}

impl RunOptions {
    pub(crate) fn warm_up(&self) -> Length {
        Length::Time(Duration::from_secs_f64(self.warm_up))
    }

    /// What is measured besides the workload.
    pub(crate) fn setting(&self) -> String {
        let default = || match &self.brokers {
            Some(_) => "kafka".to_owned(),
            None => format!("embedded, fsync {}", self.fsync.name()),
        };
        self.label.clone().unwrap_or_else(default)
    }

    pub(crate) fn length(&self) -> Length {
        match self.workflows {
            Some(workflows) => Length::Workflows(workflows),
            None => Length::Time(Duration::from_secs_f64(self.seconds)),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Options::command().debug_assert();
    }
}
