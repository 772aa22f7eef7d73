//! What follows when an attempt of an activity does not succeed: another attempt, or the activity's end.

use tidewright_schemas::{
    ActivityDispatched, ActivityRetryScheduled, ActivityTaskFailed, ActivityTaskFailedCause, ActivityTaskTimedOut,
    Failure, FailureInfo, RetryState, TimeoutFailure, TimeoutType, WorkerIdentity,
};

use super::activity::OpenActivity;
use crate::state::ActivityState;
use crate::{Context, Decided};

/// Why an attempt did not succeed.
pub(super) enum AttemptFailure {
    /// The worker, or the engine, says that it failed.
    Failed(Failure),
    /// The worker says that it could not do its part.
    WorkerFailed(ActivityTaskFailedCause, Failure),
    /// It took too long.
    TimedOut(TimeoutType),
    /// Its task is gone, and nobody had started it (R27).
    Lost,
}

/// Another attempt, or the end.
pub(super) fn fail_attempt(
    activity: &OpenActivity,
    attempt_failure: AttemptFailure,
    worker: Option<&WorkerIdentity>,
    context: &Context,
) -> Decided {
    // Nobody had started what is lost, so a request to cancel is fulfilled.
    if matches!(attempt_failure, AttemptFailure::Lost)
        && let Some(canceled) = activity.canceled(None, &WorkerIdentity::default())
    {
        return activity.close(context, None, canceled);
    }
    let now_ms = activity.draft(context).now_ms;
    let failure = match &attempt_failure {
        AttemptFailure::Failed(failure) | AttemptFailure::WorkerFailed(_, failure) => failure.clone(),
        AttemptFailure::TimedOut(timeout) => timeout_failure(activity, *timeout),
        AttemptFailure::Lost => {
            let message =
                format!("the task of activity `{}` was not in its topic any more", activity.row.activity_type);
            Failure::server("TW0304", message, false)
        }
    };
    match next_attempt(activity, &attempt_failure, &failure, now_ms) {
        Ok(delay_ms) => {
            let mut draft = activity.draft(context);
            let attempt = activity.row.attempt.saturating_add(1);
            let scheduled_event_id = activity.scheduled_event_id;
            let heartbeat_details = activity.row.heartbeat_details.clone();
            if delay_ms == 0 {
                let last_worker = worker.cloned().unwrap_or_default();
                let time_ms = now_ms;
                draft.row(ActivityDispatched {
                    scheduled_event_id,
                    attempt,
                    time_ms,
                    last_failure: failure,
                    last_worker,
                    heartbeat_details,
                });
            } else {
                let due_ms = now_ms.saturating_add(delay_ms);
                let worker = worker.cloned().unwrap_or_default();
                draft.row(ActivityRetryScheduled {
                    scheduled_event_id,
                    attempt,
                    due_ms,
                    failure,
                    worker,
                    heartbeat_details,
                });
            }
            draft.finish().into()
        }
        Err(retry_state) => end(activity, &attempt_failure, failure, retry_state, worker, context),
    }
}

fn end(
    activity: &OpenActivity,
    attempt_failure: &AttemptFailure,
    failure: Failure,
    retry_state: RetryState,
    worker: Option<&WorkerIdentity>,
    context: &Context,
) -> Decided {
    let scheduled_event_id = activity.scheduled_event_id;
    let known = match &activity.row.state {
        ActivityState::Started { worker, .. } => Some(worker),
        ActivityState::Dispatched | ActivityState::BackingOff { .. } => worker,
    };
    let started = known.map(|worker| (activity.row.attempt, worker));
    let outcome = match attempt_failure {
        AttemptFailure::TimedOut(_) => {
            let failure = match activity.row.last_failure.clone() {
                Some(last) => failure.caused_by(last),
                None => failure,
            };
            ActivityTaskTimedOut { scheduled_event_id, started_event_id: 0, failure, retry_state }.into()
        }
        AttemptFailure::Failed(_) | AttemptFailure::WorkerFailed(..) | AttemptFailure::Lost => {
            let worker = known.cloned().unwrap_or_default();
            let cause = match attempt_failure {
                AttemptFailure::WorkerFailed(cause, _) => Some(*cause),
                _ => None,
            };
            ActivityTaskFailed { scheduled_event_id, started_event_id: 0, failure, retry_state, cause, worker }.into()
        }
    };
    activity.close(context, started, outcome)
}

/// The delay before the next attempt, or why there is none.
fn next_attempt(
    activity: &OpenActivity,
    attempt_failure: &AttemptFailure,
    failure: &Failure,
    now_ms: u64,
) -> Result<u64, RetryState> {
    let policy = &activity.row.retry_policy;
    let deadline =
        activity.row.schedule_to_close_timeout_ms.map(|timeout| activity.row.scheduled_time_ms.saturating_add(timeout));
    let in_time = |delay_ms: u64| match deadline {
        Some(deadline) if now_ms.saturating_add(delay_ms) >= deadline => Err(RetryState::Timeout),
        _ => Ok(delay_ms),
    };
    if matches!(attempt_failure, AttemptFailure::Lost) {
        // Nobody had started it, so it uses up no attempt (R27).
        return in_time(0);
    }
    let ends_all = [TimeoutType::ScheduleToClose, TimeoutType::ScheduleToStart];
    if matches!(attempt_failure, AttemptFailure::TimedOut(timeout) if ends_all.contains(timeout)) {
        return Err(RetryState::Timeout);
    }
    if activity.row.cancel_requested_event_id.is_some() {
        return Err(RetryState::CancelRequested);
    }
    if failure.non_retryable() || policy.non_retryable_error_types.iter().any(|name| name == failure.error_type()) {
        return Err(RetryState::NonRetryableFailure);
    }
    if policy.maximum_attempts > 0 && activity.row.attempt >= policy.maximum_attempts {
        return Err(RetryState::MaximumAttemptsReached);
    }
    let asked_for = match &failure.info {
        FailureInfo::Application(application) => application.next_retry_delay_ms,
        _ => None,
    };
    in_time(asked_for.unwrap_or_else(|| policy.delay_after_ms(activity.row.attempt)))
}

fn timeout_failure(activity: &OpenActivity, timeout: TimeoutType) -> Failure {
    let kind = match timeout {
        TimeoutType::StartToClose => "start-to-close",
        TimeoutType::ScheduleToStart => "schedule-to-start",
        TimeoutType::ScheduleToClose => "schedule-to-close",
        TimeoutType::Heartbeat => "heartbeat",
    };
    let message = format!(
        "activity `{}` ran into its {kind} timeout (attempt {})",
        activity.row.activity_type, activity.row.attempt
    );
    let last_heartbeat_details = activity.row.heartbeat_details.clone();
    Failure::of(message, FailureInfo::Timeout(TimeoutFailure { timeout_type: timeout, last_heartbeat_details }))
}
