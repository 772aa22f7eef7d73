//! Whoever deletes runs, open and closed, often more than once; and what must then be gone (R31).

use std::collections::{BTreeMap, BTreeSet};

use tidewright_core::read;
use tidewright_schemas::{DeleteWorkflow, HistoryRecord, RowFact, RunId, Transition, WorkflowId};

use crate::log::{Parcel, Place};
use crate::violation::{Checked, ensure};
use crate::world::World;

/// What is known of the runs that were deleted, and of the records that they have.
#[derive(Default)]
pub(crate) struct Deletions {
    /// Runs that are deleted, with the key of the record that says so.
    deleted: BTreeMap<(WorkflowId, RunId), String>,
    /// Runs that each valid record is about, with the offset of its command.
    about: BTreeMap<String, (u64, Vec<(WorkflowId, RunId)>)>,
    tombstoned: BTreeSet<String>,
    /// Records about no run that change no state.
    passing: BTreeSet<String>,
}

impl Deletions {
    /// A valid record landed.
    pub(crate) fn landed(&mut self, change: &Transition) {
        let next = change.next_run.as_ref().map(|next| &next.run_id);
        let run_ids = change.run_id.iter().chain(next);
        let runs: Vec<_> = run_ids.map(|run_id| (change.workflow_id.clone(), run_id.clone())).collect();
        if change.rows.iter().any(|fact| matches!(fact, RowFact::RunDeleted(_))) {
            self.deleted.extend(runs.iter().map(|run| (run.clone(), change.key())));
        }
        if runs.is_empty() && may_stay(change) && change.origin().is_none() {
            self.passing.insert(change.key());
        }
        self.about.insert(change.key(), (change.source_offset, runs));
    }

    pub(crate) fn is_deleted(&self, workflow_id: &WorkflowId, run_id: &RunId) -> bool {
        self.deleted.contains_key(&(workflow_id.clone(), run_id.clone()))
    }

    /// Whether a record is one that says that a run is deleted.
    pub(crate) fn begins_with(&self, key: &str) -> bool {
        let runs = self.about.get(key).map(|(_, runs)| runs.as_slice()).unwrap_or_default();
        runs.iter().any(|run| self.deleted.get(run).is_some_and(|deleted| deleted == key))
    }

    /// How many records about no run were tombstoned.
    pub(crate) fn passed(&self) -> u64 {
        self.passing.intersection(&self.tombstoned).count() as u64
    }

    pub(crate) fn count(&self) -> u64 {
        self.deleted.len() as u64
    }

    /// Whether any run of this id is deleted, of whatever workflow.
    pub(crate) fn has_run(&self, run_id: &RunId) -> bool {
        self.deleted.keys().any(|(_, deleted)| deleted == run_id)
    }

    /// Whether nothing but deleted runs needs a valid record, or nothing at all.
    fn is_done_with(&self, key: &str) -> bool {
        let runs = self.about.get(key).map(|(_, runs)| runs.as_slice()).unwrap_or_default();
        self.passing.contains(key) || !runs.is_empty() && runs.iter().all(|run| self.deleted.contains_key(run))
    }

    /// The key of a valid record that nothing supersedes is tombstoned: its runs are deleted, no recovery needs it, and
    /// the deletion itself is remembered until all the others are tombstoned.
    pub(crate) fn tombstoned(&mut self, key: &str, released_offset: u64, superseded: &BTreeSet<String>) -> Checked {
        ensure!(self.is_done_with(key), "r12_no_valid_key_is_tombstoned", "{key}");
        let (source, runs) = self.about.get(key).cloned().unwrap_or_default();
        ensure!(
            source < released_offset,
            "r31_what_recovery_needs_is_not_tombstoned",
            "{key}, released {released_offset}"
        );
        self.tombstoned.insert(key.to_owned());
        if !self.begins_with(key) {
            return Ok(());
        }
        for (other, (other_source, about)) in &self.about {
            // A record that closes it and begins another may stay with the other: without its start, it says nothing.
            let earlier = *other_source < source && about.last().is_some_and(|run| runs.contains(run));
            let is_gone = self.tombstoned.contains(other) || superseded.contains(other);
            ensure!(!earlier || is_gone, "r31_a_deletion_is_remembered_until_the_run_is_gone", "{key} before {other}");
        }
        Ok(())
    }
}

