//! What the rows hold.

use serde::{Deserialize, Serialize};
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{
    EventId, Failure, FireTimer, HistoryEvent, Payload, RetryPolicy, RunId, SupersededRecord, TimerTarget,
    WorkerIdentity, WorkflowId,
};

use crate::json_text;

/// A workflow id that has been used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct WorkflowRow {
    pub(crate) current_run: RunId,
}

/// Where a start's request led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RequestRow {
    pub(crate) run_id: RunId,
    /// Whether it started the run, or met one that was open.
    pub(crate) started: bool,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunRow {
    pub(crate) workflow_type: String,
    pub(crate) task_queue: String,
    pub(crate) status: WorkflowStatus,
    pub(crate) start_time_ms: u64,
    /// The command that started it.
    pub(crate) started_offset: u64,
    pub(crate) close_time_ms: Option<u64>,
    /// Time of the last event (R6).
    pub(crate) time_ms: u64,
    pub(crate) next_event_id: EventId,
    pub(crate) history_bytes: u64,
    pub(crate) history_digest: String,
    pub(crate) traceparent: Option<String>,
    pub(crate) workflow_task: WorkflowTaskState,
    /// The last event that an accepted workflow task had seen.
    pub(crate) accepted_started_event_id: EventId,
    pub(crate) completion_id: Option<String>,
    /// Numbers of the buffered rows: from the first, up to and without the second.
    pub(crate) buffered: (u64, u64),
    /// Distinct queues of its activities, as many as hear of its end.
    pub(crate) activity_queues: Vec<String>,
    pub(crate) open_activities: u32,
    pub(crate) open_timers: u32,
    /// When the run times out.
    pub(crate) times_out_ms: Option<u64>,
    /// Told to the worker that advances it.
    pub(crate) workflow_task_timeout_ms: Option<u64>,
    /// Signals in its history; those that are buffered are not counted yet.
    pub(crate) signal_count: u64,
    pub(crate) cancel_requested: bool,
    /// The record of its workflow task that the next one supersedes.
    pub(crate) superseded: Option<SupersededRecord>,
}

impl RunRow {
    pub(crate) fn is_open(&self) -> bool {
        self.status == WorkflowStatus::Running
    }

    pub(crate) fn buffered_count(&self) -> u64 {
        self.buffered.1 - self.buffered.0
    }
}

/// The lifecycle of a run's workflow task; see ARCHITECTURE.md.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum WorkflowTaskState {
    /// Nothing new to tell the workflow.
    Idle,
    /// The first one waits for the start delay.
    Delayed { due_ms: u64 },
    /// Sent. What arrives now is buffered (R22).
    Out {
        attempt: u32,
        scheduled_event_id: EventId,
        time_ms: u64,
        /// Whether its boundaries are virtual: events only once it is accepted.
        retried: bool,
        /// Whether its failure becomes an event.
        tells_failure: bool,
        #[serde(with = "json_text")]
        last_failure: Option<Failure>,
        /// How often it was delivered, as far as it is known (R26).
        deliveries: u32,
        /// The worker that asked for it last.
        asked_by: String,
    },
    /// The last attempt failed; waits for the next.
    BackingOff {
        attempt: u32,
        due_ms: u64,
        #[serde(with = "json_text")]
        failure: Failure,
    },
}

/// An open activity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ActivityRow {
    pub(crate) activity_id: String,
    pub(crate) activity_type: String,
    pub(crate) task_queue: String,
    pub(crate) detached: bool,
    pub(crate) attempt: u32,
    pub(crate) state: ActivityState,
    pub(crate) scheduled_time_ms: u64,
    /// When the current attempt was sent.
    pub(crate) dispatched_time_ms: u64,
    pub(crate) start_to_close_timeout_ms: Option<u64>,
    pub(crate) schedule_to_start_timeout_ms: Option<u64>,
    pub(crate) schedule_to_close_timeout_ms: Option<u64>,
    pub(crate) heartbeat_timeout_ms: Option<u64>,
    #[serde(with = "json_text")]
    pub(crate) retry_policy: RetryPolicy,
    /// The run's history digest when it was scheduled.
    pub(crate) digest: String,
    #[serde(with = "json_text")]
    pub(crate) last_failure: Option<Failure>,
    pub(crate) last_worker: Option<WorkerIdentity>,
    /// When the current attempt was last heard of, if it has said that it is alive.
    pub(crate) last_heartbeat_ms: Option<u64>,
    /// What the last heartbeat of any attempt said.
    #[serde(with = "json_text")]
    pub(crate) heartbeat_details: Option<Payload>,
    /// Its `ActivityTaskCancelRequested`, if its workflow has asked it to end.
    pub(crate) cancel_requested_event_id: Option<EventId>,
    /// How many attempts nobody has begun: they do not count.
    pub(crate) unstarted: u32,
    /// How many workers in a row were lost with it.
    pub(crate) lost_workers: u32,
    /// How often the current attempt was delivered, as far as it is known; it is while nobody has begun it (R26).
    pub(crate) deliveries: u32,
    /// Whether the attempt's task may be in any partition of its topic.
    pub(crate) anywhere: bool,
    /// The record that the next attempt supersedes.
    pub(crate) superseded: Option<SupersededRecord>,
    /// The record that the next heartbeat, or the next attempt, supersedes.
    pub(crate) superseded_heartbeat: Option<SupersededRecord>,
}

