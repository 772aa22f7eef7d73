//! The owner: its phases, and who handles what in each.
//!
//! | phase | history | commands | ends with |
//! |---|---|---|---|
//! | `New` | – | – | `Start`: bounds are checked, the claim is appended |
//! | `Recovering` | valid records are applied up to the own claim | – | the own claim is read back |
//! | `Skipping` | the record that accepts a loss is read back; a newer claim deposes | – | that record is read back |
//! | `Owning` | what was appended is read back; a newer claim deposes | decided in batches | an error |

use std::collections::{BTreeMap, VecDeque};

use tidewright_core::{Effect, Store};
use tidewright_schemas::{CommandMark, Epoch};

use crate::backlog::Backlogs;
use crate::batch::Batch;
use crate::codec::Forwarding;
use crate::forgetting::LastWords;
use crate::in_flight::InFlight;
use crate::io::{Action, Input, LogRecord, Stop};
use crate::meta::Meta;
use crate::position::PositionKeeper;
use crate::recovery::Recovery;
use crate::timers::Timers;
use crate::trust::Authority;
use crate::workers::GoneWorkers;

/// Who owns which partition of what.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The namespace.
    pub namespace: String,
    /// Its incarnation.
    pub incarnation: String,
    /// The commands topic.
    pub commands_topic: String,
    /// The partition.
    pub partition: u32,
    /// The namespace's number of partitions.
    pub partitions: u32,
    /// This node.
    pub node: String,
    /// Base URL of this node's HTTP API, for tasks to name.
    pub http_url: Option<String>,
    /// Unique to this claim.
    pub claim_key: String,
    /// Makes and checks codes.
    pub authority: Authority,
    /// Whether traces are recorded, and which share (0 to 1) of those that begin here.
    pub new_traces: Option<f64>,
}

/// Bounds of memory and cadence.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most commands in a batch.
    pub batch_commands_max: usize,
    /// Most bytes of commands in a batch; one command may exceed it.
    pub batch_bytes_max: usize,
    /// Most commands that wait to be decided.
    pub queued_commands_max: usize,
    /// Most bytes of commands that wait to be decided.
    pub queued_bytes_max: usize,
    /// Most things in flight before no further batch begins.
    pub in_flight_max: usize,
    /// Most bytes in flight before no further batch begins.
    pub in_flight_bytes_max: usize,
    /// A position is written after this many commands, …
    pub position_commands: u64,
    /// … or after this long, in milliseconds.
    pub position_interval_ms: u64,
    /// A due timer is sent again after this long, in milliseconds (R20).
    pub timer_repeat_ms: u64,
    /// How long a deletion is remembered after the tombstones of what it deletes, in milliseconds; state that was away for
    /// longer is built anew (R15, R31).
    pub tombstones_live_ms: u64,
    /// Commands are kept for this long after their effects are out, in milliseconds (R15).
    pub command_window_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_commands_max: 1_000,
            batch_bytes_max: 1024 * 1024,
            queued_commands_max: 4_000,
            queued_bytes_max: 8 * 1024 * 1024,
            in_flight_max: 10_000,
            in_flight_bytes_max: 64 * 1024 * 1024,
            position_commands: 1_000,
            position_interval_ms: 1_000,
            timer_repeat_ms: 5_000,
            command_window_ms: 3_600_000,
            tombstones_live_ms: 86_400_000,
        }
    }
}

/// Where an owner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waits for its bounds.
    New,
    /// Reads history up to its own claim.
    Recovering,
    /// Has claimed the partition, and waits until it reads back that commands are passed over.
    Skipping,
    /// Decides.
    Owning,
}

/// The owner of one partition.
pub struct Owner<S> {
    pub(crate) identity: Identity,
    pub(crate) limits: Limits,
    pub(crate) store: S,
    pub(crate) meta: Meta,
    pub(crate) phase: Phase,
    pub(crate) at: Forwarding,
    pub(crate) epoch: Option<Epoch>,
    pub(crate) recovery: Recovery,
    /// The history offset after the last record read.
    pub(crate) history_next: u64,
    /// The broker's latest time in the history, as far as it was read.
    pub(crate) history_time_ms: u64,
    /// Tombstones that were appended and not read back, with the commands that wait for them.
    pub(crate) tombstones_awaited: BTreeMap<String, u64>,
    /// The last records of deletions: tombstoned once a position covers them.
    pub(crate) last_words: LastWords,
    /// Commands that wait.
    pub(crate) queue: VecDeque<LogRecord>,
    pub(crate) queue_bytes: usize,
    /// The offset after the last command that was read.
    pub(crate) read_next: u64,
    /// The offset after the last command that is decided and committed, or that needs neither.
    pub(crate) applied_next: u64,
    /// The first command that recovery left to decide.
    pub(crate) decide_from: u64,
    /// The first command whose effects may not be out.
    pub(crate) rederive_from: u64,
    pub(crate) last_command: Option<CommandMark>,
    pub(crate) batch: Option<Batch>,
    pub(crate) in_flight: InFlight,
    pub(crate) positions: PositionKeeper,
    pub(crate) timers: Timers,
    pub(crate) backlogs: Backlogs,
    pub(crate) gone_workers: GoneWorkers,
    /// Effects that recovery found, by command: what needs the command's own bytes waits for them.
    pub(crate) dead_letters_to_repeat: BTreeMap<u64, Vec<Effect>>,
    pub(crate) topic_id: Option<String>,
}

