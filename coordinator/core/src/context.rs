//! What a decision may know besides state: where and when its command stands.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tidewright_schemas::{RunId, TaskId, WorkflowId};

/// Where and when a command stands in its partition.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Incarnation of the namespace: a namespace made anew never yields the ids of the old one (R4).
    pub incarnation: String,
    /// The partition.
    pub partition: u32,
    /// The command's offset.
    pub offset: u64,
    /// The broker's timestamp of the command, in milliseconds since 1970.
    pub timestamp_ms: u64,
    /// The effects of every command below this offset are out, as a valid position says: what recovery needs of a record
    /// is needed of later ones only (R31).
    pub released_offset: u64,
    /// When tombstones that are written now are older than tombstones live, in milliseconds since 1970.
    pub tombstones_gone_ms: u64,
}

impl Context {
    /// The id of a run that this command begins (R4).
    #[must_use]
    pub fn run_id(&self, index: u32) -> RunId {
        let mut hash = Sha256::new();
        hash.update(self.incarnation.as_bytes());
        hash.update(self.partition.to_be_bytes());
        hash.update(self.offset.to_be_bytes());
        hash.update(index.to_be_bytes());
        let digest = hash.finalize();
        let mut unique = [0; 10];
        unique.copy_from_slice(&digest[..10]);
        RunId::from_parts(self.timestamp_ms, unique)
    }
}

/// What a task's token names (R23). Its MAC is the shell's business: a token that reaches the core is genuine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskToken {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The attempt.
    pub task: TaskId,
    /// The run's history digest when the task was scheduled: names what it was scheduled with.
    pub digest: String,
}
