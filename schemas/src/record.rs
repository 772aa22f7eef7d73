//! What a `history` topic holds.

mod deletion;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use deletion::{DeletionAdvanced, ReleasedDeletion, RunDeleted, RunForgotten};

use crate::tagged::tagged_enum;
use crate::{
    Answer, ControlMessage, EventId, Failure, HistoryEvent, Payload, ReplyTo, RunId, WorkerIdentity, WorkflowId,
};

tagged_enum! {
    /// One record of a history partition.
    pub enum HistoryRecord {
        /// An owner claims the partition (R10).
        Claim(Claim),
        /// One command's change to one workflow id (R1).
        Transition(Transition),
        /// How far the owner has come (R15).
        Position(Position),
        /// An operator accepted that commands are lost (R15).
        CommandsSkipped(CommandsSkipped),
    }
}

impl HistoryRecord {
    /// The record's key: no key is ever used twice, so that a zombie's record can never supersede a valid one (R2).
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Claim(claim) => format!("claim/{}", claim.key),
            Self::Transition(transition) => transition.key(),
            Self::Position(position) => {
                format!("position/{}/{}/{}", position.epoch.offset, position.epoch.key, position.number)
            }
            Self::CommandsSkipped(CommandsSkipped { epoch, from_offset, .. }) => {
                format!("skipped/{}/{}/{from_offset}", epoch.offset, epoch.key)
            }
        }
    }

    /// The epoch under which the record was written; none for a claim, which begins one.
    #[must_use]
    pub fn epoch(&self) -> Option<&Epoch> {
        match self {
            Self::Claim(_) => None,
            Self::Transition(transition) => Some(&transition.epoch),
            Self::Position(position) => Some(&position.epoch),
            Self::CommandsSkipped(skipped) => Some(&skipped.epoch),
        }
    }
}

impl HistoryRecord {
    /// What the keys of each kind of record begin with.
    pub const KEY_PREFIXES: [&str; 4] = ["claim/", "transition/", "position/", "skipped/"];

    /// Whether a key is that of one of these records, and nobody else's.
    #[must_use]
    pub fn is_key(key: &[u8]) -> bool {
        Self::KEY_PREFIXES.iter().any(|prefix| key.starts_with(prefix.as_bytes()))
    }
}

impl Transition {
    /// The change of the run that this record begins after it closed another, if it does, on its own.
    #[must_use]
    pub fn of_next_run(&self) -> Option<Self> {
        let next = self.next_run.as_ref()?;
        Some(Self {
            epoch: self.epoch.clone(),
            source_offset: self.source_offset,
            source_time_ms: self.source_time_ms,
            workflow_id: self.workflow_id.clone(),
            run_id: Some(next.run_id.clone()),
            events: next.events.clone(),
            history_digest: Some(next.history_digest.clone()),
            rows: Vec::new(),
            next_run: None,
            supersedes: Vec::new(),
        })
    }

    /// Where the record's command was forwarded from, if it was (R9).
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.rows.iter().find_map(|fact| match fact {
            RowFact::OriginSeen(seen) => Some(seen.origin.as_str()),
            _ => None,
        })
    }

    /// The record's key.
    #[must_use]
    pub fn key(&self) -> String {
        transition_key(&self.workflow_id, self.source_offset, &self.epoch)
    }
}

/// The key of a transition's record.
#[must_use]
pub fn transition_key(workflow_id: &WorkflowId, source_offset: u64, epoch: &Epoch) -> String {
    format!("transition/{source_offset}/{}/{}/{workflow_id}", epoch.offset, epoch.key)
}

/// What the key of a transition's record names; nothing for any other key.
#[must_use]
pub fn parse_transition_key(key: &str) -> Option<(WorkflowId, u64, Epoch)> {
    // Only the workflow id, which comes last, may hold a slash.
    let mut parts = key.strip_prefix("transition/")?.splitn(4, '/');
    let source_offset = parts.next()?.parse().ok()?;
    let epoch = Epoch { offset: parts.next()?.parse().ok()?, key: parts.next()?.to_owned() };
    Some((WorkflowId::new(parts.next()?).ok()?, source_offset, epoch))
}

/// Names a claim: where it stands and its unique key (R10).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Epoch {
    /// Offset of the claim in the history partition.
    pub offset: u64,
    /// The claim's unique key.
    pub key: String,
}

/// An owner claims the partition. From here on only records of this claim's epoch count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Claim {
    /// Unique.
    pub key: String,
    /// The node that claims.
    pub node: String,
}

