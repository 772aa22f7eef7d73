//! What was done, in order.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tidewright::ActivityContext;

/// What was done, in order. An attempt that repeats what an earlier one did adds nothing, as a service does that is given
/// an idempotency key.
#[derive(Debug, Default)]
pub struct Journal {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    known: BTreeSet<(String, String)>,
    /// Workflow id and what was done for it.
    done: Vec<(String, String)>,
}

impl Journal {
    /// Notes that something is done.
    pub fn note(&self, ctx: &ActivityContext, what: &str) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.known.insert((ctx.idempotency_key().to_owned(), what.to_owned())) {
            entries.done.push((ctx.workflow_id().to_owned(), what.to_owned()));
        }
    }

    /// What was done for a workflow.
    #[must_use]
    pub fn of(&self, workflow_id: &str) -> Vec<String> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.done.iter().filter(|(id, _)| id == workflow_id).map(|(_, what)| what.clone()).collect()
    }
}
