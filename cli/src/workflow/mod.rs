//! `tidewright workflow …`: asks a node over HTTP. Spellings are those of Temporal's command line.

mod control;
mod describe;
mod events;
mod failure;
mod http;
mod list;
mod options;
mod query;
mod result;
mod show;
mod start;

use std::process::ExitCode;

use clap::Subcommand;

use crate::error::CliError;
use crate::output::Output;

pub(crate) use events::{ActivityTypes, payload_text};
pub(crate) use failure::failure_line;
pub(crate) use http::{Server, chain, parse};
pub(crate) use options::{RunOptions, ServerOptions};
pub(crate) use show::{Scheduled, history_text};

#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowCommand {
    /// Start a workflow
    Start(start::StartOptions),
    /// Start a workflow, wait for its end and print its result
    Execute(start::StartOptions),
    /// Tell a workflow something
    Signal(control::SignalOptions),
    /// Signal a workflow, and start it if no run is open
    SignalWithStart(start::SignalWithStartOptions),
    /// Ask a workflow something: a worker answers, and its history stays as it is
    Query(query::QueryOptions),
    /// Show what a workflow waits for, and where in its code
    Stack(query::StackOptions),
    /// Ask a workflow to end: its code is told, cleans up and decides how it ends
    Cancel(control::EndOptions),
    /// End a workflow at once, without asking its code
    Terminate(control::EndOptions),
    /// Delete a run and its history, for good; an open one is terminated first
    Delete(control::DeleteOptions),
    /// Wait for a workflow's end and print its result
    ///
    /// The result goes to stdout as JSON. A workflow that failed is shown on stderr, and the exit code is 1.
    Result(result::ResultOptions),
    /// Show where a workflow stands
    Describe(describe::DescribeOptions),
    /// Show a workflow's history
    Show(show::ShowOptions),
    /// List workflows, newest first
    List(list::ListOptions),
}

impl WorkflowCommand {
    /// How the results are to be written.
    pub(crate) fn output(&self) -> Output {
        match self {
            Self::Start(options) | Self::Execute(options) => options.server.output,
            Self::Signal(options) => options.server.output,
            Self::SignalWithStart(options) => options.start.server.output,
            Self::Query(options) => options.server.output,
            Self::Stack(options) => options.server.output,
            Self::Cancel(options) => options.server.output,
            Self::Terminate(options) => options.server.output,
            Self::Delete(options) => options.server.output,
            Self::Result(options) => options.server.output,
            Self::Describe(options) => options.server.output,
            Self::Show(options) => options.server.output,
            Self::List(options) => options.server.output,
        }
    }
}

pub(crate) async fn run(command: WorkflowCommand) -> Result<ExitCode, CliError> {
    match command {
        WorkflowCommand::Start(options) => start::run(options).await,
        WorkflowCommand::Execute(options) => start::execute(options).await,
        WorkflowCommand::Signal(options) => control::signal(options).await,
        WorkflowCommand::SignalWithStart(options) => start::signal_with_start(options).await,
        WorkflowCommand::Query(options) => query::query(options).await,
        WorkflowCommand::Stack(options) => query::stack(options).await,
        WorkflowCommand::Cancel(options) => control::cancel(options).await,
        WorkflowCommand::Terminate(options) => control::terminate(options).await,
        WorkflowCommand::Delete(options) => control::delete(options).await,
        WorkflowCommand::Result(options) => result::run(options).await,
        WorkflowCommand::Describe(options) => describe::run(options).await,
        WorkflowCommand::Show(options) => show::run(options).await,
        WorkflowCommand::List(options) => list::run(options).await,
    }
}
