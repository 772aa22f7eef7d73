//! Reads of committed state, by an owner that is in contact with its group (R17).

use std::sync::{Arc, Weak};
use std::time::Duration;

use tidewright_core::read::PendingPage;
use tidewright_core::{Rows, read};
use tidewright_schemas::api::{HistoryPage, WorkflowDescription, WorkflowOutcome, WorkflowStatus, WorkflowSummary};
use tidewright_schemas::{EventId, RunId, WorkflowId};
use tidewright_store::{PartitionSnapshot, PartitionStore};

use crate::contact::Contact;
use crate::error::ReadError;
use crate::waiting::{Wait, Waits};

/// A partition that this node owns, as readers see it. It ends with the ownership.
pub(crate) struct OwnedPartition {
    pub(crate) store: PartitionStore,
    pub(crate) contact: Arc<Contact>,
    /// Who waits for a run to end.
    ends: Arc<Waits>,
    /// Who waits for anything new.
    changes: Arc<Waits>,
}

impl Drop for OwnedPartition {
    /// Whoever waits here would not hear of what the next owner commits: they are told to ask it.
    fn drop(&mut self) {
        self.ends.end();
        self.changes.end();
    }
}

impl OwnedPartition {
    pub(crate) fn new(store: PartitionStore, contact: Arc<Contact>) -> Self {
        Self { store, contact, ends: Arc::default(), changes: Arc::default() }
    }

    /// Wakes whoever waits for what was committed.
    pub(crate) fn committed(&self, changed: &[WorkflowId], closed: &[(WorkflowId, RunId)]) {
        self.changes.happened(changed.iter());
        self.ends.happened(closed.iter().map(|(workflow_id, _)| workflow_id));
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

    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&PartitionSnapshot<'_>) -> Result<T, tidewright_core::RowsError>,
    ) -> Result<T, ReadError> {
        let owned = self.owned.upgrade().ok_or(ReadError::NotOwned)?;
        let snapshot = owned.store.snapshot();
        let found = read(&snapshot).map_err(|e| ReadError::Store(e.to_string()))?;
        // Asked after the read: what was read was current at some moment at which the node was in contact.
        if owned.contact.is_fresh() { Ok(found) } else { Err(ReadError::NotOwned) }
    }

    /// Reads, again whenever what is waited for happens, until it is enough or the time is up.
    async fn read_until<T>(
        &self,
        waits: impl FnOnce(&OwnedPartition) -> &Arc<Waits>,
        id: &WorkflowId,
        wait: Duration,
        look: impl Fn(&PartitionSnapshot<'_>) -> Result<T, tidewright_core::RowsError>,
        is_enough: impl Fn(&T) -> bool,
    ) -> Result<T, ReadError> {
        let first = self.read(&look)?;
        if is_enough(&first) || wait.is_zero() {
            return Ok(first);
        }
        let waits = Arc::clone(waits(&*self.owned.upgrade().ok_or(ReadError::NotOwned)?));
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let waiting = Wait::begin(&waits, id);
            let notified = waiting.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            // Looked at again, since it may have happened before the wait began.
            let found = self.read(&look)?;
            if is_enough(&found) {
                return Ok(found);
            }
            if tokio::time::timeout_at(deadline, notified).await.is_err() {
                // Running out of time is an answer, too: things as they stand.
                return self.read(&look);
            }
        }
    }

