//! Who waits for something to happen to a workflow.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tidewright_schemas::WorkflowId;
use tokio::sync::Notify;

/// Who waits for one kind of thing, by workflow.
#[derive(Debug, Default)]
pub(crate) struct Waits(Mutex<BTreeMap<WorkflowId, Arc<Notify>>>);

impl Waits {
    /// It happened to these workflows.
    pub(crate) fn happened<'a>(&self, workflow_ids: impl Iterator<Item = &'a WorkflowId>) {
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waits.is_empty() {
            return;
        }
        for workflow_id in workflow_ids {
            if let Some(notify) = waits.remove(workflow_id) {
                notify.notify_waiters();
            }
        }
    }

    /// Nothing more will be heard of here.
    pub(crate) fn end(&self) {
        let waits = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        waits.values().for_each(|notify| notify.notify_waiters());
    }
}

/// One who waits; forgotten when it is dropped.
#[derive(Debug)]
pub(crate) struct Wait {
    waits: Arc<Waits>,
    workflow_id: WorkflowId,
    notify: Arc<Notify>,
}

impl Wait {
    pub(crate) fn begin(waits: &Arc<Waits>, workflow_id: &WorkflowId) -> Self {
        let mut held = waits.0.lock().unwrap_or_else(PoisonError::into_inner);
        let notify = Arc::clone(held.entry(workflow_id.clone()).or_default());
        drop(held);
        Self { waits: Arc::clone(waits), workflow_id: workflow_id.clone(), notify }
    }

    /// Resolves when it happens, from the time on at which it is enabled.
    pub(crate) fn notified(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut waits = self.waits.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Two are the map's and this one's: nobody else waits.
        let is_last = |held: &Arc<Notify>| Arc::ptr_eq(held, &self.notify) && Arc::strong_count(held) <= 2;
        if waits.get(&self.workflow_id).is_some_and(is_last) {
            waits.remove(&self.workflow_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_stops_waiting_leaves_nothing_behind() {
        let waits = Arc::new(Waits::default());
        let id = WorkflowId::new("w").unwrap();
        let first = Wait::begin(&waits, &id);
        let second = Wait::begin(&waits, &id);
        drop(first);
        assert_eq!(waits.0.lock().unwrap().len(), 1);
        drop(second);
        assert!(waits.0.lock().unwrap().is_empty());
    }
}
