//! Recovery: restart, takeover and rebuild are the same (R14). Valid history is applied up to the own claim, and effects
//! that may not be out are derived again (R18).

use std::collections::BTreeMap;

use tidewright_core::{Effect, Overlay, Store, apply, apply_tombstone, effects, first_hole};
use tidewright_schemas::{Claim, CommandsSkipped, Epoch, HistoryRecord, LostCommands, Position, Transition};

use crate::forgetting::{LastWords, tombstone};
use crate::io::{AcceptedLoss, Action, Bounds, HistoryEntry, LogRecord, Stop};
use crate::meta::StoredPosition;
use crate::owner::{Owner, Phase};

/// After how many applied records the store is written.
const FLUSH_RECORDS: usize = 1_000;
/// How many such keys are remembered for tombstones; more stay as they are and harm nobody.
const UNNEEDED_KEYS_MAX: usize = 10_000;

/// What recovery gathers.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    /// The claim in force at the record that comes next.
    claim: Option<Epoch>,
    /// Effects that may not be out, by command.
    unreleased: BTreeMap<u64, Unreleased>,
    /// Keys of records that nobody needs.
    unneeded_keys: Vec<String>,
    changed: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    applied_since_flush: usize,
    commands: Option<crate::io::LogBounds>,
    pub(crate) accepted: Option<AcceptedLoss>,
    /// Where the history ended when the bounds were found.
    history_end: u64,
    /// The first command that nothing below that end covers: what another owner has decided since then may stand above
    /// the commands' bounds, which are older.
    next_at_bounds: Option<u64>,
}

#[derive(Debug)]
struct Unreleased {
    history_offset: u64,
    epoch: Epoch,
    effects: Vec<Effect>,
    /// Tombstones of what it supersedes.
    superseded: Vec<HistoryEntry>,
}

impl Recovery {
    /// A record that counts for nothing, or is a leftover of a run that is deleted.
    fn remember_unneeded(&mut self, key: String) {
        if self.unneeded_keys.len() < UNNEEDED_KEYS_MAX {
            self.unneeded_keys.push(key);
        }
    }
}

impl<S: Store> Owner<S> {
    /// Checks what the driver found, and claims the partition (R10, R15).
    pub(crate) fn start(&mut self, bounds: Bounds, actions: &mut Vec<Action>) -> Result<(), Stop> {
        let history = bounds.history;
        if history.end < self.meta.history_offset {
            let (end, offset) = (history.end, self.meta.history_offset);
            return Err(Stop::HistoryLost(format!("it ends at offset {end}, the state was built up to {offset}")));
        }
        if history.start > self.meta.history_offset {
            let (start, offset) = (history.start, self.meta.history_offset);
            return Err(Stop::HistoryLost(format!("it begins at offset {start}, the state needs it from {offset}")));
        }
        if let Some(claim) = &self.meta.claim {
            check_known_claim(claim, bounds.known_claim.as_ref())?;
        }
        let from = match &self.meta.position {
            Some(position) if position.released_history_offset < self.meta.history_offset => {
                self.recovery.claim.clone_from(&position.released_epoch);
                position.released_history_offset
            }
            Some(_) => {
                self.recovery.claim.clone_from(&self.meta.claim);
                self.meta.history_offset
            }
            None => 0,
        };
        self.recovery.commands = Some(bounds.commands);
        self.recovery.history_end = history.end;
        self.recovery.accepted = bounds.accepted;
        self.topic_id = bounds.topic_id;
        self.phase = Phase::Recovering;
        self.history_next = from;
        let claim = Claim { key: self.identity.claim_key.clone(), node: self.identity.node.clone() };
        actions.push(Action::ReadHistory { from });
        actions.push(Action::Append(vec![entry(&claim.into())]));
        Ok(())
    }

    /// Takes a record of the history before the own claim is read.
    pub(crate) fn recover(&mut self, record: LogRecord, actions: &mut Vec<Action>) -> Result<(), Stop> {
        let offset = record.offset;
        self.history_next = offset + 1;
        self.history_time_ms = self.history_time_ms.max(record.timestamp_ms);
        self.check_age()?;
        let applied_before = offset < self.meta.history_offset;
        if offset >= self.recovery.history_end {
            self.recovery.next_at_bounds.get_or_insert(self.meta.next_source);
        }
        match read_history(&record)? {
            None if applied_before => {}
            None => self.take_tombstone(&record)?,
            Some(HistoryRecord::Claim(claim)) => {
                let epoch = Epoch { offset, key: claim.key };
                self.recovery.claim = Some(epoch.clone());
                if !applied_before {
                    self.meta.begin_epoch(epoch.clone());
                }
                if epoch.key == self.identity.claim_key {
                    return self.own(epoch, actions);
                }
            }
            Some(HistoryRecord::Transition(change)) if self.recovery.claim.as_ref() == Some(&change.epoch) => {
                self.take_valid(offset, applied_before, &change)?;
            }
            Some(HistoryRecord::Position(position)) if self.recovery.claim.as_ref() == Some(&position.epoch) => {
                self.take_position(&position, applied_before);
            }
            Some(HistoryRecord::CommandsSkipped(skipped)) if self.recovery.claim.as_ref() == Some(&skipped.epoch) => {
                self.take_skip(&skipped, applied_before);
            }
            Some(invalid) => self.remember_invalid(&invalid),
        }
        if !applied_before {
            self.meta.history_offset = offset + 1;
            if self.recovery.applied_since_flush >= FLUSH_RECORDS {
                self.flush_recovered()?;
            }
        }
        Ok(())
    }

