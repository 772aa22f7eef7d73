//! What a decision yields.

use tidewright_schemas::{Epoch, HistoryEvent, NextRun, RowFact, RunId, Transition, WorkersTold, WorkflowId};

use crate::Context;

/// What one command changes: the events and rows of one workflow id (R1).
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The run, if one is changed.
    pub run_id: Option<RunId>,
    /// New events, in order.
    pub events: Vec<HistoryEvent>,
    /// Hash over the run's history up to and including the new events.
    pub history_digest: Option<String>,
    /// Other changes, in order; they follow the events.
    pub rows: Vec<RowFact>,
    /// The run that follows the one that this change closes.
    pub next_run: Option<NextRun>,
}

impl Change {
    /// A change of rows that no run has.
    #[must_use]
    pub fn of_rows(workflow_id: WorkflowId, rows: Vec<RowFact>) -> Self {
        Self { workflow_id, run_id: None, events: Vec::new(), history_digest: None, rows, next_run: None }
    }

    /// The change as a record.
    #[must_use]
    pub fn into_transition(self, epoch: Epoch, context: &Context) -> Transition {
        Transition {
            epoch,
            source_offset: context.offset,
            source_time_ms: context.timestamp_ms,
            workflow_id: self.workflow_id,
            run_id: self.run_id,
            events: self.events,
            history_digest: self.history_digest,
            rows: self.rows,
            next_run: self.next_run,
            supersedes: Vec::new(),
        }
    }
}

/// The outcome of a decision.
#[derive(Debug, Clone, PartialEq)]
pub enum Decided {
    /// The command changes nothing: it is late, repeated, or about something that is over.
    Nothing,
    /// The timer is not due yet by the command's own timestamp (R20).
    Early {
        /// How long it has to wait, in milliseconds.
        wait_ms: u64,
    },
    /// It changes nothing, and workers are told something: a hint, which leaves no record.
    Tell(WorkersTold),
    /// This changes.
    Change(Box<Change>),
}

impl From<Change> for Decided {
    fn from(change: Change) -> Self {
        Self::Change(Box::new(change))
    }
}

/// A command that cannot be done: its sender is answered, or it goes to the dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Stable code; see `docs/errors/`.
    pub code: &'static str,
    /// What happened, to what, and what to do.
    pub message: String,
    /// The run that stands in the way, if one does.
    pub run_id: Option<RunId>,
}

impl Rejection {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), run_id: None }
    }
}
