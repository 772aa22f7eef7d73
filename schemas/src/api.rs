//! What the HTTP API answers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EventId, Failure, HistoryEvent, LostCommands, Payload, RunId, WorkerQueue, WorkflowId};

mod query;

pub use query::{QueriedWorkflow, QueryRejectCondition, QueryWorkflow};

/// Path of a workflow under the HTTP API.
#[must_use]
pub fn workflow_path(namespace: &str, workflow_id: &WorkflowId) -> String {
    format!("/api/v1/namespaces/{}/workflows/{}", encode_segment(namespace), encode_segment(workflow_id.as_str()))
}

/// Where a run's history can be paged, at the node with this base URL.
#[must_use]
pub fn history_url(http_url: &str, namespace: &str, workflow_id: &WorkflowId, run_id: &RunId) -> String {
    format!("{http_url}{}/history?run_id={run_id}", workflow_path(namespace, workflow_id))
}

/// Percent-encodes a path segment or a query value.
#[must_use]
pub fn encode_segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkflowStatus {
    /// Open.
    Running,
    /// Ended with a result.
    Completed,
    /// Ended with a failure.
    Failed,
    /// Ended because it was asked to.
    Canceled,
    /// Ended from outside.
    Terminated,
    /// Took too long.
    TimedOut,
}

impl WorkflowStatus {
    /// The status as the API and the CLI write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Canceled => "Canceled",
            Self::Terminated => "Terminated",
            Self::TimedOut => "TimedOut",
        }
    }
}

/// One line of a list of runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowSummary {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The run.
    pub run_id: RunId,
    /// Its type.
    pub workflow_type: String,
    /// Where its workers listen.
    pub task_queue: String,
    /// Open or how it ended.
    pub status: WorkflowStatus,
    /// When it began, in milliseconds since 1970.
    pub start_time_ms: u64,
    /// When it ended, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close_time_ms: Option<u64>,
    /// How many events it has.
    pub history_length: u64,
}

/// `GET …/workflows`: newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowList {
    /// The runs.
    pub workflows: Vec<WorkflowSummary>,
    /// Pass it as `page_token` for the next page; none at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Where a partition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PartitionStanding {
    /// Its history is being applied.
    Recovering,
    /// It has an owner, and goes on.
    Owned,
    /// It stopped, and needs somebody.
    Stopped,
    /// No node that answers has it.
    Unassigned,
}

/// Why a partition stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionProblem {
    /// Stable code.
    pub code: String,
    /// What happened, to which record.
    pub detail: String,
    /// Commands that are lost, if accepting that lets the partition go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_commands: Option<LostCommands>,
}

/// `POST …/partitions/{partition}/skip`: these commands are lost, and somebody accepts that. They must be exactly those
/// for which the partition stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkipCommands {
    /// The first command that is lost.
    pub from_offset: u64,
    /// The offset after the last one that is lost.
    pub to_offset: u64,
    /// Why it is accepted, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who accepts it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

/// A partition of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionDescription {
    /// Which one.
    pub partition: u32,
    /// Where it stands.
    pub state: PartitionStanding,
    /// The node that it is assigned to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Offset of the owner's claim in history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch_offset: Option<u64>,
    /// Every command below this offset is decided; none before it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_offset: Option<u64>,
    /// The offset after the last command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands_end: Option<u64>,
    /// What is sent and not acknowledged.
    pub effects_in_flight: usize,
    /// Why it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<PartitionProblem>,
}

impl PartitionDescription {
    /// A partition that no node has.
    #[must_use]
    pub fn unassigned(partition: u32) -> Self {
        Self {
            partition,
            state: PartitionStanding::Unassigned,
            node: None,
            epoch_offset: None,
            applied_offset: None,
            commands_end: None,
            effects_in_flight: 0,
            problem: None,
        }
    }
}

/// `GET …/partitions`: all partitions of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionList {
    /// By number.
    pub partitions: Vec<PartitionDescription>,
    /// Nodes that did not answer: what they have is missing above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreachable: Vec<String>,
}

/// Whether a worker is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkerState {
    /// It takes tasks.
    Running,
    /// It takes no more tasks, and ends those that it has.
    Leaving,
    /// It has left.
    Left,
    /// It fell silent without a word.
    Lost,
}

/// A worker, as its last beacon and the time since tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerDescription {
    /// For people.
    pub identity: String,
    /// Its process.
    pub incarnation: String,
    /// Whether it is there.
    pub state: WorkerState,
    /// When it started by its own clock, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// When it was last heard by the broker's clock, in milliseconds since 1970.
    pub last_seen_ms: u64,
    /// Which SDK it is built with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdk: Option<String>,
    /// The build of its code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// The task queues that it works on, with its slots.
    pub task_queues: Vec<WorkerQueue>,
}

/// `GET …/workers`: the workers of a namespace that write beacons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerList {
    /// Those that started last come first.
    pub workers: Vec<WorkerDescription>,
}

