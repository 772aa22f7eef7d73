//! Records into requests, and requests into records: what is garbage, what belongs elsewhere, what may be trusted.

use tidewright_core::{Request, TaskToken};
use tidewright_schemas::limits::COMMAND_BYTES_MAX;
use tidewright_schemas::topics::partition_of;
use tidewright_schemas::{Command, WorkflowId, headers};

use crate::io::{Destination, LogRecord, Outbound};
use crate::trust::Authority;

/// What a record on the commands topic is.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// Something to decide.
    Request(Box<Request>),
    /// Nothing that can be understood or trusted.
    Garbage(Garbage),
    /// Something for another partition (R9).
    Misplaced { partition: u32, workflow_id: WorkflowId },
}

/// Why a record goes to the dead letters.
#[derive(Debug)]
pub(crate) struct Garbage {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// Where a record is read, and whom its codes must be from.
#[derive(Debug, Clone)]
pub struct Forwarding {
    /// The commands topic.
    pub topic: String,
    /// The partition that is read.
    pub partition: u32,
    /// The namespace's number of partitions.
    pub partitions: u32,
    /// Makes and checks codes.
    pub authority: Authority,
}

pub(crate) fn read(record: &LogRecord, at: &Forwarding) -> Incoming {
    match understand(record, at) {
        Ok((request, _)) if partition_of(request.workflow_id.as_str().as_bytes(), at.partitions) == at.partition => {
            Incoming::Request(Box::new(request))
        }
        Ok((request, true)) => Incoming::Garbage(Garbage {
            code: "TW0110",
            message: format!("the command for workflow `{}` was forwarded to the wrong partition", request.workflow_id),
        }),
        Ok((request, false)) => Incoming::Misplaced {
            partition: partition_of(request.workflow_id.as_str().as_bytes(), at.partitions),
            workflow_id: request.workflow_id,
        },
        Err(garbage) => Incoming::Garbage(garbage),
    }
}

/// The request in a record, and whether it was forwarded.
fn understand(record: &LogRecord, at: &Forwarding) -> Result<(Request, bool), Garbage> {
    let size = record.value.as_ref().map_or(0, Vec::len);
    if size > COMMAND_BYTES_MAX {
        let message = format!("the record's value has {size} bytes; a command has at most {COMMAND_BYTES_MAX}");
        return Err(Garbage { code: "TW0106", message });
    }
    let command = Command::from_value(record.value.as_deref())
        .map_err(|error| Garbage { code: error.code(), message: error.to_string() })?;
    let token = token_text(&command).map(|text| open(text, &command, at)).transpose()?;
    let workflow_id = workflow_id(record, &command, token.as_ref())?;
    if command.is_internal() {
        check_mac(record, &command, at)?;
    }
    let origin = origin(record, at)?;
    let forwarded = origin.is_some();
    let text = |name| record.header(name).and_then(|value| std::str::from_utf8(value).ok()).map(str::to_owned);
    let (event_id, traceparent) = (text(headers::CLOUDEVENT_ID), text(headers::TRACEPARENT));
    Ok((Request { workflow_id, command, token, origin, event_id, traceparent }, forwarded))
}

fn token_text(command: &Command) -> Option<&str> {
    match command {
        Command::CompleteWorkflowTask(c) => Some(&c.token),
        Command::FailWorkflowTask(c) => Some(&c.token),
        Command::RecordActivityStarted(c) => Some(&c.token),
        Command::RecordActivityHeartbeat(c) => Some(&c.token),
        Command::CompleteActivity(c) => Some(&c.token),
        Command::CancelActivity(c) => Some(&c.token),
        Command::FailActivity(c) => Some(&c.token),
        Command::ConfirmTask(c) => Some(&c.token),
        Command::ReturnTask(c) => Some(&c.token),
        Command::StartWorkflow(_)
        | Command::SignalWorkflow(_)
        | Command::SignalWithStartWorkflow(_)
        | Command::RequestCancelWorkflow(_)
        | Command::TerminateWorkflow(_)
        | Command::DeleteWorkflow(_)
        | Command::FireTimer(_)
        | Command::EffectFailed(_)
        | Command::TaskLost(_)
        | Command::WorkerLost(_) => None,
    }
}

fn open(text: &str, command: &Command, at: &Forwarding) -> Result<TaskToken, Garbage> {
    at.authority.open(text).ok_or_else(|| Garbage {
        code: "TW0107",
        message: format!(
            "the token of the {} is not one of this namespace's: repeat the task's token as it is",
            command.type_name()
        ),
    })
}

fn workflow_id(record: &LogRecord, command: &Command, token: Option<&TaskToken>) -> Result<WorkflowId, Garbage> {
    if let Some(id) = command.workflow_id().or(token.map(|token| &token.workflow_id)) {
        return Ok(id.clone());
    }
    let garbage = |problem: String| Garbage { code: "TW0105", message: format!("the record's key: {problem}") };
    let key = record.key.as_deref().ok_or_else(|| garbage("there is none".to_owned()))?;
    let text = std::str::from_utf8(key).map_err(|e| garbage(e.to_string()))?;
    WorkflowId::new(text).map_err(|e| garbage(e.to_string()))
}

fn check_mac(record: &LogRecord, command: &Command, at: &Forwarding) -> Result<(), Garbage> {
    let signature = record.header(headers::MAC).and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
    if at.authority.verify("command", &signed_parts(record.key.as_deref(), command, record.value.as_deref()), signature)
    {
        return Ok(());
    }
    let message =
        format!("a {} that Tidewright did not send: it is internal and carries no valid `tw-mac`", command.type_name());
    Err(Garbage { code: "TW0108", message })
}

fn signed_parts<'a>(key: Option<&'a [u8]>, command: &'a Command, value: Option<&'a [u8]>) -> [&'a [u8]; 3] {
    [key.unwrap_or_default(), command.type_name().as_bytes(), value.unwrap_or_default()]
}