/// One command's change to one workflow id: events of its history and changes of rows beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Transition {
    /// The claim under which it was decided.
    pub epoch: Epoch,
    /// Offset of the command.
    pub source_offset: u64,
    /// Broker timestamp of the command, in milliseconds since 1970.
    pub source_time_ms: u64,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The run that it changes, if it changes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// New events, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<HistoryEvent>,
    /// Hash over the run's history up to and including these events; tokens name it (R23).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_digest: Option<String>,
    /// Changes that are not events, in order; they follow the events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<RowFact>,
    /// The run that this change begins after it closed another, so that the id is never free in between (R1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run: Option<NextRun>,
    /// Records of which nothing is needed any more: their tombstones follow (R2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supersedes: Vec<SupersededRecord>,
}

/// A record of which nothing is needed once a newer one of the same row is committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SupersededRecord {
    /// Offset of its command.
    pub source_offset: u64,
    /// Its epoch.
    pub epoch: Epoch,
}

/// The run that follows one that its record closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NextRun {
    /// The run.
    pub run_id: RunId,
    /// Its first events.
    pub events: Vec<HistoryEvent>,
    /// Hash over them.
    pub history_digest: String,
}

/// How far the owner has come. Written now and then; only a valid one that was read back counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Position {
    /// The claim under which it was written.
    pub epoch: Epoch,
    /// Counts the positions of the epoch.
    pub number: u64,
    /// Every command below this offset is decided.
    pub applied_offset: u64,
    /// The last command below it: recognises the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_command: Option<CommandMark>,
    /// Id of the `commands` topic, if the broker tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<String>,
    /// The effects of every command below this offset are out.
    pub released_offset: u64,
    /// Every record of a command at or above `released_offset` stands at or above this offset of the history.
    pub released_history_offset: u64,
    /// The claim in force at `released_history_offset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_epoch: Option<Epoch>,
}

/// Commands that nobody had decided were deleted, and an operator accepted that they are lost: every command below
/// `to_offset` is accounted for. Written by an owner right after its claim, before it decides anything; never tombstoned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandsSkipped {
    /// The claim under which it was written.
    pub epoch: Epoch,
    /// The first command that is lost: the next that was to be decided.
    pub from_offset: u64,
    /// The offset after the last one that is lost: where the log begins.
    pub to_offset: u64,
    /// Who accepted it, for people.
    pub by: String,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Commands that were deleted before anybody decided them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LostCommands {
    /// The first one: the next that was to be decided.
    pub from_offset: u64,
    /// The offset after the last one: where the log begins.
    pub to_offset: u64,
}

/// Recognises a command in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandMark {
    /// Its offset.
    pub offset: u64,
    /// Its broker timestamp, in milliseconds since 1970.
    pub time_ms: u64,
    /// CRC-32C of its key and value.
    pub checksum: u32,
}

tagged_enum! {
    /// A change of state that is no event of the history.
    pub enum RowFact {
        /// An event waits for the outstanding workflow task (R22).
        EventBuffered(EventBuffered),
        /// Buffered events became events of this record.
        BufferFlushed(BufferFlushed),
        /// A retried workflow task was sent.
        WorkflowTaskDispatched(WorkflowTaskDispatched),
        /// A workflow task waits for its next attempt.
        WorkflowTaskRetryScheduled(WorkflowTaskRetryScheduled),
        /// A workflow task may be with another worker now.
        WorkflowTaskDelivered(WorkflowTaskDelivered),
        /// A worker that does not say which one it is may run an attempt.
        ActivityDelivered(ActivityDelivered),
        /// A worker said that it runs an attempt, or was told that it may.
        ActivityStarted(ActivityStarted),
        /// A running attempt said that it is alive.
        ActivityHeartbeatRecorded(ActivityHeartbeatRecorded),
        /// An activity waits for its next attempt.
        ActivityRetryScheduled(ActivityRetryScheduled),
        /// A retried activity task was sent.
        ActivityDispatched(ActivityDispatched),
        /// A fire-and-forget activity closed after its run.
        DetachedActivityClosed(DetachedActivityClosed),
        /// The workers of some task queues were told something.
        WorkersTold(WorkersTold),
        /// A caller was answered.
        Answered(Answered),
        /// The command went to the dead letters for a reason that depends on state.
        DeadLettered(DeadLettered),
        /// A forwarded command was taken (R9).
        OriginSeen(OriginSeen),
        /// A start that met an open run was taken: its repeats start nothing either (R8).
        RequestAttached(RequestAttached),
        /// The run is deleted (R31).
        RunDeleted(RunDeleted),
        /// Rows and records of a deleted run are gone.
        DeletionAdvanced(DeletionAdvanced),
        /// A deletion is complete, and older than tombstones live.
        RunForgotten(RunForgotten),
    }
}

