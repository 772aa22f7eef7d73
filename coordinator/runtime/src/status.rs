//! What this node's partitions are doing, for people and for routing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tidewright_owner::AcceptedLoss;
use tidewright_schemas::LostCommands;
use tokio::sync::Notify;

use crate::view::OwnedPartition;

/// Where a partition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionState {
    /// Its history is being applied.
    Recovering,
    /// It is owned.
    Owned {
        /// Offset of the claim.
        epoch_offset: u64,
    },
    /// It stopped, and needs somebody.
    Stopped {
        /// Stable code.
        code: String,
        /// What happened and what to do.
        message: String,
        /// What an operator may accept as lost, if that helps.
        lost_commands: Option<LostCommands>,
    },
}

/// Why a loss cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkipRefused {
    /// The partition has not stopped here.
    NotStopped,
    /// It stopped for something else, or something else is lost.
    OtherReason {
        /// Why it stopped.
        message: String,
    },
}

/// A partition that is assigned to this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStatus {
    /// Which one.
    pub partition: u32,
    /// Where it stands.
    pub state: PartitionState,
    /// Every command below this offset is decided.
    pub applied_offset: u64,
    /// How much is sent and not acknowledged.
    pub effects_in_flight: usize,
}

struct Entry {
    status: PartitionStatus,
    /// An offset of the commands partition that the group has not been told yet.
    to_commit: Option<u64>,
    owned: Weak<OwnedPartition>,
    /// Told when somebody asks for a stopped partition to be tried again.
    retry: Arc<Notify>,
    /// A loss that was accepted, until it is known what came of it.
    accepted: Option<AcceptedLoss>,
}

/// The partitions that are assigned to this node.
#[derive(Default)]
pub(crate) struct Board {
    entries: Mutex<BTreeMap<u32, Entry>>,
}

impl Board {
    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<u32, Entry>) -> T) -> T {
        f(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set(&self, partition: u32, state: PartitionState) {
        self.with(|entries| {
            let entry = entries.entry(partition).or_insert_with(|| Entry {
                status: PartitionStatus { partition, state: state.clone(), applied_offset: 0, effects_in_flight: 0 },
                to_commit: None,
                owned: Weak::new(),
                retry: Arc::default(),
                accepted: None,
            });
            if state != PartitionState::Recovering {
                entry.accepted = None;
            }
            entry.status.state = state;
        });
    }

    /// Asks for a stopped partition to be tried again. False if it has not stopped.
    pub(crate) fn retry(&self, partition: u32) -> bool {
        self.with(|entries| match entries.get_mut(&partition) {
            Some(entry) if matches!(entry.status.state, PartitionState::Stopped { .. }) => {
                // From here on: whoever asked must not take the old reason for what came of the new try.
                entry.status.state = PartitionState::Recovering;
                entry.retry.notify_one();
                true
            }
            _ => false,
        })
    }

    /// Tries a partition again that stopped for lost commands, which are accepted as lost. They must be exactly those for
    /// which it stopped: nobody accepts what they have not seen.
    pub(crate) fn skip(&self, partition: u32, accepted: AcceptedLoss) -> Result<(), SkipRefused> {
        self.with(|entries| {
            let entry = entries.get_mut(&partition).ok_or(SkipRefused::NotStopped)?;
            let PartitionState::Stopped { lost_commands, message, .. } = &entry.status.state else {
                return Err(SkipRefused::NotStopped);
            };
            if *lost_commands != Some(accepted.lost) {
                return Err(SkipRefused::OtherReason { message: message.clone() });
            }
            entry.accepted = Some(accepted);
            entry.status.state = PartitionState::Recovering;
            entry.retry.notify_one();
            Ok(())
        })
    }

    /// The loss that was accepted and not yet passed over.
    pub(crate) fn accepted(&self, partition: u32) -> Option<AcceptedLoss> {
        self.with(|entries| entries.get(&partition)?.accepted.clone())
    }

    /// What is told by [`Self::retry`].
    pub(crate) fn retries(&self, partition: u32) -> Arc<Notify> {
        self.with(|entries| entries.get(&partition).map(|entry| Arc::clone(&entry.retry))).unwrap_or_default()
    }

    pub(crate) fn owned(&self, partition: u32, epoch_offset: u64, owned: &Arc<OwnedPartition>) {
        self.set(partition, PartitionState::Owned { epoch_offset });
        self.with(|entries| {
            if let Some(entry) = entries.get_mut(&partition) {
                entry.owned = Arc::downgrade(owned);
            }
        });
    }

    pub(crate) fn progress(&self, partition: u32, applied_offset: u64, effects_in_flight: usize) {
        self.with(|entries| {
            if let Some(entry) = entries.get_mut(&partition) {
                entry.status.applied_offset = applied_offset;
                entry.status.effects_in_flight = effects_in_flight;
            }
        });
    }

    pub(crate) fn commit(&self, partition: u32, offset: u64) {
        self.with(|entries| {
            if let Some(entry) = entries.get_mut(&partition) {
                entry.to_commit = Some(offset);
            }
        });
    }

    /// Offsets for the group, each told once.
    pub(crate) fn take_commits(&self) -> Vec<(u32, u64)> {
        self.with(|entries| {
            entries.iter_mut().filter_map(|(partition, entry)| Some((*partition, entry.to_commit.take()?))).collect()
        })
    }

    pub(crate) fn remove(&self, partition: u32) {
        self.with(|entries| entries.remove(&partition));
    }

    pub(crate) fn statuses(&self) -> Vec<PartitionStatus> {
        self.with(|entries| entries.values().map(|entry| entry.status.clone()).collect())
    }

    /// The partitions that are owned here.
    pub(crate) fn owned_partitions(&self) -> Vec<(PartitionStatus, Arc<OwnedPartition>)> {
        self.with(|entries| {
            let owned = entries.values().filter(|entry| matches!(entry.status.state, PartitionState::Owned { .. }));
            owned.filter_map(|entry| Some((entry.status.clone(), entry.owned.upgrade()?))).collect()
        })
    }

    pub(crate) fn find(&self, partition: u32) -> Option<Weak<OwnedPartition>> {
        self.with(|entries| {
            let entry = entries.get(&partition)?;
            matches!(entry.status.state, PartitionState::Owned { .. }).then(|| entry.owned.clone())
        })
    }
}
