//! The decisions of a completed workflow task: checked as a whole, then recorded as events.

use tidewright_schemas::limits::{DECISIONS_MAX, NAME_BYTES_MAX};
use tidewright_schemas::{
    ActivityTaskScheduled, CompleteWorkflowTask, Decision, EventId, RunId, ScheduleActivity, TimerCanceled,
    TimerStarted, WorkflowExecutionCanceled, WorkflowExecutionCompleted, WorkflowExecutionFailed, WorkflowId,
    WorkflowTaskFailedCause,
};

use super::activity_cancel::{CanceledAtOnce, Cancels};
use super::decision_check::{Activities, Open, Refused, Timers};
use super::draft::Draft;
use super::fit;
use crate::state::{RunRow, State};
use crate::{Rows, RowsError};

/// What an event of a decision may have beyond the decision: its own frame, and defaults that are written out.
const EVENT_FRAME_BYTES: usize = 512;

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
    if command.completion_id.len() > NAME_BYTES_MAX {
        let bytes = command.completion_id.len();
        return Ok(Err(bad(format!("`completion_id` has {bytes} bytes; at most {NAME_BYTES_MAX} are allowed"))));
    }
    if decisions.len() > DECISIONS_MAX {
        let problem =
            format!("{} decisions in one workflow task; at most {DECISIONS_MAX} are allowed", decisions.len());
        return Ok(Err(bad(problem)));
    }
    let timers = Timers::read(state, (workflow_id, run_id, run), decisions)?;
    let cancels = Cancels::read(state, (workflow_id, run_id, run), decisions)?;
    let activities = Activities::read(state, (workflow_id, run_id, run), decisions)?;
    let mut open = Open { activities, timers: timers.clone(), cancels: cancels.clone() };
    let mut bytes = 0;
    for (at, decision) in decisions.iter().enumerate() {
        let last = at + 1 == decisions.len();
        if let Err(Refused { cause, problem }) = open.take(decision, last) {
            let problem = format!("decision {at} ({}): {problem}", decision.type_name());
            return Ok(Err(Refused { cause, problem }));
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
                self.timers.start(&timer.timer_id, event_id);
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
