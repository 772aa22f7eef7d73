//! A worker advances workflows: from what it holds, from what a task brings, or from the history that it pages.

use tidewright_core::read;
use tidewright_owner::Phase;
use tidewright_schemas::{
    Command, CompleteWorkflowTask, Decision, EventId, FailWorkflowTask, Failure, HistoryEvent, RunId, ScheduleActivity,
    TimeoutType, WorkflowId, WorkflowTask, WorkflowTaskFailedCause,
};

use crate::run::Run;
use crate::violation::{Checked, ensure, violation};
use crate::world::World;

/// A run that a worker keeps.
pub(crate) struct Cached {
    pub(crate) run: Run,
    pub(crate) completion_id: String,
    pub(crate) started_event_id: EventId,
}

/// A history from its start.
pub(crate) struct Wanted<'a> {
    pub(crate) workflow_id: &'a WorkflowId,
    pub(crate) run_id: &'a RunId,
    pub(crate) url: Option<&'a String>,
    /// The event that follows it.
    pub(crate) before: EventId,
}

impl<'a> Wanted<'a> {
    fn of(task: &'a WorkflowTask, before: EventId) -> Self {
        let WorkflowTask { workflow_id, run_id, .. } = task;
        Self { workflow_id, run_id, url: task.history_url.as_ref(), before }
    }
}

impl World {
    /// Advances a workflow by one task.
    pub(crate) fn advance_run(&mut self, at: usize, task: &WorkflowTask) -> Checked<Command> {
        let worker = self.workers[at].identity.clone();
        let token = task.token.clone();
        let failed = |cause, message: &str| -> Command {
            let failure = Failure::application("Simulated", message, false);
            FailWorkflowTask { token: token.clone(), cause, failure, worker: worker.clone() }.into()
        };
        if self.goes_wrong(self.plan.faults.worker_bug) {
            if self.dice.chance(200) {
                let failure = Failure::timeout(TimeoutType::StartToClose, "the code blocks");
                let cause = WorkflowTaskFailedCause::Unspecified;
                return Ok(FailWorkflowTask { token, cause, failure, worker }.into());
            }
            if self.dice.chance(500) {
                return Ok(failed(WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure, "a bug of the worker's"));
            }
            let decisions = vec![bad_decision()];
            let completion_id = format!("bad-{}", self.next_number());
            return Ok(CompleteWorkflowTask::new(token, completion_id, decisions, worker).into());
        }
        let cached = self.workers[at].cache.remove(&task.run_id);
        let fits = |cached: &Cached| {
            task.previous_completion_id.as_ref() == Some(&cached.completion_id)
                && task.previous_started_event_id == cached.started_event_id
        };
        let known = cached.filter(fits).map(|cached| cached.run);
        let Some(mut run) = self.bring_up(known, task)? else {
            return Ok(failed(WorkflowTaskFailedCause::HistoryUnavailable, "no history"));
        };
        let decisions = run.decisions();
        let completion_id = format!("completion-{}", self.next_number());
        if !self.goes_wrong(self.plan.faults.forget_run) {
            // The boundaries of a retried task become events with its completion; they tell nothing new.
            run.last_event_id = task.started_event_id;
            let cached = Cached { run, completion_id: completion_id.clone(), started_event_id: task.started_event_id };
            self.workers[at].cache.insert(task.run_id.clone(), cached);
        }
        Ok(CompleteWorkflowTask::new(token, completion_id, decisions, worker).into())
    }

    /// The run as it is when the task begins; none if its history cannot be had.
    fn bring_up(&mut self, known: Option<Run>, task: &WorkflowTask) -> Checked<Option<Run>> {
        if let Some(run) = known
            && let Some(run) = follow(run, task)?
        {
            return Ok(Some(run));
        }
        let first = task.events.first().map_or(task.scheduled_event_id, |event| event.event_id);
        let mut run = Run::default();
        if first > 1 {
            let Some(events) = self.fetch(Wanted::of(task, first))? else { return Ok(None) };
            for event in &events {
                run.apply(event).map_err(|e| violation("r23_decisions_follow_history", e.to_string()))?;
            }
        }
        follow(run, task)
    }

    /// Pages a history from whoever owns the partition, or believes so.
    pub(crate) fn fetch(&mut self, wanted: Wanted<'_>) -> Checked<Option<Vec<HistoryEvent>>> {
        let Wanted { workflow_id, run_id, url, before } = wanted;
        if url.is_none() || self.goes_wrong(self.plan.faults.hide_history) {
            return Ok(None);
        }
        let partition = self.partition_of(workflow_id.as_str());
        let Some(node) = self.an_owner(partition) else { return Ok(None) };
        let owner = &self.nodes[node].tenures[&partition].owner;
        let limit = (before - 1) as usize;
        let page = read::history(owner.store(), workflow_id, run_id, 1, limit)
            .map_err(|e| violation("r17_reads_work", e.to_string()))?;
        let Some(page) = page else { return Ok(None) };
        let known = self.truth[partition as usize].histories.get(&(workflow_id.clone(), run_id.clone()));
        let committed = known.is_some_and(|events| events.starts_with(&page.events));
        ensure!(committed, "r17_reads_tell_what_is_committed", "{:?}", page.events);
        let reaches = page.events.last().is_some_and(|event| event.event_id + 1 == before);
        Ok(reaches.then_some(page.events))
    }

    /// A node that owns the partition, or believes so.
    pub(crate) fn an_owner(&mut self, partition: u32) -> Option<usize> {
        let owners: Vec<_> = (0..self.nodes.len())
            .filter(|node| self.is_running(*node))
            .filter(|node| self.nodes[*node].tenures.get(&partition).is_some_and(|t| t.owner.phase() == Phase::Owning))
            .collect();
        self.dice.pick(&owners).copied()
    }
}

/// Applies what a task brings. None if the run does not reach the task's boundary.
fn follow(mut run: Run, task: &WorkflowTask) -> Checked<Option<Run>> {
    for event in task.events.iter().filter(|event| event.event_id > run.last_event_id).collect::<Vec<_>>() {
        if event.event_id != run.last_event_id + 1 {
            return Ok(None);
        }
        run.apply(event).map_err(|e| violation("r23_decisions_follow_history", e.to_string()))?;
    }
    let reaches = run.last_event_id == task.started_event_id || run.last_event_id + 1 == task.scheduled_event_id;
    Ok(reaches.then_some(run))
}

/// Asks for an activity without any timeout, which is refused.
fn bad_decision() -> Decision {
    ScheduleActivity {
        activity_id: "bad".to_owned(),
        activity_type: "Simulated".to_owned(),
        ..ScheduleActivity::default()
    }
    .into()
}
