//! Something that takes its time and does not call back: how to poll it.
//!
//! ```sh
//! cargo run -p slow-resource
//! ```
//!
//! | | [by retry](by_retry) | [by heartbeat](by_heartbeat) |
//! |---|---|---|
//! | how | an activity looks once, and fails if it is too early; its retry policy is the interval | one long activity looks again and again, and heartbeats |
//! | between two looks | nothing: no process, no slot of a worker | a slot of a worker |
//! | history | the same few events however often it looks | the same few events however often it looks |
//! | if the worker dies | the next look comes as planned | the heartbeat timeout notices; the next attempt goes on from the last details |
//! | use it for | intervals of seconds and more; waits of hours or months | intervals below a second; a poll that has a connection, a cursor or progress to keep |
//!
//! What to avoid is the loop in the workflow itself, a `sleep` and an activity for each look: it writes some ten events
//! for each look into history.
//!
//! The slow thing is [`Exports`], of which there is one [in memory](InMemoryExports).

pub mod by_heartbeat;
pub mod by_retry;
mod exports;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidewright::{Client, Worker};

pub use exports::{ExportState, Exports, InMemoryExports, Unavailable};

/// Where the workers of this example listen.
pub const TASK_QUEUE: &str = "exports";

/// What is to be exported: the input of both workflows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportRequest {
    /// Which table.
    pub table: String,
    /// How long to wait between two looks, in milliseconds.
    pub poll_every_ms: u64,
}

/// A worker for exports, which still has to be run.
pub fn worker(client: &Client, exports: Arc<dyn Exports>) -> Worker {
    Worker::new(client, TASK_QUEUE)
        .workflow(by_retry::export_by_retry)
        .activities(by_retry::Looks { exports: Arc::clone(&exports) })
        .workflow(by_heartbeat::export_by_heartbeat)
        .activities(by_heartbeat::Watches { exports })
}
