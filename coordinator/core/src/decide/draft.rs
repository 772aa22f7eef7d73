//! The change of one run in the making: numbers its events, buffers them while a workflow task is out (R22), and sends
//! the next workflow task.

use sha2::{Digest as _, Sha256};
use tidewright_schemas::limits::FLUSH_BYTES_MAX;
use tidewright_schemas::{
    ActivityCancelRequested, BufferFlushed, ControlMessage, EventAttributes, EventBuffered, EventId, Failure,
    HistoryEvent, NextRun, RowFact, RunClosed, RunId, WorkerIdentity, WorkersTold, WorkflowId, WorkflowTaskDispatched,
    WorkflowTaskFailed, WorkflowTaskFailedCause, WorkflowTaskScheduled, WorkflowTaskStarted,
};

use super::fit;
use crate::state::{RunRow, State, WorkflowTaskState};
use crate::{Change, Context, Decided, Rows, RowsError};

pub(crate) struct Draft {
    workflow_id: WorkflowId,
    run_id: RunId,
    task_queue: String,
    /// The run's time: the later of its last event's and the record's (R6).
    pub(crate) now_ms: u64,
    next_event_id: EventId,
    /// Over the digest so far and the new events' JSON.
    hash: Sha256,
    /// Size of the new events' JSON.
    bytes: usize,
    buffered: (u64, u64),
    /// Whether what happens now must wait for the workflow task that is out.
    buffering: bool,
    /// Whether a workflow task may be sent once there is something new.
    idle: bool,
    events: Vec<HistoryEvent>,
    rows: Vec<RowFact>,
    /// Whose workers hear of the run's end.
    activity_queues: Vec<String>,
}

impl Draft {
    pub(crate) fn of(workflow_id: &WorkflowId, run_id: &RunId, run: &RunRow, context: &Context) -> Self {
        let out = matches!(run.workflow_task, WorkflowTaskState::Out { .. });
        Self {
            workflow_id: workflow_id.clone(),
            run_id: run_id.clone(),
            task_queue: run.task_queue.clone(),
            now_ms: run.time_ms.max(context.timestamp_ms),
            next_event_id: run.next_event_id,
            hash: Sha256::new().chain_update(&run.history_digest),
            bytes: 0,
            buffered: run.buffered,
            buffering: run.is_open() && (out || run.buffered_count() > 0),
            idle: run.is_open() && run.workflow_task == WorkflowTaskState::Idle,
            events: Vec::new(),
            rows: Vec::new(),
            activity_queues: if run.open_activities > 0 { run.activity_queues.clone() } else { Vec::new() },
        }
    }

    pub(crate) fn of_new_run(workflow_id: &WorkflowId, run_id: &RunId, task_queue: &str, context: &Context) -> Self {
        Self {
            workflow_id: workflow_id.clone(),
            run_id: run_id.clone(),
            task_queue: task_queue.to_owned(),
            now_ms: context.timestamp_ms,
            next_event_id: 1,
            hash: Sha256::new(),
            bytes: 0,
            buffered: (0, 0),
            buffering: false,
            idle: true,
            events: Vec::new(),
            rows: Vec::new(),
            activity_queues: Vec::new(),
        }
    }

    /// Appends an event.
    pub(crate) fn event(&mut self, attributes: impl Into<EventAttributes>) -> EventId {
        self.event_at(self.now_ms, attributes)
    }

    /// Appends an event that happened at an earlier time of the run.
    pub(crate) fn event_at(&mut self, event_time_ms: u64, attributes: impl Into<EventAttributes>) -> EventId {
        let event_id = self.next_event_id;
        self.next_event_id += 1;
        let event = HistoryEvent { event_id, event_time_ms, attributes: attributes.into() };
        // Wire types of our own always serialise: their maps have text keys.
        let json = serde_json::to_vec(&event).unwrap_or_default();
        self.hash.update(&json);
        self.hash.update(b"\n");
        self.bytes += json.len();
        self.events.push(event);
        event_id
    }

