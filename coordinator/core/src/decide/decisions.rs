//! The decisions of a completed workflow task: checked as a whole, then recorded as events.

use std::collections::{BTreeMap, BTreeSet};

use tidewright_schemas::limits::{
    DECISIONS_MAX, NAME_BYTES_MAX, PAYLOAD_BYTES_MAX, PENDING_ACTIVITIES_MAX, PENDING_TIMERS_MAX,
};
use tidewright_schemas::{
    ActivityTaskScheduled, CompleteWorkflowTask, Decision, EventAttributes, EventId, Payload, RunId, ScheduleActivity,
    TimerCanceled, TimerStarted, WorkflowExecutionCanceled, WorkflowExecutionCompleted, WorkflowExecutionFailed,
    WorkflowId, WorkflowTaskFailedCause,
};

use super::activity_cancel::{CanceledAtOnce, Cancels};
use super::draft::Draft;
use super::fit;
use crate::state::{RunRow, State};
use crate::{Rows, RowsError};

/// What an event of a decision may have beyond the decision: its own frame, and defaults that are written out.
const EVENT_FRAME_BYTES: usize = 512;

/// Why a completion does not count; told to the worker.
pub(super) struct Refused {
    pub(super) cause: WorkflowTaskFailedCause,
    pub(super) problem: String,
}

/// Decisions that were checked.
pub(super) struct Plan {
    /// Whether they end the run.
    pub(super) closes: bool,
    /// How large their events are at most.
    pub(super) bytes: usize,
    timers: Timers,
    cancels: Cancels,
}

/// Checks all decisions; if one is wrong, none of them counts.
pub(super) fn check<R: Rows>(
    state: &State<'_, R>,
    (workflow_id, run_id, run): (&WorkflowId, &RunId, &RunRow),
    command: &CompleteWorkflowTask,
) -> Result<Result<Plan, Refused>, RowsError> {
    let decisions = &command.decisions;
    let bad = |problem| Refused { cause: WorkflowTaskFailedCause::BadDecision, problem };
    if let Err(problem) = at_most("completion_id", command.completion_id.len(), NAME_BYTES_MAX) {
        return Ok(Err(bad(problem)));
    }
    if decisions.len() > DECISIONS_MAX {
        let problem =
            format!("{} decisions in one workflow task; at most {DECISIONS_MAX} are allowed", decisions.len());
        return Ok(Err(bad(problem)));
    }
    let timers = Timers::read(state, (workflow_id, run_id, run), decisions)?;
    let cancels = Cancels::read(state, (workflow_id, run_id, run), decisions)?;
    let mut open = Open { activities: BTreeSet::new(), timers: timers.clone(), cancels: cancels.clone() };
    if run.open_activities > 0 && decisions.iter().any(|d| matches!(d, Decision::ScheduleActivity(_))) {
        let rows = state.activities(workflow_id, run_id, PENDING_ACTIVITIES_MAX as usize)?;
        open.activities = rows.into_iter().map(|(_, row)| row.activity_id).collect();
    }
    let mut bytes = 0;
    for (at, decision) in decisions.iter().enumerate() {
        let last = at + 1 == decisions.len();
        if let Err(problem) = open.take(decision, last) {
            return Ok(Err(bad(format!("decision {at} ({}): {problem}", decision.type_name()))));
        }
        bytes += fit::json_bytes(decision) + run.task_queue.len() + EVENT_FRAME_BYTES;
        if matches!(decision, Decision::RequestCancelActivity(_)) {
            bytes += NAME_BYTES_MAX + workflow_id.as_str().len() + EVENT_FRAME_BYTES;
        }
    }
    if bytes > fit::DECISIONS_BYTES_MAX {
        let problem = format!(
            "the decisions come to about {bytes} bytes of history; at most {} fit one workflow task. Decide less at a \
             time, or pass references instead of large inputs",
            fit::DECISIONS_BYTES_MAX
        );
        return Ok(Err(Refused { cause: WorkflowTaskFailedCause::CompletionTooLarge, problem }));
    }
    let closes = matches!(
        decisions.last(),
        Some(Decision::CompleteWorkflow(_) | Decision::FailWorkflow(_) | Decision::CancelWorkflow(_))
    );
    Ok(Ok(Plan { closes, bytes, timers, cancels }))
}

