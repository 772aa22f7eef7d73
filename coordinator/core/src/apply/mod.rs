//! The only thing that changes state: live, on recovery and in tests (R3, R13).
//!
//! A released event's and fact's meaning is frozen: what is written here for one never changes.

mod activity;
mod close;
mod deletion;
mod events;
mod facts;
mod workflow_task;

use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{EventAttributes, EventId, RowFact, RunId, Transition, WorkflowId};

use self::deletion::Deletion;
pub use self::deletion::apply_tombstone;
pub(crate) use self::deletion::{REQUESTS_PER_STEP, is_needed};
use crate::rows::{Overlay, Rows, RowsError};
use crate::state::write::{self, RunWriter};
use crate::state::{HoleRow, RecordRow, RunRow, Shared, SupersededRecord, decode, keys};

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
#[derive(Debug, Default)]
pub struct Applied {
    /// Records of which nothing is needed once this one is committed: their keys are to be tombstoned (R2).
    pub superseded: Vec<SupersededRecord>,
    /// Runs that started or closed, in order.
    pub changed_runs: Vec<ChangedRun>,
    /// Records that a step of a deletion tombstones: their tombstones stand before this record, so that none is ever
    /// forgotten (R31).
    pub tombstones: Vec<SupersededRecord>,
    /// Whether the record is about a run that is not there: a leftover of a deleted one, to be tombstoned again (R31).
    pub is_leftover: bool,
    /// The hole that this record shows: what it says is not applied.
    pub hole: Option<Box<ApplyError>>,
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

impl Applied {
    fn leftover() -> Self {
        Self { is_leftover: true, ..Self::default() }
    }

    /// With what followed for the run that the record begins, too.
    fn and(mut self, next: Self) -> Self {
        self.superseded.extend(next.superseded);
        self.changed_runs.extend(next.changed_runs);
        self.hole = self.hole.or(next.hole);
        self.is_leftover = self.is_leftover && next.is_leftover;
        self
    }
}

/// Applies a valid record.
pub fn apply<R: Rows>(overlay: &mut Overlay<R>, change: &Transition) -> Result<Applied, ApplyError> {
    for fact in &change.rows {
        if let RowFact::OriginSeen(seen) = fact {
            write::origin_seen(overlay, &change.workflow_id, &seen.origin);
        }
    }
    let mut record = RecordRow {
        epoch: change.epoch.clone(),
        shared: change.next_run.as_ref().map(|next| Shared::Begins(next.run_id.clone())),
        request_id: None,
        origin: change.origin().map(str::to_owned),
    };
    let applied = apply_to_run(overlay, change, record.clone())?;
    match change.of_next_run() {
        Some(next) => {
            record.shared = change.run_id.clone().map(Shared::Closes);
            Ok(applied.and(apply_to_run(overlay, &next, record)?))
        }
        None => Ok(applied),
    }
}

fn apply_to_run<R: Rows>(
    overlay: &mut Overlay<R>,
    change: &Transition,
    record: RecordRow,
) -> Result<Applied, ApplyError> {
    let Some(run_id) = &change.run_id else { return Ok(Applied::default()) };
    let writer = RunWriter { overlay, workflow_id: change.workflow_id.clone(), run_id: run_id.clone() };
    if let Some(deletion) = Deletion::of(change) {
        return deletion::apply(writer, change, &deletion);
    }
    let mut applying = match Applying::begin(writer, change)? {
        Begun::Applying(applying) => *applying,
        Begun::Nothing(applied) => return Ok(applied),
    };
    for event in &change.events {
        events::apply(&mut applying, event)?;
    }
    for fact in &change.rows {
        facts::apply(&mut applying, fact)?;
    }
    applying.finish(record)
}

/// Whether there is anything to apply to.
enum Begun<'a, R: Rows> {
    Applying(Box<Applying<'a, R>>),
    Nothing(Applied),
}

/// The first run whose history has a hole, if there is one: a partition that has one cannot go on (R13).
pub fn first_hole<R: Rows>(rows: &R) -> Result<Option<ApplyError>, RowsError> {
    let Some((key, value)) = rows.scan(&[keys::HOLE], &[], 1)?.pop() else { return Ok(None) };
    let hole: HoleRow = decode(&key, &value)?;
    Ok(keys::ids_in(&key).map(|(workflow_id, run_id)| gap(workflow_id, run_id, hole)))
}

fn gap(workflow_id: WorkflowId, run_id: RunId, hole: HoleRow) -> ApplyError {
    let HoleRow { expected, found, source_offset } = hole;
    ApplyError::Gap { workflow_id, run_id, expected, found, source_offset }
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
    /// Nothing if the run is not there: then it is a leftover of a deleted one (R31). A record that does not follow on the
    /// one before it leaves a hole, and what follows it is passed over; a deletion of the run makes that good (R13).
    fn begin(mut writer: RunWriter<'a, R>, change: &'a Transition) -> Result<Begun<'a, R>, ApplyError> {
        let before = writer.state().run(&writer.workflow_id, &writer.run_id)?;
        let Some(run) = before.clone().or_else(|| events::new_run(change)) else {
            return Ok(Begun::Nothing(Applied::leftover()));
        };
        if writer.state().hole(&writer.workflow_id, &writer.run_id)?.is_some() {
            return Ok(Begun::Nothing(Applied::default()));
        }
        let expected = run.next_event_id;
        let found = change.events.first().map_or(expected, |event| event.event_id);
        let contiguous = change.events.windows(2).all(|pair| pair[0].event_id + 1 == pair[1].event_id);
        if found != expected || !contiguous {
            let hole = HoleRow { expected, found, source_offset: change.source_offset };
            writer.hole(Some(&hole))?;
            let hole = Some(Box::new(gap(writer.workflow_id, writer.run_id, hole)));
            return Ok(Begun::Nothing(Applied { hole, ..Applied::default() }));
        }
        Ok(Begun::Applying(Box::new(Self { writer, change, before, run, applied: Applied::default() })))
    }

    fn finish(mut self, mut record: RecordRow) -> Result<Applied, ApplyError> {
        if let Some(digest) = &self.change.history_digest {
            self.run.history_digest.clone_from(digest);
        }
        let closes = self.before.as_ref().is_some_and(RunRow::is_open) && !self.run.is_open();
        if self.before.is_none() || closes {
            self.applied.changed_runs.push(changed_run(&self.writer.run_id, &self.run));
        }
        if self.before.is_none() {
            self.writer.make_current(self.run.started_offset)?;
            self.writer.index_by_start(self.run.start_time_ms);
        }
        self.writer.run(self.before.as_ref(), &self.run)?;
        record.request_id = self.start_request().cloned();
        self.writer.record(self.change.source_offset, &record)?;
        for superseded in &self.applied.superseded {
            self.writer.remove_record(superseded.source_offset);
        }
        Ok(self.applied)
    }

    /// The start's request that the record tells of.
    fn start_request(&self) -> Option<&String> {
        let started = self.change.events.first().map(|event| &event.attributes);
        if let Some(EventAttributes::WorkflowExecutionStarted(started)) = started {
            return started.request_id.as_ref();
        }
        self.change.rows.iter().find_map(|fact| match fact {
            RowFact::RequestAttached(attached) => Some(&attached.request_id),
            _ => None,
        })
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