impl ActivityRow {
    /// Whether an attempt runs only when it was granted (R25).
    pub(crate) fn is_at_most_once(&self) -> bool {
        self.retry_policy.maximum_attempts == 1
    }

    /// The number that an attempt has for people and the policy: those that nobody had begun are left out. Of an older
    /// attempt it is known only about.
    pub(crate) fn tries(&self, attempt: u32) -> u32 {
        attempt.saturating_sub(self.unstarted).max(1)
    }
}

/// The lifecycle of an open activity; see ARCHITECTURE.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ActivityState {
    /// Its task is in the task queue, or with a worker that has not said so.
    Dispatched,
    /// A worker said that it runs it.
    Started { time_ms: u64, worker: WorkerIdentity },
    /// The last attempt failed; waits for the next.
    BackingOff { due_ms: u64 },
}

/// An open timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TimerRow {
    pub(crate) timer_id: String,
    pub(crate) due_ms: u64,
}

/// Events that wait for the workflow task that is out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BufferedRow {
    #[serde(with = "json_text")]
    pub(crate) events: Vec<HistoryEvent>,
}

/// Something that is due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DueTimer {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The run.
    pub run_id: RunId,
    /// What is due.
    pub target: TimerTarget,
    /// The event that made it.
    pub event_id: EventId,
    /// The attempt that it is about.
    pub attempt: u32,
    /// When, in milliseconds since 1970.
    pub due_ms: u64,
}

impl DueTimer {
    /// The command that tells the core.
    #[must_use]
    pub fn command(&self) -> FireTimer {
        FireTimer {
            run_id: self.run_id.clone(),
            target: self.target,
            event_id: self.event_id,
            attempt: self.attempt,
            due_ms: self.due_ms,
        }
    }
}

/// The worker that runs an activity, if it says which one it is: the index rows follow from it.
pub(crate) fn started_by(row: &ActivityRow) -> Option<&str> {
    match &row.state {
        ActivityState::Started { worker, .. } => Some(worker.incarnation.as_str())
            .filter(|incarnation| !incarnation.is_empty() && !incarnation.contains('\0')),
        ActivityState::Dispatched | ActivityState::BackingOff { .. } => None,
    }
}

/// What an activity's row is waiting for: the timer rows follow from it.
pub(crate) fn activity_timers(row: &ActivityRow) -> Vec<(TimerTarget, u32, u64)> {
    let mut timers = Vec::new();
    if let Some(timeout) = row.schedule_to_close_timeout_ms {
        timers.push((TimerTarget::ActivityScheduleToClose, 1, row.scheduled_time_ms.saturating_add(timeout)));
    }
    match &row.state {
        ActivityState::Dispatched => {
            if let Some(timeout) = row.schedule_to_start_timeout_ms {
                let due = row.dispatched_time_ms.saturating_add(timeout);
                timers.push((TimerTarget::ActivityScheduleToStart, row.attempt, due));
            }
        }
        ActivityState::Started { time_ms, .. } => {
            if let Some(timeout) = row.start_to_close_timeout_ms {
                timers.push((TimerTarget::ActivityStartToClose, row.attempt, time_ms.saturating_add(timeout)));
            }
            if let Some(timeout) = row.heartbeat_timeout_ms {
                let heard_ms = row.last_heartbeat_ms.unwrap_or(*time_ms);
                timers.push((TimerTarget::ActivityHeartbeat, row.attempt, heard_ms.saturating_add(timeout)));
            }
        }
        ActivityState::BackingOff { due_ms } => timers.push((TimerTarget::ActivityRetry, row.attempt, *due_ms)),
    }
    timers
}

/// What a timer's row is waiting for.
pub(crate) fn timer_of(row: &TimerRow) -> Vec<(TimerTarget, u32, u64)> {
    vec![(TimerTarget::Timer, 1, row.due_ms)]
}

/// What a run's row is waiting for.
pub(crate) fn run_timers(row: &RunRow) -> Vec<(TimerTarget, u32, u64)> {
    let mut timers = Vec::new();
    if let Some(due_ms) = row.times_out_ms.filter(|_| row.is_open()) {
        timers.push((TimerTarget::WorkflowTimeout, 1, due_ms));
    }
    match &row.workflow_task {
        WorkflowTaskState::BackingOff { attempt, due_ms, .. } => {
            timers.push((TimerTarget::WorkflowTaskRetry, *attempt, *due_ms));
        }
        WorkflowTaskState::Delayed { due_ms } => timers.push((TimerTarget::WorkflowStartDelay, 1, *due_ms)),
        WorkflowTaskState::Idle | WorkflowTaskState::Out { .. } => {}
    }
    timers
}
