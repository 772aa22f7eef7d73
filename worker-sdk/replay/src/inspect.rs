//! What can be seen of a run from outside without advancing it: what it waits for, its state, the answers to queries.

use tidewright_schemas::Payload;

use crate::handlers::{Note, QueryProblem};
use crate::panics::catch;
use crate::pending::{LastAwait, PendingOperation};
use crate::{Pulse, Run, RunInfo};

impl Run {
    /// Which run it is.
    #[must_use]
    pub fn info(&self) -> &RunInfo {
        &self.shared.info
    }

    /// What the code waits for.
    #[must_use]
    pub fn pending(&self) -> Vec<PendingOperation> {
        self.shared.state().pending()
    }

    /// Where the code last awaited something of the workflow's, readable while the run is advanced.
    #[must_use]
    pub fn last_await(&self) -> LastAwait {
        self.shared.last_await.clone()
    }

    /// Whether the code gets on, readable while the run is advanced.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Takes what the last activation noted; notes of replayed ones are dropped.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.shared.state().notes)
    }

    /// Sets what is called, on whatever thread, when something outside the workflow first wakes it; the next activation
    /// fails then. Only the first call counts.
    pub fn on_outsider(&self, alarm: impl Fn() + Send + Sync + 'static) {
        self.shared.wake.set_alarm(Box::new(alarm));
    }

    /// The names of the signals that have a handler.
    #[must_use]
    pub fn signal_names(&self) -> Vec<&'static str> {
        self.handlers.as_ref().map_or_else(Vec::new, |handlers| handlers.signal_names())
    }

    /// The names of the queries.
    #[must_use]
    pub fn query_names(&self) -> Vec<&'static str> {
        self.handlers.as_ref().map_or_else(Vec::new, |handlers| handlers.query_names())
    }

    /// The workflow's state as a value, if it has one that can be shown.
    #[must_use]
    pub fn workflow_state(&self) -> Option<Payload> {
        let handlers = self.handlers.as_ref()?;
        catch(|| handlers.state()).ok().flatten()
    }

    /// Answers a query from the state as the events so far have left it.
    pub fn query(&self, name: &str, input: Option<&Payload>) -> Result<Payload, QueryProblem> {
        let unknown = || QueryProblem::Unknown { name: name.to_owned(), known: self.query_names() };
        let Some(handlers) = &self.handlers else { return Err(unknown()) };
        match catch(|| handlers.query(name, input)).map_err(QueryProblem::Panicked)? {
            None => Err(unknown()),
            Some(answer) => answer.map_err(QueryProblem::Failed),
        }
    }
}
