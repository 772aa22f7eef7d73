//! What a decision may say, and the cause that is told of one that may not.

use std::collections::{BTreeMap, BTreeSet};

use tidewright_schemas::limits::{NAME_BYTES_MAX, PAYLOAD_BYTES_MAX, PENDING_ACTIVITIES_MAX, PENDING_TIMERS_MAX};
use tidewright_schemas::{
    Decision, EventAttributes, EventId, Payload, RunId, ScheduleActivity, WorkflowId, WorkflowTaskFailedCause as Cause,
};

use super::activity_cancel::Cancels;
use super::fit;
use crate::state::keys::{ACTIVITY, TIMER};
use crate::state::{RunRow, State};
use crate::{Rows, RowsError};

/// Why a completion does not count; told to the worker.
pub(super) struct Refused {
    pub(super) cause: Cause,
    pub(super) problem: String,
}

/// Timers that decisions speak of, by their ids.
#[derive(Debug, Clone, Default)]
pub(super) struct Timers {
    open: BTreeMap<String, EventId>,
    /// Those whose `TimerFired` is buffered: the workflow does not know yet, and may cancel them.
    fired: BTreeMap<String, EventId>,
    /// How many are open, whether decisions speak of them or not.
    open_count: usize,
}

impl Timers {
    pub(super) fn read<R: Rows>(
        state: &State<'_, R>,
        (workflow_id, run_id, run): (&WorkflowId, &RunId, &RunRow),
        decisions: &[Decision],
    ) -> Result<Self, RowsError> {
        let mut timers = Self { open_count: run.open_timers as usize, ..Self::default() };
        let mut cancels = false;
        for decision in decisions {
            let timer_id = match decision {
                Decision::StartTimer(timer) => &timer.timer_id,
                Decision::CancelTimer(timer) => {
                    cancels = true;
                    &timer.timer_id
                }
                _ => continue,
            };
            if timers.open_count > 0
                && let Some(event_id) = state.open_id(TIMER, workflow_id, run_id, timer_id)?
            {
                timers.open.insert(timer_id.clone(), event_id);
            }
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

    /// Adds one; false if one of its id is open.
    pub(super) fn start(&mut self, timer_id: &str, event_id: EventId) -> bool {
        let is_new = self.open.insert(timer_id.to_owned(), event_id).is_none();
        self.open_count += usize::from(is_new);
        is_new
    }

    /// Takes the timer of this id out: the open one, or else the one that fired meanwhile.
    pub(super) fn cancel(&mut self, timer_id: &str) -> Option<EventId> {
        match self.open.remove(timer_id) {
            Some(event_id) => {
                self.open_count = self.open_count.saturating_sub(1);
                Some(event_id)
            }
            None => self.fired.remove(timer_id),
        }
    }
}

/// Activities that decisions schedule.
pub(super) struct Activities {
    /// Ids that are taken, of those that decisions give.
    taken: BTreeSet<String>,
    /// How many are open, with those that are scheduled.
    open_count: usize,
}

impl Activities {
    pub(super) fn read<R: Rows>(
        state: &State<'_, R>,
        (workflow_id, run_id, run): (&WorkflowId, &RunId, &RunRow),
        decisions: &[Decision],
    ) -> Result<Self, RowsError> {
        let mut activities = Self { taken: BTreeSet::new(), open_count: run.open_activities as usize };
        for decision in decisions {
            if activities.open_count > 0
                && let Decision::ScheduleActivity(activity) = decision
                && state.open_id(ACTIVITY, workflow_id, run_id, &activity.activity_id)?.is_some()
            {
                activities.taken.insert(activity.activity_id.clone());
            }
        }
        Ok(activities)
    }

    /// Adds one; false if one of its id is open.
    fn schedule(&mut self, activity_id: &str) -> bool {
        self.open_count += 1;
        self.taken.insert(activity_id.to_owned())
    }
}

/// What is open while decisions are gone through.
pub(super) struct Open {
    pub(super) activities: Activities,
    pub(super) timers: Timers,
    pub(super) cancels: Cancels,
}

impl Open {
    pub(super) fn take(&mut self, decision: &Decision, last: bool) -> Result<(), Refused> {
        match decision {
            Decision::ScheduleActivity(activity) => {
                check_activity(activity).map_err(because(Cause::BadScheduleActivityAttributes))?;
                let is_new = self.activities.schedule(&activity.activity_id);
                unique("activity", &activity.activity_id, is_new)
                    .map_err(because(Cause::ScheduleActivityDuplicateId))?;
                room("activities", self.activities.open_count, PENDING_ACTIVITIES_MAX)
                    .map_err(because(Cause::PendingActivitiesLimitExceeded))
            }
            Decision::RequestCancelActivity(cancel) => {
                let taken = self.cancels.take(cancel.scheduled_event_id);
                taken.map_err(because(Cause::BadRequestCancelActivityAttributes))
            }
            Decision::StartTimer(timer) => {
                name("timer_id", &timer.timer_id).map_err(because(Cause::BadStartTimerAttributes))?;
                let is_new = self.timers.start(&timer.timer_id, 0);
                unique("timer", &timer.timer_id, is_new).map_err(because(Cause::StartTimerDuplicateId))?;
                // Temporal has no cause for it.
                room("timers", self.timers.open_count, PENDING_TIMERS_MAX).map_err(because(Cause::BadDecision))
            }
            Decision::CancelTimer(timer) => {
                self.cancel_timer(&timer.timer_id).map_err(because(Cause::BadCancelTimerAttributes))
            }
            Decision::CompleteWorkflow(complete) => must_be_last(last)
                .and_then(|()| payload("result", complete.result.as_ref()))
                .map_err(because(Cause::BadCompleteWorkflowExecutionAttributes)),
            Decision::CancelWorkflow(cancel) => must_be_last(last)
                .and_then(|()| payload("details", cancel.details.as_ref()))
                .map_err(because(Cause::BadCancelWorkflowExecutionAttributes)),
            Decision::FailWorkflow(fail) => must_be_last(last)
                .and_then(|()| at_most("failure", fit::json_bytes(&fit::texts(&fail.failure)), PAYLOAD_BYTES_MAX))
                .map_err(because(Cause::BadFailWorkflowExecutionAttributes)),
        }
    }

    fn cancel_timer(&mut self, timer_id: &str) -> Result<(), String> {
        name("timer_id", timer_id)?;
        let found = self.timers.cancel(timer_id);
        found.map(drop).ok_or_else(|| format!("there is no open timer with the id `{timer_id}`"))
    }
}

fn because(cause: Cause) -> impl FnOnce(String) -> Refused {
    move |problem| Refused { cause, problem }
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
