//! Machines of a cluster: one workflow adds a node, another one deletes it, also while it is still being added.
//!
//! ```sh
//! cargo run -p provisioning
//! ```
//!
//! What it shows:
//! - A long activity polls the cloud and heartbeats how far it is. If an attempt fails or its worker dies, the next one goes
//!   on with the cloud's operation that the last heartbeat names, instead of ordering a second machine.
//! - Deleting a node cancels the workflow that adds it. The activity hears it at once and stops the cloud's operation; then
//!   the workflow cleans up, in a scope that is not cancelled.
//! - What does not end in time is terminated. So that this leaves nothing behind, whoever deletes a node takes back
//!   everything that adding it may have left.
//!
//! [`add_node`] and [`delete_node`] are the whole pattern; [`Cloud`] stands for your cloud, [`InMemoryCloud`] is one.

mod activities;
mod cloud;
mod workflows;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidewright::{Client, Worker};

pub use activities::{Adding, Machines, Network, Provisioning};
pub use cloud::{Cloud, CloudError, InMemoryCloud, Progress};
pub use workflows::{add_node, add_node_id, delete_node, delete_node_id};

/// Where the workers of this example listen.
pub const TASK_QUEUE: &str = "provisioning";

/// What is to be deleted, and how patiently: the input of [`delete_node`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeleteNode {
    /// Which node.
    pub node: String,
    /// How long the workflow that adds the node may take for cleaning up, in milliseconds, before it is terminated.
    pub grace_ms: u64,
}

/// What became of the workflow that was adding the node: the result of [`delete_node`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Addition {
    /// It had ended before, or never began.
    NotRunning,
    /// It was asked to end, and did.
    CalledOff,
    /// It was asked to end, and did not in time.
    Terminated,
}

/// A worker for nodes, which still has to be run.
pub fn worker(client: &Client, cloud: Arc<dyn Cloud>) -> Worker {
    Worker::new(client, TASK_QUEUE)
        .workflow(add_node)
        .workflow(delete_node)
        .activities(Machines { cloud: Arc::clone(&cloud) })
        .activities(Network { cloud })
        .activities(Adding { client: client.clone() })
}