/// The origin of a forwarded record: `<signature> <topic>/<partition>/<offset>` in its header.
fn origin(record: &LogRecord, at: &Forwarding) -> Result<Option<String>, Garbage> {
    let Some(header) = record.header(headers::FORWARD) else { return Ok(None) };
    let genuine =
        std::str::from_utf8(header).ok().and_then(|text| text.split_once(' ')).filter(|(signature, origin)| {
            let parts = [
                record.key.as_deref().unwrap_or_default(),
                origin.as_bytes(),
                record.value.as_deref().unwrap_or_default(),
            ];
            at.authority.verify("forward", &parts, signature)
        });
    match genuine {
        Some((_, origin)) => Ok(Some(origin.to_owned())),
        None => {
            let message = "the header `tw-forward` is not one of this namespace's: leave it away".to_owned();
            Err(Garbage { code: "TW0109", message })
        }
    }
}

/// An internal command, signed.
pub(crate) fn internal(workflow_id: &WorkflowId, command: &Command, partition: u32, authority: &Authority) -> Outbound {
    let key = workflow_id.as_str().as_bytes().to_vec();
    let value = json(command);
    let signature = authority.sign("command", &signed_parts(Some(&key), command, Some(&value)));
    let headers = vec![json_header(), version_header(), (headers::MAC.to_owned(), signature.into_bytes())];
    Outbound { to: Destination::Commands(partition), key: Some(key), value: Some(value), headers }
}

/// A misplaced record on its way to the right partition, with its origin signed (R9).
pub(crate) fn forward(record: LogRecord, partition: u32, workflow_id: &WorkflowId, at: &Forwarding) -> Outbound {
    let origin = format!("{}/{}/{}", at.topic, at.partition, record.offset);
    // An internal command's code covers its key; anything else is keyed by its workflow id from here on.
    let key = workflow_id.as_str().as_bytes().to_vec();
    let parts = [key.as_slice(), origin.as_bytes(), record.value.as_deref().unwrap_or_default()];
    let signature = at.authority.sign("forward", &parts);
    let mut headers = record.headers;
    headers.retain(|(name, _)| name != headers::FORWARD);
    headers.push((headers::FORWARD.to_owned(), format!("{signature} {origin}").into_bytes()));
    Outbound { to: Destination::Commands(partition), key: Some(key), value: record.value, headers }
}

/// What becomes of a record on a partition beyond the namespace's: it is forwarded, or goes to the dead letters (R9).
#[must_use]
pub fn forward_stray(record: LogRecord, at: &Forwarding) -> Outbound {
    match understand(&record, at) {
        Ok((request, _)) => {
            let partition = partition_of(request.workflow_id.as_str().as_bytes(), at.partitions);
            forward(record, partition, &request.workflow_id, at)
        }
        Err(garbage) => dead_letter(&record, garbage.code, &garbage.message, at),
    }
}

/// A record on its way to the dead letters, with the reason and where it was.
pub(crate) fn dead_letter(record: &LogRecord, code: &str, message: &str, at: &Forwarding) -> Outbound {
    let mut headers = record.headers.clone();
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value.into_bytes()));
    add(headers::REASON, code.to_owned());
    add(headers::REASON_MESSAGE, message.to_owned());
    add(headers::ORIGIN_TOPIC, at.topic.clone());
    add(headers::ORIGIN_PARTITION, at.partition.to_string());
    add(headers::ORIGIN_OFFSET, record.offset.to_string());
    Outbound { to: Destination::DeadLetters, key: record.key.clone(), value: record.value.clone(), headers }
}

pub(crate) fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    // Wire types of our own always serialise: their maps have text keys.
    serde_json::to_vec(value).unwrap_or_default()
}

pub(crate) fn json_header() -> (String, Vec<u8>) {
    (headers::CONTENT_TYPE.to_owned(), headers::JSON.as_bytes().to_vec())
}

pub(crate) fn version_header() -> (String, Vec<u8>) {
    (headers::SCHEMA_VERSION.to_owned(), headers::CURRENT_SCHEMA_VERSION.as_bytes().to_vec())
}
