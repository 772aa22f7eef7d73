//! What goes into an owner and what comes out of it.

use std::collections::{BTreeMap, BTreeSet};

use tidewright_core::{ApplyError, RowsError};
use tidewright_schemas::{EffectFailure, Epoch, LostCommands, RunId, TaskId, TaskKind, WorkflowId};

use crate::report::Report;

/// A record as it was read from a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Its offset.
    pub offset: u64,
    /// The broker's timestamp, in milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; none for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl LogRecord {
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice())
    }

    /// About how much memory it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + headers + 96
    }
}

/// Where a log begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    /// The first offset that is still there.
    pub start: u64,
    /// The offset after the last record.
    pub end: u64,
}

/// What the driver finds before recovery: the history's bounds first, then those of the commands, so that whatever the
/// history tells of is in the commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// The history partition.
    pub history: LogBounds,
    /// The commands partition.
    pub commands: LogBounds,
    /// Id of the commands topic, if the broker tells.
    pub topic_id: Option<String>,
    /// The record at the offset of the claim that [`crate::Owner::known_claim`] names, if there is one at that offset.
    pub known_claim: Option<LogRecord>,
    /// The loss that an operator has accepted for this partition. It counts only if it is exactly what is found lost.
    pub accepted: Option<AcceptedLoss>,
}

/// An operator accepts that commands are lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedLoss {
    /// Which ones.
    pub lost: LostCommands,
    /// Who accepts it, for people.
    pub by: String,
    /// Why, for people.
    pub reason: Option<String>,
}

/// Names something that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId(pub u64);

/// A task queue's topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BacklogKey {
    /// Workflow tasks or activity tasks.
    pub kind: TaskKind,
    /// The queue.
    pub task_queue: String,
}

/// Why something was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendFailure {
    /// It may work next time.
    Transient,
    /// It will not.
    Permanent(EffectFailure),
}

/// What happens to an owner.
#[derive(Debug, Clone)]
pub enum Input {
    /// Begins recovery.
    Start(Bounds),
    /// Records of the history partition, in order, from where [`Action::ReadHistory`] said.
    History(Vec<LogRecord>),
    /// Records of the commands partition, in order, from where [`Action::ReadCommands`] said; and the offset after them.
    Commands(Vec<LogRecord>, u64),
    /// Something sent was acknowledged.
    Delivered(EffectId),
    /// Something sent was not delivered.
    NotDelivered(EffectId, SendFailure, String),
    /// What a task topic holds, from its workers' committed offsets to its end.
    Backlog(BacklogKey, BTreeSet<TaskId>),
    /// The workers that are gone, each with the broker's time at which it was, in milliseconds since 1970: all of them,
    /// in place of those that were told before ([`crate::presence::Presence::gone`]).
    GoneWorkers(BTreeMap<String, u64>),
    /// Time passes.
    Tick {
        /// The node's clock, in milliseconds since 1970: a hint only.
        now_ms: u64,
        /// A clock that never goes back, in milliseconds.
        mono_ms: u64,
    },
}

/// A record to append to the history partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Its key.
    pub key: String,
    /// Its value; none for a tombstone.
    pub value: Option<Vec<u8>>,
}

/// Where something is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A task queue's topic; the partition follows from the key, if there is one.
    Tasks(BacklogKey),
    /// A partition of the namespace's commands.
    Commands(u32),
    /// A partition of the namespace's replies.
    Replies(i32),
    /// The namespace's dead letters.
    DeadLetters,
    /// The control topic of a task queue: a hint to all its workers.
    Control(String),
}

/// A record to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbound {
    /// Where.
    pub to: Destination,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// What the driver must do, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Tail the history partition from this offset.
    ReadHistory {
        /// The offset.
        from: u64,
    },
    /// Tail the commands partition from this offset.
    ReadCommands {
        /// The offset.
        from: u64,
    },
    /// Append to the history partition, in order and without gap.
    Append(Vec<HistoryEntry>),
    /// Send this, and say what became of it.
    Send(EffectId, Outbound),
    /// Say what the task topic holds: read it from its workers' committed offsets to its end.
    ScanBacklog(BacklogKey),
    /// The partition is owned: answers and reads may be given.
    Owned(Epoch),
    /// A batch is committed.
    Committed {
        /// Every command below this offset is decided.
        applied_offset: u64,
        /// Workflows that changed.
        changed: Vec<WorkflowId>,
        /// Runs that closed.
        closed: Vec<(WorkflowId, RunId)>,
        /// What the batch did.
        report: Report,
    },
    /// Commit this offset of the commands partition to the consumer group: a hint for lag.
    CommitCommands {
        /// The offset.
        offset: u64,
    },
    /// Delete the commands below this offset.
    DeleteCommands {
        /// The offset.
        below: u64,
    },
}

/// Why an owner stops. Nothing else may be done with it; what it sent may still arrive, and does no harm.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// A newer claim stands in the history (R12): recover and claim again, if the partition is still assigned.
    #[error("another owner claimed the partition at history offset {0}")]
    Deposed(u64),
    /// Its own partitions cannot be written (R19): the driver releases them.
    #[error("the owner cannot write to its own partition: {0}")]
    CannotAppend(String),
    /// State cannot be read or written.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// History does not fit the state (R13).
    #[error("[TW0401] {0}")]
    Apply(#[from] ApplyError),
    /// The state was away for longer than tombstones live: what was deleted meanwhile may have left no trace (R15). The
    /// driver deletes it and builds it anew.
    #[error(
        "the state was last current {away_ms} ms ago, and tombstones live for {tombstones_live_ms} ms: it is built anew, since it may hold what is deleted"
    )]
    StateTooOld {
        /// How long ago it was last current, by the broker's time.
        away_ms: u64,
        /// How long tombstones live.
        tombstones_live_ms: u64,
    },
    /// A history record that this version cannot read (R5).
    #[error(
        "[TW0402] the history record at offset {offset} cannot be read: {problem}. It was written by a newer version, or by something else: upgrade this node"
    )]
    Unreadable {
        /// Its offset.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// The history is shorter than the state, or another one (R15).
    #[error(
        "[TW0403] the history topic is not the one that the state was built from: {0}. If the topic was truncated or made anew, restore it, or delete the state directory to accept what is left"
    )]
    HistoryLost(String),
    /// Commands are missing or are not those that were decided (R15).
    #[error(
        "[TW0404] the commands topic is not the one that the history was built from: {0}. Nothing was decided; restore the topic from a replica or a backup"
    )]
    CommandsLost(String),
    /// Commands that nobody has decided are gone from the beginning of their topic, which is the one that it was (R15).
    #[error(
        "[TW0404] commands were deleted that nobody has decided: the commands topic begins at offset {to}, the next to decide is {from}. Nothing was decided; restore the topic from a replica or a backup, or accept that they are lost",
        to = .0.to_offset, from = .0.from_offset
    )]
    CommandsDeleted(LostCommands),
}

impl Stop {
    /// Whether recovering and claiming again can help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Deposed(_) | Self::CannotAppend(_))
    }
}
