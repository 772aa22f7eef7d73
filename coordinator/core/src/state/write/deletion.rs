//! Writing what deletion needs.

use tidewright_schemas::EventId;

use super::RunWriter;
use crate::state::keys::{self, EVENT, RECORD};
use crate::state::{DeletedRow, HoleRow, RecordRow, RequestRow, RunRow, WorkflowRow, deletion_timers, run_timers};
use crate::{Rows, RowsError};

impl<R: Rows> RunWriter<'_, R> {
    /// Remembers a record that is about the run.
    pub(crate) fn record(&mut self, source_offset: u64, row: &RecordRow) -> Result<(), RowsError> {
        self.put(self.numbered(RECORD, source_offset), row)
    }

    pub(crate) fn remove_record(&mut self, source_offset: u64) {
        self.overlay.set(self.numbered(RECORD, source_offset), None);
    }

    pub(crate) fn remove_event(&mut self, event_id: EventId) {
        self.overlay.set(self.numbered(EVENT, event_id), None);
    }

    pub(crate) fn remove_row(&mut self, key: Vec<u8>) {
        self.overlay.set(key, None);
    }

    /// The run is not there any more; if it was the workflow's latest, the one before it is.
    pub(crate) fn remove_run(&mut self, run: &RunRow) -> Result<(), RowsError> {
        self.timers_of(0, &run_timers(run), &[])?;
        self.overlay.set(keys::run(&self.workflow_id, &self.run_id), None);
        self.overlay.set(keys::by_start(run.start_time_ms, &self.workflow_id, &self.run_id), None);
        self.overlay.set(keys::in_order(keys::BY_ORDER, &self.workflow_id, run.started_offset), None);
        let latest = self.state().workflow(&self.workflow_id)?;
        if latest.is_none_or(|WorkflowRow { current_run }| current_run != self.run_id) {
            return Ok(());
        }
        let key = keys::workflow(&self.workflow_id);
        match self.state().latest(keys::BY_ORDER, &self.workflow_id)? {
            Some((_, current_run)) => self.put(key, &WorkflowRow { current_run }),
            None => {
                self.overlay.set(key, None);
                Ok(())
            }
        }
    }

    /// Forgets a start's request if it is this run that it led to.
    pub(crate) fn forget_request(&mut self, request_id: &str) -> Result<(), RowsError> {
        let led_to = self.state().request(&self.workflow_id, request_id)?;
        if led_to.is_some_and(|RequestRow { run_id, .. }| run_id == self.run_id) {
            self.overlay.set(keys::request(&self.workflow_id, request_id), None);
        }
        Ok(())
    }

    /// How far the run's deletion has come.
    pub(crate) fn deleted(&mut self, before: Option<&DeletedRow>, after: Option<&DeletedRow>) -> Result<(), RowsError> {
        let old = before.map(deletion_timers).unwrap_or_default();
        let new = after.map(deletion_timers).unwrap_or_default();
        self.timers_of(0, &old, &new)?;
        let key = keys::deleted(&self.workflow_id, &self.run_id);
        let names = |row: &DeletedRow| {
            let in_order = keys::in_order(keys::DELETED_BY_ORDER, &self.workflow_id, row.started_offset);
            [in_order, keys::deleted_by_record(&self.workflow_id, row.record.source_offset)]
        };
        match (after, before) {
            (Some(row), _) => {
                let (run_id, names) = (self.run_id.clone(), names(row));
                for name in names {
                    self.put(name, &run_id)?;
                }
                self.put(key, row)
            }
            (None, before) => {
                for name in before.into_iter().flat_map(names) {
                    self.overlay.set(name, None);
                }
                self.overlay.set(key, None);
                Ok(())
            }
        }
    }

    /// Remembers which run a request has deleted, or forgets it.
    pub(crate) fn delete_request(&mut self, request_id: &str, remember: bool) -> Result<(), RowsError> {
        let key = keys::delete_request(&self.workflow_id, request_id);
        if remember {
            let run_id = self.run_id.clone();
            return self.put(key, &run_id);
        }
        self.overlay.set(key, None);
        Ok(())
    }

    /// A record of the run is missing; or, with nothing, it does not matter any more.
    pub(crate) fn hole(&mut self, row: Option<&HoleRow>) -> Result<(), RowsError> {
        let key = keys::hole(&self.workflow_id, &self.run_id);
        match row {
            Some(row) => self.put(key, row),
            None => {
                self.overlay.set(key, None);
                Ok(())
            }
        }
    }
}
