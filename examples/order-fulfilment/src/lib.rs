//! An order: validate it, take the payment, send the parcel; pay back if it cannot be sent; confirm.
//!
//! The library holds the workflow, its activities and stand-ins for the world; the binary `order-fulfilment` is a
//! worker process for them. See [`workflow::order_workflow`] for how an order may end, and [`services`] for the cards
//! and addresses that make it end so.

pub mod activities;
pub mod audit;
pub mod services;
pub mod types;
pub mod workflow;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidewright::{Client, Worker};

use activities::{Mail, Orders, Payments, Shipping};
use audit::Audit;
use services::{Carrier, InMemoryCarrier, InMemoryGateway, InMemoryMailer, Mailer, PaymentGateway};

pub use workflow::order_workflow;

/// Names a file to which each attempt of an activity is noted; see [`audit`].
pub const AUDIT_VARIABLE: &str = "TIDEWRIGHT_ORDER_AUDIT";
/// How many milliseconds each attempt of an activity takes at least.
pub const DELAY_VARIABLE: &str = "ORDER_ACTIVITY_DELAY_MS";

/// What the activities need.
#[derive(Clone)]
pub struct Services {
    /// Takes money.
    pub gateway: Arc<dyn PaymentGateway>,
    /// Moves parcels.
    pub carrier: Arc<dyn Carrier>,
    /// Sends mail.
    pub mailer: Arc<dyn Mailer>,
    /// Notes what ran.
    pub audit: Arc<Audit>,
}

impl Services {
    /// Stand-ins that keep everything in memory, and no audit log.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            gateway: Arc::new(InMemoryGateway::default()),
            carrier: Arc::new(InMemoryCarrier),
            mailer: Arc::new(InMemoryMailer::default()),
            audit: Arc::new(Audit::default()),
        }
    }

    /// Stand-ins in memory, with the audit log and the delay that [`AUDIT_VARIABLE`] and [`DELAY_VARIABLE`] name.
    pub fn from_env() -> std::io::Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let audit = match variable(AUDIT_VARIABLE) {
            Some(path) => Audit::to_file(Path::new(&path))?,
            None => Audit::default(),
        };
        let delay = match variable(DELAY_VARIABLE) {
            Some(text) => text.parse().map(Duration::from_millis).map_err(|error| {
                let problem = format!("{DELAY_VARIABLE} holds `{text}`, which is no number of milliseconds: {error}");
                std::io::Error::new(std::io::ErrorKind::InvalidInput, problem)
            })?,
            None => Duration::ZERO,
        };
        Ok(Self { audit: Arc::new(audit.with_delay(delay)), ..Self::in_memory() })
    }
}

/// A worker for orders, which still has to be run; [`register`] adds orders to a worker that does other things, too.
pub fn worker(client: &Client, task_queue: &str, services: Services) -> Worker {
    register(Worker::new(client, task_queue), services)
}

/// Adds the workflow and its activities to a worker.
pub fn register(worker: Worker, services: Services) -> Worker {
    let Services { gateway, carrier, mailer, audit } = services;
    worker
        .workflow(order_workflow)
        .activities(Orders { audit: Arc::clone(&audit) })
        .activities(Payments { gateway, audit: Arc::clone(&audit) })
        .activities(Shipping { carrier, audit: Arc::clone(&audit) })
        .activities(Mail { mailer, audit })
}
