//! The command line.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};

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
