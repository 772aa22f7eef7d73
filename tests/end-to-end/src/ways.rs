//! The ways in: what may be asked of a workflow, asked by a client of the SDK, from the command line, over HTTP and as a
//! plain record.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use reqwest::header::RETRY_AFTER;
use serde_json::Value;
use tidewright::{Client, RequestError, SignalDef, StartError, WorkflowHandle, WorkflowNamed};
use tidewright_log::Record;
use tidewright_schemas::api::{AcceptedRequest, Problem, StartedWorkflow, workflow_path};
use tidewright_schemas::{
    Answer, Command, DeleteWorkflow, Payload, Reply, ReplyTo, Signal, SignalWithStartWorkflow, SignalWorkflow,
    StartWorkflow, WorkflowId,
};

use crate::{CommandLine, World, eventually};

/// One of the ways in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayIn {
    Client,
    CommandLine,
    Http,
    Record,
}

impl WayIn {
    pub const ALL: [Self; 4] = [Self::Client, Self::CommandLine, Self::Http, Self::Record];
}

/// The id of the run that took a request, or the code with which it was refused.
pub type Asked = Result<String, String>;

/// All ways into a world that has an HTTP API.
pub struct Ways<'a> {
    world: &'a World,
    client: Client,
    http: reqwest::Client,
    command_line: CommandLine,
}

impl<'a> Ways<'a> {
    pub fn into(world: &'a World) -> anyhow::Result<Self> {
        let command_line = CommandLine::of(world)?;
        Ok(Self { world, client: world.client()?, http: reqwest::Client::new(), command_line })
    }

    /// Asks a workflow for what a command says.
    pub async fn ask(&self, way: WayIn, workflow_id: &str, command: impl Into<Command>) -> anyhow::Result<Asked> {
        let command = command.into();
        let asked = match way {
            WayIn::Client => by_client(&self.client, workflow_id, command).await,
            WayIn::CommandLine => self.on_the_command_line(workflow_id, command).await,
            WayIn::Http => self.over_http(workflow_id, command).await,
            WayIn::Record => self.as_a_record(workflow_id, command).await,
        };
        asked.with_context(|| format!("{way:?} asks {workflow_id}"))
    }

    /// The same for what must be accepted.
    pub async fn accepted(&self, way: WayIn, id: &str, command: impl Into<Command>) -> anyhow::Result<String> {
        let asked = self.ask(way, id, command).await?;
        asked.map_err(|code| anyhow::anyhow!("{way:?} was refused at {id} with {code}"))
    }

    async fn as_a_record(&self, workflow_id: &str, command: Command) -> anyhow::Result<Asked> {
        let correlation_id = format!("{:032x}", rand::random::<u128>());
        let command = command.answered_to(ReplyTo { partition: 0, correlation_id: correlation_id.clone() });
        let record = Record::to(self.world.topics.commands()).key(workflow_id).value(serde_json::to_vec(&command)?);
        self.world.producer.send(record).await.await?;
        let is_ours = |value: &[u8]| value.windows(32).any(|part| part == correlation_id.as_bytes());
        let of_us = |received: &tidewright_log::Received| received.value.as_deref().is_some_and(is_ours);
        let replies = self.world.records(&self.world.topics.replies(), 1, of_us).await?;
        let reply: Reply = serde_json::from_slice(replies[0].value.as_deref().unwrap_or_default())?;
        Ok(match reply.answer {
            Answer::WorkflowStarted(started) => Ok(started.run_id.to_string()),
            Answer::RequestAccepted(accepted) => Ok(accepted.run_id.to_string()),
            Answer::Rejected(rejected) => Err(rejected.code),
            other => bail!("the answer is {other:?}"),
        })
    }

    async fn over_http(&self, workflow_id: &str, command: Command) -> anyhow::Result<Asked> {
        let (namespace, id) = (self.world.topics.namespace(), WorkflowId::new(workflow_id)?);
        let path = workflow_path(namespace, &id);
        let base = self.world.http_url()?;
        let url = |rest: &str| format!("{base}{path}{rest}");
        let all = format!("{base}/api/v1/namespaces/{namespace}/workflows");
        // It may be sent again.
        let command = named(command);
        let request = || match &command {
            Command::StartWorkflow(start) => self.http.post(&all).json(start),
            Command::SignalWithStartWorkflow(both) => self.http.post(format!("{all}/signal-with-start")).json(both),
            Command::SignalWorkflow(signal) => self.http.post(url("/signal")).json(signal),
            Command::RequestCancelWorkflow(cancel) => self.http.post(url("/cancel")).json(cancel),
            Command::TerminateWorkflow(terminate) => self.http.post(url("/terminate")).json(terminate),
            Command::DeleteWorkflow(delete) => self.http.delete(url("")).query(delete),
            other => panic!("HTTP has no {other:?}"),
        };
        let (status, body) = eventually("a node answers", || async {
            let answer = request().send().await.ok()?;
            let status = answer.status();
            // What is passing has a time after which to ask again.
            if answer.headers().contains_key(RETRY_AFTER) { None } else { Some((status, answer.text().await.ok()?)) }
        })
        .await?;
        if !status.is_success() {
            return Ok(Err(serde_json::from_str::<Problem>(&body).with_context(|| body.clone())?.code));
        }
        run_of(&body).map(Ok)
    }

