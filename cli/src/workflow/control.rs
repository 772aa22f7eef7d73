//! `tidewright workflow signal`, `cancel`, `terminate` and `delete`.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use tidewright_schemas::api::AcceptedRequest;
use tidewright_schemas::{Payload, RequestCancelWorkflow, SignalWorkflow, TerminateWorkflow};

use super::http::{Server, parse};
use super::options::{RunOptions, ServerOptions};
use super::start::{identity, json, random_id};
use crate::error::CliError;
use crate::output::{clean, print};

/// Options of `tidewright workflow signal`.
#[derive(Debug, Args)]
pub(crate) struct SignalOptions {
    #[command(flatten)]
    run: RunOptions,
    /// Which of the workflow's signals
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What it is given, as JSON
    #[arg(short, long, value_name = "JSON", value_parser = json)]
    input: Option<Payload>,
    /// Makes repeated signals one: the same request id is heard once
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    #[command(flatten)]
    pub(super) server: ServerOptions,
}

/// Options of `tidewright workflow cancel` and `terminate`.
#[derive(Debug, Args)]
pub(crate) struct EndOptions {
    #[command(flatten)]
    run: RunOptions,
    /// Why, for people
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    pub(super) server: ServerOptions,
}

/// Options of `tidewright workflow delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteOptions {
    #[command(flatten)]
    run: RunOptions,
    /// Why, for people
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Delete it: nothing brings it back
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    pub(super) server: ServerOptions,
}

pub(super) async fn delete(options: DeleteOptions) -> Result<ExitCode, CliError> {
    let workflow_id = &options.run.workflow_id;
    if !options.yes {
        return Err(CliError::plain(format!("nothing brings workflow {workflow_id} back once it is deleted"))
            .hint("look at it with `tidewright workflow describe`, and add --yes to delete it")
            .usage());
    }
    let mut query = vec![("request_id", random_id()), ("identity", identity())];
    query.extend(options.run.run_id.iter().map(|run_id| ("run_id", run_id.as_str().to_owned())));
    query.extend(options.reason.clone().map(|reason| ("reason", reason)));
    let answer = Server::new(&options.server)?.delete(workflow_id, &query).await?;
    show(&options.server, &answer, "Deleted")
}

pub(super) async fn signal(options: SignalOptions) -> Result<ExitCode, CliError> {
    let signal = SignalWorkflow {
        run_id: options.run.run_id.clone(),
        signal_name: options.name,
        input: options.input,
        request_id: Some(options.request_id.unwrap_or_else(random_id)),
        identity: Some(identity()),
        ..SignalWorkflow::default()
    };
    ask(&options.server, &options.run, "signal", &signal, "Signalled").await
}

pub(super) async fn cancel(options: EndOptions) -> Result<ExitCode, CliError> {
    let cancel = RequestCancelWorkflow {
        run_id: options.run.run_id.clone(),
        reason: options.reason,
        request_id: Some(random_id()),
        identity: Some(identity()),
        ..RequestCancelWorkflow::default()
    };
    ask(&options.server, &options.run, "cancel", &cancel, "Asked to end:").await
}

pub(super) async fn terminate(options: EndOptions) -> Result<ExitCode, CliError> {
    let terminate = TerminateWorkflow {
        run_id: options.run.run_id.clone(),
        reason: options.reason,
        request_id: Some(random_id()),
        identity: Some(identity()),
        ..TerminateWorkflow::default()
    };
    ask(&options.server, &options.run, "terminate", &terminate, "Terminated").await
}

async fn ask(
    options: &ServerOptions,
    run: &RunOptions,
    verb: &str,
    request: &impl Serialize,
    done: &str,
) -> Result<ExitCode, CliError> {
    let server = Server::new(options)?;
    let body = serde_json::to_string(request).map_err(|e| CliError::plain(e.to_string()))?;
    let answer = server.ask(&run.workflow_id, verb, body).await?;
    show(options, &answer, done)
}

fn show(options: &ServerOptions, answer: &str, done: &str) -> Result<ExitCode, CliError> {
    if options.output.is_json() {
        print(&format!("{answer}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let accepted: AcceptedRequest = parse(answer)?;
    let (workflow_id, run_id) = (accepted.workflow_id, clean(accepted.run_id.as_str()));
    print(&format!("{done} workflow {workflow_id}\n  run  {run_id}\n"))?;
    Ok(ExitCode::SUCCESS)
}