impl<S: Store> Owner<S> {
    /// An owner that has not begun.
    pub fn new(identity: Identity, limits: Limits, store: S) -> Result<Self, Stop> {
        let meta = Meta::load(&store)?;
        let at = Forwarding {
            topic: identity.commands_topic.clone(),
            partition: identity.partition,
            partitions: identity.partitions,
            authority: identity.authority.clone(),
        };
        Ok(Self {
            at,
            identity,
            limits,
            store,
            meta,
            phase: Phase::New,
            epoch: None,
            recovery: Recovery::default(),
            history_next: 0,
            history_time_ms: 0,
            tombstones_awaited: BTreeMap::new(),
            last_words: LastWords::default(),
            queue: VecDeque::new(),
            queue_bytes: 0,
            read_next: 0,
            applied_next: 0,
            decide_from: 0,
            rederive_from: 0,
            last_command: None,
            batch: None,
            in_flight: InFlight::default(),
            positions: PositionKeeper::default(),
            timers: Timers::default(),
            backlogs: Backlogs::default(),
            gone_workers: GoneWorkers::default(),
            dead_letters_to_repeat: BTreeMap::new(),
            topic_id: None,
        })
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Committed state: what reads may tell (R17).
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Gives the store back, for the next owner of the partition.
    #[must_use]
    pub fn into_store(self) -> S {
        self.store
    }

    /// The claim under which the store was last written: the driver reads the record at its offset for [`crate::Bounds`].
    #[must_use]
    pub fn known_claim(&self) -> Option<&Epoch> {
        self.meta.claim.as_ref()
    }

    /// Its epoch, once it owns the partition.
    #[must_use]
    pub fn epoch(&self) -> Option<&Epoch> {
        self.epoch.as_ref()
    }

    /// Every command below this offset is decided.
    #[must_use]
    pub fn applied_offset(&self) -> u64 {
        self.applied_next
    }

    /// Whether more commands may be fed; if not, the driver pauses reading them.
    #[must_use]
    pub fn wants_commands(&self) -> bool {
        self.phase == Phase::Owning
            && self.queue.len() < self.limits.queued_commands_max
            && self.queue_bytes < self.limits.queued_bytes_max
    }

    /// Whether everything that was read is decided and everything that was sent has arrived.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Owning && self.queue.is_empty() && self.batch.is_none() && self.in_flight.len() == 0
    }

    /// The offset after the last history record that was read: how far a recovery has come.
    #[must_use]
    pub fn history_offset(&self) -> u64 {
        self.history_next
    }

    /// How much is sent and not acknowledged.
    #[must_use]
    pub fn effects_in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Handles what happened. After an error the owner must be dropped.
    pub fn handle(&mut self, input: Input) -> Result<Vec<Action>, Stop> {
        let mut actions = Vec::new();
        match input {
            Input::Start(bounds) => self.start(bounds, &mut actions)?,
            Input::History(records) => {
                for record in records {
                    match self.phase {
                        Phase::New | Phase::Recovering => self.recover(record, &mut actions)?,
                        Phase::Skipping | Phase::Owning => self.read_back(record, &mut actions)?,
                    }
                }
            }
            Input::Commands(records, next) => self.queue_commands(records, next, &mut actions)?,
            Input::Delivered(id) => self.delivered(id),
            Input::NotDelivered(id, failure, message) => self.not_delivered(id, failure, &message, &mut actions)?,
            Input::Backlog(key, present) => self.backlog_scanned(&key, &present, &mut actions)?,
            Input::GoneWorkers(gone) => self.gone_workers.are(gone),
            Input::Tick { now_ms, mono_ms } => self.tick(now_ms, mono_ms, &mut actions)?,
        }
        if self.phase == Phase::Owning {
            self.ask_for_backlogs(&mut actions)?;
            self.next_batch(&mut actions)?;
        }
        Ok(actions)
    }

    /// Whether effects are few enough for another batch.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight.len() < self.limits.in_flight_max && self.in_flight.bytes() < self.limits.in_flight_bytes_max
    }

    fn tick(&mut self, now_ms: u64, mono_ms: u64, actions: &mut Vec<Action>) -> Result<(), Stop> {
        if self.phase == Phase::Owning {
            self.fire_due(now_ms, mono_ms, actions)?;
            self.take_from_gone(mono_ms, actions)?;
            self.positions.tick(mono_ms);
        }
        Ok(())
    }
}
