//! What a history partition says, told by its rules alone: fed with every record as it lands, before any compaction.
//! Owners are held against it.

use std::collections::{BTreeMap, BTreeSet};

use tidewright_core::{Effect, MemoryRows, Overlay, Store as _, apply, effects};
use tidewright_schemas::{
    Answer, CommandsSkipped, Epoch, EventAttributes, HistoryEvent, HistoryRecord, Position, RowFact, RunId, TaskId,
    TaskVerdict, Transition, WorkflowId, transition_key,
};

use crate::attempts::Attempts;
use crate::deleter::Deletions;
use crate::forgotten::Forgotten;
use crate::identity::Identities;
use crate::violation::{Checked, ensure, violation};

/// A row's value and the history offset after the record that wrote it.
type Version = (u64, Option<Vec<u8>>);

/// The state and the past of one partition.
#[derive(Default)]
pub(crate) struct Truth {
    claim: Option<Epoch>,
    claims: u64,
    last_source: Option<u64>,
    pub(crate) rows: MemoryRows,
    /// Every row that ever was.
    versions: BTreeMap<Vec<u8>, Vec<Version>>,
    keys: BTreeSet<String>,
    valid_keys: BTreeSet<String>,
    superseded_keys: BTreeSet<String>,
    /// Epochs that dispatched each task.
    pub(crate) dispatched: BTreeMap<TaskId, Epoch>,
    /// Answers by correlation id: a request that was duplicated on its way has more than one.
    pub(crate) answers: BTreeMap<String, Vec<Answer>>,
    pub(crate) sources: BTreeMap<u64, WorkflowId>,
    pub(crate) attempts: Attempts,
    pub(crate) identities: Identities,
    pub(crate) deletions: Deletions,
    pub(crate) forgotten: Forgotten,
    pub(crate) histories: BTreeMap<(WorkflowId, RunId), Vec<HistoryEvent>>,
    origins: BTreeSet<(WorkflowId, String)>,
    /// Effects of valid records that no valid position says are out.
    pub(crate) unreleased: BTreeMap<u64, Vec<Effect>>,
    pub(crate) position: Option<(Position, String)>,
    /// The highest released offset of all valid positions.
    released_offset: u64,
    pub(crate) invalid_records: u64,
    pub(crate) valid_records: u64,
}

/// What a record that landed turned out to be.
pub(crate) enum Verdict {
    Valid,
    ValidPosition(Position),
    Other,
}

impl Truth {
    pub(crate) fn landed(&mut self, offset: u64, key: &str, value: Option<&[u8]>) -> Checked<Verdict> {
        if !HistoryRecord::is_key(key.as_bytes()) {
            return Ok(Verdict::Other);
        }
        let Some(value) = value else { return self.tombstone(offset, key).map(|()| Verdict::Other) };
        let record: HistoryRecord =
            serde_json::from_slice(value).map_err(|e| violation("r5_history_is_readable", format!("{key}: {e}")))?;
        ensure!(record.key() == key, "r2_a_record_is_keyed_by_what_it_says", "{key} holds {record:?}");
        ensure!(self.keys.insert(key.to_owned()), "r2_no_key_is_used_twice", "{key} at offset {offset}");
        let is_valid = record.epoch().is_some_and(|epoch| self.claim.as_ref() == Some(epoch));
        match record {
            HistoryRecord::Claim(claim) => {
                self.claim = Some(Epoch { offset, key: claim.key });
                self.claims += 1;
                Ok(Verdict::Other)
            }
            HistoryRecord::Transition(change) if is_valid => {
                self.valid_keys.insert(key.to_owned());
                self.transition(offset, &change)?;
                Ok(Verdict::Valid)
            }
            HistoryRecord::Position(position) if is_valid => {
                self.position(&position, key)?;
                Ok(Verdict::ValidPosition(position))
            }
            HistoryRecord::CommandsSkipped(skipped) if is_valid => {
                self.skipped(&skipped)?;
                Ok(Verdict::Other)
            }
            invalid => {
                let epoch = invalid.epoch().map_or(0, |epoch| epoch.offset);
                ensure!(epoch < offset, "r10_a_claim_stands_before_its_records", "{key} at offset {offset}");
                self.invalid_records += 1;
                Ok(Verdict::Other)
            }
        }
    }

