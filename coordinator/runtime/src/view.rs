//! Reads of committed state, by an owner that is in contact with its group (R17).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tidewright_core::read;
use tidewright_schemas::api::{HistoryPage, WorkflowDescription, WorkflowOutcome, WorkflowStatus, WorkflowSummary};
use tidewright_schemas::{EventId, RunId, WorkflowId};
use tidewright_store::{PartitionSnapshot, PartitionStore};
use tokio::sync::Notify;

use crate::contact::Contact;
use crate::error::ReadError;

/// A partition that this node owns, as readers see it. It ends with the ownership.
pub(crate) struct OwnedPartition {
    pub(crate) store: PartitionStore,
    pub(crate) contact: Arc<Contact>,
    waiting: Mutex<BTreeMap<WorkflowId, Arc<Notify>>>,
}

impl Drop for OwnedPartition {
    /// Whoever waits here would not hear of an end that the next owner commits: they are told to ask it.
    fn drop(&mut self) {
        let waiting = self.waiting.get_mut().unwrap_or_else(PoisonError::into_inner);
        waiting.values().for_each(|notify| notify.notify_waiters());
    }
}

impl OwnedPartition {
    pub(crate) fn new(store: PartitionStore, contact: Arc<Contact>) -> Self {
        Self { store, contact, waiting: Mutex::default() }
    }

    /// Wakes whoever waits for the end of these runs.
    pub(crate) fn closed(&self, closed: &[(WorkflowId, RunId)]) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (workflow_id, _) in closed {
            if let Some(notify) = waiting.remove(workflow_id) {
                notify.notify_waiters();
            }
        }
    }

    fn end_of(&self, workflow_id: &WorkflowId) -> Arc<Notify> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(waiting.entry(workflow_id.clone()).or_default())
    }

    /// Nobody waits any more: forgets the entry if it is still this one.
    fn stop_waiting(&self, workflow_id: &WorkflowId, notify: &Arc<Notify>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Two are the map's and the caller's own.
        if waiting.get(workflow_id).is_some_and(|held| Arc::ptr_eq(held, notify) && Arc::strong_count(held) <= 2) {
            waiting.remove(workflow_id);
        }
    }
}

/// Reads one partition.
#[derive(Clone)]
pub struct PartitionView {
    pub(crate) partition: u32,
    pub(crate) owned: Weak<OwnedPartition>,
}

impl PartitionView {
    /// The partition.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.partition
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&PartitionSnapshot<'_>) -> Result<T, tidewright_core::RowsError>,
    ) -> Result<T, ReadError> {
        let owned = self.owned.upgrade().ok_or(ReadError::NotOwned)?;
        let snapshot = owned.store.snapshot();
        let found = read(&snapshot).map_err(|e| ReadError::Store(e.to_string()))?;
        // Asked after the read: what was read was current at some moment at which the node was in contact.
        if owned.contact.is_fresh() { Ok(found) } else { Err(ReadError::NotOwned) }
    }

    /// A run as it stands: the one that is named, or the workflow's latest.
    pub fn describe(&self, id: &WorkflowId, run_id: Option<&RunId>) -> Result<Option<WorkflowDescription>, ReadError> {
        self.read(|rows| match read::find_run(rows, id, run_id)? {
            Some(run_id) => read::describe(rows, id, &run_id),
            None => Ok(None),
        })
    }

    /// A page of a run's history.
    pub fn history(
        &self,
        id: &WorkflowId,
        run_id: Option<&RunId>,
        from: EventId,
        limit: usize,
    ) -> Result<Option<HistoryPage>, ReadError> {
        self.read(|rows| match read::find_run(rows, id, run_id)? {
            Some(run_id) => read::history(rows, id, &run_id, from, limit),
            None => Ok(None),
        })
    }

    /// How a run ended; waits for its end, and for its beginning, for a while.
    pub async fn outcome(
        &self,
        id: &WorkflowId,
        run_id: Option<&RunId>,
        wait: Duration,
    ) -> Result<Option<WorkflowOutcome>, ReadError> {
        let now = |view: &Self| {
            view.read(|rows| match read::find_run(rows, id, run_id)? {
                Some(run_id) => read::outcome(rows, id, &run_id),
                None => Ok(None),
            })
        };
        let ended = |outcome: &Option<WorkflowOutcome>| {
            outcome.as_ref().is_some_and(|outcome| outcome.status != WorkflowStatus::Running)
        };
        let first = now(self)?;
        if ended(&first) || wait.is_zero() {
            return Ok(first);
        }
        let end = self.owned.upgrade().ok_or(ReadError::NotOwned)?.end_of(id);
        let notified = end.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        // Looked at again, since the run may have ended before the wait began.
        let second = now(self)?;
        let outcome = if ended(&second) {
            second
        } else {
            // Running out of time is an answer, too: the run as it stands.
            let _ = tokio::time::timeout(wait, notified).await;
            now(self)?
        };
        if let Some(owned) = self.owned.upgrade() {
            owned.stop_waiting(id, &end);
        }
        Ok(outcome)
    }

    /// Runs, newest first, from a key; the keys of several partitions merge bytewise.
    pub fn list(&self, from_key: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, WorkflowSummary)>, ReadError> {
        self.read(|rows| read::list(rows, from_key, limit))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tidewright_store::SharedMemory;

    use super::*;

    #[tokio::test]
    async fn who_waits_for_a_result_is_told_when_the_partition_goes() {
        let directory = tempfile::tempdir().unwrap();
        let store = PartitionStore::open(directory.path(), &SharedMemory::new(1 << 20, 1 << 20)).unwrap();
        let contact = Arc::new(Contact::new(Duration::from_secs(3_600)));
        contact.heard(Some(Instant::now()));
        let owned = Arc::new(OwnedPartition::new(store, contact));
        let view = PartitionView { partition: 0, owned: Arc::downgrade(&owned) };
        let id = WorkflowId::new("w").unwrap();
        let mut outcome = std::pin::pin!(view.outcome(&id, None, Duration::from_secs(3_600)));
        assert!(futures::poll!(outcome.as_mut()).is_pending());
        drop(owned);
        let told = tokio::time::timeout(Duration::from_secs(60), outcome).await;
        assert!(matches!(told, Ok(Err(ReadError::NotOwned))), "{told:?}");
    }
}
