//! An order of three steps, each of which can be undone: stock, payment, delivery.
//!
//! ```sh
//! cargo run -p order-saga
//! ```
//!
//! What it shows:
//! - What was done is undone in reverse when a later step fails.
//! - A compensation that fails stops no other; what could not be undone stands in the order's failure, for somebody to
//!   look at.
//! - A customer who cancels while a step is on its way: the step hears it at once and says how it ended. One that has
//!   stopped leaves nothing to undo; one that was done all the same is undone like the others.
//!
//! [`order_saga`] is the whole pattern. Its activities note what they do in a [`Journal`].

mod activities;
mod journal;
mod workflow;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidewright::{Client, Worker};

pub use activities::{Bank, Courier, Mail, Warehouse};
pub use journal::Journal;
pub use workflow::order_saga;

/// Where the workers of this example listen.
pub const TASK_QUEUE: &str = "order-sagas";

/// What is ordered: the workflow's input.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// Which article.
    pub sku: String,
    /// What it costs, in cents.
    pub amount_cents: u64,
    /// What it is paid with; see [`Bank`] for the one that means something.
    pub card: String,
    /// Where to; see [`Courier`] for those that mean something.
    pub address: String,
}

/// An order that has been fulfilled: the workflow's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The payment.
    pub payment_id: String,
    /// The parcel.
    pub parcel_id: String,
}

/// A worker for orders, which still has to be run.
pub fn worker(client: &Client, journal: &Arc<Journal>) -> Worker {
    Worker::new(client, TASK_QUEUE)
        .workflow(order_saga)
        .activities(Warehouse { journal: Arc::clone(journal) })
        .activities(Bank { journal: Arc::clone(journal) })
        .activities(Courier { journal: Arc::clone(journal) })
        .activities(Mail { journal: Arc::clone(journal) })
}
