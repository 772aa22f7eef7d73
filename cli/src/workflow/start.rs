//! `tidewright workflow start`, `execute` and `signal-with-start`.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tidewright_schemas::api::StartedWorkflow;
use tidewright_schemas::limits::PAYLOAD_BYTES_MAX;
use tidewright_schemas::{
    Payload, PayloadError, Signal, SignalWithStartWorkflow, StartWorkflow, WorkflowId, WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy,
};

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
    /// What to do if a run of the id is open; `Fail` by default, `UseExisting` for signal-with-start
    #[arg(long, value_name = "POLICY", value_enum, ignore_case = true)]
    id_conflict_policy: Option<ConflictPolicy>,
    /// Limit for the workflow with all its runs, for instance `7d`, `90s` or `500ms`
    #[arg(long, value_name = "DURATION", value_parser = crate::config::duration)]
    execution_timeout: Option<Duration>,
    /// Limit for one run
    #[arg(long, value_name = "DURATION", value_parser = crate::config::duration)]
    run_timeout: Option<Duration>,
    /// Limit for advancing the workflow once, from when a worker begins to
    #[arg(long, value_name = "DURATION", value_parser = crate::config::duration)]
    task_timeout: Option<Duration>,
    /// How long the first workflow task waits
    #[arg(long, value_name = "DURATION", value_parser = crate::config::duration)]
    start_delay: Option<Duration>,
    /// A note for people: `KEY=JSON`; may be given more than once
    #[arg(long, value_name = "KEY=JSON", value_parser = memo)]
    memo: Vec<(String, Payload)>,
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

/// What to do if a run of the id is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum ConflictPolicy {
    /// Say so, and start nothing
    Fail,
    /// Take the open run
    UseExisting,
    /// End the open run and start another
    TerminateExisting,
}

impl From<ConflictPolicy> for WorkflowIdConflictPolicy {
    fn from(policy: ConflictPolicy) -> Self {
        match policy {
            ConflictPolicy::Fail => Self::Fail,
            ConflictPolicy::UseExisting => Self::UseExisting,
            ConflictPolicy::TerminateExisting => Self::TerminateExisting,
        }
    }
}

/// Options of `tidewright workflow signal-with-start`.
#[derive(Debug, Args)]
pub(crate) struct SignalWithStartOptions {
    /// Which of the workflow's signals
    #[arg(long, value_name = "NAME")]
    signal_name: String,
    /// What the signal is given, as JSON
    #[arg(long, value_name = "JSON", value_parser = json)]
    signal_input: Option<Payload>,
    #[command(flatten)]
    pub(super) start: StartOptions,
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

fn memo(text: &str) -> Result<(String, Payload), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| "a note is written KEY=JSON".to_owned())?;
    Ok((key.to_owned(), json(value)?))
}

/// A request id that nobody else has.
pub(super) fn random_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Who asks.
pub(super) fn identity() -> String {
    format!("tidewright-cli@{}", std::process::id())
}

pub(super) fn json(text: &str) -> Result<Payload, String> {
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
    let traceparent = options.traceparent.clone();
    let start = command(options)?;
    let body = serde_json::to_string(&start).map_err(|e| CliError::plain(e.to_string()))?;
    let answer = server.start(body, traceparent.as_deref()).await?;
    Ok((answer, start))
}

pub(super) async fn signal_with_start(options: SignalWithStartOptions) -> Result<ExitCode, CliError> {
    let server = Server::new(&options.start.server)?;
    let (is_json, traceparent) = (options.start.server.output.is_json(), options.start.traceparent.clone());
    let signal = Signal { signal_name: options.signal_name, input: options.signal_input, header: BTreeMap::new() };
    let both = SignalWithStartWorkflow { start: command(options.start)?, signal };
    let body = serde_json::to_string(&both).map_err(|e| CliError::plain(e.to_string()))?;
    let answer = server.signal_with_start(body, traceparent.as_deref()).await?;
    show_started(&answer, &both.start, is_json)
}

fn command(options: StartOptions) -> Result<StartWorkflow, CliError> {
    let input = match &options.input_file {
        Some(path) => Some(input_from(path)?),
        None => options.input,
    };
    let workflow_id = match options.workflow_id {
        Some(workflow_id) => workflow_id,
        None => WorkflowId::new(random_id()).map_err(|e| CliError::plain(e.to_string()))?,
    };
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Ok(StartWorkflow {
        input,
        request_id: Some(options.request_id.unwrap_or_else(random_id)),
        workflow_id_reuse_policy: options.id_reuse_policy.map(Into::into),
        workflow_id_conflict_policy: options.id_conflict_policy.map(Into::into),
        workflow_execution_timeout_ms: options.execution_timeout.map(ms),
        workflow_run_timeout_ms: options.run_timeout.map(ms),
        workflow_task_timeout_ms: options.task_timeout.map(ms),
        start_delay_ms: options.start_delay.map(ms),
        memo: options.memo.into_iter().collect(),
        identity: Some(identity()),
        ..StartWorkflow::new(options.workflow_type, workflow_id, options.task_queue)
    })
}

pub(super) async fn run(options: StartOptions) -> Result<ExitCode, CliError> {
    let server = Server::new(&options.server)?;
    let is_json = options.server.output.is_json();
    let (answer, start) = start(options, &server).await?;
    show_started(&answer, &start, is_json)
}

fn show_started(answer: &str, start: &StartWorkflow, is_json: bool) -> Result<ExitCode, CliError> {
    if is_json {
        print(&format!("{answer}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let started: StartedWorkflow = parse(answer)?;
    let done = if started.started { "Started" } else { "Already running:" };
    print(&format!(
        "{done} {} on task queue {}\n  workflow  {}\n  run       {}\n",
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
