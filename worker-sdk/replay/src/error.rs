//! Why a run could not be advanced. None of these ends the run: its workflow task fails and is tried again.

use tidewright_schemas::EventId;

use crate::Panic;

/// Why a run could not be advanced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The code does not do what history says it did.
    #[error(
        "the workflow code is not deterministic, or was changed in a way that running workflows cannot follow: at event \
         {event_id} history records {recorded}, but the code now asks for {current}; bring the old order of calls back, \
         or let the runs that use it end first"
    )]
    NonDeterministic {
        /// The event that differs.
        event_id: EventId,
        /// What history says.
        recorded: String,
        /// What the code does now.
        current: String,
    },
    /// The workflow code panicked.
    #[error("the workflow code panicked: {0}")]
    Panicked(Panic),
    /// The workflow waits for nothing that could ever wake it.
    #[error(
        "the workflow waits, but neither for an activity nor for a timer of its own: it awaits something that only \
         this process knows (a socket, a channel, a sleep of the async runtime); do such work in an activity"
    )]
    Stuck,
    /// Something outside the workflow woke it or called its context.
    #[error(
        "the workflow was woken, or its context used, from outside its own code: it awaits or spawns something that \
         only this process knows (a socket, a thread, a sleep of the async runtime); do such work in an activity"
    )]
    WokenFromOutside,
    /// The workflow wakes itself without end.
    #[error("the workflow was polled {polls} times in one workflow task and wakes itself every time: it spins")]
    Spins {
        /// How often it was polled.
        polls: u32,
    },
    /// The events are not a history.
    #[error("the history cannot be replayed: {0}")]
    BadHistory(String),
}