    pub(crate) fn row(&mut self, fact: impl Into<RowFact>) {
        self.rows.push(fact.into());
    }

    /// Something happened to the run from outside: appends its events, or buffers them together while a workflow task
    /// is out. The last event refers to the first where it tells of a start.
    pub(crate) fn happened(&mut self, group: Vec<EventAttributes>, wakes: bool) {
        // What was buffered and did not fit happened before.
        if self.buffering || self.has_leftovers() {
            let event_time_ms = self.now_ms;
            let event = |attributes| HistoryEvent { event_id: 0, event_time_ms, attributes };
            self.buffered.1 += 1;
            self.row(EventBuffered { events: group.into_iter().map(event).collect() });
            return;
        }
        let now_ms = self.now_ms;
        self.numbered_group(group.into_iter().map(|attributes| (now_ms, attributes)));
        if wakes && self.idle {
            self.send_workflow_task();
        }
    }

    fn numbered_group(&mut self, group: impl Iterator<Item = (u64, EventAttributes)>) {
        let mut started = None;
        for (time_ms, mut attributes) in group {
            if let Some(started) = started {
                refer_to_start(&mut attributes, started);
            }
            let id = self.event_at(time_ms, attributes);
            started.get_or_insert(id);
        }
    }

    /// The workflow task ended: from here on events are appended.
    pub(crate) fn task_ended(&mut self) {
        self.buffering = false;
        self.idle = true;
    }

    /// The run ends: fails the workflow task that is out, so that history tells what became of it, and lets what was
    /// buffered follow. `reserved` bytes are still to come.
    pub(crate) fn close_tasks<R: Rows>(
        &mut self,
        state: &State<'_, R>,
        run: &RunRow,
        reserved: usize,
    ) -> Result<(), RowsError> {
        self.fail_task_that_is_out(run);
        self.task_ended();
        self.flush(state, reserved)?;
        Ok(())
    }

    /// The run ends while its workflow task is out: history tells what became of it, unless its beginning is no event.
    pub(crate) fn fail_task_that_is_out(&mut self, run: &RunRow) {
        if let WorkflowTaskState::Out { scheduled_event_id, retried: false, .. } = run.workflow_task {
            let failure = Failure::server("TW0306", "the run was ended while its workflow task was out", false);
            self.event(WorkflowTaskFailed {
                scheduled_event_id,
                started_event_id: scheduled_event_id + 1,
                cause: WorkflowTaskFailedCause::ForceCloseCommand,
                failure,
                worker: WorkerIdentity::default(),
            });
        }
    }

    /// Turns buffered events into events, as many as fit the record beside what it holds and `reserved` bytes that are
    /// still to come (R7). Says whether there is something among them that the workflow waits for.
    pub(crate) fn flush<R: Rows>(&mut self, state: &State<'_, R>, reserved: usize) -> Result<bool, RowsError> {
        let before = self.bytes;
        let mut count = 0;
        let mut wakes = false;
        while self.buffered.0 < self.buffered.1 {
            let Some(row) = state.buffered(&self.workflow_id, &self.run_id, self.buffered.0)? else { break };
            let bytes = row.events.iter().map(fit::json_bytes).sum::<usize>();
            let enough = count > 0 && self.bytes - before + bytes > FLUSH_BYTES_MAX;
            if enough || self.bytes + reserved + bytes > fit::RECORD_BYTES_MAX {
                break;
            }
            wakes = wakes || !self.is_end_of_detached(state, &row.events)?;
            self.numbered_group(row.events.into_iter().map(|event| (event.event_time_ms, event.attributes)));
            self.buffered.0 += 1;
            count += 1;
        }
        if count > 0 {
            self.row(BufferFlushed { count });
        }
        Ok(wakes)
    }

    /// Whether buffered events are left for the next task.
    pub(crate) fn has_leftovers(&self) -> bool {
        self.buffered.0 < self.buffered.1
    }

