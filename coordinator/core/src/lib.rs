//! The engine as pure functions.
//!
//! * [`decide`] reads state and says what a command changes;
//! * [`apply`] is the only thing that changes state: live, on recovery and in tests;
//! * [`effects`] reads a change and says what must happen outside the partition.
//!
//! No clock, no randomness, no I/O, no async. Time and identity come in with [`Context`]; state is read through
//! [`Rows`], which a store implements; what a batch of commands has changed so far lies in an [`Overlay`].

mod apply;
mod audit;
mod change;
mod context;
mod decide;
mod effects;
mod json_text;
pub mod query;
pub mod read;
mod rows;
mod state;

pub use apply::{Applied, ApplyError, ChangedRun, apply, apply_tombstone, first_hole};
pub use audit::{audit, waste};
pub use change::{Change, Decided, Rejection};
pub use context::{Context, TaskToken};
pub use decide::{Request, decide};
pub use effects::{Effect, Outgoing, activity_task, effects, is_wanted, workflow_task};
pub use rows::{Found, MemoryRows, Overlay, Row, Rows, RowsError, Store};
pub use state::{DueTimer, StartedIn, due_timers, pending_tasks, workflow_of_worker};
