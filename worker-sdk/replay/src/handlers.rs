//! The handlers of a workflow that has state: what a run calls when a signal or a query comes.

use tidewright_schemas::{Failure, Payload};

use crate::Panic;

/// A workflow's state with the functions that change and read it. The SDK implements it.
pub trait Handlers: Send {
    /// Hands a signal to its handler, if there is one for its name.
    fn signal(&mut self, name: &str, input: Option<&Payload>) -> Handled;

    /// Answers a query; none if there is no handler of that name.
    fn query(&self, name: &str, input: Option<&Payload>) -> Option<Result<Payload, Box<Failure>>>;

    /// The names of all signals that have a handler.
    fn signal_names(&self) -> Vec<&'static str>;

    /// The names of all queries.
    fn query_names(&self) -> Vec<&'static str>;

    /// The state as a value, if it can be shown.
    fn state(&self) -> Option<Payload>;
}

/// What became of a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handled {
    /// The handler has run.
    Done,
    /// There is no handler of that name: the code may take the signal itself.
    Unknown,
    /// The handler cannot read the input, for this reason; the signal is dropped.
    Unreadable(String),
}

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryProblem {
    /// The workflow knows no such query.
    #[error("the workflow has no query `{name}`; it has [{}]", .known.join(", "))]
    Unknown {
        /// What was asked.
        name: String,
        /// What can be asked.
        known: Vec<&'static str>,
    },
    /// The workflow's code answers with a failure, or the input or the answer cannot be read or sent.
    #[error("{}", .0.message)]
    Failed(Box<Failure>),
    /// The handler panicked.
    #[error("the query's handler panicked: {0}")]
    Panicked(Panic),
}

/// Something about a signal that somebody should hear of, although nothing stops for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A signal was dropped, since its input is not what the code expects.
    UnreadableSignal {
        /// Which signal.
        name: String,
        /// What is wrong with its input.
        problem: String,
    },
    /// A signal came for which there is no handler, and which no code has asked for so far. It is kept.
    UnknownSignal {
        /// Which signal.
        name: String,
    },
}