    /// Whether a group tells of the end of an activity that nobody waits for. Its row is gone; its beginning is history.
    fn is_end_of_detached<R: Rows>(&self, state: &State<'_, R>, group: &[HistoryEvent]) -> Result<bool, RowsError> {
        let closed = group.last().and_then(|event| event.attributes.closes_activity());
        let Some(scheduled_event_id) = closed else { return Ok(false) };
        let scheduled = state.event(&self.workflow_id, &self.run_id, scheduled_event_id)?;
        Ok(matches!(
            scheduled.map(|event| event.attributes),
            Some(EventAttributes::ActivityTaskScheduled(scheduled)) if scheduled.detached
        ))
    }

    /// Makes a workflow task: emission is its start (R22).
    pub(crate) fn send_workflow_task(&mut self) {
        let task_queue = self.task_queue.clone();
        let scheduled_event_id = self.event(WorkflowTaskScheduled { task_queue, attempt: 1 });
        self.event(WorkflowTaskStarted { scheduled_event_id });
        self.idle = false;
        self.buffering = true;
    }

    /// Sends the next attempt of a workflow task that failed: its boundaries become events when it is accepted (R22).
    pub(crate) fn send_workflow_task_again(&mut self, attempt: u32, last_failure: Failure, tells_failure: bool) {
        let (scheduled_event_id, time_ms) = (self.next_event_id, self.now_ms);
        self.row(WorkflowTaskDispatched { attempt, scheduled_event_id, time_ms, last_failure, tells_failure });
    }

    /// What the workers of an activity of the run are told when it is asked to end.
    pub(super) fn cancel_message(&self, scheduled_event_id: EventId) -> ControlMessage {
        let (workflow_id, run_id) = (self.workflow_id.clone(), self.run_id.clone());
        ActivityCancelRequested { workflow_id, run_id, scheduled_event_id }.into()
    }

    /// The change, or nothing if nothing changes.
    pub(crate) fn finish_or_nothing(self) -> Decided {
        if self.events.is_empty() && self.rows.is_empty() { Decided::Nothing } else { self.finish().into() }
    }

    pub(crate) fn finish(mut self) -> Change {
        if !self.activity_queues.is_empty() && self.events.iter().any(|event| event.attributes.closes_as().is_some()) {
            let (workflow_id, run_id) = (self.workflow_id.clone(), self.run_id.clone());
            let task_queues = std::mem::take(&mut self.activity_queues);
            self.row(WorkersTold { task_queues, message: RunClosed { workflow_id, run_id }.into() });
        }
        let history_digest = (!self.events.is_empty()).then(|| shortened(self.hash));
        Change {
            workflow_id: self.workflow_id,
            run_id: Some(self.run_id),
            events: self.events,
            history_digest,
            rows: self.rows,
            next_run: None,
        }
    }
}

impl Change {
    /// The change of a run that follows the one that this change closes (R1).
    pub(crate) fn followed_by(mut self, next: Change) -> Self {
        self.rows.extend(next.rows);
        self.next_run = next.run_id.map(|run_id| NextRun {
            run_id,
            events: next.events,
            history_digest: next.history_digest.unwrap_or_default(),
        });
        self
    }
}

/// Events of one group refer to the first of them once it has an id.
fn refer_to_start(attributes: &mut EventAttributes, started: EventId) {
    match attributes {
        EventAttributes::ActivityTaskCompleted(event) => event.started_event_id = started,
        EventAttributes::ActivityTaskFailed(event) => event.started_event_id = started,
        EventAttributes::ActivityTaskTimedOut(event) => event.started_event_id = started,
        EventAttributes::ActivityTaskCanceled(event) => event.started_event_id = started,
        _ => {}
    }
}

/// SHA-256, shortened to 128 bits: names a history (R23).
fn shortened(hash: Sha256) -> String {
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
