//! Asking a workflow something over HTTP.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::WorkflowStatus;
use crate::{EventId, Payload, RunId};

/// `POST …/workflows/{id}/query`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueryWorkflow {
    /// The run that is meant. Default: the latest, open or closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// Which of the workflow's queries, or a built-in one: `__stack_trace`, `__state`, `__temporal_workflow_metadata`.
    pub query_type: String,
    /// What it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_args: Option<Payload>,
    /// Context for interceptors.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, Payload>,
    /// How long to wait for the answer, in milliseconds: 10,000 unless said otherwise, at most 60,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// When not to ask.
    #[serde(skip_serializing_if = "QueryRejectCondition::is_none")]
    pub query_reject_condition: QueryRejectCondition,
}

/// Which workflows are not to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum QueryRejectCondition {
    /// Every workflow is asked.
    #[default]
    None,
    /// One that has ended is not asked.
    NotOpen,
    /// One that ended otherwise than by completing is not asked.
    NotCompletedCleanly,
}

impl QueryRejectCondition {
    fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// Whether a workflow of this status is not to be asked.
    #[must_use]
    pub fn rejects(self, status: WorkflowStatus) -> bool {
        match self {
            Self::None => false,
            Self::NotOpen => status != WorkflowStatus::Running,
            Self::NotCompletedCleanly => !matches!(status, WorkflowStatus::Running | WorkflowStatus::Completed),
        }
    }
}

/// `POST …/workflows/{id}/query`: the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueriedWorkflow {
    /// The run that was asked.
    pub run_id: RunId,
    /// The last workflow task that the answer knows of: its `WorkflowTaskStarted`.
    pub as_of_event_id: EventId,
    /// What the query gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_result: Option<Payload>,
}
