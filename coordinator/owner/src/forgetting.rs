//! What deletions ask of an owner (R15, R31): that nothing which is superseded or deleted stays without its tombstone, and
//! that a state which may have missed a deletion is not believed.

use tidewright_core::Store;
use tidewright_schemas::{RowFact, SupersededRecord, Transition, WorkflowId, transition_key};

use crate::io::{Action, HistoryEntry, LogRecord, Stop};
use crate::owner::Owner;

/// Of the time that tombstones live, the part after which a state says again that it is current.
const CURRENT_PARTS: u64 = 4;
/// How many records wait for their tombstones at a time; more stay as they are, and harm nobody.
const LAST_WORDS_MAX: usize = 10_000;

/// The tombstone of a record.
pub(crate) fn tombstone(workflow_id: &WorkflowId, record: &SupersededRecord) -> HistoryEntry {
    let key = transition_key(workflow_id, record.source_offset, &record.epoch);
    HistoryEntry { key, value: None }
}

/// Records that nothing needs once a position covers their commands, and says that what follows from them is out:
///
/// - answers, rejections and dead letters that are about no run: they change no state, and who asks again is answered
///   again (R21);
/// - that a deletion is forgotten: the tombstone of the deletion's first record, which is above it by then, says the same
///   to older states.
///
/// One that stays all the same, since its owner died before, is tombstoned by whoever rebuilds the partition.
#[derive(Debug, Default)]
pub(crate) struct LastWords(Vec<(u64, String)>);

impl LastWords {
    /// Takes note of a valid record.
    pub(crate) fn note(&mut self, change: &Transition) {
        if Self::are(change) && self.0.len() < LAST_WORDS_MAX {
            self.0.push((change.source_offset, change.key()));
        }
    }

    /// Whether a record is one.
    pub(crate) fn are(change: &Transition) -> bool {
        let says_to_somebody = |fact: &RowFact| matches!(fact, RowFact::Answered(_) | RowFact::DeadLettered(_));
        match change.rows.as_slice() {
            [RowFact::RunForgotten(_)] => true,
            rows => change.run_id.is_none() && change.events.is_empty() && rows.iter().all(says_to_somebody),
        }
    }

    /// Takes note of what was noted elsewhere.
    pub(crate) fn append(&mut self, other: Self) {
        let room = LAST_WORDS_MAX.saturating_sub(self.0.len());
        self.0.extend(other.0.into_iter().take(room));
    }

    /// Those of commands below this offset.
    fn below(&mut self, offset: u64) -> Vec<HistoryEntry> {
        let (covered, left) = std::mem::take(&mut self.0).into_iter().partition(|(source, _)| *source < offset);
        self.0 = left;
        covered.into_iter().map(|(_, key)| HistoryEntry { key, value: None }).collect()
    }
}

impl<S: Store> Owner<S> {
    /// Appends the tombstone of what a command has superseded. Until it is read back the command counts as not released: a
    /// recovery begins at or before its record, which names what it supersedes. So no tombstone is ever forgotten, and with
    /// it what the record holds.
    pub(crate) fn append_tombstone(&mut self, source: u64, entry: HistoryEntry, actions: &mut Vec<Action>) {
        self.in_flight.hold(source, self.history_next, self.epoch.as_ref());
        self.tombstones_awaited.insert(entry.key.clone(), source);
        actions.push(Action::Append(vec![entry]));
    }

    pub(crate) fn tombstone_read_back(&mut self, record: &LogRecord) {
        let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
        if let Some(source) = key.and_then(|key| self.tombstones_awaited.remove(key)) {
            self.in_flight.release(source);
        }
    }

    /// A position was read back: what it covers needs no last words.
    pub(crate) fn tombstone_last_words(&mut self, released_offset: u64, actions: &mut Vec<Action>) {
        let tombstones = self.last_words.below(released_offset);
        if !tombstones.is_empty() {
            actions.push(Action::Append(tombstones));
        }
    }

    /// A state that was away for longer than tombstones live may have missed that a run was deleted, and even that the
    /// deletion was forgotten (R15).
    pub(crate) fn check_age(&self) -> Result<(), Stop> {
        let (current_ms, tombstones_live_ms) = (self.meta.current_ms, self.limits.tombstones_live_ms);
        let away_ms = self.history_time_ms.saturating_sub(current_ms);
        if current_ms > 0 && away_ms > tombstones_live_ms {
            return Err(Stop::StateTooOld { away_ms, tombstones_live_ms });
        }
        Ok(())
    }

    /// When it is to be said again that the state is current, though nothing happens.
    pub(crate) fn current_interval_ms(&self) -> u64 {
        self.limits.tombstones_live_ms / CURRENT_PARTS
    }

    /// A position was read back: everything before it is in the state. Between commits that is written now and then, so
    /// that a partition in which nothing happens is not built anew.
    pub(crate) fn stay_current(&mut self) -> Result<(), Stop> {
        if self.history_time_ms.saturating_sub(self.meta.current_ms) >= self.current_interval_ms() {
            self.is_current();
            self.store.write(vec![self.meta.row()?])?;
        }
        Ok(())
    }

    /// The state holds everything up to the end of the history as it was at the time of the last record.
    pub(crate) fn is_current(&mut self) {
        self.meta.current_ms = self.meta.current_ms.max(self.history_time_ms);
    }
}