/// Timers that decisions may cancel, by their ids.
#[derive(Debug, Clone, Default)]
struct Timers {
    open: BTreeMap<String, EventId>,
    /// Those whose `TimerFired` is buffered: the workflow does not know yet, and may cancel them.
    fired: BTreeMap<String, EventId>,
}

impl Timers {
    fn read<R: Rows>(
        state: &State<'_, R>,
        (workflow_id, run_id, run): (&WorkflowId, &RunId, &RunRow),
        decisions: &[Decision],
    ) -> Result<Self, RowsError> {
        let mut timers = Self::default();
        let cancels = decisions.iter().any(|decision| matches!(decision, Decision::CancelTimer(_)));
        let starts = decisions.iter().any(|decision| matches!(decision, Decision::StartTimer(_)));
        if run.open_timers > 0 && (cancels || starts) {
            let rows = state.timers(workflow_id, run_id, PENDING_TIMERS_MAX as usize)?;
            timers.open = rows.into_iter().map(|(event_id, row)| (row.timer_id, event_id)).collect();
        }
        if !cancels {
            return Ok(timers);
        }
        for number in run.buffered.0..run.buffered.1 {
            let events = state.buffered(workflow_id, run_id, number)?.map(|row| row.events).unwrap_or_default();
            timers.fired.extend(events.into_iter().filter_map(|event| match event.attributes {
                EventAttributes::TimerFired(timer) => Some((timer.timer_id, timer.started_event_id)),
                _ => None,
            }));
        }
        Ok(timers)
    }

    /// Takes the timer of this id out: the open one, or else the one that fired meanwhile.
    fn cancel(&mut self, timer_id: &str) -> Option<EventId> {
        self.open.remove(timer_id).or_else(|| self.fired.remove(timer_id))
    }
}

/// What is open while decisions are gone through.
struct Open {
    activities: BTreeSet<String>,
    timers: Timers,
    cancels: Cancels,
}

impl Open {
    fn take(&mut self, decision: &Decision, last: bool) -> Result<(), String> {
        match decision {
            Decision::ScheduleActivity(activity) => {
                check_activity(activity)?;
                let is_new = self.activities.insert(activity.activity_id.clone());
                unique("activity", &activity.activity_id, is_new)?;
                room("activities", self.activities.len(), PENDING_ACTIVITIES_MAX)
            }
            Decision::RequestCancelActivity(cancel) => self.cancels.take(cancel.scheduled_event_id),
            Decision::StartTimer(timer) => {
                name("timer_id", &timer.timer_id)?;
                let is_new = self.timers.open.insert(timer.timer_id.clone(), 0).is_none();
                unique("timer", &timer.timer_id, is_new)?;
                room("timers", self.timers.open.len(), PENDING_TIMERS_MAX)
            }
            Decision::CancelTimer(timer) => {
                name("timer_id", &timer.timer_id)?;
                let found = self.timers.cancel(&timer.timer_id);
                found.map(drop).ok_or_else(|| format!("there is no open timer with the id `{}`", timer.timer_id))
            }
            Decision::CompleteWorkflow(complete) => {
                must_be_last(last)?;
                payload("result", complete.result.as_ref())
            }
            Decision::CancelWorkflow(cancel) => {
                must_be_last(last)?;
                payload("details", cancel.details.as_ref())
            }
            Decision::FailWorkflow(fail) => {
                must_be_last(last)?;
                at_most("failure", fit::json_bytes(&fit::texts(&fail.failure)), PAYLOAD_BYTES_MAX)
            }
        }
    }
}

fn unique(what: &str, id: &str, is_new: bool) -> Result<(), String> {
    if is_new { Ok(()) } else { Err(format!("there is an open {what} with the id `{id}` already")) }
}

fn room(what: &str, open: usize, most: u32) -> Result<(), String> {
    if open > most as usize {
        return Err(format!("more than {most} open {what}; wait for some of them first"));
    }
    Ok(())
}

fn check_activity(activity: &ScheduleActivity) -> Result<(), String> {
    name("activity_id", &activity.activity_id)?;
    name("activity_type", &activity.activity_type)?;
    if let Some(queue) = &activity.task_queue {
        name("task_queue", queue)?;
    }
    if activity.start_to_close_timeout_ms.is_none() && activity.schedule_to_close_timeout_ms.is_none() {
        return Err(format!(
            "activity `{}` has neither start_to_close_timeout_ms nor schedule_to_close_timeout_ms; set one",
            activity.activity_type
        ));
    }
    if let Some(problem) = activity.retry_policy.as_ref().and_then(tidewright_schemas::RetryPolicy::problem) {
        return Err(problem.to_owned());
    }
    payload("input", activity.input.as_ref())
}