/// Whether a record that is done with may stay: one whose owner died before its tombstone, since it says only that a run is
/// forgotten or answers somebody; or one that remembers where commands were forwarded from.
fn may_stay(change: &Transition) -> bool {
    let says_nothing = |fact: &RowFact| {
        let of_a_deletion = matches!(fact, RowFact::RunForgotten(_) | RowFact::DeletionAdvanced(_));
        let of_no_run = matches!(fact, RowFact::Answered(_) | RowFact::DeadLettered(_));
        of_a_deletion || (of_no_run && change.run_id.is_none()) || matches!(fact, RowFact::OriginSeen(_))
    };
    change.events.is_empty() && change.rows.iter().all(says_nothing)
}

impl World {
    /// Deletes one of the runs that history knows, or one that is deleted already.
    pub(crate) fn deleter_step(&mut self) -> Checked {
        let partition = self.dice.below(self.plan.partitions as usize) as u32;
        let truth = &self.truth[partition as usize];
        let mut runs: Vec<_> = read::list(&truth.rows, &[], 1_000)
            .unwrap_or_default()
            .into_iter()
            .map(|(_, run)| (run.workflow_id, run.run_id))
            .collect();
        runs.extend(truth.deletions.deleted.keys().take(2).cloned());
        let Some((workflow_id, run_id)) = self.dice.pick(&runs).cloned() else { return Ok(()) };
        let delete = DeleteWorkflow {
            run_id: self.dice.chance(700).then_some(run_id),
            request_id: self.dice.chance(500).then(|| format!("delete-{}", self.dice.below(4))),
            ..DeleteWorkflow::default()
        };
        let mut to = partition;
        if self.goes_wrong(self.plan.faults.misplace) {
            to = self.dice.below(self.plan.partitions as usize) as u32;
        }
        let parcel = Parcel {
            to: Place::Commands(to),
            key: Some(workflow_id.as_str().as_bytes().to_vec()),
            value: serde_json::to_vec(&tidewright_schemas::Command::from(delete)).ok(),
            headers: Vec::new(),
            garbage: false,
        };
        if self.goes_wrong(self.plan.faults.duplicate) {
            self.land(parcel.clone())?;
        }
        self.land(parcel).map(drop)
    }

    /// What is deleted is gone from a history that is compacted to its end.
    pub(crate) fn check_deleted_is_gone(&mut self, partition: u32) -> Checked {
        let truth = &self.truth[partition as usize];
        let Some(log) = self.logs.get(&Place::History(partition)) else { return Ok(()) };
        for record in log.iter_from(0) {
            let value = record.value.as_deref().unwrap_or_default();
            let Ok(HistoryRecord::Transition(change)) = serde_json::from_slice(value) else { continue };
            let key = change.key();
            ensure!(
                !truth.deletions.is_done_with(&key) || may_stay(&change) || self.is_remembered(partition, &change),
                "r31_nothing_is_left_of_what_is_deleted",
                "{key} at offset {}",
                record.offset
            );
        }
        let deletions = &self.truth[partition as usize].deletions;
        self.stats.deleted += deletions.count();
        self.stats.answers_forgotten += deletions.passed();
        Ok(())
    }

    /// Whether the deletion of the record's run is still remembered, since another run has its start.
    fn is_remembered(&self, partition: u32, change: &Transition) -> bool {
        let rows = self.truth[partition as usize].rows.all();
        change.run_id.as_ref().is_some_and(|run_id| {
            let mut key = vec![b'x'];
            key.extend_from_slice(change.workflow_id.as_str().as_bytes());
            key.push(0);
            key.extend_from_slice(run_id.as_str().as_bytes());
            key.push(0);
            rows.contains_key(&key)
        })
    }
}
