//! Whoever asks workflows something, by the node that owns them: what is told is the state of an accepted workflow task,
//! never older than what the asker could know, and nothing of it is left in any log that counts.
//!
//! The steps are those of the runtime: wait until the run has heard what it was told, ask a worker, see whether history
//! stands by the answer, and else ask for the very state that history knows.

use tidewright_core::query::{self, Asked, Standing};
use tidewright_core::{RowsError, read};
use tidewright_owner::{BacklogKey, Phase};
use tidewright_schemas::api::{QueryWorkflow, WorkflowStatus};
use tidewright_schemas::{
    Answer, EventAttributes, EventId, Payload, QueryAnswered, QueryBasis, ReplyTo, RunId, TaskKind, WorkflowId, headers,
};

use crate::disk::Disk;
use crate::log::Parcel;
use crate::run::Run;
use crate::violation::{Checked, Violation, ensure, violation};
use crate::world::World;

/// How many are asked at the same time.
const ASKING_MAX: usize = 4;

/// A query that somebody waits for.
pub(crate) struct Asking {
    node: usize,
    partition: u32,
    workflow_id: WorkflowId,
    run_id: RunId,
    status: WorkflowStatus,
    /// The workflow task after which it has heard what it was told before, and until when that is waited for.
    hears_with: Option<(EventId, u64)>,
    /// What the answer may not be older than.
    not_before: EventId,
    exact: bool,
    correlation_id: Option<String>,
    answer: Option<QueryAnswered>,
    deadline_ms: u64,
}

/// What comes of a step.
enum Goes {
    On,
    Told,
    Over,
}

fn unreadable(error: RowsError) -> Violation {
    violation("r17_reads_work", error.to_string())
}

impl World {
    /// Perhaps somebody asks something; those who wait look whether they have an answer.
    pub(crate) fn querier_step(&mut self) -> Checked {
        if self.asking.len() < ASKING_MAX && self.goes_wrong(self.plan.queries) {
            let partition = self.dice.below(self.plan.partitions as usize) as u32;
            let timeout_ms = self.dice.within(50, 4_000);
            let runs = read::list(&self.truth[partition as usize].rows, &[], 1_000).map_err(unreadable)?;
            if let Some((_, run)) = self.dice.pick(&runs).cloned() {
                self.begin_query(partition, &run.workflow_id, &run.run_id, timeout_ms)?;
            }
        }
        if self.asking.is_empty() {
            return Ok(());
        }
        let at = self.dice.below(self.asking.len());
        let mut asking = self.asking.swap_remove(at);
        if let Goes::On = self.query_step(&mut asking)? {
            self.asking.push(asking);
        }
        Ok(())
    }

    fn begin_query(&mut self, partition: u32, id: &WorkflowId, run_id: &RunId, timeout_ms: u64) -> Checked {
        let Some(node) = self.an_owner(partition) else { return Ok(()) };
        let Some(rows) = self.rows_of(node, partition) else { return Ok(()) };
        let Some(standing) = query::standing(&rows, id, run_id).map_err(unreadable)? else { return Ok(()) };
        let Standing { status, basis, hears_with, .. } = standing;
        self.asking.push(Asking {
            node,
            partition,
            workflow_id: id.clone(),
            run_id: run_id.clone(),
            status,
            hears_with: hears_with.map(|event_id| (event_id, self.mono_ms + timeout_ms / 2)),
            not_before: basis.map_or(0, |basis| basis.started_event_id),
            exact: false,
            correlation_id: None,
            answer: None,
            deadline_ms: self.mono_ms + timeout_ms,
        });
        Ok(())
    }

    /// What the node has of the partition, if it owns it still.
    fn rows_of(&self, node: usize, partition: u32) -> Option<Disk> {
        let tenure = self.nodes[node].tenures.get(&partition)?;
        (tenure.owner.phase() == Phase::Owning).then(|| tenure.owner.store().clone())
    }

    fn query_step(&mut self, asking: &mut Asking) -> Checked<Goes> {
        if asking.deadline_ms <= self.mono_ms {
            return Ok(Goes::Over);
        }
        let Some(rows) = self.rows_of(asking.node, asking.partition) else { return Ok(Goes::Over) };
        if let Some((hears_with, until_ms)) = asking.hears_with {
            let standing = query::standing(&rows, &asking.workflow_id, &asking.run_id).map_err(unreadable)?;
            let Some(standing) = standing else { return Ok(Goes::Over) };
            if !standing.has_heard(hears_with) && self.mono_ms < until_ms {
                return Ok(Goes::On);
            }
            asking.hears_with = None;
            let basis = standing.basis.map_or(0, |basis| basis.started_event_id);
            asking.not_before = asking.not_before.max(basis);
        }
        if let Some(answered) = asking.answer.clone() {
            return self.judge(asking, &rows, &answered);
        }
        let Some(correlation_id) = &asking.correlation_id else { return self.ask_worker(asking, &rows) };
        match self.ledger.answer(correlation_id) {
            Some(Answer::QueryAnswered(answered)) => asking.answer = Some(answered.clone()),
            Some(_) => {
                self.stats.queries_failed += 1;
                return Ok(Goes::Over);
            }
            None => {}
        }
        Ok(Goes::On)
    }