    fn tombstone(&mut self, offset: u64, key: &str) -> Checked {
        if key.starts_with("transition/") {
            self.forgotten.tombstoned(offset, key);
            let is_superseded = self.superseded_keys.contains(key) && !self.deletions.begins_with(key);
            if self.valid_keys.contains(key) && !is_superseded {
                self.deletions.tombstoned(key, self.released_offset, &self.superseded_keys)?;
            }
        } else if key.starts_with("position/") {
            let last = self.position.as_ref().is_some_and(|(_, last)| last == key);
            ensure!(!last, "r2_the_last_position_is_kept", "{key}");
        } else {
            return Err(violation("r10_claims_are_kept", key.to_owned()));
        }
        Ok(())
    }

    /// What is passed over is what nobody had decided (R15).
    fn skipped(&mut self, skipped: &CommandsSkipped) -> Checked {
        let next = self.next_to_decide();
        ensure!(next == skipped.from_offset, "r15_only_the_undecided_is_passed_over", "{skipped:?}, next is {next}");
        self.last_source = skipped.to_offset.checked_sub(1);
        Ok(())
    }

    /// The first command that nothing valid covers.
    pub(crate) fn next_to_decide(&self) -> u64 {
        let covered = self.position.as_ref().map_or(0, |(position, _)| position.applied_offset);
        covered.max(self.last_source.map_or(0, |source| source + 1))
    }

    fn position(&mut self, position: &Position, key: &str) -> Checked {
        let covers = self.last_source.is_none_or(|last| position.applied_offset > last);
        ensure!(covers, "r15_a_position_covers_what_is_decided", "{position:?} after source {:?}", self.last_source);
        let backwards = self.position.as_ref().is_some_and(|(last, _)| last.applied_offset > position.applied_offset);
        ensure!(!backwards, "r15_positions_do_not_go_back", "{position:?} after {:?}", self.position);
        // What is out stays out, whatever a later owner can say of it.
        self.released_offset = self.released_offset.max(position.released_offset);
        self.position = Some((position.clone(), key.to_owned()));
        Ok(())
    }

    /// Every run that the record changes, on its own.
    fn remember(&mut self, change: &Transition) -> Checked {
        self.identities.landed(change);
        self.remember_run(change)?;
        change.of_next_run().map_or(Ok(()), |next| self.remember_run(&next))
    }

    fn transition(&mut self, offset: u64, change: &Transition) -> Checked {
        let source = change.source_offset;
        let covered = self.position.as_ref().is_some_and(|(position, _)| source < position.applied_offset);
        ensure!(
            self.last_source.is_none_or(|last| last < source) && !covered,
            "r3_every_source_offset_has_at_most_one_valid_record",
            "source {source} at history offset {offset} after source {:?}, position {:?}",
            self.last_source,
            self.position
        );
        self.last_source = Some(source);
        self.sources.insert(source, change.workflow_id.clone());
        self.valid_records += 1;
        self.check_boundaries(change)?;
        self.deletions.landed(change);
        let mut overlay = Overlay::new(&self.rows);
        let applied = apply(&mut overlay, change).map_err(|e| violation("r13_histories_are_gapless", e.to_string()))?;
        let follows = applied.hole.is_none() && !applied.is_leftover;
        ensure!(follows, "r13_histories_are_gapless", "{change:?}");
        let rows: Vec<_> = overlay.into_changes().into_iter().collect();
        for (key, value) in &rows {
            self.versions.entry(key.clone()).or_default().push((offset + 1, value.clone()));
        }
        for old in applied.superseded {
            let old = transition_key(&change.workflow_id, old.source_offset, &old.epoch);
            if let (true, Some(run_id)) = (self.deletions.begins_with(&old), &change.run_id) {
                self.forgotten.landed(old.clone(), run_id.clone());
            }
            self.superseded_keys.insert(old);
        }
        self.rows.write(rows).map_err(|e| violation("simulation", e.to_string()))?;
        let effects = effects(change);
        for effect in &effects {
            if let Effect::Task { task, .. } = effect {
                self.dispatched.insert(task.clone(), change.epoch.clone());
            }
        }
        if !effects.is_empty() {
            self.unreleased.insert(source, effects);
        }
        self.remember(change)
    }

