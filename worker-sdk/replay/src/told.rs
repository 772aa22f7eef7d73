//! What a run is told from outside: signals, and the request to cancel.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use tidewright_schemas::Payload;

use crate::pending::PendingOperation;

/// Signals that the code has not taken yet, the request to cancel, and who waits for either.
#[derive(Debug, Default)]
pub(crate) struct Told {
    signals: BTreeMap<String, VecDeque<Option<Payload>>>,
    /// Signals that the code has asked for at least once.
    asked_for: BTreeSet<String>,
    cancel_requested: bool,
    waiting: BTreeMap<u64, (Waker, Arc<PendingOperation>)>,
    tickets: u64,
}

impl Told {
    /// A signal came; it stays until the code takes it. Whom to wake.
    #[must_use]
    pub(crate) fn signal(&mut self, name: String, input: Option<Payload>) -> Vec<Waker> {
        self.signals.entry(name).or_default().push_back(input);
        self.wake()
    }

    pub(crate) fn request_cancel(&mut self) {
        self.cancel_requested = true;
    }

    pub(crate) fn is_cancel_requested(&self) -> bool {
        self.cancel_requested
    }

    /// The oldest signal of this name that the code has not taken.
    pub(crate) fn take(&mut self, name: &str) -> Option<Option<Payload>> {
        if !self.asked_for.contains(name) {
            self.asked_for.insert(name.to_owned());
        }
        let queue = self.signals.get_mut(name)?;
        let oldest = queue.pop_front();
        if queue.is_empty() {
            self.signals.remove(name);
        }
        oldest
    }

    /// Whether the code has ever asked for signals of this name.
    pub(crate) fn is_asked_for(&self, name: &str) -> bool {
        self.asked_for.contains(name)
    }

    /// Notes that somebody waits, under the ticket of an earlier note if there was one.
    pub(crate) fn wait(&mut self, ticket: Option<u64>, waker: Waker, about: Arc<PendingOperation>) -> u64 {
        let ticket = ticket.unwrap_or_else(|| {
            self.tickets += 1;
            self.tickets
        });
        self.waiting.insert(ticket, (waker, about));
        ticket
    }

    pub(crate) fn forget(&mut self, ticket: u64) {
        self.waiting.remove(&ticket);
    }

    pub(crate) fn is_awaited(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(crate) fn pending(&self) -> impl Iterator<Item = &PendingOperation> {
        self.waiting.values().map(|(_, about)| &**about)
    }

    /// Who still waits after it was polled notes it again.
    pub(crate) fn wake(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.waiting).into_values().map(|(waker, _)| waker).collect()
    }
}
