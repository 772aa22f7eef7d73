//! Writing typed rows: for `apply` alone. Timer and index rows follow from the rows they belong to, so they can never
//! be forgotten.

mod deletion;

use serde::Serialize;
use tidewright_schemas::{EventId, HistoryEvent, RunId, TimerTarget, WorkflowId};

use super::keys::{self, ACTIVITY, BUFFERED, EVENT, TIMER};
use super::rows::{
    ActivityRow, BufferedRow, DueTimer, RequestRow, RunRow, TimerRow, WorkflowRow, activity_timers, run_timers,
    started_by, timer_of,
};
use super::scan::State;
use crate::{Overlay, Rows, RowsError};

/// The format of every row's value: its first byte.
pub(crate) const FORMAT: u8 = 2;

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, RowsError> {
    postcard::to_extend(value, vec![FORMAT])
        .map_err(|e| RowsError::Corrupt { key: "(new)".to_owned(), problem: e.to_string() })
}

/// Writes the rows of one run.
pub(crate) struct RunWriter<'a, R: Rows> {
    pub(crate) overlay: &'a mut Overlay<R>,
    pub(crate) workflow_id: WorkflowId,
    pub(crate) run_id: RunId,
}

impl<R: Rows> RunWriter<'_, R> {
    pub(crate) fn state(&self) -> State<'_, Overlay<R>> {
        State(self.overlay)
    }

    fn put<T: Serialize>(&mut self, key: Vec<u8>, value: &T) -> Result<(), RowsError> {
        let value = encode(value)?;
        self.overlay.set(key, Some(value));
        Ok(())
    }

    fn numbered(&self, kind: u8, number: u64) -> Vec<u8> {
        keys::numbered_of_run(kind, &self.workflow_id, &self.run_id, number)
    }

    /// The run is the latest of its workflow.
    pub(crate) fn make_current(&mut self, started_offset: u64) -> Result<(), RowsError> {
        let run_id = self.run_id.clone();
        self.put(keys::in_order(keys::BY_ORDER, &self.workflow_id, started_offset), &run_id)?;
        let row = WorkflowRow { current_run: self.run_id.clone() };
        self.put(keys::workflow(&self.workflow_id), &row)
    }

    /// Remembers which run a start's request led to, and whether it started it.
    pub(crate) fn remember_request(&mut self, request_id: &str, started: bool) -> Result<(), RowsError> {
        let row = RequestRow { run_id: self.run_id.clone(), started };
        self.put(keys::request(&self.workflow_id, request_id), &row)
    }

    /// Remembers a request whose effect this run has: a repeat of it changes nothing.
    pub(crate) fn accept_request(&mut self, request_id: &str) {
        self.overlay.set(keys::accepted_request(&self.workflow_id, &self.run_id, request_id), Some(vec![FORMAT]));
    }

    pub(crate) fn index_by_start(&mut self, start_time_ms: u64) {
        self.overlay.set(keys::by_start(start_time_ms, &self.workflow_id, &self.run_id), Some(vec![FORMAT]));
    }

    pub(crate) fn event(&mut self, event: &HistoryEvent, json: &str) -> Result<(), RowsError> {
        self.put(self.numbered(EVENT, event.event_id), &json)
    }

    pub(crate) fn run(&mut self, before: Option<&RunRow>, after: &RunRow) -> Result<(), RowsError> {
        let old = before.map(run_timers).unwrap_or_default();
        self.timers_of(0, &old, &run_timers(after))?;
        self.put(keys::run(&self.workflow_id, &self.run_id), after)
    }

    pub(crate) fn activity(
        &mut self,
        event_id: EventId,
        before: Option<&ActivityRow>,
        after: Option<&ActivityRow>,
    ) -> Result<(), RowsError> {
        let old = before.map(activity_timers).unwrap_or_default();
        let new = after.map(activity_timers).unwrap_or_default();
        self.timers_of(event_id, &old, &new)?;
        self.started(event_id, before.and_then(started_by), after.and_then(started_by));
        let id = |row: &ActivityRow| row.activity_id.clone();
        self.open_id(ACTIVITY, event_id, before.map(id), after.map(id))?;
        let key = self.numbered(ACTIVITY, event_id);
        match after {
            Some(row) => self.put(key, row),
            None => {
                self.overlay.set(key, None);
                Ok(())
            }
        }
    }

    /// An id that the workflow gave stays the same for as long as what has it is open.
    fn open_id(
        &mut self,
        kind: u8,
        event_id: EventId,
        before: Option<String>,
        after: Option<String>,
    ) -> Result<(), RowsError> {
        let key = |id: String| keys::open_id(kind, &self.workflow_id, &self.run_id, &id);
        match (before, after) {
            (None, Some(id)) => self.put(key(id), &event_id),
            (Some(id), None) => {
                self.overlay.set(key(id), None);
                Ok(())
            }
            (Some(_), Some(_)) | (None, None) => Ok(()),
        }
    }

    fn started(&mut self, event_id: EventId, before: Option<&str>, after: Option<&str>) {
        if before == after {
            return;
        }
        let key = |incarnation| keys::started_by(incarnation, &self.workflow_id, &self.run_id, event_id);
        let (before, after) = (before.map(key), after.map(key));
        before.into_iter().for_each(|key| self.overlay.set(key, None));
        after.into_iter().for_each(|key| self.overlay.set(key, Some(vec![FORMAT])));
    }

    pub(crate) fn timer(
        &mut self,
        event_id: EventId,
        before: Option<&TimerRow>,
        after: Option<&TimerRow>,
    ) -> Result<(), RowsError> {
        let old = before.map(timer_of).unwrap_or_default();
        let new = after.map(timer_of).unwrap_or_default();
        self.timers_of(event_id, &old, &new)?;
        let id = |row: &TimerRow| row.timer_id.clone();
        self.open_id(TIMER, event_id, before.map(id), after.map(id))?;
        let key = self.numbered(TIMER, event_id);
        match after {
            Some(row) => self.put(key, row),
            None => {
                self.overlay.set(key, None);
                Ok(())
            }
        }
    }

    pub(crate) fn buffered(&mut self, number: u64, row: Option<&BufferedRow>) -> Result<(), RowsError> {
        let key = self.numbered(BUFFERED, number);
        match row {
            Some(row) => self.put(key, row),
            None => {
                self.overlay.set(key, None);
                Ok(())
            }
        }
    }

    fn timers_of(
        &mut self,
        event_id: EventId,
        old: &[(TimerTarget, u32, u64)],
        new: &[(TimerTarget, u32, u64)],
    ) -> Result<(), RowsError> {
        for (target, attempt, due_ms) in old.iter().filter(|timer| !new.contains(timer)) {
            let key = keys::due(*due_ms, &self.workflow_id, &self.run_id, *target, event_id, *attempt);
            self.overlay.set(key, None);
        }
        for (target, attempt, due_ms) in new.iter().filter(|timer| !old.contains(timer)) {
            let key = keys::due(*due_ms, &self.workflow_id, &self.run_id, *target, event_id, *attempt);
            let timer = DueTimer {
                workflow_id: self.workflow_id.clone(),
                run_id: self.run_id.clone(),
                target: *target,
                event_id,
                attempt: *attempt,
                due_ms: *due_ms,
            };
            self.put(key, &timer)?;
        }
        Ok(())
    }
}

/// Remembers that a forwarded command was taken (R9): it belongs to the workflow id, not to a run.
pub(crate) fn origin_seen<R: Rows>(overlay: &mut Overlay<R>, workflow_id: &WorkflowId, origin: &str) {
    overlay.set(keys::origin(workflow_id, origin), Some(vec![FORMAT]));
}