    async fn on_the_command_line(&self, workflow_id: &str, command: Command) -> anyhow::Result<Asked> {
        let mut arguments = arguments(workflow_id, command)?;
        arguments.extend(["-o", "json"].map(str::to_owned));
        let said = self.command_line.workflow(&arguments).await?;
        if said.code == Some(0) {
            return run_of(&said.stdout).map(Ok);
        }
        let problem: Value = serde_json::from_str(&said.stderr).with_context(|| said.stderr.clone())?;
        Ok(Err(problem["error"]["code"].as_str().context("the error has no code")?.to_owned()))
    }
}

/// The same with a request id, if it has none.
fn named(mut command: Command) -> Command {
    let request_id = match &mut command {
        Command::StartWorkflow(start) => &mut start.request_id,
        Command::SignalWithStartWorkflow(both) => &mut both.start.request_id,
        Command::SignalWorkflow(signal) => &mut signal.request_id,
        Command::RequestCancelWorkflow(cancel) => &mut cancel.request_id,
        Command::TerminateWorkflow(terminate) => &mut terminate.request_id,
        Command::DeleteWorkflow(delete) => &mut delete.request_id,
        _ => return command,
    };
    request_id.get_or_insert_with(|| format!("{:032x}", rand::random::<u128>()));
    command
}

/// The run that an answer of the API names.
fn run_of(body: &str) -> anyhow::Result<String> {
    let started = serde_json::from_str::<StartedWorkflow>(body).map(|answer| answer.run_id);
    let accepted = || serde_json::from_str::<AcceptedRequest>(body).map(|answer| answer.run_id);
    Ok(started.or_else(|_| accepted()).with_context(|| body.to_owned())?.to_string())
}

fn arguments(workflow_id: &str, command: Command) -> anyhow::Result<Vec<String>> {
    let mut arguments: Vec<String> = Vec::new();
    let mut option = |name: &str, value: Option<String>| {
        arguments.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    };
    let verb = match command {
        Command::StartWorkflow(start) => {
            start_options(&mut option, &start);
            "start"
        }
        Command::SignalWithStartWorkflow(SignalWithStartWorkflow { start, signal }) => {
            start_options(&mut option, &start);
            option("--signal-name", Some(signal.signal_name));
            option("--signal-input", text(signal.input.as_ref()));
            "signal-with-start"
        }
        Command::SignalWorkflow(signal) => {
            option("--name", Some(signal.signal_name));
            option("-i", text(signal.input.as_ref()));
            option("--request-id", signal.request_id);
            option("-r", signal.run_id.map(|run| run.to_string()));
            "signal"
        }
        Command::RequestCancelWorkflow(cancel) => {
            option("--reason", cancel.reason);
            option("-r", cancel.run_id.map(|run| run.to_string()));
            "cancel"
        }
        Command::TerminateWorkflow(terminate) => {
            option("--reason", terminate.reason);
            option("-r", terminate.run_id.map(|run| run.to_string()));
            "terminate"
        }
        Command::DeleteWorkflow(DeleteWorkflow { reason, run_id, .. }) => {
            option("--reason", reason);
            option("-r", run_id.map(|run| run.to_string()));
            arguments.push("--yes".to_owned());
            "delete"
        }
        other => bail!("the command line has no {other:?}"),
    };
    let first = [verb, "-w", workflow_id].map(str::to_owned);
    Ok(first.into_iter().chain(arguments).collect())
}

fn start_options(option: &mut impl FnMut(&str, Option<String>), start: &StartWorkflow) {
    let ms = |ms: Option<u64>| ms.map(|ms| format!("{ms}ms"));
    option("--type", Some(start.workflow_type.clone()));
    option("-t", Some(start.task_queue.clone()));
    option("-i", text(start.input.as_ref()));
    option("--request-id", start.request_id.clone());
    option("--id-reuse-policy", start.workflow_id_reuse_policy.map(|policy| format!("{policy:?}")));
    option("--id-conflict-policy", start.workflow_id_conflict_policy.map(|policy| format!("{policy:?}")));
    option("--run-timeout", ms(start.workflow_run_timeout_ms));
    option("--execution-timeout", ms(start.workflow_execution_timeout_ms));
    option("--task-timeout", ms(start.workflow_task_timeout_ms));
    option("--start-delay", ms(start.start_delay_ms));
}

fn text(payload: Option<&Payload>) -> Option<String> {
    payload.and_then(|payload| payload.json_text().ok()).map(|text| text.into_owned())
}