    /// Between the boundaries of a workflow task stands nothing (R22).
    fn check_boundaries(&self, change: &Transition) -> Checked {
        let Some(run_id) = &change.run_id else { return Ok(()) };
        let known = self.histories.get(&(change.workflow_id.clone(), run_id.clone()));
        let mut before = known.and_then(|events| events.last());
        for event in &change.events {
            if let Some(EventAttributes::WorkflowTaskStarted(_)) = before.map(|event| &event.attributes) {
                let ends = matches!(
                    event.attributes,
                    EventAttributes::WorkflowTaskCompleted(_)
                        | EventAttributes::WorkflowTaskFailed(_)
                        | EventAttributes::WorkflowTaskTimedOut(_)
                );
                ensure!(ends, "r22_what_comes_during_a_workflow_task_is_buffered", "{event:?} in {run_id}");
            }
            before = Some(event);
        }
        Ok(())
    }

    fn remember_run(&mut self, change: &Transition) -> Checked {
        for fact in &change.rows {
            match fact {
                RowFact::Answered(answered) => {
                    let id = answered.reply_to.correlation_id.clone();
                    self.check_grant(&answered.answer, &id)?;
                    self.answers.entry(id).or_default().push(answered.answer.clone());
                }
                RowFact::OriginSeen(seen) => {
                    let new = self.origins.insert((change.workflow_id.clone(), seen.origin.clone()));
                    // A deletion says again what it must not forget.
                    let again =
                        matches!(change.rows.first(), Some(RowFact::DeletionAdvanced(_) | RowFact::RunForgotten(_)));
                    ensure!(new || again, "r9_a_forwarded_command_is_taken_once", "{}", seen.origin);
                }
                _ => {}
            }
        }
        let Some(run_id) = change.run_id.clone() else { return Ok(()) };
        self.attempts.landed(&run_id, change)?;
        self.histories.entry((change.workflow_id.clone(), run_id)).or_default().extend(change.events.iter().cloned());
        Ok(())
    }

    pub(crate) fn is_closed(&self, task: &TaskId) -> bool {
        self.attempts.is_closed(&task.run_id, task.scheduled_event_id)
    }

    /// A confirmation's correlation id ends in the task it is about: `…|<task>`.
    fn check_grant(&self, answer: &Answer, correlation_id: &str) -> Checked {
        let Answer::TaskConfirmed(confirmed) = answer else { return Ok(()) };
        let task = correlation_id.split_once("|a:").map(|(_, text)| text);
        let task = task.and_then(|text| TaskId::parse(tidewright_schemas::TaskKind::Activity, text));
        if let (TaskVerdict::Run, Some(task)) = (confirmed.verdict, task) {
            ensure!(!self.is_closed(&task), "r25_a_closed_activity_is_never_confirmed", "{task}");
        }
        Ok(())
    }

    /// The rows as they were when everything below this history offset was applied.
    pub(crate) fn rows_at(&self, history_offset: u64) -> BTreeMap<&[u8], &[u8]> {
        let mut rows = BTreeMap::new();
        for (key, versions) in &self.versions {
            let version = versions.iter().rev().find(|(after, _)| *after <= history_offset);
            if let Some(value) = version.and_then(|(_, value)| value.as_deref()) {
                rows.insert(key.as_slice(), value);
            }
        }
        rows
    }

    pub(crate) fn claims(&self) -> u64 {
        self.claims
    }
}