    fn take_valid(&mut self, offset: u64, applied_before: bool, change: &Transition) -> Result<(), Stop> {
        let source = change.source_offset;
        if !applied_before {
            if source < self.meta.next_source {
                tracing::warn!(source, offset, "a history record for a command that is covered already; ignored");
                return Ok(());
            }
            let changed = std::mem::take(&mut self.recovery.changed);
            let mut overlay = Overlay::with_changes(&self.store, changed);
            let applied = apply(&mut overlay, change)?;
            self.recovery.changed = overlay.into_changes();
            if applied.is_leftover && change.origin().is_none() && !LastWords::are(change) {
                self.recovery.remember_unneeded(change.key());
            }
            self.recovery.applied_since_flush += 1;
            self.meta.cover(source + 1);
        }
        self.last_words.note(change);
        let effects = effects(change);
        if !effects.is_empty() || !change.supersedes.is_empty() {
            let epoch = change.epoch.clone();
            let superseded = change.supersedes.iter().map(|record| tombstone(&change.workflow_id, record)).collect();
            let unreleased = Unreleased { history_offset: offset, epoch, effects, superseded };
            self.recovery.unreleased.insert(source, unreleased);
        }
        Ok(())
    }

    /// What a tombstone says on its own: that a run is deleted, or that this is forgotten, though the records that say so
    /// may be gone.
    fn take_tombstone(&mut self, record: &LogRecord) -> Result<(), Stop> {
        let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
        let (Some(key), None) = (key, &record.value) else { return Ok(()) };
        let mut overlay = Overlay::with_changes(&self.store, std::mem::take(&mut self.recovery.changed));
        apply_tombstone(&mut overlay, key)?;
        self.recovery.changed = overlay.into_changes();
        Ok(())
    }

    fn take_position(&mut self, position: &Position, applied_before: bool) {
        self.recovery.unreleased = self.recovery.unreleased.split_off(&position.released_offset);
        if !applied_before {
            self.meta.cover(position.applied_offset);
            self.meta.position = Some(StoredPosition::from(position));
        }
    }

    fn take_skip(&mut self, skipped: &CommandsSkipped, applied_before: bool) {
        if !applied_before {
            self.meta.cover(skipped.to_offset);
        }
    }

    /// Whatever else stands there was written by an owner that had been deposed.
    fn remember_invalid(&mut self, record: &HistoryRecord) {
        if let HistoryRecord::Transition(change) = record
            && self.meta.never_valid(&change.epoch, change.source_offset)
        {
            self.recovery.remember_unneeded(record.key());
        }
    }

    pub(crate) fn flush_recovered(&mut self) -> Result<(), Stop> {
        let mut rows: Vec<_> = std::mem::take(&mut self.recovery.changed).into_iter().collect();
        rows.push(self.meta.row()?);
        self.store.write(rows)?;
        self.recovery.applied_since_flush = 0;
        Ok(())
    }

    /// The own claim is read back: the partition is owned from here on.
    fn own(&mut self, epoch: Epoch, actions: &mut Vec<Action>) -> Result<(), Stop> {
        self.meta.history_offset = epoch.offset + 1;
        self.is_current();
        self.flush_recovered()?;
        // Unless the run was deleted after it, a hole is a loss (R13).
        if let Some(hole) = first_hole(&self.store)? {
            return Err(hole.into());
        }
        self.epoch = Some(epoch);
        match self.find_commands() {
            Err(Stop::CommandsDeleted(lost)) => self.skip_if_accepted(lost, actions),
            found => self.begin_to_decide(found?, actions),
        }
    }

