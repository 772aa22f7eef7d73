//! Group commit: decide what is ready, append it, wait until it is read back, then write the store and release effects
//! (R11, R12).

use std::collections::{BTreeMap, VecDeque};

use tidewright_core::{Context, Decided, Effect, Overlay, Request, Store, apply, decide, effects};
use tidewright_schemas::{
    Answered, Command, CommandMark, HistoryRecord, RunId, TaskId, Transition, WorkersTold, WorkflowId,
};

use crate::codec::{self, Incoming};
use crate::forgetting::{LastWords, tombstone};
use crate::io::{Action, HistoryEntry, LogRecord, Outbound, Stop};
use crate::marks::mark_of;
use crate::owner::Owner;
use crate::recovery::{entry, read_history};
use crate::report::{Outcome, Report};
use crate::traced;

/// A batch that is decided and not yet committed.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    changed: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Keys of the records that must be read back, in order.
    waiting: VecDeque<String>,
    /// Commands whose effects are held until the commit.
    held: Vec<u64>,
    after: Vec<AfterCommit>,
    /// Tombstones of what the batch supersedes, with the commands that do.
    superseded: Vec<(u64, HistoryEntry)>,
    touched: Vec<WorkflowId>,
    closed: Vec<(WorkflowId, RunId)>,
    last_words: LastWords,
    covered: Option<u64>,
    next: u64,
    last_command: Option<CommandMark>,
    report: Report,
}

/// A task that goes out before the commit: its command, its name and its record.
type EarlyTask = (u64, (WorkflowId, TaskId), Outbound);

/// What is sent once the batch is committed.
#[derive(Debug)]
enum AfterCommit {
    Reply { source: u64, workflow_id: WorkflowId, answered: Answered },
    Send { source: u64, outbound: Outbound },
    Tell { source: u64, told: WorkersTold },
}

impl<S: Store> Owner<S> {
    /// Takes commands that were read.
    pub(crate) fn queue_commands(
        &mut self,
        records: Vec<LogRecord>,
        next: u64,
        actions: &mut Vec<Action>,
    ) -> Result<(), Stop> {
        for record in records {
            if record.offset < self.read_next {
                continue;
            }
            self.recognise_log(&record)?;
            self.read_next = record.offset + 1;
            if record.offset < self.decide_from {
                self.rederive(record, actions);
            } else {
                self.queue_bytes += record.size();
                self.queue.push_back(record);
            }
        }
        self.read_next = self.read_next.max(next);
        Ok(())
    }

    /// A command that was decided before recovery: only what no record tells of is derived from it again (R18).
    fn rederive(&mut self, record: LogRecord, actions: &mut Vec<Action>) {
        self.last_command = Some(mark_of(&record));
        let source = record.offset;
        if source < self.rederive_from {
            return;
        }
        let history_offset = self.history_next;
        self.in_flight.hold(source, history_offset, self.epoch.as_ref());
        match codec::read(&record, &self.at) {
            Incoming::Garbage(garbage) => {
                let outbound = codec::dead_letter(&record, garbage.code, &garbage.message, &self.at);
                self.send(Some(source), None, outbound, actions);
            }
            Incoming::Misplaced { partition, workflow_id } => {
                let outbound = codec::forward(record, partition, &workflow_id, &self.at);
                self.send(Some(source), None, outbound, actions);
            }
            Incoming::Request(_) => {
                for effect in self.dead_letters_to_repeat.remove(&source).unwrap_or_default() {
                    if let Effect::DeadLetter(dead) = effect {
                        let outbound = codec::dead_letter(&record, &dead.code, &dead.message, &self.at);
                        self.send(Some(source), None, outbound, actions);
                    }
                    self.in_flight.release(source);
                }
            }
        }
        self.in_flight.release(source);
    }

    /// Begins batches as long as there is something to decide and nothing to wait for.
    pub(crate) fn next_batch(&mut self, actions: &mut Vec<Action>) -> Result<(), Stop> {
        while self.batch.is_none() {
            self.write_position(actions);
            if self.queue.is_empty() || !self.has_room() {
                return Ok(());
            }
            let batch = self.decide_batch(actions)?;
            let nothing_to_append = batch.waiting.is_empty();
            self.batch = Some(batch);
            if nothing_to_append {
                self.commit(actions)?;
            }
        }
        Ok(())
    }

    fn decide_batch(&mut self, actions: &mut Vec<Action>) -> Result<Batch, Stop> {
        let mut batch = Batch::default();
        let mut entries = Vec::new();
        let mut tasks = Vec::new();
        let mut bytes = 0;
        while let Some(record) = self.queue.front() {
            bytes += record.size();
            let count = batch.report.commands as usize;
            if count > 0 && (count >= self.limits.batch_commands_max || bytes > self.limits.batch_bytes_max) {
                break;
            }
            let Some(record) = self.queue.pop_front() else { break };
            self.queue_bytes -= record.size();
            batch.report.commands += 1;
            batch.report.last_timestamp_ms = record.timestamp_ms;
            batch.next = record.offset + 1;
            batch.last_command = Some(mark_of(&record));
            self.decide_record(record, &mut batch, &mut entries, &mut tasks)?;
        }
        if !entries.is_empty() {
            actions.push(Action::Append(entries));
        }
        // Tasks go out before the commit: one that history does not come to know has a token that nobody accepts.
        for (source, task, outbound) in tasks {
            self.send(Some(source), Some(task), outbound, actions);
        }
        Ok(batch)
    }

