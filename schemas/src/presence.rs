//! What the `workers` topic holds: who is alive. Each process says so again and again; whoever falls silent while others
//! in its partition speak is lost (R28).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::WorkerIdentity;
use crate::tagged::tagged_enum;

tagged_enum! {
    /// One record of a `workers` topic; keys are `worker/<incarnation>` and `node/<id>`.
    pub enum Beacon {
        /// A worker is there.
        WorkerBeacon(WorkerBeacon),
        /// An engine node is there: its beacons are what a worker's silence is measured by.
        NodeBeacon(NodeBeacon),
    }
}

/// How a worker says that it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkerStanding {
    /// It takes tasks.
    Running,
    /// It takes no more tasks, and ends those that it has.
    Leaving,
    /// It has left: whatever still counts as running there does not.
    Left,
}

/// A worker is there: written every second to one partition, always the same, and once more when it leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerBeacon {
    /// Which worker; its incarnation is the one that its tasks' notices name.
    pub worker: WorkerIdentity,
    /// How it stands.
    pub state: WorkerStanding,
    /// When it started by its own clock, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// Which SDK it is built with, and its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdk: Option<String>,
    /// The build of its code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// The task queues that it works on.
    #[serde(default)]
    pub task_queues: Vec<WorkerQueue>,
}

/// What a worker does for a task queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerQueue {
    /// The queue.
    pub task_queue: String,
    /// Room for workflow tasks; none if it takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_tasks: Option<Slots>,
    /// Room for activities; none if it takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activities: Option<Slots>,
    /// The partitions of the queue's activity tasks that are assigned to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub activity_partitions: Vec<u32>,
}

/// How much a worker does at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Slots {
    /// At most.
    pub total: u32,
    /// Right now.
    pub used: u32,
}

/// An engine node is there: written twice a second to every partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeBeacon {
    /// Its id.
    pub node: String,
}

impl Beacon {
    /// The record's key.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::WorkerBeacon(beacon) => worker_key(&beacon.worker.incarnation),
            Self::NodeBeacon(beacon) => format!("node/{}", beacon.node),
        }
    }

    /// The record's value.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Wire types of our own always serialise: they hold no maps.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The key of a worker's beacons.
#[must_use]
pub fn worker_key(incarnation: &str) -> String {
    format!("worker/{incarnation}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_needs_to_write_little() {
        let json = r#"{"type":"WorkerBeacon","worker":{"identity":"warehouse-1","incarnation":"d56"},"state":"Running","started_at_ms":1,"task_queues":[{"task_queue":"orders","activities":{"total":1,"used":0}}]}"#;
        let beacon: Beacon = serde_json::from_str(json).unwrap();
        assert_eq!(beacon.key(), "worker/d56");
        assert_eq!(serde_json::to_string(&beacon).unwrap(), json);
    }
}