    fn ask_worker(&mut self, asking: &mut Asking, rows: &Disk) -> Checked<Goes> {
        let history_url = self.plan.has_api.then(|| format!("http://node-{}", asking.node));
        let query = QueryWorkflow { query_type: "state".to_owned(), ..QueryWorkflow::default() };
        let asked = Asked { query, exact: asking.exact, history_url };
        let outgoing = query::query_task(rows, "default", &asking.workflow_id, &asking.run_id, asked);
        // Its code has never run, or it is deleted.
        let Some(outgoing) = outgoing.map_err(unreadable)? else { return Ok(Goes::Over) };
        let correlation_id = format!("query-{}", self.next_number());
        let mut task = outgoing.task;
        task.expires_at_ms = self.wall_ms() + asking.deadline_ms - self.mono_ms;
        task.reply_to = ReplyTo { partition: asking.node as i32, correlation_id: correlation_id.clone() };
        let queue = BacklogKey { kind: TaskKind::Workflow, task_queue: outgoing.task_queue };
        let key = task.workflow_id.as_str().as_bytes().to_vec();
        let parcel = Parcel {
            to: self.task_place(&queue, Some(&key)),
            key: Some(key),
            value: serde_json::to_vec(&task).ok(),
            headers: vec![(headers::QUERY.to_owned(), correlation_id.clone().into_bytes())],
            garbage: false,
        };
        asking.correlation_id = Some(correlation_id);
        if self.is_stalled(&parcel.to) {
            return Ok(Goes::Over);
        }
        self.land(parcel)?;
        Ok(Goes::On)
    }

    /// Whether history stands by an answer: then it is told, and must be right.
    fn judge(&mut self, asking: &mut Asking, rows: &Disk, answered: &QueryAnswered) -> Checked<Goes> {
        let accepted = query::was_accepted(rows, &asking.workflow_id, &asking.run_id, &answered.basis);
        match accepted.map_err(unreadable)? {
            None => Ok(Goes::On),
            Some(true) => {
                self.check_told(asking, answered)?;
                Ok(Goes::Told)
            }
            Some(false) if asking.exact => Ok(Goes::Over),
            Some(false) => {
                self.stats.queries_again += 1;
                (asking.exact, asking.correlation_id, asking.answer) = (true, None, None);
                Ok(Goes::On)
            }
        }
    }

    fn check_told(&mut self, asking: &Asking, answered: &QueryAnswered) -> Checked {
        let QueryAnswered { basis, query_result } = answered;
        ensure!(
            basis.started_event_id >= asking.not_before,
            "r17_an_answer_is_not_older_than_the_question",
            "{} {}: {basis:?}, asked after {}",
            asking.workflow_id,
            asking.run_id,
            asking.not_before
        );
        let run = (asking.workflow_id.clone(), asking.run_id.clone());
        let events = self.truth[asking.partition as usize].histories.get(&run).map(Vec::as_slice).unwrap_or_default();
        let (before, after) = events.split_at(events.len().min(basis.started_event_id as usize));
        let stands = after.first().is_some_and(|event| completes(&event.attributes, basis));
        ensure!(stands, "r17_an_answer_tells_what_history_stands_by", "{run:?}: {basis:?}");
        let mut known = Run::default();
        for event in before {
            known.apply(event).map_err(|e| violation("r23_decisions_follow_history", e.to_string()))?;
        }
        let told = query_result.as_ref().and_then(|result: &Payload| result.read::<u64>().ok());
        ensure!(
            told == Some(known.state()),
            "r17_an_answer_tells_what_history_stands_by",
            "{run:?} as of {basis:?} is told to be {told:?}, and is {}",
            known.state()
        );
        self.stats.queries_told += 1;
        self.stats.queries_of_closed += u64::from(asking.status != WorkflowStatus::Running);
        Ok(())
    }

    /// In a healthy world a run that has ended tells what it came to, and no partition changes with it.
    pub(crate) fn query_at_rest(&mut self) -> Checked {
        if self.plan.queries == 0 {
            return Ok(());
        }
        let written = |world: &Self| world.truth.iter().map(|truth| truth.valid_records).sum::<u64>();
        let before = written(self);
        for partition in 0..self.plan.partitions {
            let runs = read::list(&self.truth[partition as usize].rows, &[], 1_000).map_err(unreadable)?;
            let Some((_, run)) = self.dice.pick(&runs).cloned() else { continue };
            let rows = &self.truth[partition as usize].rows;
            let standing = query::standing(rows, &run.workflow_id, &run.run_id).map_err(unreadable)?;
            if standing.is_none_or(|standing| standing.basis.is_none()) {
                continue;
            }
            self.asking.clear();
            self.begin_query(partition, &run.workflow_id, &run.run_id, 60_000)?;
            let told = self.stats.queries_told;
            for _ in 0..2_000 {
                if self.asking.is_empty() {
                    break;
                }
                self.round()?;
                self.pass(1);
            }
            ensure!(
                self.stats.queries_told > told,
                "a_healthy_world_answers_queries",
                "{} {} is not told",
                run.workflow_id,
                run.run_id
            );
        }
        self.run_to_the_end()?;
        let after = written(self);
        ensure!(before == after, "a_query_leaves_no_record", "{before} records, and {after} with it");
        Ok(())
    }
}

fn completes(attributes: &EventAttributes, basis: &QueryBasis) -> bool {
    matches!(attributes, EventAttributes::WorkflowTaskCompleted(completed)
        if completed.completion_id == basis.completion_id && completed.started_event_id == basis.started_event_id)
}
