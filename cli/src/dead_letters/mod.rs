//! `tidewright dead-letters …`: what could not be understood or delivered, why, and sending it again.

mod letter;
mod list;
mod read;
mod redrive;
mod show;

use std::process::ExitCode;

use clap::Subcommand;

use crate::config::Configuration;
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List dead letters, newest last
    #[command(after_help = list::EXAMPLES)]
    List(list::ListOptions),
    /// Show one dead letter: the record as it came, and why it is here
    Show(show::ShowOptions),
    /// Send dead letters to their topic again
    ///
    /// The record goes out with its key, its value and its headers, and one more that names where it was. A start without
    /// a request id gets one that follows from that place, so that sending it twice starts one workflow. What was sent
    /// again is marked, and not sent once more unless --force says so.
    #[command(after_help = redrive::EXAMPLES)]
    Redrive(redrive::RedriveOptions),
}

impl DeadLettersCommand {
    pub(crate) fn output(&self) -> Output {
        match self {
            Self::List(options) => options.namespace.output,
            Self::Show(options) => options.namespace.output,
            Self::Redrive(options) => options.namespace.output,
        }
    }
}

pub(crate) async fn run(command: DeadLettersCommand, configuration: &Configuration) -> Result<ExitCode, CliError> {
    match command {
        DeadLettersCommand::List(options) => list::run(options, configuration).await,
        DeadLettersCommand::Show(options) => show::run(options, configuration).await,
        DeadLettersCommand::Redrive(options) => redrive::run(options, configuration).await,
    }
}
