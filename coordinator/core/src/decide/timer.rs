//! `FireTimer`: something is due. It counts only if identity, generation and due time are those of a row (R20, R33). Of timers that workflows
//! start:
//!
//! | state | `FireTimer` | cancel | end of the run |
//! |---|---|---|---|
//! | open, due by the command's own timestamp | fires | closes | closes |
//! | open, early | ignored, and armed again | closes | closes |
//! | fired and buffered | ignored | recorded, so that a replay finds what the code decided | – |
//! | closed | ignored | a bad decision | – |

use tidewright_schemas::{
    ActivityDispatched, FireTimer, RetryState, TimeoutType, TimerFired, TimerTarget, WorkflowExecutionTimedOut,
    WorkflowId,
};

use super::Decision;
use super::activity::OpenActivity;
use super::activity_retry::{AttemptFailure, fail_attempt};
use super::draft::Draft;
use crate::state::{ActivityState, RunRow, State, WorkflowTaskState, activity_timers, run_timers, timer_of};
use crate::{Context, Decided, Rows};

pub(super) fn fire<R: Rows>(
    state: &State<'_, R>,
    workflow_id: &WorkflowId,
    command: &FireTimer,
    context: &Context,
) -> Decision {
    match command.target {
        TimerTarget::Timer
        | TimerTarget::WorkflowTaskRetry
        | TimerTarget::WorkflowStartDelay
        | TimerTarget::WorkflowTimeout => fire_for_run(state, workflow_id, command, context),
        TimerTarget::ActivityRetry
        | TimerTarget::ActivityStartToClose
        | TimerTarget::ActivityScheduleToStart
        | TimerTarget::ActivityScheduleToClose
        | TimerTarget::ActivityHeartbeat => fire_for_activity(state, workflow_id, command, context),
        TimerTarget::RunDeletion => super::delete::advance(state, workflow_id, command, context),
    }
}

/// Early by the command's own broker timestamp: ignored, and armed again.
pub(super) fn early(command: &FireTimer, context: &Context) -> Option<Decided> {
    let wait_ms = command.due_ms.saturating_sub(context.timestamp_ms);
    (wait_ms > 0).then_some(Decided::Early { wait_ms })
}

fn fire_for_run<R: Rows>(
    state: &State<'_, R>,
    workflow_id: &WorkflowId,
    command: &FireTimer,
    context: &Context,
) -> Decision {
    let Some(run) = state.run(workflow_id, &command.run_id)?.filter(RunRow::is_open) else {
        return Ok(Decided::Nothing);
    };
    let timer = match command.target {
        TimerTarget::Timer => state.timer(workflow_id, &command.run_id, command.event_id)?,
        _ => None,
    };
    let waits_for = timer.as_ref().map_or_else(|| run_timers(&run), timer_of);
    if !waits_for.contains(&(command.target, command.attempt, command.due_ms)) {
        return Ok(Decided::Nothing);
    }
    if let Some(early) = early(command, context) {
        return Ok(early);
    }
    let mut draft = Draft::of(workflow_id, &command.run_id, &run, context);
    match (timer, &run.workflow_task) {
        (Some(timer), _) => {
            let fired = TimerFired { timer_id: timer.timer_id, started_event_id: command.event_id };
            draft.happened(vec![fired.into()], true);
        }
        (None, _) if command.target == TimerTarget::WorkflowTimeout => {
            draft.close_tasks(state, &run, 0)?;
            draft.event(WorkflowExecutionTimedOut { retry_state: RetryState::Timeout, new_execution_run_id: None });
        }
        (None, WorkflowTaskState::BackingOff { attempt, failure, .. }) => {
            draft.send_workflow_task_again(*attempt, failure.clone(), false);
        }
        (None, _) => draft.send_workflow_task(),
    }
    Ok(draft.finish().into())
}

fn fire_for_activity<R: Rows>(
    state: &State<'_, R>,
    workflow_id: &WorkflowId,
    command: &FireTimer,
    context: &Context,
) -> Decision {
    let Some(activity) = OpenActivity::find(state, workflow_id, &command.run_id, command.event_id)? else {
        return Ok(Decided::Nothing);
    };
    if !activity_timers(&activity.row).contains(&(command.target, command.attempt, command.due_ms)) {
        return Ok(Decided::Nothing);
    }
    if let Some(early) = early(command, context) {
        return Ok(early);
    }
    let timeout = match command.target {
        TimerTarget::ActivityStartToClose => TimeoutType::StartToClose,
        TimerTarget::ActivityScheduleToStart => TimeoutType::ScheduleToStart,
        TimerTarget::ActivityScheduleToClose => TimeoutType::ScheduleToClose,
        TimerTarget::ActivityHeartbeat => TimeoutType::Heartbeat,
        _ => return Ok(dispatch_again(&activity, context)),
    };
    Ok(fail_attempt(&activity, AttemptFailure::TimedOut(timeout), None, context))
}

/// The backoff is over.
fn dispatch_again(activity: &OpenActivity, context: &Context) -> Decided {
    if !matches!(activity.row.state, ActivityState::BackingOff { .. }) {
        return Decided::Nothing;
    }
    let mut draft = activity.draft(context);
    draft.row(ActivityDispatched {
        scheduled_event_id: activity.scheduled_event_id,
        attempt: activity.row.attempt,
        time_ms: draft.now_ms,
        last_failure: activity.row.last_failure.clone(),
        last_worker: activity.row.last_worker.clone().unwrap_or_default(),
        heartbeat_details: activity.row.heartbeat_details.clone(),
        unstarted: activity.row.unstarted,
        lost_workers: activity.row.lost_workers,
        anywhere: false,
    });
    draft.finish().into()
}