    /// Reads, again whenever the workflow changes, until it is enough or the time is up.
    pub(crate) async fn read_until_changed<T>(
        &self,
        id: &WorkflowId,
        wait: Duration,
        look: impl Fn(&PartitionSnapshot<'_>) -> Result<T, tidewright_core::RowsError>,
        is_enough: impl Fn(&T) -> bool,
    ) -> Result<T, ReadError> {
        self.read_until(|owned| &owned.changes, id, wait, look, is_enough).await
    }

    /// A run as it stands, with one page of what it waits for: the run that is named, or the workflow's latest.
    pub fn describe(
        &self,
        id: &WorkflowId,
        run_id: Option<&RunId>,
        page: PendingPage,
    ) -> Result<Option<WorkflowDescription>, ReadError> {
        self.read(|rows| match read::find_run(rows, id, run_id)? {
            Some(run_id) => read::describe_page(rows, id, &run_id, page),
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
        self.read(|rows| history(rows, id, run_id, from, limit))
    }

    /// As [`Self::history`]; of an open run that has no such events yet, waits for them for a while.
    pub async fn history_when_there(
        &self,
        id: &WorkflowId,
        run_id: Option<&RunId>,
        from: EventId,
        limit: usize,
        wait: Duration,
    ) -> Result<Option<HistoryPage>, ReadError> {
        let look = |rows: &PartitionSnapshot<'_>| history(rows, id, run_id, from, limit);
        let is_enough = |page: &Option<HistoryPage>| {
            page.as_ref().is_none_or(|page| page.status != WorkflowStatus::Running || !page.events.is_empty())
        };
        self.read_until_changed(id, wait, look, is_enough).await
    }

    /// How a run ended; waits for its end, and for its beginning, for a while.
    pub async fn outcome(
        &self,
        id: &WorkflowId,
        run_id: Option<&RunId>,
        wait: Duration,
    ) -> Result<Option<WorkflowOutcome>, ReadError> {
        let look = |rows: &PartitionSnapshot<'_>| match read::find_run(rows, id, run_id)? {
            Some(run_id) => read::outcome(rows, id, &run_id),
            None => Ok(None),
        };
        let has_ended = |outcome: &Option<WorkflowOutcome>| {
            outcome.as_ref().is_some_and(|outcome| outcome.status != WorkflowStatus::Running)
        };
        self.read_until(|owned| &owned.ends, id, wait, look, has_ended).await
    }

    /// Runs, newest first, from a key; the keys of several partitions merge bytewise.
    pub fn list(&self, from_key: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, WorkflowSummary)>, ReadError> {
        self.read(|rows| read::list(rows, from_key, limit))
    }
}

fn history<R: Rows>(
    rows: &R,
    id: &WorkflowId,
    run_id: Option<&RunId>,
    from: EventId,
    limit: usize,
) -> Result<Option<HistoryPage>, tidewright_core::RowsError> {
    match read::find_run(rows, id, run_id)? {
        Some(run_id) => read::history(rows, id, &run_id, from, limit),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tidewright_core::{Context, Decided, Overlay, Request, Store as _, apply, decide};
    use tidewright_schemas::{Epoch, StartWorkflow};
    use tidewright_store::SharedMemory;

    use super::*;

    fn owned(directory: &std::path::Path) -> Arc<OwnedPartition> {
        let store = PartitionStore::open(directory, &SharedMemory::new(1 << 20, 1 << 20)).unwrap();
        let contact = Arc::new(Contact::new(Duration::from_secs(3_600)));
        contact.heard(Some(Instant::now()));
        Arc::new(OwnedPartition::new(store, contact))
    }

    #[tokio::test]
    async fn who_waits_for_a_result_is_told_when_the_partition_goes() {
        let directory = tempfile::tempdir().unwrap();
        let owned = owned(directory.path());
        let view = PartitionView { partition: 0, owned: Arc::downgrade(&owned) };
        let id = WorkflowId::new("w").unwrap();
        let mut outcome = std::pin::pin!(view.outcome(&id, None, Duration::from_secs(3_600)));
        assert!(futures::poll!(outcome.as_mut()).is_pending());
        drop(owned);
        let told = tokio::time::timeout(Duration::from_secs(60), outcome).await;
        assert!(matches!(told, Ok(Err(ReadError::NotOwned))), "{told:?}");
    }

    #[tokio::test]
    async fn who_follows_a_history_is_woken_by_every_change_of_its_workflow_and_of_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let owned = owned(directory.path());
        let mut store = owned.store.clone();
        let view = PartitionView { partition: 0, owned: Arc::downgrade(&owned) };
        let [id, other] = ["w", "v"].map(|id| WorkflowId::new(id).unwrap());
        let request = Request {
            workflow_id: id.clone(),
            command: StartWorkflow::new("T", id.clone(), "q").into(),
            token: None,
            origin: None,
            event_id: None,
            traceparent: None,
        };
        let context = Context { incarnation: "i".to_owned(), timestamp_ms: 1, ..Context::default() };
        let Decided::Change(change) = decide(&store, &request, &context).unwrap() else { panic!("it starts") };
        let change = change.into_transition(Epoch { offset: 0, key: "c".to_owned() }, &context);
        let mut overlay = Overlay::new(&store);
        apply(&mut overlay, &change).unwrap();
        let rows = overlay.into_changes().into_iter().collect();
        store.write(rows).unwrap();
        let hour = Duration::from_secs(3_600);
        let there = view.history_when_there(&id, None, 1, 100, hour).await.unwrap().unwrap();
        assert_eq!((there.events.len(), there.status), (3, WorkflowStatus::Running));
        let mut next = std::pin::pin!(view.history_when_there(&id, None, 3, 100, hour));
        assert!(futures::poll!(next.as_mut()).is_ready());
        let mut next = std::pin::pin!(view.history_when_there(&id, None, 4, 100, hour));
        assert!(futures::poll!(next.as_mut()).is_pending());
        owned.committed(std::slice::from_ref(&other), &[]);
        assert!(futures::poll!(next.as_mut()).is_pending());
        // Woken without anything new for it, it goes on waiting.
        owned.committed(std::slice::from_ref(&id), &[]);
        assert!(futures::poll!(next.as_mut()).is_pending());
        drop(owned);
        let told = tokio::time::timeout(Duration::from_secs(60), next).await;
        assert!(matches!(told, Ok(Err(ReadError::NotOwned))), "{told:?}");
    }
}
