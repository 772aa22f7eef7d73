//! What deletion needs: which records a run has, and how far its deletion has come.

use serde::{Deserialize, Serialize};
use tidewright_schemas::{DeletionAdvanced, Epoch, EventId, ReleasedDeletion, RunDeleted, RunId, TimerTarget};

use super::SupersededRecord;

/// A record of the history that is about a run; its key holds the command's offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordRow {
    pub(crate) epoch: Epoch,
    pub(crate) shared: Option<Shared>,
    /// The start's request that the record tells of.
    pub(crate) request_id: Option<String>,
    /// Where its command was forwarded from: that is remembered for longer than the run.
    pub(crate) origin: Option<String>,
}

/// A record that closes one run and begins the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Shared {
    /// It begins this run, too.
    Begins(RunId),
    /// It closes this run, too.
    Closes(RunId),
}

impl Shared {
    /// The other run.
    pub(crate) fn other(&self) -> &RunId {
        match self {
            Self::Begins(run_id) | Self::Closes(run_id) => run_id,
        }
    }
}

/// A run that is deleted, while that is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeletedRow {
    /// The record that says so.
    pub(crate) record: SupersededRecord,
    /// The command that started the run.
    pub(crate) started_offset: u64,
    pub(crate) request_id: Option<String>,
    /// Where the request to delete was forwarded from.
    pub(crate) origin: Option<String>,
    /// The next step.
    pub(crate) step: u32,
    /// When it is due; none while the deletion waits for another.
    pub(crate) due_ms: Option<u64>,
    /// Rows of events from the first up to, and without, the second may be there still.
    pub(crate) events: (EventId, EventId),
    /// Whether only the memory of the deletion is left.
    pub(crate) is_last: bool,
    /// Whether the run's start is in a record of a run that is still there.
    pub(crate) is_held: bool,
    pub(crate) released: Vec<ReleasedDeletion>,
    /// The record that the next step supersedes.
    pub(crate) superseded: Option<SupersededRecord>,
}

impl DeletedRow {
    pub(crate) fn new(record: SupersededRecord, deleted: &RunDeleted, origin: Option<String>) -> Self {
        Self {
            record,
            started_offset: deleted.started_offset,
            request_id: deleted.request_id.clone(),
            origin,
            step: 1,
            due_ms: Some(deleted.due_ms),
            events: (1, deleted.events_end),
            is_last: false,
            is_held: false,
            released: Vec::new(),
            superseded: None,
        }
    }

    /// After a step.
    pub(crate) fn advanced(&self, step: &DeletionAdvanced) -> Self {
        Self {
            step: step.step + 1,
            due_ms: step.due_ms,
            events: (step.events_below, self.events.1),
            is_last: step.is_last,
            is_held: step.is_held,
            released: step.released.clone(),
            ..self.clone()
        }
    }

    /// The record that held its start is gone.
    pub(crate) fn let_go(&self, due_ms: u64) -> Self {
        Self { is_held: false, due_ms: if self.is_last { Some(due_ms) } else { self.due_ms }, ..self.clone() }
    }
}

/// Records of a run are missing that a later one needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HoleRow {
    pub(crate) expected: EventId,
    pub(crate) found: EventId,
    pub(crate) source_offset: u64,
}

/// What a deletion is waiting for.
pub(crate) fn deletion_timers(row: &DeletedRow) -> Vec<(TimerTarget, u32, u64)> {
    row.due_ms.map(|due_ms| (TimerTarget::RunDeletion, row.step, due_ms)).into_iter().collect()
}
