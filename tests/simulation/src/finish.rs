//! What must be true at the end, when everything is at rest.

use std::collections::BTreeMap;

use tidewright_core::{MemoryRows, due_timers, pending_tasks, read};
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{EventAttributes, HistoryEvent, RunId, TaskKind, WorkflowId};

use crate::client::Requests;
use crate::log::{Place, Tombstones};
use crate::node::difference;
use crate::run::Run;
use crate::tally::{check_times, tally};
use crate::told::Told;
use crate::violation::{Checked, ensure, violation};
use crate::world::{COMMANDS_TOPIC, World};

impl World {
    /// Whether the partition's history waits for nothing.
    pub(crate) fn truth_is_at_rest(&self, partition: u32) -> Checked<bool> {
        let truth = &self.truth[partition as usize];
        let wrong = |e: tidewright_core::RowsError| violation("r17_reads_work", e.to_string());
        for kind in [TaskKind::Workflow, TaskKind::Activity] {
            if !pending_tasks(&truth.rows, kind, &[], 1_000).map_err(wrong)?.0.is_empty() {
                return Ok(false);
            }
        }
        if !due_timers(&truth.rows, u64::MAX, 1).map_err(wrong)?.0.is_empty() {
            return Ok(false);
        }
        let runs = read::list(&truth.rows, &[], 1_000).map_err(wrong)?;
        Ok(runs.iter().all(|(_, run)| run.status != WorkflowStatus::Running))
    }

    pub(crate) fn describe_open(&self, partition: u32) -> String {
        let truth = &self.truth[partition as usize];
        let runs = read::list(&truth.rows, &[], 1_000).unwrap_or_default();
        let open = runs.iter().filter(|(_, run)| run.status == WorkflowStatus::Running);
        let described =
            open.map(|(_, run)| format!("{:?}", read::describe(&truth.rows, &run.workflow_id, &run.run_id)));
        let timers = due_timers(&truth.rows, u64::MAX, 20);
        format!("open: [{}], timers: {timers:?}", described.collect::<Vec<_>>().join(", "))
    }

    pub(crate) fn check_the_end(&mut self) -> Checked {
        self.query_at_rest()?;
        for partition in 0..self.plan.partitions {
            self.check_workflows(partition)?;
            self.check_all_is_out(partition)?;
            let node = self.assigned[partition as usize];
            let held = self.nodes[node].stores[&partition].clone();
            self.check_store(partition, &held)?;
        }
        self.check_told_details()?;
        self.check_rebuild()?;
        for truth in &self.truth {
            self.stats.add(&truth.attempts.met);
            self.stats.claims += truth.claims();
            self.stats.zombie_records += truth.invalid_records;
        }
        self.stats.steps = self.step;
        if self.plan.plants_loss {
            self.plant_loss()?;
        }
        Ok(())
    }

    fn check_workflows(&mut self, partition: u32) -> Checked {
        let mut requests = Requests::new();
        let truth = &self.truth[partition as usize];
        for ((workflow_id, run_id), events) in &truth.histories {
            if truth.deletions.is_deleted(workflow_id, run_id) {
                let found = read::history(&truth.rows, workflow_id, run_id, 1, 1);
                let is_gone = found.is_ok_and(|page| page.is_none());
                ensure!(is_gone, "r31_a_deleted_run_is_not_found", "{workflow_id} {run_id}");
                continue;
            }
            let run = check_history(workflow_id, run_id, events, &mut requests)?;
            let page = read::history(&truth.rows, workflow_id, run_id, 1, usize::MAX)
                .map_err(|e| violation("r17_reads_work", e.to_string()))?;
            ensure!(
                page.is_some_and(|page| page.events == *events),
                "r13_histories_are_gapless",
                "{workflow_id} {run_id} reads otherwise than it was written"
            );
            tally(&mut self.stats, events, run.program());
        }
        Ok(())
    }

    fn check_all_is_out(&mut self, partition: u32) -> Checked {
        let end = self.log(&Place::Commands(partition)).end;
        let truth = &mut self.truth[partition as usize];
        self.ledger.check_released(partition, end, truth, "r18_every_effect_is_out_at_last", COMMANDS_TOPIC)
    }

    /// A node that has nothing takes over from the compacted history, and holds the same rows (R14).
    fn check_rebuild(&mut self) -> Checked {
        let mut before = BTreeMap::new();
        for partition in 0..self.plan.partitions {
            let node = self.assigned[partition as usize];
            before.insert(partition, self.nodes[node].stores[&partition].look(MemoryRows::clone));
            self.revoke(node, partition);
            self.nodes[node].stores.remove(&partition);
            if self.plan.faults.compact > 0 {
                self.compact(partition);
                let end = self.log(&Place::History(partition)).end;
                self.log(&Place::History(partition)).compact(end, &Tombstones::KEPT);
            }
            let next = self.dice.below(self.plan.nodes);
            self.nodes[next].stores.remove(&partition);
            self.assign(partition, next);
        }
        self.note(|_| "everything is REBUILT from history".to_owned());
        self.run_to_the_end()?;
        for (partition, rows) in before {
            if self.plan.faults.compact > 0 {
                self.check_deleted_is_gone(partition)?;
            }
            let expected = rows.all().iter().filter(|(key, _)| *key != b"m");
            let expected = expected.map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
            let node = self.assigned[partition as usize];
            let rebuilt = &self.nodes[node].stores[&partition];
            if let Some(difference) = rebuilt.look(|rows| difference(rows, &expected, &[])) {
                let what = format!("partition {partition}: {difference}");
                return Err(violation("r14_a_rebuild_equals_what_was_held", what));
            }
        }
        Ok(())
    }
}

/// A run's history follows from its program, and it ended as its reference run does.
fn check_history(
    workflow_id: &WorkflowId,
    run_id: &RunId,
    events: &[HistoryEvent],
    requests: &mut Requests,
) -> Checked<Run> {
    grammar::check(events)
        .map_err(|e| violation("histories_follow_the_grammar", format!("{workflow_id} {run_id}: {e}")))?;
    let mut run = Run::default();
    for event in events {
        run.apply(event)
            .map_err(|e| violation("r23_decisions_follow_history", format!("{workflow_id} {run_id}: {e}")))?;
        let EventAttributes::WorkflowExecutionStarted(started) = &event.attributes else { continue };
        check_times(started, events)?;
        if let Some(request_id) = &started.request_id {
            let other = requests.insert((workflow_id.clone(), request_id.clone()), run_id.clone());
            ensure!(other.is_none(), "r8_a_request_starts_nothing_twice", "{workflow_id} {request_id}: {other:?}");
        }
    }
    if run.ended_from_outside {
        return Ok(run);
    }
    let told = Told::by(events);
    let reference = run.program().map(|program| program.reference(&told));
    ensure!(
        run.closed == reference,
        "every_workflow_ends_as_its_reference_run_does",
        "{workflow_id} {run_id} ended with {:?}, the reference with {reference:?}",
        run.closed
    );
    Ok(run)
}
