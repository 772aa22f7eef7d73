//! The only thing that changes state: live, on recovery and in tests (R3, R13).
//!
//! A released event's and fact's meaning is frozen: what is written here for one never changes.

mod activity;
mod close;
mod events;
mod facts;
mod workflow_task;

use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{EventId, RowFact, RunId, Transition, WorkflowId};

use crate::rows::{Overlay, Rows, RowsError};
use crate::state::write::{self, RunWriter};
use crate::state::{RunRow, SupersededRecord};

/// A record that does not fit the state: a broken invariant, which stops the partition.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Events are missing (R13).
    #[error(
        "the history of workflow `{workflow_id}`, run {run_id}, has a hole: its next event is {expected}, but the record at \
         command offset {source_offset} begins with {found}. Records of the history topic were lost; restore it from a replica or a backup"
    )]
    Gap {
        /// The workflow.
        workflow_id: WorkflowId,
        /// The run.
        run_id: RunId,
        /// The event that should come.
        expected: EventId,
        /// The event that came.
        found: EventId,
        /// Offset of the command.
        source_offset: u64,
    },
    /// State cannot be read or written.
    #[error(transparent)]
    Rows(#[from] RowsError),
}

/// What follows from applying a record besides the changed rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Records of which nothing is needed once this one is committed: their keys are to be tombstoned (R2).
    pub superseded: Vec<SupersededRecord>,
    /// Runs that started or closed, in order.
    pub changed_runs: Vec<ChangedRun>,
}

/// A run that started or closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedRun {
    /// Which one.
    pub run_id: RunId,
    /// Its type.
    pub workflow_type: String,
    /// Its task queue.
    pub task_queue: String,
    /// `Running` if it started, else how it closed.
    pub status: WorkflowStatus,
    /// When it started, in milliseconds since 1970.
    pub start_time_ms: u64,
    /// When it closed.
    pub close_time_ms: Option<u64>,
    /// How many events its history has.
    pub history_events: u64,
    /// How many bytes they take.
    pub history_bytes: u64,
    /// The trace that its start belongs to.
    pub traceparent: Option<String>,
}

/// Applies a valid record.
pub fn apply<R: Rows>(overlay: &mut Overlay<R>, change: &Transition) -> Result<Applied, ApplyError> {
    for fact in &change.rows {
        if let RowFact::OriginSeen(seen) = fact {
            write::origin_seen(overlay, &change.workflow_id, &seen.origin);
        }
    }
    let mut applied = apply_to_run(overlay, change)?;
    if let Some(next) = change.of_next_run() {
        let of_next = apply_to_run(overlay, &next)?;
        applied.superseded.extend(of_next.superseded);
        applied.changed_runs.extend(of_next.changed_runs);
    }
    Ok(applied)
}

fn apply_to_run<R: Rows>(overlay: &mut Overlay<R>, change: &Transition) -> Result<Applied, ApplyError> {
    let Some(run_id) = &change.run_id else { return Ok(Applied::default()) };
    let writer = RunWriter { overlay, workflow_id: change.workflow_id.clone(), run_id: run_id.clone() };
    let Some(mut applying) = Applying::begin(writer, change)? else { return Ok(Applied::default()) };
    for event in &change.events {
        events::apply(&mut applying, event)?;
    }
    for fact in &change.rows {
        facts::apply(&mut applying, fact)?;
    }
    applying.finish()
}

/// One record being applied to one run.
pub(crate) struct Applying<'a, R: Rows> {
    pub(crate) writer: RunWriter<'a, R>,
    pub(crate) change: &'a Transition,
    before: Option<RunRow>,
    pub(crate) run: RunRow,
    pub(crate) applied: Applied,
}

impl<'a, R: Rows> Applying<'a, R> {
    /// None if the record is about rows of a run that does not exist.
    fn begin(writer: RunWriter<'a, R>, change: &'a Transition) -> Result<Option<Self>, ApplyError> {
        let before = writer.state().run(&writer.workflow_id, &writer.run_id)?;
        let expected = before.as_ref().map_or(1, |run| run.next_event_id);
        let found = change.events.first().map_or(expected, |event| event.event_id);
        let contiguous = change.events.windows(2).all(|pair| pair[0].event_id + 1 == pair[1].event_id);
        if found != expected || !contiguous {
            return Err(ApplyError::Gap {
                workflow_id: writer.workflow_id.clone(),
                run_id: writer.run_id.clone(),
                expected,
                found,
                source_offset: change.source_offset,
            });
        }
        let Some(run) = before.clone().or_else(|| events::new_run(change)) else { return Ok(None) };
        Ok(Some(Self { writer, change, before, run, applied: Applied::default() }))
    }

    fn finish(mut self) -> Result<Applied, ApplyError> {
        if let Some(digest) = &self.change.history_digest {
            self.run.history_digest.clone_from(digest);
        }
        let closes = self.before.as_ref().is_some_and(RunRow::is_open) && !self.run.is_open();
        if self.before.is_none() || closes {
            self.applied.changed_runs.push(changed_run(&self.writer.run_id, &self.run));
        }
        if self.before.is_none() {
            self.writer.make_current()?;
            self.writer.index_by_start(self.run.start_time_ms);
        }
        self.writer.run(self.before.as_ref(), &self.run)?;
        Ok(self.applied)
    }

    /// Whether the record holds nothing but one fact of one row, so that the next one of that row supersedes it (R2). What
    /// workers were told beside it is no state.
    pub(crate) fn is_row_record(&self) -> bool {
        let facts = self.change.rows.iter().filter(|fact| !matches!(fact, RowFact::WorkersTold(_)));
        self.change.events.is_empty() && facts.count() == 1
    }

    /// This record's name.
    pub(crate) fn this_record(&self) -> SupersededRecord {
        SupersededRecord { source_offset: self.change.source_offset, epoch: self.change.epoch.clone() }
    }
}

fn changed_run(run_id: &RunId, run: &RunRow) -> ChangedRun {
    ChangedRun {
        run_id: run_id.clone(),
        workflow_type: run.workflow_type.clone(),
        task_queue: run.task_queue.clone(),
        status: run.status,
        start_time_ms: run.start_time_ms,
        close_time_ms: run.close_time_ms,
        history_events: run.next_event_id - 1,
        history_bytes: run.history_bytes,
        traceparent: run.traceparent.clone(),
    }
}
