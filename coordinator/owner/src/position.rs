//! Positions: how far the partition has come, as records of its history (R15). Commands are deleted only below one that
//! was read back.

use std::collections::VecDeque;

use tidewright_core::Store;
use tidewright_schemas::{CommandMark, Epoch, Position};

use crate::io::{Action, HistoryEntry, LogRecord, Stop};
use crate::marks::mark_of;
use crate::meta::StoredPosition;
use crate::owner::{Limits, Owner};
use crate::recovery::entry;

/// How many positions are remembered for deletion.
const DELETABLE_MAX: usize = 4_096;

/// When a position is due, which one is being written, and what may be deleted below.
#[derive(Debug, Default)]
pub(crate) struct PositionKeeper {
    number: u64,
    /// The first position of an epoch is written at once, so that the epoch does not lean on an earlier one's.
    written: bool,
    /// The one that was appended and not yet read back.
    pending: Option<Position>,
    /// The key of the last one that was read back: tombstoned when the next one was (R2).
    last_key: Option<String>,
    last_offsets: (u64, u64),
    last_written_ms: u64,
    /// When one was last appended; one that was looked at and found to say nothing new does not count.
    last_appended_ms: u64,
    now_ms: u64,
    commands_since: u64,
    /// What the log must hold at the last position.
    recognise: Option<CommandMark>,
    /// Released offsets with the broker time of their position, oldest first.
    deletable: VecDeque<(u64, u64)>,
}

impl PositionKeeper {
    pub(crate) fn tick(&mut self, mono_ms: u64) {
        self.now_ms = self.now_ms.max(mono_ms);
    }

    pub(crate) fn recognise(&mut self, mark: Option<CommandMark>) {
        self.recognise = mark;
    }

    pub(crate) fn decided(&mut self, commands: u64) {
        self.commands_since += commands;
    }

    /// Whether a position may be due, which is asked before every batch and so must be cheap.
    fn may_be_due(&self, limits: &Limits) -> bool {
        let waited = self.now_ms.saturating_sub(self.last_written_ms) >= limits.position_interval_ms;
        self.pending.is_none() && (waited || self.must_be_written(limits))
    }

    /// Whether one is due even if it says nothing new.
    fn must_be_written(&self, limits: &Limits) -> bool {
        !self.written || self.commands_since >= limits.position_commands
    }

    /// The position was read back: it counts from now on. Returns what it makes superfluous.
    fn confirm(&mut self, number: u64, key: String, window_ms: u64) -> Option<Confirmed> {
        let position = self.pending.take_if(|pending| pending.number == number)?;
        let superseded = self.last_key.replace(key);
        let now = position.last_command.map_or(0, |mark| mark.time_ms);
        self.deletable.push_back((position.released_offset, now));
        if self.deletable.len() > DELETABLE_MAX {
            // Thinned out rather than cut: what is forgotten is deleted with its neighbour.
            let mut keep = false;
            self.deletable.retain(|_| {
                keep = !keep;
                keep
            });
        }
        let mut below = None;
        while let Some((released, time)) = self.deletable.front().copied() {
            if now.saturating_sub(time) < window_ms {
                break;
            }
            below = Some(released);
            self.deletable.pop_front();
        }
        Some(Confirmed { position, superseded, below })
    }
}

struct Confirmed {
    position: Position,
    superseded: Option<String>,
    below: Option<u64>,
}

impl<S: Store> Owner<S> {
    /// Below this command all effects are out; with a lower bound of where the records of later ones stand.
    fn released(&self) -> (u64, u64, Option<Epoch>) {
        let read = if self.read_next < self.decide_from { self.read_next } else { self.applied_next };
        match self.in_flight.first() {
            Some((source, history_offset, epoch)) => (source.min(read), history_offset, epoch),
            None => (read, self.history_next, self.epoch.clone()),
        }
    }

    /// Writes a position if one is due. Only between batches: it speaks of what is committed.
    pub(crate) fn write_position(&mut self, actions: &mut Vec<Action>) {
        let Some(epoch) = self.epoch.clone() else { return };
        if !self.positions.may_be_due(&self.limits) {
            return;
        }
        let (released_offset, released_history_offset, released_epoch) = self.released();
        let offsets = (self.applied_next, released_offset);
        let says_nothing = offsets == self.positions.last_offsets && !self.positions.must_be_written(&self.limits);
        if says_nothing && !self.must_say_that_it_is_current() {
            // Nothing new; looked at again after another interval.
            self.positions.last_written_ms = self.positions.now_ms;
            return;
        }
        let keeper = &mut self.positions;
        keeper.number += 1;
        let position = Position {
            epoch,
            number: keeper.number,
            applied_offset: self.applied_next,
            last_command: self.last_command,
            topic_id: self.topic_id.clone(),
            released_offset,
            released_history_offset,
            released_epoch,
        };
        keeper.written = true;
        keeper.commands_since = 0;
        keeper.last_written_ms = keeper.now_ms;
        keeper.last_appended_ms = keeper.now_ms;
        keeper.last_offsets = offsets;
        keeper.pending = Some(position.clone());
        actions.push(Action::Append(vec![entry(&position.into())]));
    }

    /// Whether nothing has happened for so long that a position must show how old the state is (R15).
    fn must_say_that_it_is_current(&self) -> bool {
        self.positions.now_ms.saturating_sub(self.positions.last_appended_ms) >= self.current_interval_ms()
    }

    /// A position of the own epoch was read back.
    pub(crate) fn position_read_back(
        &mut self,
        position: &Position,
        key: String,
        actions: &mut Vec<Action>,
    ) -> Result<(), Stop> {
        let Some(confirmed) = self.positions.confirm(position.number, key, self.limits.command_window_ms) else {
            return Ok(());
        };
        self.stay_current()?;
        self.meta.cover(confirmed.position.applied_offset);
        self.meta.position = Some(StoredPosition::from(&confirmed.position));
        if let Some(key) = confirmed.superseded {
            actions.push(Action::Append(vec![HistoryEntry { key, value: None }]));
        }
        self.tombstone_last_words(confirmed.position.released_offset, actions);
        actions.push(Action::CommitCommands { offset: confirmed.position.released_offset });
        if let Some(below) = confirmed.below.filter(|below| *below > 0) {
            actions.push(Action::DeleteCommands { below });
        }
        Ok(())
    }

    /// The log must hold the command that the last position names (R15).
    pub(crate) fn recognise_log(&mut self, record: &LogRecord) -> Result<(), Stop> {
        let Some(mark) = self.positions.recognise else { return Ok(()) };
        if record.offset < mark.offset {
            return Ok(());
        }
        let found = mark_of(record);
        if found != mark {
            return Err(Stop::CommandsLost(format!(
                "at offset {} stood a command of time {} and checksum {:08x}, now one of time {} and checksum {:08x} stands at offset {}",
                mark.offset, mark.time_ms, mark.checksum, found.time_ms, found.checksum, found.offset
            )));
        }
        self.positions.recognise = None;
        Ok(())
    }
}
