//! What deletions leave, and what they must not.

use std::collections::BTreeSet;

use tidewright_schemas::{RunId, WorkflowId};

use super::Audit;
use crate::state::keys::{
    self, ACCEPTED_REQUEST, BY_ORDER, DELETED, DELETED_BY_ORDER, DELETED_BY_RECORD, EVENT, HOLE, RECORD, REQUEST, RUN,
};
use crate::state::{DeletedRow, RequestRow, State, decode, deletion_timers};
use crate::{Rows, RowsError};

/// Rows of deleted runs that wait for their removal: nothing reads them, and what is rebuilt from a compacted history may
/// have fewer of them.
pub fn waste<R: Rows>(rows: &R) -> Result<BTreeSet<Vec<u8>>, RowsError> {
    let mut waste = BTreeSet::new();
    for (key, _) in rows.scan(&[DELETED], &[], usize::MAX)? {
        let Some((id, run_id)) = keys::ids_in(&key) else { continue };
        for kind in [EVENT, RECORD, ACCEPTED_REQUEST] {
            let found = rows.scan(&keys::all_of_run(kind, &id, &run_id), &[], usize::MAX)?;
            waste.extend(found.into_iter().map(|(key, _)| key));
        }
        for (key, value) in rows.scan(&keys::request(&id, ""), &[], usize::MAX)? {
            let row: RequestRow = decode(&key, &value)?;
            if row.run_id == run_id {
                waste.insert(key);
            }
        }
    }
    Ok(waste)
}

impl<R: Rows> Audit<'_, R> {
    /// Deletions that are remembered; and that nothing is left of runs that are not there.
    pub(super) fn deletions(&mut self) -> Result<(), RowsError> {
        for (key, value) in self.rows.scan(&[DELETED], &[], usize::MAX)? {
            let Some((id, run_id)) = keys::ids_in(&key) else { continue };
            let row: DeletedRow = decode(&key, &value)?;
            if State(self.rows).run(&id, &run_id)?.is_some() {
                self.problems.push(format!("run {run_id} of `{id}` is deleted and still there"));
            }
            if row.due_ms.is_none() && !row.is_held {
                self.problems.push(format!("the deletion of run {run_id} of `{id}` waits for nothing"));
            }
            self.expect(&id, &run_id, 0, deletion_timers(&row));
        }
        for kind in [EVENT, RECORD, ACCEPTED_REQUEST] {
            for (key, _) in self.rows.scan(&[kind], &[], usize::MAX)? {
                let Some((id, run_id)) = keys::ids_in(&key) else { continue };
                self.belongs_to_a_run(&key, &id, &run_id)?;
            }
        }
        for (key, value) in self.rows.scan(&[REQUEST], &[], usize::MAX)? {
            let Some((id, _)) = keys::ids_in(&key) else { continue };
            let row: RequestRow = decode(&key, &value)?;
            self.belongs_to_a_run(&key, &id, &row.run_id)?;
        }
        self.order()?;
        for (key, _) in self.rows.scan(&[HOLE], &[], usize::MAX)? {
            self.problems.push(format!("there is a hole: {}", String::from_utf8_lossy(&key)));
        }
        Ok(())
    }

    /// A workflow's latest run is the one that began last of those that are there.
    fn order(&mut self) -> Result<(), RowsError> {
        let mut named = 0;
        for (key, _) in self.rows.scan(&[RUN], &[], usize::MAX)? {
            let Some((id, _)) = keys::ids_in(&key) else { continue };
            named += 1;
            let state = State(self.rows);
            let first = state.latest(BY_ORDER, &id)?.map(|(_, run_id)| run_id);
            if first != state.workflow(&id)?.map(|row| row.current_run) {
                self.problems.push(format!("the latest run of `{id}` is not the one that began last"));
            }
        }
        let deleted = self.rows.scan(&[DELETED], &[], usize::MAX)?.len();
        for (runs, order) in [(named, BY_ORDER), (deleted, DELETED_BY_ORDER), (deleted, DELETED_BY_RECORD)] {
            let ordered = self.rows.scan(&[order], &[], usize::MAX)?.len();
            self.equal("the partition", "runs in order", ordered as u64, runs as u64);
        }
        Ok(())
    }

    fn belongs_to_a_run(&mut self, key: &[u8], id: &WorkflowId, run_id: &RunId) -> Result<(), RowsError> {
        let state = State(self.rows);
        if state.run(id, run_id)?.is_none() && state.deleted(id, run_id)?.is_none() {
            self.problems.push(format!("the row {} belongs to no run", String::from_utf8_lossy(key)));
        }
        Ok(())
    }
}
