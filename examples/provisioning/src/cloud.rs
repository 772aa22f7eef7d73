//! The cloud, and one in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

/// Makes machines and gives addresses. Whatever is asked twice is done once.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// Begins to make a machine, once for each key, and gives the operation's id.
    async fn create_machine(&self, key: &str, node: &str) -> Result<String, CloudError>;
    /// How far an operation is.
    async fn progress(&self, operation: &str) -> Result<Progress, CloudError>;
    /// Stops an operation. What it has made so far is gone.
    async fn abort(&self, operation: &str) -> Result<(), CloudError>;
    /// Deletes a node's machine, if there is one.
    async fn delete_machine(&self, node: &str) -> Result<(), CloudError>;
    /// Reserves an address for a node.
    async fn reserve_address(&self, node: &str) -> Result<(), CloudError>;
    /// Releases a node's address, if it has one.
    async fn release_address(&self, node: &str) -> Result<(), CloudError>;
}

/// How far an operation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Not there yet.
    Working {
        /// How much of it is done.
        percent: u8,
    },
    /// There.
    Ready {
        /// The machine's id.
        machine: String,
    },
}

/// The cloud did not do it, but may next time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the cloud did not answer")]
pub struct CloudError;

/// A cloud in memory: each look at an operation finds it 10 % further, and nothing comes of the look at which it is half
/// done. A node whose name begins with `slow` is never ready. The address of one that begins with `slow-sticky` is only
/// released once its machine was deleted.
#[derive(Debug, Default)]
pub struct InMemoryCloud {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How much is done, by the operation, which is named after its node.
    operations: BTreeMap<String, u8>,
    machines: BTreeSet<String>,
    addresses: BTreeSet<String>,
    deleted: BTreeSet<String>,
    log: Vec<String>,
}

const HALF_DONE: u8 = 50;

impl InMemoryCloud {
    /// What it was asked to do, in order, without the looks.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// Whether nothing of any node is left: no operation, no machine, no address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let state = self.state();
        state.operations.is_empty() && state.machines.is_empty() && state.addresses.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Cloud for InMemoryCloud {
    async fn create_machine(&self, _key: &str, node: &str) -> Result<String, CloudError> {
        let mut state = self.state();
        state.operations.insert(node.to_owned(), 0);
        state.log.push(format!("create {node}"));
        Ok(node.to_owned())
    }

    async fn progress(&self, operation: &str) -> Result<Progress, CloudError> {
        let mut state = self.state();
        let percent = state.operations.get_mut(operation).ok_or(CloudError)?;
        let before = *percent;
        *percent = if operation.starts_with("slow") { before.max(10) } else { before + 10 };
        match *percent {
            HALF_DONE => Err(CloudError),
            percent @ ..100 => Ok(Progress::Working { percent }),
            _ => {
                state.operations.remove(operation);
                state.machines.insert(operation.to_owned());
                Ok(Progress::Ready { machine: format!("machine-of-{operation}") })
            }
        }
    }

    async fn abort(&self, operation: &str) -> Result<(), CloudError> {
        let mut state = self.state();
        state.operations.remove(operation);
        state.log.push(format!("abort {operation}"));
        Ok(())
    }

    async fn delete_machine(&self, node: &str) -> Result<(), CloudError> {
        let mut state = self.state();
        state.operations.remove(node);
        state.machines.remove(node);
        state.deleted.insert(node.to_owned());
        state.log.push(format!("delete {node}"));
        Ok(())
    }

    async fn reserve_address(&self, node: &str) -> Result<(), CloudError> {
        self.state().addresses.insert(node.to_owned());
        Ok(())
    }

    async fn release_address(&self, node: &str) -> Result<(), CloudError> {
        let mut state = self.state();
        if node.starts_with("slow-sticky") && !state.deleted.contains(node) {
            return Err(CloudError);
        }
        if state.addresses.remove(node) {
            state.log.push(format!("release {node}"));
        }
        Ok(())
    }
}
