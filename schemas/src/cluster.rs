//! What the `cluster` topic holds: who is there, who owns what, which namespaces there are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tagged::tagged_enum;

tagged_enum! {
    /// One record of the `cluster` topic; keys are `namespace/<ns>`, `node/<id>` and `partition/<ns>/<p>`.
    pub enum ClusterRecord {
        /// A namespace. The first record of a namespace stands; a later one that differs is put right.
        NamespaceRecord(NamespaceRecord),
        /// A node.
        NodeRecord(NodeRecord),
        /// Who owns a partition.
        PartitionRecord(PartitionRecord),
    }
}

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamespaceRecord {
    /// Its name.
    pub namespace: String,
    /// Random id that a namespace made anew under the same name does not share.
    pub incarnation: String,
    /// How many partitions `commands` and `history` have: fixed.
    pub partitions: u32,
    /// Which MAC keys are announced: a node without one of them must not own a partition (R5).
    pub key_ids: Vec<String>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeRecord {
    /// Its id.
    pub node: String,
    /// Base URL of its HTTP API.
    pub http_url: String,
    /// Its version.
    pub version: String,
}

/// Who owns a partition: a hint for routing reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionRecord {
    /// The namespace.
    pub namespace: String,
    /// The partition.
    pub partition: u32,
    /// The node.
    pub node: String,
    /// Base URL of the node's HTTP API.
    pub http_url: String,
    /// Offset of the owner's claim: a smaller one is older.
    pub epoch_offset: u64,
}

impl ClusterRecord {
    /// The record's key.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::NamespaceRecord(record) => format!("namespace/{}", record.namespace),
            Self::NodeRecord(record) => format!("node/{}", record.node),
            Self::PartitionRecord(record) => format!("partition/{}/{}", record.namespace, record.partition),
        }
    }
}
