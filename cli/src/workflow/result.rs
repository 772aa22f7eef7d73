//! `tidewright workflow result`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use tidewright_schemas::Payload;
use tidewright_schemas::api::{WorkflowOutcome, WorkflowStatus};

use super::events::payload_text;
use super::failure::failure_text;
use super::http::{Server, parse};
use super::options::{RunOptions, ServerOptions};
use crate::error::CliError;
use crate::output::{Output, clean, print, say};

/// How long a node is asked to wait.
const SERVER_WAIT: Duration = Duration::from_secs(30);

/// Options of `tidewright workflow result`.
#[derive(Debug, Args)]
pub(crate) struct ResultOptions {
    #[command(flatten)]
    run: RunOptions,
    /// Give up after so many seconds; without it, it waits for as long as it takes
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    #[command(flatten)]
    pub(super) server: ServerOptions,
}

pub(super) async fn run(options: ResultOptions) -> Result<ExitCode, CliError> {
    let server = Server::new(&options.server)?;
    wait(&server, &options.run, options.timeout.map(Duration::from_secs), options.server.output).await
}

/// Waits for the end of a run and prints what came of it.
pub(super) async fn wait(
    server: &Server,
    run: &RunOptions,
    timeout: Option<Duration>,
    output: Output,
) -> Result<ExitCode, CliError> {
    let began = Instant::now();
    loop {
        let left = timeout.map(|timeout| timeout.saturating_sub(began.elapsed()));
        let wait = left.map_or(SERVER_WAIT, |left| left.min(SERVER_WAIT));
        let query = vec![("wait_ms", wait.as_millis().to_string())];
        let body = server.of_run(run, "/result", query, wait).await?;
        let outcome: WorkflowOutcome = parse(&body)?;
        match outcome.status {
            WorkflowStatus::Running if left.is_some_and(|left| left <= wait) => {
                return Err(CliError::coded("TW0708", format!("workflow {} is still running", run.workflow_id))
                    .hint(format!("see where it stands: tidewright workflow describe -w {}", run.workflow_id)));
            }
            WorkflowStatus::Running => {}
            _ if output.is_json() => {
                print(&format!("{body}\n"))?;
                return Ok(exit_code(outcome.status));
            }
            _ => return show(run, &outcome),
        }
    }
}

fn exit_code(status: WorkflowStatus) -> ExitCode {
    if status == WorkflowStatus::Completed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn show(run: &RunOptions, outcome: &WorkflowOutcome) -> Result<ExitCode, CliError> {
    if outcome.status == WorkflowStatus::Completed {
        let nothing = Payload::null();
        print(&format!("{}\n", payload_text(outcome.result.as_ref().unwrap_or(&nothing))))?;
    } else {
        let ended = match outcome.status {
            WorkflowStatus::Canceled => "was cancelled",
            WorkflowStatus::Terminated => "was terminated",
            WorkflowStatus::TimedOut => "timed out",
            _ => "failed",
        };
        say(&format!("workflow {} {ended} (run {})", run.workflow_id, clean(outcome.run_id.as_str())));
        if let Some(failure) = &outcome.failure {
            say(&failure_text(failure));
        }
    }
    Ok(exit_code(outcome.status))
}
