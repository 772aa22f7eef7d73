//! How a run is deleted, as facts (R31): at once for everybody who asks, then step by step in rows and records.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EventId, RunId};

/// The run is deleted: from here on it is not there for anybody. What is left of its rows and records goes in steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunDeleted {
    /// Offset of the command that started the run.
    pub started_offset: u64,
    /// Every event of the run has a smaller id.
    pub events_end: EventId,
    /// When the first step is due, in milliseconds since 1970.
    pub due_ms: u64,
    /// The request's id: its repeats get the same answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who asked for it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

/// A step of a deletion: what it names is gone. Before this record stand the tombstones of the run's records below
/// `records_below`, but for those that another run that is still there shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeletionAdvanced {
    /// Counts the steps from 1.
    pub step: u32,
    /// Rows of events with a smaller id are gone.
    pub events_below: EventId,
    /// Rows of records of commands below this offset are gone.
    pub records_below: u64,
    /// Whether nothing but the memory of the deletion is left.
    pub is_last: bool,
    /// When the next step is due, in milliseconds since 1970; none if it waits for a run with which it shares its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_ms: Option<u64>,
    /// Whether the run's start is in a record of a run that is still there: while that is so, the deletion is remembered.
    #[serde(default)]
    pub is_held: bool,
    /// Deleted runs whose start went with the records of this one: since the first step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<ReleasedDeletion>,
}

/// A deleted run whose start went with the records of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleasedDeletion {
    /// The run.
    pub run_id: RunId,
    /// When its deletion may be forgotten, in milliseconds since 1970.
    pub due_ms: u64,
}

/// The tombstones of the run's records are older than tombstones live: the deletion itself is forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct RunForgotten {}
