//! Advances one workflow run by replaying its history.
//!
//! A [`Run`] owns the future of one run and everything that the future waits for. It is fed history events in order
//! ([`Run::apply`]) and told when to advance the run ([`Run::activate`]); it answers with the decisions that the
//! workflow code makes. On the way it holds each recorded event against the decision that the code makes now, and
//! says so where they differ.
//!
//! It promises: the same events give the same decisions, whether they come at once or bit by bit, whatever thread and
//! day it is. It does no I/O, reads no clock and needs no async runtime; a panic in workflow code comes out as a value.
//!
//! The SDK's worker and its test tools drive it. Workflow code never sees it: the SDK's context wraps [`RunContext`].

mod context;
mod error;
mod expected;
mod handlers;
mod inspect;
mod outcome;
mod outside;
mod panics;
mod pending;
mod pulse;
mod run;
mod state;
mod told;
mod wake;

pub use context::{ActivityCancellationType, ActivityRequest, PendingActivity, PendingTimer, RunContext, RunInfo};
pub use error::ReplayError;
pub use handlers::{Handled, Handlers, Note, QueryProblem};
pub use outside::{PendingCancel, PendingSignal, Waiting};
pub use panics::{Panic, catch};
pub use pending::{LastAwait, OperationKind, Origin, PendingOperation, Place};
pub use pulse::Pulse;
pub use run::{Begun, Run, WorkflowFuture, WorkflowStart};
