//! Keys of rows. A workflow id holds no control character, so a zero byte ends it and keeps the order of ids.

use tidewright_schemas::{EventId, RunId, TimerTarget, WorkflowId};

pub(crate) const WORKFLOW: u8 = b'w';
pub(crate) const RUN: u8 = b'r';
pub(crate) const EVENT: u8 = b'e';
pub(crate) const ACTIVITY: u8 = b'a';
pub(crate) const TIMER: u8 = b't';
pub(crate) const BUFFERED: u8 = b'b';
pub(crate) const REQUEST: u8 = b'q';
pub(crate) const ACCEPTED_REQUEST: u8 = b'g';
pub(crate) const ORIGIN: u8 = b'o';
pub(crate) const DUE: u8 = b'd';
pub(crate) const BY_START: u8 = b's';
pub(crate) const STARTED_BY: u8 = b'i';
pub(crate) const RECORD: u8 = b'h';
pub(crate) const DELETED: u8 = b'x';
pub(crate) const DELETE_REQUEST: u8 = b'z';
pub(crate) const HOLE: u8 = b'y';
pub(crate) const BY_ORDER: u8 = b'n';
pub(crate) const DELETED_BY_ORDER: u8 = b'v';
pub(crate) const DELETED_BY_RECORD: u8 = b'k';
pub(crate) const OPEN_ID: u8 = b'j';

fn of_workflow(kind: u8, workflow_id: &WorkflowId) -> Vec<u8> {
    let mut key = Vec::with_capacity(workflow_id.as_str().len() + 64);
    key.push(kind);
    key.extend_from_slice(workflow_id.as_str().as_bytes());
    key.push(0);
    key
}

fn of_run(kind: u8, workflow_id: &WorkflowId, run_id: &RunId) -> Vec<u8> {
    let mut key = of_workflow(kind, workflow_id);
    key.extend_from_slice(run_id.as_str().as_bytes());
    key.push(0);
    key
}

fn numbered(mut prefix: Vec<u8>, number: u64) -> Vec<u8> {
    prefix.extend_from_slice(&number.to_be_bytes());
    prefix
}

pub(crate) fn workflow(workflow_id: &WorkflowId) -> Vec<u8> {
    of_workflow(WORKFLOW, workflow_id)
}

pub(crate) fn run(workflow_id: &WorkflowId, run_id: &RunId) -> Vec<u8> {
    of_run(RUN, workflow_id, run_id)
}

pub(crate) fn request(workflow_id: &WorkflowId, request_id: &str) -> Vec<u8> {
    let mut key = of_workflow(REQUEST, workflow_id);
    key.extend_from_slice(request_id.as_bytes());
    key
}

/// A request that a run has taken: a signal or a termination.
pub(crate) fn accepted_request(workflow_id: &WorkflowId, run_id: &RunId, request_id: &str) -> Vec<u8> {
    let mut key = of_run(ACCEPTED_REQUEST, workflow_id, run_id);
    key.extend_from_slice(request_id.as_bytes());
    key
}

/// A request to delete a run.
pub(crate) fn delete_request(workflow_id: &WorkflowId, request_id: &str) -> Vec<u8> {
    let mut key = of_workflow(DELETE_REQUEST, workflow_id);
    key.extend_from_slice(request_id.as_bytes());
    key
}

/// All runs of a workflow, the latest first: those that are there, or those that are deleted.
pub(crate) fn all_in_order(kind: u8, workflow_id: &WorkflowId) -> Vec<u8> {
    of_workflow(kind, workflow_id)
}

/// A run's place among those of its workflow, by the command that started it.
pub(crate) fn in_order(kind: u8, workflow_id: &WorkflowId, started_offset: u64) -> Vec<u8> {
    numbered(of_workflow(kind, workflow_id), u64::MAX - started_offset)
}

/// A run that is deleted, while that is remembered.
pub(crate) fn deleted(workflow_id: &WorkflowId, run_id: &RunId) -> Vec<u8> {
    of_run(DELETED, workflow_id, run_id)
}

/// The run that the record of a command says is deleted.
pub(crate) fn deleted_by_record(workflow_id: &WorkflowId, source_offset: u64) -> Vec<u8> {
    numbered(of_workflow(DELETED_BY_RECORD, workflow_id), source_offset)
}

