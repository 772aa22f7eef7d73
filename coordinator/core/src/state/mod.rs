//! The rows of a partition, typed: what they hold, under which keys, and how they are read.
//!
//! Reading is for everyone in the crate; writing is for `apply` alone, through [`write`].

pub(crate) mod keys;
mod rows;
mod scan;
pub(crate) mod write;

pub(crate) use rows::{
    ActivityRow, ActivityState, BufferedRow, RequestRow, RunRow, TimerRow, WorkflowTaskState, activity_timers,
    run_timers, timer_of,
};
pub use rows::{DueTimer, SupersededRecord};
pub(crate) use scan::{State, decode};
pub use scan::{due_timers, pending_tasks};