    fn decide_record(
        &mut self,
        record: LogRecord,
        batch: &mut Batch,
        entries: &mut Vec<HistoryEntry>,
        tasks: &mut Vec<EarlyTask>,
    ) -> Result<(), Stop> {
        let source = record.offset;
        match codec::read(&record, &self.at) {
            Incoming::Garbage(garbage) => {
                tracing::warn!(source, code = garbage.code, message = %garbage.message, "a record goes to the dead letters");
                let outbound = codec::dead_letter(&record, garbage.code, &garbage.message, &self.at);
                self.hold(source, batch);
                batch.report.garbage(garbage.code);
                batch.after.push(AfterCommit::Send { source, outbound });
            }
            Incoming::Misplaced { partition, workflow_id } => {
                let outbound = codec::forward(record, partition, &workflow_id, &self.at);
                self.hold(source, batch);
                batch.report.forwarded();
                batch.after.push(AfterCommit::Send { source, outbound });
            }
            Incoming::Request(request) => {
                let command = request.command.type_name();
                let context = Context {
                    incarnation: self.identity.incarnation.clone(),
                    partition: self.identity.partition,
                    offset: source,
                    timestamp_ms: record.timestamp_ms,
                    released_offset: self.meta.position.as_ref().map_or(0, |position| position.released_offset),
                    tombstones_gone_ms: record
                        .timestamp_ms
                        .max(self.history_time_ms)
                        .saturating_add(self.limits.tombstones_live_ms),
                };
                let overlay = Overlay::with_changes(&self.store, std::mem::take(&mut batch.changed));
                let decided = decide(&overlay, &request, &context)?;
                batch.changed = overlay.into_changes();
                match decided {
                    Decided::Tell(told) => {
                        batch.report.count(command, Outcome::Ignored);
                        self.hold(source, batch);
                        batch.after.push(AfterCommit::Tell { source, told });
                    }
                    Decided::Nothing => batch.report.count(command, Outcome::Ignored),
                    Decided::Early { wait_ms } => {
                        batch.report.count(command, Outcome::Early);
                        self.rearm(&request, wait_ms);
                    }
                    Decided::Change(change) => {
                        let Some(epoch) = self.epoch.clone() else { return Ok(()) };
                        let change = change.into_transition(epoch, &context);
                        batch.report.changed(command, &change);
                        self.take_change(&record, &request, change, batch, entries, tasks)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn take_change(
        &mut self,
        record: &LogRecord,
        request: &Request,
        mut change: Transition,
        batch: &mut Batch,
        entries: &mut Vec<HistoryEntry>,
        tasks: &mut Vec<EarlyTask>,
    ) -> Result<(), Stop> {
        let source = change.source_offset;
        let mut overlay = Overlay::with_changes(&self.store, std::mem::take(&mut batch.changed));
        let applied = apply(&mut overlay, &change)?;
        if let Some(hole) = applied.hole {
            return Err((*hole).into());
        }
        // They stand before the record that forgets what they are about, whoever dies in between.
        entries.extend(applied.tombstones.iter().map(|record| tombstone(&change.workflow_id, record)));
        change.supersedes = applied.superseded;
        for record in &change.supersedes {
            self.in_flight.hold(source, self.history_next, self.epoch.as_ref());
            batch.held.push(source);
            batch.superseded.push((source, tombstone(&change.workflow_id, record)));
        }
        batch.touched.push(change.workflow_id.clone());
        let closed = applied.changed_runs.iter().filter(|run| run.close_time_ms.is_some());
        batch.closed.extend(closed.map(|run| (change.workflow_id.clone(), run.run_id.clone())));
        batch.report.runs.extend(applied.changed_runs);
        if let Some(new_traces) = self.identity.new_traces {
            let sender = request.traceparent.as_deref();
            batch.report.traced.extend(traced::trace(&overlay, &request.command, sender, &change, new_traces)?);
        }
        let effects = effects(&change);
        if !effects.is_empty() {
            self.in_flight.hold(source, self.history_next, self.epoch.as_ref());
            batch.held.push(source);
        }
        for effect in effects {
            match effect {
                Effect::Task { workflow_id, task } => {
                    if let Some(outbound) = self.identity.outbound_task(&overlay, &workflow_id, &task, false)? {
                        tasks.push((source, (workflow_id, task), outbound));
                    }
                }
                Effect::Reply { workflow_id, answered } => {
                    batch.after.push(AfterCommit::Reply { source, workflow_id, answered });
                }
                Effect::Tell(told) => batch.after.push(AfterCommit::Tell { source, told }),
                Effect::DeadLetter(dead) => {
                    let (workflow_id, traceparent) = (&change.workflow_id, request.traceparent.as_deref());
                    tracing::warn!(
                        source, code = dead.code, %workflow_id, traceparent, message = %dead.message,
                        "a command goes to the dead letters"
                    );
                    let outbound = codec::dead_letter(record, &dead.code, &dead.message, &self.at);
                    batch.after.push(AfterCommit::Send { source, outbound });
                }
            }
        }
        batch.changed = overlay.into_changes();
        batch.covered = Some(source + 1);
        batch.last_words.note(&change);
        let entry = entry(&HistoryRecord::Transition(change));
        batch.waiting.push_back(entry.key.clone());
        entries.push(entry);
        Ok(())
    }

    fn hold(&mut self, source: u64, batch: &mut Batch) {
        self.in_flight.hold(source, self.history_next, self.epoch.as_ref());
        batch.held.push(source);
    }

    /// A timer was early by its command's own time: it is armed again on the monotonic clock (R20).
    fn rearm(&mut self, request: &Request, wait_ms: u64) {
        if let Command::FireTimer(command) = &request.command {
            self.timers.rearm(&request.workflow_id, command, wait_ms);
        }
    }

    /// Takes a record of the history while the partition is owned.
    pub(crate) fn read_back(&mut self, record: LogRecord, actions: &mut Vec<Action>) -> Result<(), Stop> {
        self.history_next = record.offset + 1;
        self.history_time_ms = self.history_time_ms.max(record.timestamp_ms);
        if self.is_next_own(&record) {
            return self.own_record_read_back(actions);
        }
        let own = self.epoch.clone();
        match read_history(&record)? {
            None => {
                self.tombstone_read_back(&record);
                Ok(())
            }
            Some(HistoryRecord::Claim(_)) => Err(Stop::Deposed(record.offset)),
            Some(HistoryRecord::Position(position)) if own.as_ref() == Some(&position.epoch) => {
                let key = HistoryRecord::Position(position.clone()).key();
                self.position_read_back(&position, key, actions)
            }
            Some(HistoryRecord::CommandsSkipped(skipped)) if own.as_ref() == Some(&skipped.epoch) => {
                self.skip_read_back(&skipped, actions)
            }
            Some(HistoryRecord::Transition(change)) if own.as_ref() == Some(&change.epoch) => Ok(()),
            Some(HistoryRecord::Transition(change)) => {
                // A deposed owner's: invalid, and tombstoned unless its key was valid once (R12).
                if self.meta.never_valid(&change.epoch, change.source_offset) {
                    actions.push(Action::Append(vec![HistoryEntry { key: change.key(), value: None }]));
                }
                Ok(())
            }
            Some(HistoryRecord::Position(_) | HistoryRecord::CommandsSkipped(_)) => Ok(()),
        }
    }

    /// Whether it is the record that the batch waits for: its key says so, since no key is ever used twice (R2).
    fn is_next_own(&self, record: &LogRecord) -> bool {
        let awaited = self.batch.as_ref().and_then(|batch| batch.waiting.front());
        record.value.is_some() && awaited.is_some() && awaited.map(String::as_bytes) == record.key.as_deref()
    }

    fn own_record_read_back(&mut self, actions: &mut Vec<Action>) -> Result<(), Stop> {
        let Some(batch) = self.batch.as_mut() else { return Ok(()) };
        batch.waiting.pop_front();
        if batch.waiting.is_empty() { self.commit(actions) } else { Ok(()) }
    }

    /// Everything is read back with no newer claim before it: it is so.
    fn commit(&mut self, actions: &mut Vec<Action>) -> Result<(), Stop> {
        let Some(batch) = self.batch.take() else { return Ok(()) };
        if let Some(covered) = batch.covered {
            self.meta.cover(covered);
            self.meta.history_offset = self.history_next;
            self.is_current();
            self.last_words.append(batch.last_words);
            let mut rows: Vec<_> = batch.changed.into_iter().collect();
            rows.push(self.meta.row()?);
            self.store.write(rows)?;
        }
        self.applied_next = batch.next;
        self.last_command = batch.last_command;
        self.positions.decided(batch.report.commands);
        for after in batch.after {
            match after {
                AfterCommit::Reply { source, workflow_id, answered } => {
                    self.send_reply(source, workflow_id, answered, actions);
                }
                AfterCommit::Tell { source, told } => self.send_told(source, &told, actions),
                AfterCommit::Send { source, outbound } => self.send(Some(source), None, outbound, actions),
            }
        }
        for (source, entry) in batch.superseded {
            self.append_tombstone(source, entry, actions);
        }
        for source in batch.held {
            self.in_flight.release(source);
        }
        actions.push(Action::Committed {
            applied_offset: batch.next,
            changed: batch.touched,
            closed: batch.closed,
            report: batch.report,
        });
        Ok(())
    }
}