async fn by_client(client: &Client, workflow_id: &str, command: Command) -> anyhow::Result<Asked> {
    let run: WorkflowHandle<Value> = match &command {
        Command::SignalWorkflow(SignalWorkflow { run_id: Some(_), .. }) => {
            bail!("a handle of one run comes of its start")
        }
        _ => client.workflow_named(workflow_id)?,
    };
    let null = || Value::Null;
    let read = |payload: Option<Payload>| payload.map_or_else(|| Ok(null()), |payload| payload.read::<Value>());
    match command {
        Command::StartWorkflow(start) => started(client, start, None).await,
        Command::SignalWithStartWorkflow(SignalWithStartWorkflow { start, signal }) => {
            started(client, start, Some(signal)).await
        }
        Command::SignalWorkflow(signal) => {
            let mut call = run.signal_named(signal.signal_name, &read(signal.input)?);
            if let Some(request_id) = signal.request_id {
                call = call.request_id(request_id);
            }
            accepted(call.await)
        }
        Command::RequestCancelWorkflow(cancel) => accepted(run.cancel(cancel.reason.unwrap_or_default()).await),
        Command::TerminateWorkflow(end) => accepted(run.terminate(end.reason.unwrap_or_default()).await),
        Command::DeleteWorkflow(delete) => accepted(run.delete(delete.reason.unwrap_or_default()).await),
        other => bail!("the client has no {other:?}"),
    }
}

fn accepted(answer: Result<impl ToString, RequestError>) -> anyhow::Result<Asked> {
    Ok(match answer {
        Ok(run_id) => Ok(run_id.to_string()),
        Err(RequestError::NotFound { .. }) => Err("TW0206".to_owned()),
        Err(RequestError::Closed { .. }) => Err("TW0207".to_owned()),
        Err(RequestError::Rejected { code, .. }) => Err(code),
        Err(other) => return Err(other.into()),
    })
}

async fn started(client: &Client, start: StartWorkflow, signal: Option<Signal>) -> anyhow::Result<Asked> {
    let input = start.input.map_or_else(|| Ok(Value::Null), |input| input.read::<Value>())?;
    let ms = std::time::Duration::from_millis;
    let mut call = client.start(WorkflowNamed::<Value, Value>::new(start.workflow_type), input);
    call = call.id(start.workflow_id.as_str()).task_queue(start.task_queue);
    if let Some(request_id) = start.request_id {
        call = call.request_id(request_id);
    }
    if let Some(policy) = start.workflow_id_reuse_policy {
        call = call.id_reuse_policy(policy);
    }
    if let Some(policy) = start.workflow_id_conflict_policy {
        call = call.id_conflict_policy(policy);
    }
    if let Some(timeout_ms) = start.workflow_run_timeout_ms {
        call = call.run_timeout(ms(timeout_ms));
    }
    if let Some(timeout_ms) = start.workflow_execution_timeout_ms {
        call = call.execution_timeout(ms(timeout_ms));
    }
    if let Some(timeout_ms) = start.workflow_task_timeout_ms {
        call = call.task_timeout(ms(timeout_ms));
    }
    if let Some(delay_ms) = start.start_delay_ms {
        call = call.start_delay(ms(delay_ms));
    }
    if let Some(Signal { signal_name, input, .. }) = signal {
        let input = input.map_or_else(|| Ok(Value::Null), |input| input.read::<Value>())?;
        // A definition is a constant elsewhere, and its name lives as long as the test.
        call = call.with_signal(SignalDef::<Value>::new(signal_name.leak()), input);
    }
    Ok(match call.await {
        Ok(run) => Ok(run.run_id().to_owned()),
        Err(StartError::AlreadyStarted { code, .. } | StartError::Rejected { code, .. }) => Err(code),
        Err(other) => return Err(other.into()),
    })
}

/// A start of the workflow type `workflow_type` on the task queue `q`, for a test to add to.
pub fn start_of(workflow_type: &str, workflow_id: &str, input: &Value) -> anyhow::Result<StartWorkflow> {
    let start = StartWorkflow::new(workflow_type, WorkflowId::new(workflow_id)?, "q");
    Ok(StartWorkflow { input: Some(Payload::from_json(&input.to_string())?), ..start })
}

/// A signal.
pub fn signal_of(signal_name: &str, input: &Value) -> anyhow::Result<SignalWorkflow> {
    let input = Some(Payload::from_json(&input.to_string())?);
    Ok(SignalWorkflow { signal_name: signal_name.to_owned(), input, ..SignalWorkflow::default() })
}

/// A signal that starts its workflow if need be.
pub fn signal_with_start_of(start: StartWorkflow, signal_name: &str, input: &Value) -> anyhow::Result<Command> {
    let input = Some(Payload::from_json(&input.to_string())?);
    let signal = Signal { signal_name: signal_name.to_owned(), input, header: BTreeMap::new() };
    Ok(SignalWithStartWorkflow { start, signal }.into())
}