fn must_be_last(last: bool) -> Result<(), String> {
    if last { Ok(()) } else { Err("it ends the run, so it must be the last decision".to_owned()) }
}

fn name(field: &str, value: &str) -> Result<(), String> {
    if value.is_empty() || value.len() > NAME_BYTES_MAX {
        return Err(format!("`{field}` has {} bytes; 1 to {NAME_BYTES_MAX} are allowed", value.len()));
    }
    Ok(())
}

fn payload(field: &str, value: Option<&Payload>) -> Result<(), String> {
    at_most(field, value.map_or(0, Payload::size), PAYLOAD_BYTES_MAX)
}

fn at_most(field: &str, bytes: usize, most: usize) -> Result<(), String> {
    if bytes > most {
        return Err(format!("`{field}` has {bytes} bytes; at most {most} are allowed"));
    }
    Ok(())
}

impl Plan {
    /// Records the checked decisions as events. Returns the activities that close with a request to cancel them.
    pub(super) fn record(
        mut self,
        draft: &mut Draft,
        run: &RunRow,
        decisions: &[Decision],
        completed: EventId,
    ) -> Vec<CanceledAtOnce> {
        decisions.iter().filter_map(|decision| self.record_one(draft, run, decision, completed)).collect()
    }

    fn record_one(
        &mut self,
        draft: &mut Draft,
        run: &RunRow,
        decision: &Decision,
        completed: EventId,
    ) -> Option<CanceledAtOnce> {
        let workflow_task_completed_event_id = completed;
        match decision {
            Decision::ScheduleActivity(activity) => {
                draft.event(activity_scheduled(activity, run, completed));
            }
            Decision::RequestCancelActivity(cancel) => {
                return self.cancels.record(draft, cancel.scheduled_event_id, completed);
            }
            Decision::StartTimer(timer) => {
                let event_id = draft.event(TimerStarted {
                    timer_id: timer.timer_id.clone(),
                    start_to_fire_timeout_ms: timer.start_to_fire_timeout_ms,
                    user_metadata: timer.user_metadata.clone(),
                    workflow_task_completed_event_id,
                });
                self.timers.open.insert(timer.timer_id.clone(), event_id);
            }
            Decision::CancelTimer(timer) => {
                // One that fired meanwhile is cancelled all the same, so that a replay finds what the code decided.
                let started_event_id = self.timers.cancel(&timer.timer_id).unwrap_or_default();
                let timer_id = timer.timer_id.clone();
                draft.event(TimerCanceled { timer_id, started_event_id, workflow_task_completed_event_id });
            }
            Decision::CompleteWorkflow(complete) => {
                let result = complete.result.clone();
                draft.event(WorkflowExecutionCompleted { result, workflow_task_completed_event_id });
            }
            Decision::CancelWorkflow(cancel) => {
                let details = cancel.details.clone();
                draft.event(WorkflowExecutionCanceled { details, workflow_task_completed_event_id });
            }
            Decision::FailWorkflow(fail) => {
                let failure = fit::texts(&fail.failure);
                draft.event(WorkflowExecutionFailed { failure, workflow_task_completed_event_id });
            }
        }
        None
    }
}

fn activity_scheduled(activity: &ScheduleActivity, run: &RunRow, completed_event_id: EventId) -> ActivityTaskScheduled {
    ActivityTaskScheduled {
        activity_id: activity.activity_id.clone(),
        activity_type: activity.activity_type.clone(),
        task_queue: activity.task_queue.clone().unwrap_or_else(|| run.task_queue.clone()),
        input: activity.input.clone(),
        header: activity.header.clone(),
        start_to_close_timeout_ms: activity.start_to_close_timeout_ms,
        schedule_to_start_timeout_ms: activity.schedule_to_start_timeout_ms,
        schedule_to_close_timeout_ms: activity.schedule_to_close_timeout_ms,
        heartbeat_timeout_ms: activity.heartbeat_timeout_ms,
        retry_policy: activity.retry_policy.clone().unwrap_or_default(),
        detached: activity.detached,
        priority: activity.priority.clone(),
        user_metadata: activity.user_metadata.clone(),
        workflow_task_completed_event_id: completed_event_id,
    }
}
