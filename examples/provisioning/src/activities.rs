//! The activities.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidewright::RequestError;
use tidewright::prelude::*;

use crate::cloud::{Cloud, Progress};
use crate::workflows::{add_node, add_node_id};

/// How long to wait between two looks at the cloud's operation.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// What goes to the cloud's machines.
pub struct Machines {
    /// The cloud.
    pub cloud: Arc<dyn Cloud>,
}

/// How far a machine is: the details of a heartbeat, which the next attempt reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Provisioning {
    /// The cloud's operation.
    pub operation: String,
    /// How much of it is done.
    pub percent: u8,
}

#[activities]
impl Machines {
    /// Has the cloud make a machine, and waits until it is there: that takes minutes. Gives the machine's id.
    #[activity(start_to_close = "1h", heartbeat_timeout = "10s")]
    pub async fn provision(&self, ctx: &ActivityContext, node: String) -> ActivityResult<String> {
        let operation = match ctx.heartbeat_details::<Provisioning>()? {
            // An attempt before this one has got so far.
            Some(begun) => begun.operation,
            None => self.cloud.create_machine(ctx.idempotency_key(), &node).await?,
        };
        loop {
            match self.cloud.progress(&operation).await? {
                Progress::Ready { machine } => return Ok(machine),
                Progress::Working { percent } => {
                    ctx.heartbeat(&Provisioning { operation: operation.clone(), percent })?;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                reason = ctx.cancelled() => {
                    // Where the worker stops, say, another attempt goes on with the operation.
                    if reason == CancelReason::Requested {
                        self.cloud.abort(&operation).await?;
                    }
                    return Err(reason.into());
                }
            }
        }
    }

    /// Deletes whatever there is of a node's machine.
    #[activity(start_to_close = "10s")]
    pub async fn deprovision(&self, node: String) -> ActivityResult<()> {
        Ok(self.cloud.delete_machine(&node).await?)
    }
}

/// What goes to the cloud's network.
pub struct Network {
    /// The cloud.
    pub cloud: Arc<dyn Cloud>,
}

#[activities]
impl Network {
    /// Reserves the node's address.
    #[activity(start_to_close = "10s")]
    pub async fn reserve_address(&self, node: String) -> ActivityResult<()> {
        Ok(self.cloud.reserve_address(&node).await?)
    }

    /// Releases the node's address, if it has one.
    #[activity(start_to_close = "10s")]
    pub async fn release_address(&self, node: String) -> ActivityResult<()> {
        Ok(self.cloud.release_address(&node).await?)
    }
}

/// The workflow that adds a node, as the one that deletes it sees it.
pub struct Adding {
    /// How to reach it.
    pub client: Client,
}

#[activities]
impl Adding {
    /// Asks it to end. Gives whether there is one to ask.
    #[activity(start_to_close = "10s")]
    pub async fn call_off(&self, node: String) -> ActivityResult<bool> {
        match self.client.workflow(add_node, add_node_id(&node))?.cancel("the node is to be deleted").await {
            Ok(_run) => Ok(true),
            Err(RequestError::NotFound { .. } | RequestError::Closed { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until it has ended, however it ends.
    #[activity(start_to_close = "1h")]
    pub async fn await_end(&self, node: String) -> ActivityResult<()> {
        self.client.workflow(add_node, add_node_id(&node))?.outcome().await?;
        Ok(())
    }

    /// Ends it without asking.
    #[activity(start_to_close = "10s")]
    pub async fn terminate(&self, node: String) -> ActivityResult<()> {
        match self.client.workflow(add_node, add_node_id(&node))?.terminate("it did not end in time").await {
            Ok(_) | Err(RequestError::Closed { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
