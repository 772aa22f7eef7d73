//! Something that takes its time and does not call back: how to poll it.
//!
//! ```sh
//! cargo run -p slow-resource
//! ```
//!
//! [By retry](by_retry): an activity looks once, and fails if it is too early. Its retry policy is the interval. Between two
//! looks there is nothing: no process, no slot of a worker; and history holds the same few events however often it looks.
//! So a wait may take months.
//!
//! What to avoid is the loop in the workflow itself, a `sleep` and an activity for each look: it writes some ten events
//! for each look into history.
//!
//! The slow thing is [`Exports`], of which there is one [in memory](InMemoryExports).

pub mod by_retry;
mod exports;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidewright::{Client, Worker};

pub use exports::{ExportState, Exports, InMemoryExports, Unavailable};

/// Where the workers of this example listen.
pub const TASK_QUEUE: &str = "exports";

/// What is to be exported: the workflow's input.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportRequest {
    /// Which table.
    pub table: String,
    /// How long to wait between two looks, in milliseconds.
    pub poll_every_ms: u64,
}

/// A worker for exports, which still has to be run.
pub fn worker(client: &Client, exports: Arc<dyn Exports>) -> Worker {
    Worker::new(client, TASK_QUEUE).workflow(by_retry::export_by_retry).activities(by_retry::Looks { exports })
}