/// An event waits for the outstanding workflow task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventBuffered {
    /// Events that belong together, with the id 0: the flush numbers them, and refers the last to the first.
    pub events: Vec<HistoryEvent>,
}

/// Buffered events became events of this record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BufferFlushed {
    /// How many, from the oldest.
    pub count: u64,
}

/// A retried workflow task was sent; its boundaries become events when it is accepted (R22).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowTaskDispatched {
    /// At least 2.
    pub attempt: u32,
    /// The id that its `WorkflowTaskScheduled` will have.
    pub scheduled_event_id: EventId,
    /// The run's time, in milliseconds since 1970.
    pub time_ms: u64,
    /// Why the attempt before failed.
    pub last_failure: Failure,
    /// Whether its own failure will be events: all that has failed so far is that a worker lacked the history.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tells_failure: bool,
}

/// A workflow task waits for its next attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowTaskRetryScheduled {
    /// The attempt that will come.
    pub attempt: u32,
    /// When, in milliseconds since 1970.
    pub due_ms: u64,
    /// Why the attempt before failed.
    pub failure: Failure,
}

/// A worker asked for a workflow task that may be a repeat, and was told to run it (R26).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowTaskDelivered {
    /// The task's `WorkflowTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// Its attempt.
    pub attempt: u32,
    /// How many deliveries there were, the first one included.
    pub deliveries: u32,
    /// Who asked.
    pub worker: WorkerIdentity,
}

/// A worker that does not say which process it is asked for an attempt, and was told to run it (R26).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityDelivered {
    /// The activity.
    pub scheduled_event_id: EventId,
    /// The attempt.
    pub attempt: u32,
    /// How many deliveries there were, the first one included.
    pub deliveries: u32,
}

/// A worker said that it runs an attempt, or was told that it may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityStarted {
    /// The activity.
    pub scheduled_event_id: EventId,
    /// The attempt.
    pub attempt: u32,
    /// The worker.
    pub worker: WorkerIdentity,
    /// The run's time, in milliseconds since 1970.
    pub time_ms: u64,
}

/// A running attempt said that it is alive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityHeartbeatRecorded {
    /// The activity.
    pub scheduled_event_id: EventId,
    /// The attempt.
    pub attempt: u32,
    /// The run's time, in milliseconds since 1970.
    pub time_ms: u64,
    /// How far it has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Payload>,
}

/// An activity waits for its next attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityRetryScheduled {
    /// The activity.
    pub scheduled_event_id: EventId,
    /// The attempt that will come.
    pub attempt: u32,
    /// When, in milliseconds since 1970.
    pub due_ms: u64,
    /// Why the attempt before failed.
    pub failure: Failure,
    /// Worker of the attempt before.
    pub worker: WorkerIdentity,
    /// What the last heartbeat said: its record is not needed any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_details: Option<Payload>,
    /// How many attempts so far were begun by nobody: they do not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unstarted: u32,
    /// How many workers in a row were lost with the activity.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost_workers: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A retried activity task was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityDispatched {
    /// The activity.
    pub scheduled_event_id: EventId,
    /// The attempt.
    pub attempt: u32,
    /// The run's time, in milliseconds since 1970.
    pub time_ms: u64,
    /// Why the last attempt that somebody had begun failed; none if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Failure>,
    /// Worker of the attempt before.
    #[serde(default)]
    pub last_worker: WorkerIdentity,
    /// What the last heartbeat said: its record is not needed any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_details: Option<Payload>,
    /// How many attempts so far were begun by nobody: they do not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unstarted: u32,
    /// How many workers in a row were lost with the activity.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost_workers: u32,
    /// Whether it may go to any partition, and so to one whose worker has room: a worker handed the attempt before back,
    /// or was lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anywhere: bool,
}

/// A fire-and-forget activity closed after its run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DetachedActivityClosed {
    /// The activity.
    pub scheduled_event_id: EventId,
    /// The attempt that closed it.
    pub attempt: u32,
    /// Why it failed; none if it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Who ran it.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

/// The workers of some task queues were told something. No state: what is lost is told again at their next word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkersTold {
    /// The task queues.
    pub task_queues: Vec<String>,
    /// What.
    pub message: ControlMessage,
}

/// A caller was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answered {
    /// Whom.
    pub reply_to: ReplyTo,
    /// What.
    pub answer: Answer,
}

/// The command went to the dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLettered {
    /// Stable code.
    pub code: String,
    /// For people.
    pub message: String,
}

/// A start that met an open run was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestAttached {
    /// The start's request id.
    pub request_id: String,
}

/// A forwarded command was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OriginSeen {
    /// `<topic>/<partition>/<offset>` of the record that was forwarded.
    pub origin: String,
}
