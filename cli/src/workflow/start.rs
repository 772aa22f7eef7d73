//! `tidewright workflow start` and `execute`.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tidewright_schemas::api::StartedWorkflow;
use tidewright_schemas::limits::PAYLOAD_BYTES_MAX;
use tidewright_schemas::{Payload, PayloadError, StartWorkflow, WorkflowId, WorkflowIdReusePolicy};

use super::http::{Server, parse};
use super::options::{RunOptions, ServerOptions};
use super::result;
use crate::error::CliError;
use crate::output::{clean, print, say};

/// Options of a start.
#[derive(Debug, Args)]
pub(crate) struct StartOptions {
    /// Which workflow: a worker on the task queue has it registered under this name
    #[arg(long = "type", value_name = "NAME")]
    workflow_type: String,
    /// Where its workers listen
    #[arg(short, long, value_name = "NAME", env = "TIDEWRIGHT_TASK_QUEUE", hide_env_values = true)]
    task_queue: String,
    /// Its id, for instance that of the business object; a random one by default
    #[arg(short, long, value_name = "ID")]
    workflow_id: Option<WorkflowId>,
    /// What it is given, as JSON
    #[arg(short, long, value_name = "JSON", value_parser = json, conflicts_with = "input_file")]
    input: Option<Payload>,
    /// A file with what it is given, as JSON; `-` is stdin
    #[arg(long, value_name = "FILE")]
    input_file: Option<PathBuf>,
    /// Whether the id of a workflow that has ended may be used again
    #[arg(long, value_name = "POLICY", value_enum, ignore_case = true)]
    id_reuse_policy: Option<ReusePolicy>,
    /// Makes repeated starts one: the same request id starts nothing twice
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// The trace that the workflow belongs to, as W3C has it
    #[arg(long, env = "TRACEPARENT", value_name = "TRACE", hide_env_values = true)]
    traceparent: Option<String>,
    #[command(flatten)]
    pub(super) server: ServerOptions,
}

/// Whether the id of a workflow that has ended may be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum ReusePolicy {
    /// It may
    AllowDuplicate,
    /// Only if the last run failed
    AllowDuplicateFailedOnly,
    /// It may not
    RejectDuplicate,
}

impl From<ReusePolicy> for WorkflowIdReusePolicy {
    fn from(policy: ReusePolicy) -> Self {
        match policy {
            ReusePolicy::AllowDuplicate => Self::AllowDuplicate,
            ReusePolicy::AllowDuplicateFailedOnly => Self::AllowDuplicateFailedOnly,
            ReusePolicy::RejectDuplicate => Self::RejectDuplicate,
        }
    }
}

fn json(text: &str) -> Result<Payload, String> {
    read_json(text).map_err(|e| format!("it is not JSON: {e}. A text takes quotes of its own: -i '\"text\"'"))
}

fn read_json(text: &str) -> Result<Payload, String> {
    Payload::from_json(text.trim()).map_err(|error| match error {
        // What the payload says of it is about writing.
        PayloadError::Serialize(problem) => problem.to_string(),
        other => other.to_string(),
    })
}

fn input_from(path: &PathBuf) -> Result<Payload, CliError> {
    let fail = |problem: &dyn std::fmt::Display| {
        CliError::coded("TW0707", format!("the input file {} cannot be used: {problem}", path.display()))
    };
    // One byte more than is allowed, so that the node says what is too large.
    let bytes_max = PAYLOAD_BYTES_MAX as u64 + 1;
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(bytes_max).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(bytes_max).read_to_string(&mut text))
    };
    read.map_err(|e| fail(&e))?;
    if text.len() as u64 == bytes_max {
        return Err(fail(&format!("it is larger than {PAYLOAD_BYTES_MAX} bytes")));
    }
    read_json(&text).map_err(|e| fail(&format!("it is not JSON: {e}")))
}

/// Starts it; gives the node's answer and what was asked.
async fn start(options: StartOptions, server: &Server) -> Result<(String, StartWorkflow), CliError> {
    let input = match &options.input_file {
        Some(path) => Some(input_from(path)?),
        None => options.input,
    };
    let random = || format!("{:032x}", rand::random::<u128>());
    let workflow_id = match options.workflow_id {
        Some(workflow_id) => workflow_id,
        None => WorkflowId::new(random()).map_err(|e| CliError::plain(e.to_string()))?,
    };
    let start = StartWorkflow {
        workflow_type: options.workflow_type,
        workflow_id,
        task_queue: options.task_queue,
        input,
        request_id: Some(options.request_id.unwrap_or_else(random)),
        workflow_id_reuse_policy: options.id_reuse_policy.map(Into::into),
        identity: Some(format!("tidewright-cli@{}", std::process::id())),
        reply_to: None,
    };
    let body = serde_json::to_string(&start).map_err(|e| CliError::plain(e.to_string()))?;
    let answer = server.start(body, options.traceparent.as_deref()).await?;
    Ok((answer, start))
}

pub(super) async fn run(options: StartOptions) -> Result<ExitCode, CliError> {
    let server = Server::new(&options.server)?;
    let is_json = options.server.output.is_json();
    let (answer, start) = start(options, &server).await?;
    if is_json {
        print(&format!("{answer}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let started: StartedWorkflow = parse(&answer)?;
    print(&format!(
        "Started {} on task queue {}\n  workflow  {}\n  run       {}\n",
        clean(&start.workflow_type),
        clean(&start.task_queue),
        started.workflow_id,
        clean(started.run_id.as_str())
    ))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn execute(options: StartOptions) -> Result<ExitCode, CliError> {
    let server = Server::new(&options.server)?;
    let output = options.server.output;
    let (answer, _) = start(options, &server).await?;
    let started: StartedWorkflow = parse(&answer)?;
    say(&format!("workflow {}, run {}", started.workflow_id, clean(started.run_id.as_str())));
    let run = RunOptions { workflow_id: started.workflow_id, run_id: Some(started.run_id) };
    result::wait(&server, &run, None, output).await
}