/// `GET …/workflows/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowDescription {
    /// The run.
    pub summary: WorkflowSummary,
    /// Who started it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The request that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// How long the workflow may take, with all its runs, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_execution_timeout_ms: Option<u64>,
    /// How long this run may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_run_timeout_ms: Option<u64>,
    /// Size of its history in bytes.
    pub history_size_bytes: u64,
    /// Hash over its history.
    pub history_digest: String,
    /// The workflow task that is out or waits for its next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_workflow_task: Option<PendingWorkflowTask>,
    /// Activities that have not closed: a page of them, by the event that scheduled them.
    pub pending_activities: Vec<PendingActivity>,
    /// How many activities have not closed.
    #[serde(default)]
    pub pending_activity_count: u32,
    /// Timers that have not fired: a page of them, by the event that started them.
    pub pending_timers: Vec<PendingTimer>,
    /// How many timers have not fired.
    #[serde(default)]
    pub pending_timer_count: u32,
    /// Pass it as `pending_from_event_id` for the next page of activities and timers; none at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_next_event_id: Option<EventId>,
    /// Events that wait for the workflow task that is out.
    pub buffered_events: u64,
    /// Signals in its history; those that are buffered count once they are.
    #[serde(default)]
    pub signal_count: u64,
    /// Whether the run was asked to end.
    #[serde(default)]
    pub cancel_requested: bool,
    /// When its first workflow task is sent, in milliseconds since 1970, while it waits for its start delay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delayed_until_ms: Option<u64>,
    /// When it times out, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times_out_ms: Option<u64>,
    /// Notes for people.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub memo: BTreeMap<String, Payload>,
}

/// A workflow task that has not been accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PendingWorkflowTask {
    /// Id of its `WorkflowTaskScheduled`; none while it waits for its next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_event_id: Option<EventId>,
    /// The first attempt is 1.
    pub attempt: u32,
    /// Whether it waits for its next attempt.
    pub backing_off: bool,
    /// When it was sent, or when its next attempt is due, in milliseconds since 1970.
    pub time_ms: u64,
    /// Why the attempt before failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Failure>,
}

/// Where an open activity stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PendingActivityState {
    /// In its task queue.
    Scheduled,
    /// A worker said that it runs it.
    Started,
    /// It waits for its next attempt.
    BackingOff,
}

/// An activity that has not closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PendingActivity {
    /// Id of its `ActivityTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// Its id in the run.
    pub activity_id: String,
    /// Its type.
    pub activity_type: String,
    /// Where its workers listen.
    #[serde(default)]
    pub task_queue: String,
    /// Whether it outlives its run.
    #[serde(default)]
    pub detached: bool,
    /// Where it stands.
    pub state: PendingActivityState,
    /// The first attempt is 1.
    pub attempt: u32,
    /// Most attempts; 0 is without limit.
    #[serde(default)]
    pub maximum_attempts: u32,
    /// When the workflow asked for it, in milliseconds since 1970.
    #[serde(default)]
    pub scheduled_time_ms: u64,
    /// When this attempt was sent, in milliseconds since 1970; none while it waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_scheduled_time_ms: Option<u64>,
    /// When a worker said that it runs this attempt, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_time_ms: Option<u64>,
    /// How long an attempt may wait for its worker, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_to_start_timeout_ms: Option<u64>,
    /// How long an attempt may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_to_close_timeout_ms: Option<u64>,
    /// How long all attempts may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_to_close_timeout_ms: Option<u64>,
    /// How long its attempt may be silent, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout_ms: Option<u64>,
    /// When this attempt said that it was alive, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heartbeat_time_ms: Option<u64>,
    /// What the last heartbeat of any attempt said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_details: Option<Payload>,
    /// Whether its workflow has asked it to end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// When its next attempt is due, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_ms: Option<u64>,
    /// Why the attempt before failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Failure>,
    /// Worker of this attempt or of the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_worker: Option<String>,
}

/// A timer that has not fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PendingTimer {
    /// Its id in the run.
    pub timer_id: String,
    /// Id of its `TimerStarted`.
    pub started_event_id: EventId,
    /// When it is due, in milliseconds since 1970.
    pub due_ms: u64,
}

/// `GET …/workflows/{id}/history`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryPage {
    /// The run.
    pub run_id: RunId,
    /// Open or how it ended: what follows the last page of an open run is yet to come.
    pub status: WorkflowStatus,
    /// A gapless range.
    pub events: Vec<HistoryEvent>,
    /// Pass it as `from_event_id` for the next page; none at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_event_id: Option<EventId>,
}

/// `GET …/workflows/{id}/result`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowOutcome {
    /// The run.
    pub run_id: RunId,
    /// `Running` if it did not end within `wait_ms`.
    pub status: WorkflowStatus,
    /// What a completed run returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Payload>,
    /// Why a run that ended otherwise did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// `POST …/workflows/{id}/signal`, `/cancel` or `/terminate`: the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AcceptedRequest {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The run whose history has the request.
    pub run_id: RunId,
}

/// `POST …/workflows`: the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StartedWorkflow {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// Its run.
    pub run_id: RunId,
    /// Whether this request started it; false if it met a run that was there.
    pub started: bool,
}

/// An error, as RFC 9457 (`application/problem+json`) has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short, the same for every error of the code.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// Stable code, for instance `TW0201`.
    pub code: String,
    /// What happened to what, and what to do.
    pub detail: String,
    /// The run that stands in the way, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// What the workflow's or activity's code said about it, if it came to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}
