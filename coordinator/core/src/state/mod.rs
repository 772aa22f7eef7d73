//! The rows of a partition, typed: what they hold, under which keys, and how they are read.
//!
//! Reading is for everyone in the crate; writing is for `apply` alone, through [`write`].

mod deletion;
pub(crate) mod keys;
mod rows;
mod scan;
pub(crate) mod write;

pub(crate) use deletion::{DeletedRow, HoleRow, RecordRow, Shared, deletion_timers};
pub use rows::DueTimer;
pub(crate) use rows::{
    ActivityRow, ActivityState, BufferedRow, RequestRow, RunRow, TimerRow, WorkflowRow, WorkflowTaskState,
    activity_timers, run_timers, started_by, timer_of,
};
pub use scan::{StartedIn, due_timers, pending_tasks, workflow_of_worker};
pub(crate) use scan::{State, decode};
pub(crate) use tidewright_schemas::SupersededRecord;
