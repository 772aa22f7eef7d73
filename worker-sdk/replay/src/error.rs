//! Why a run could not be advanced. None of these ends the run: its workflow task fails and is tried again.

use tidewright_schemas::EventId;

use crate::{Panic, Place};

/// Why a run could not be advanced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The code does not do what history says it did.
    #[error(
        "the workflow's code does not do what history says it did: at event {event_id} history records {recorded}, but the \
         code now asks for {current}\n{diff}\nThe run waits and its task is tried again: deploy code that makes the \
         recorded calls in the recorded order, and it goes on. New code for new runs goes under another workflow type, \
         while the old one stays registered until its runs have ended."
    )]
    NonDeterministic {
        /// The event that differs.
        event_id: EventId,
        /// What history says.
        recorded: String,
        /// What the code does now.
        current: String,
        /// Both, a line each, with a few lines of history before.
        diff: String,
    },
    /// The workflow code panicked.
    #[error("the workflow code panicked: {0}")]
    Panicked(Panic),
    /// The workflow waits for nothing that could ever wake it.
    #[error(
        "the workflow waits, but for nothing of its own: it awaits something that only this process knows (a socket, a \
         channel, a sleep of the async runtime); do such work in an activity, and sleep with `ctx.sleep`. Its last await \
         of its own: {last_await}"
    )]
    Stuck {
        /// Where the code last awaited something of the workflow's.
        last_await: Place,
    },
    /// Something outside the workflow woke it or called its context.
    #[error(
        "the workflow was woken, or its context used, from outside its own code: it awaits or spawns something that \
         only this process knows (a socket, a thread, a sleep of the async runtime); do such work in an activity, and \
         sleep with `ctx.sleep`. Its last await of its own: {last_await}"
    )]
    WokenFromOutside {
        /// Where the code last awaited something of the workflow's.
        last_await: Place,
    },
    /// The workflow wakes itself without end.
    #[error(
        "the workflow was polled {polls} times in one workflow task and wakes itself every time: it spins. Its last await \
         of its own: {last_await}"
    )]
    Spins {
        /// How often it was polled.
        polls: u32,
        /// Where the code last awaited something of the workflow's.
        last_await: Place,
    },
    /// The events are not a history.
    #[error("the history cannot be replayed: {0}")]
    BadHistory(String),
}

impl ReplayError {
    /// The stable code of what the workflow's code did wrong; none for a panic, which is the code's own message, and for
    /// a history that is none.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::NonDeterministic { .. } => Some("TW0901"),
            Self::Stuck { .. } | Self::WokenFromOutside { .. } => Some("TW0902"),
            Self::Spins { .. } => Some("TW0903"),
            Self::Panicked(_) | Self::BadHistory(_) => None,
        }
    }
}
