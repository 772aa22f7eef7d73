//! What is sent and not yet acknowledged, and so: below which command all effects are out (R15, R18).

use std::collections::{BTreeMap, BTreeSet};

use tidewright_schemas::{Epoch, TaskId, WorkflowId, headers};

use crate::io::{EffectId, Outbound};

/// Something sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) outbound: Outbound,
    /// The command that it is an effect of; none for what nobody waits for.
    pub(crate) source: Option<u64>,
    /// The task, if it is one.
    pub(crate) task: Option<(WorkflowId, TaskId)>,
}

/// A command with effects that are not out.
#[derive(Debug)]
struct Source {
    open: usize,
    history_offset: u64,
    epoch: Option<Epoch>,
}

/// Everything in flight.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    next: u64,
    sent: BTreeMap<EffectId, Sent>,
    sources: BTreeMap<u64, Source>,
    bytes: usize,
}

impl InFlight {
    /// Announces a command whose effects will be sent; its record stands at or above `history_offset`.
    pub(crate) fn hold(&mut self, source: u64, history_offset: u64, epoch: Option<&Epoch>) {
        let held =
            self.sources.entry(source).or_insert_with(|| Source { open: 0, history_offset, epoch: epoch.cloned() });
        held.open += 1;
    }

    /// Ends what [`InFlight::hold`] began.
    pub(crate) fn release(&mut self, source: u64) {
        if let Some(held) = self.sources.get_mut(&source) {
            held.open -= 1;
            if held.open == 0 {
                self.sources.remove(&source);
            }
        }
    }

    /// Remembers something that is being sent; its source must be held by the caller.
    pub(crate) fn add(&mut self, sent: Sent) -> EffectId {
        let id = EffectId(self.next);
        self.next += 1;
        self.bytes += size(&sent);
        if let Some(held) = sent.source.and_then(|source| self.sources.get_mut(&source)) {
            held.open += 1;
        }
        self.sent.insert(id, sent);
        id
    }

    pub(crate) fn get(&self, id: EffectId) -> Option<&Sent> {
        self.sent.get(&id)
    }

    /// What is sent once more, since nobody knows whether it arrived: a task is marked as a possible repeat.
    pub(crate) fn again(&mut self, id: EffectId) -> Option<Outbound> {
        let sent = self.sent.get_mut(&id)?;
        let headers = &mut sent.outbound.headers;
        if sent.task.is_some() && headers.iter().all(|(name, _)| name != headers::POSSIBLE_REPEAT) {
            headers.push((headers::POSSIBLE_REPEAT.to_owned(), b"true".to_vec()));
        }
        Some(sent.outbound.clone())
    }

    /// It arrived, or something else stands in for it.
    pub(crate) fn done(&mut self, id: EffectId) -> Option<Sent> {
        let sent = self.sent.remove(&id)?;
        self.bytes -= size(&sent);
        if let Some(source) = sent.source {
            self.release(source);
        }
        Some(sent)
    }

    /// The id that the next thing sent will have.
    pub(crate) fn next_id(&self) -> EffectId {
        EffectId(self.next)
    }

    /// Whether everything sent before this id has arrived.
    pub(crate) fn all_out_before(&self, id: EffectId) -> bool {
        self.sent.keys().next().is_none_or(|first| *first >= id)
    }

    pub(crate) fn len(&self) -> usize {
        self.sent.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first command whose effects are not all out; with a lower bound of where the records of all such commands
    /// stand, and the epoch in force there. The bound need not be the first one's: a command that leaves no record, and is
    /// derived again after a recovery, is only known to stand somewhere.
    pub(crate) fn first(&self) -> Option<(u64, u64, Option<Epoch>)> {
        let (source, _) = self.sources.first_key_value()?;
        let lowest = self.sources.values().min_by_key(|held| held.history_offset)?;
        Some((*source, lowest.history_offset, lowest.epoch.clone()))
    }

    /// The tasks that are being sent.
    pub(crate) fn tasks(&self) -> BTreeSet<TaskId> {
        self.sent.values().filter_map(|sent| sent.task.as_ref().map(|(_, task)| task.clone())).collect()
    }
}

fn size(sent: &Sent) -> usize {
    sent.outbound.value.as_ref().map_or(0, Vec::len) + 256
}