    /// Everything before is known: commands are read from here on, and what may not be out is sent again.
    pub(crate) fn begin_to_decide(&mut self, from: u64, actions: &mut Vec<Action>) -> Result<(), Stop> {
        let Some(epoch) = self.epoch.clone() else { return Ok(()) };
        self.phase = Phase::Owning;
        self.read_next = from;
        self.applied_next = self.meta.next_source;
        self.decide_from = self.meta.next_source;
        if let Some(position) = &self.meta.position {
            self.rederive_from = position.released_offset;
            self.last_command = position.last_command;
        }
        actions.push(Action::Owned(epoch));
        let tombstones: Vec<_> = std::mem::take(&mut self.recovery.unneeded_keys)
            .into_iter()
            .map(|key| HistoryEntry { key, value: None })
            .collect();
        if !tombstones.is_empty() {
            actions.push(Action::Append(tombstones));
        }
        for (source, unreleased) in std::mem::take(&mut self.recovery.unreleased) {
            self.release_again(source, unreleased, actions)?;
        }
        self.backlogs.begin(self.in_flight.next_id());
        actions.push(Action::ReadCommands { from });
        Ok(())
    }

    fn release_again(&mut self, source: u64, unreleased: Unreleased, actions: &mut Vec<Action>) -> Result<(), Stop> {
        self.in_flight.hold(source, unreleased.history_offset, Some(&unreleased.epoch));
        for entry in unreleased.superseded {
            self.append_tombstone(source, entry, actions);
        }
        for effect in unreleased.effects {
            match effect {
                Effect::Task { workflow_id, task } => self.send_task(source, &workflow_id, &task, true, actions)?,
                Effect::Reply { workflow_id, answered } => self.send_reply(source, workflow_id, answered, actions),
                Effect::Tell(told) => self.send_told(source, &told, actions),
                Effect::DeadLetter(dead) if source < self.read_next => {
                    tracing::warn!(
                        source, code = dead.code, message = %dead.message,
                        "a command that was lost cannot go to the dead letters; history tells of it"
                    );
                }
                Effect::DeadLetter(_) => {
                    // Its bytes are in the command, which is read again; until then it counts as not out.
                    self.in_flight.hold(source, unreleased.history_offset, Some(&unreleased.epoch));
                    self.dead_letters_to_repeat.entry(source).or_default().push(effect);
                }
            }
        }
        self.in_flight.release(source);
        Ok(())
    }

    /// From where commands are read: from the first whose effects may not be out, and at least from the last that was
    /// decided, so that the log can be recognised (R15).
    pub(crate) fn find_commands(&mut self) -> Result<u64, Stop> {
        let Some(bounds) = self.recovery.commands else { return Ok(self.meta.next_source) };
        let next = self.meta.next_source;
        let topic_id = self.meta.position.as_ref().and_then(|position| position.topic_id.as_ref());
        if let (Some(then), Some(now)) = (topic_id, &self.topic_id)
            && then != now
        {
            return Err(Stop::CommandsLost(format!("its id was {then} and is {now}: it was deleted and made anew")));
        }
        if bounds.start > next {
            let start = bounds.start;
            if topic_id.is_some() && self.topic_id.is_some() {
                return Err(Stop::CommandsDeleted(LostCommands { from_offset: next, to_offset: start }));
            }
            return Err(Stop::CommandsLost(format!(
                "it begins at offset {start}, the next to decide is {next}, and no id says whether it is the same topic"
            )));
        }
        let decided = self.recovery.next_at_bounds.unwrap_or(next);
        if bounds.end < decided {
            return Err(Stop::CommandsLost(format!(
                "it ends at offset {}, the next to decide is {decided}",
                bounds.end
            )));
        }
        let Some(position) = &self.meta.position else { return Ok(bounds.start) };
        let recognise = position.last_command.map_or(next, |mark| mark.offset);
        if recognise >= bounds.start {
            self.positions.recognise(position.last_command);
        }
        Ok(position.released_offset.min(recognise).max(bounds.start).min(next))
    }
}

fn check_known_claim(claim: &Epoch, found: Option<&LogRecord>) -> Result<(), Stop> {
    let key = match found.map(read_history).transpose()?.flatten() {
        Some(HistoryRecord::Claim(found)) => Some(found.key),
        _ => None,
    };
    if key.as_ref() == Some(&claim.key) {
        return Ok(());
    }
    let found = key.map_or("no claim".to_owned(), |key| format!("the claim {key}"));
    Err(Stop::HistoryLost(format!(
        "at offset {} stood the claim {}, now {found} stands there",
        claim.offset, claim.key
    )))
}

/// A record of the history; none for a tombstone, or for what is not ours at all.
pub(crate) fn read_history(record: &LogRecord) -> Result<Option<HistoryRecord>, Stop> {
    let Some(value) = &record.value else { return Ok(None) };
    serde_json::from_slice(value).map(Some).or_else(|error| {
        let key = record.key.as_deref().unwrap_or_default();
        if HistoryRecord::is_key(key) {
            return Err(Stop::Unreadable { offset: record.offset, problem: error.to_string() });
        }
        tracing::warn!(offset = record.offset, %error, "[TW0402] something else wrote to the history topic; ignored");
        Ok(None)
    })
}

pub(crate) fn entry(record: &HistoryRecord) -> HistoryEntry {
    HistoryEntry { key: record.key(), value: Some(crate::codec::json(record)) }
}