/// A run whose history has a hole.
pub(crate) fn hole(workflow_id: &WorkflowId, run_id: &RunId) -> Vec<u8> {
    of_run(HOLE, workflow_id, run_id)
}

pub(crate) fn origin(workflow_id: &WorkflowId, origin: &str) -> Vec<u8> {
    let mut key = of_workflow(ORIGIN, workflow_id);
    key.extend_from_slice(origin.as_bytes());
    key
}

/// What is open under an id that the workflow gave it; the kind is `ACTIVITY` or `TIMER`.
pub(crate) fn open_id(kind: u8, workflow_id: &WorkflowId, run_id: &RunId, id: &str) -> Vec<u8> {
    let mut key = of_run(OPEN_ID, workflow_id, run_id);
    key.push(kind);
    key.extend_from_slice(id.as_bytes());
    key
}

/// Rows of one kind of one run: `EVENT`, `ACTIVITY`, `TIMER`, `BUFFERED`, `RECORD` or `ACCEPTED_REQUEST`.
pub(crate) fn all_of_run(kind: u8, workflow_id: &WorkflowId, run_id: &RunId) -> Vec<u8> {
    of_run(kind, workflow_id, run_id)
}

/// A numbered row of a run.
pub(crate) fn numbered_of_run(kind: u8, workflow_id: &WorkflowId, run_id: &RunId, number: u64) -> Vec<u8> {
    numbered(of_run(kind, workflow_id, run_id), number)
}

/// The number at the end of a numbered key.
pub(crate) fn number_of(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))
}

/// The workflow and the run of a run's row or of a numbered row.
pub(crate) fn ids_in(key: &[u8]) -> Option<(WorkflowId, RunId)> {
    let mut parts = key.get(1..)?.splitn(3, |byte| *byte == 0);
    let workflow_id = WorkflowId::new(std::str::from_utf8(parts.next()?).ok()?).ok()?;
    let run_id = RunId::from_text(std::str::from_utf8(parts.next()?).ok()?);
    Some((workflow_id, run_id))
}

/// Runs, newest first.
pub(crate) fn by_start(start_time_ms: u64, workflow_id: &WorkflowId, run_id: &RunId) -> Vec<u8> {
    let mut key = vec![BY_START];
    key.extend_from_slice(&(u64::MAX - start_time_ms).to_be_bytes());
    key.extend_from_slice(workflow_id.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(run_id.as_str().as_bytes());
    key
}

/// What a worker runs. An incarnation holds no zero byte: one that does has no such rows.
pub(crate) fn started_by(incarnation: &str, workflow_id: &WorkflowId, run_id: &RunId, event_id: EventId) -> Vec<u8> {
    let mut key = all_started_by_in(incarnation, workflow_id);
    key.extend_from_slice(run_id.as_str().as_bytes());
    key.push(0);
    numbered(key, event_id)
}

/// What a worker runs, whatever it is for.
pub(crate) fn all_started_by(incarnation: &str) -> Vec<u8> {
    let mut key = vec![STARTED_BY];
    key.extend_from_slice(incarnation.as_bytes());
    key.push(0);
    key
}

/// What a worker runs for one workflow.
pub(crate) fn all_started_by_in(incarnation: &str, workflow_id: &WorkflowId) -> Vec<u8> {
    let mut key = all_started_by(incarnation);
    key.extend_from_slice(workflow_id.as_str().as_bytes());
    key.push(0);
    key
}

/// Timers by due time.
pub(crate) fn due(
    due_ms: u64,
    workflow_id: &WorkflowId,
    run_id: &RunId,
    target: TimerTarget,
    event_id: EventId,
    attempt: u32,
) -> Vec<u8> {
    let mut key = vec![DUE];
    key.extend_from_slice(&due_ms.to_be_bytes());
    key.extend_from_slice(workflow_id.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(run_id.as_str().as_bytes());
    key.push(0);
    key.push(target as u8);
    key.extend_from_slice(&event_id.to_be_bytes());
    key.extend_from_slice(&attempt.to_be_bytes());
    key
}
