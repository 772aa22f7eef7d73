//! What follows when an attempt of an activity does not succeed: another attempt, or the activity's end.

use tidewright_schemas::{
    ActivityDispatched, ActivityRetryScheduled, ActivityTaskFailed, ActivityTaskFailedCause, ActivityTaskTimedOut,
    Failure, FailureInfo, RetryState, TimeoutFailure, TimeoutType, WorkerIdentity,
};

use super::activity::OpenActivity;
use super::draft::Draft;
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
    /// Its worker is gone (R28).
    WorkerLost,
}

/// So many workers in a row that are lost with an activity make it a suspect.
const LOST_WORKERS_MAX: u32 = 3;

/// Another attempt, or the end.
pub(super) fn fail_attempt(
    activity: &OpenActivity,
    attempt_failure: AttemptFailure,
    worker: Option<&WorkerIdentity>,
    context: &Context,
) -> Decided {
    let mut draft = activity.draft(context);
    fail_attempt_in(&mut draft, activity, attempt_failure, worker);
    draft.finish().into()
}

/// The same, beside what else the draft holds.
pub(super) fn fail_attempt_in(
    draft: &mut Draft,
    activity: &OpenActivity,
    attempt_failure: AttemptFailure,
    worker: Option<&WorkerIdentity>,
) {
    // Nobody had started what is lost, so a request to cancel is fulfilled.
    if matches!(attempt_failure, AttemptFailure::Lost)
        && let Some(canceled) = activity.canceled(None, &WorkerIdentity::default())
    {
        return activity.close_in(draft, None, canceled);
    }
    let failure = match &attempt_failure {
        AttemptFailure::Failed(failure) | AttemptFailure::WorkerFailed(_, failure) => failure.clone(),
        AttemptFailure::TimedOut(timeout) => timeout_failure(activity, *timeout),
        AttemptFailure::Lost => {
            let message =
                format!("the task of activity `{}` was not in its topic any more", activity.row.activity_type);
            Failure::server("TW0304", message, false)
        }
        AttemptFailure::WorkerLost => worker_lost(activity),
    };
    let delay_ms = match next_attempt(activity, &attempt_failure, &failure, draft.now_ms) {
        Ok(delay_ms) => delay_ms,
        Err(retry_state) => return end(draft, activity, &attempt_failure, failure, retry_state, worker),
    };
    let row = &activity.row;
    let (unstarted, lost_workers) = match attempt_failure {
        // Nobody had begun it, so it does not count (R27).
        AttemptFailure::Lost => (row.unstarted.saturating_add(1), row.lost_workers),
        AttemptFailure::WorkerLost => (row.unstarted, row.lost_workers.saturating_add(1)),
        AttemptFailure::Failed(_) | AttemptFailure::WorkerFailed(..) | AttemptFailure::TimedOut(_) => {
            (row.unstarted, 0)
        }
    };
    let (scheduled_event_id, attempt) = (activity.scheduled_event_id, row.attempt.saturating_add(1));
    let worker = worker_of(activity, worker).cloned().unwrap_or_default();
    let heartbeat_details = row.heartbeat_details.clone();
    if delay_ms == 0 {
        draft.row(ActivityDispatched {
            scheduled_event_id,
            attempt,
            time_ms: draft.now_ms,
            last_failure: Some(failure),
            last_worker: worker,
            heartbeat_details,
            unstarted,
            lost_workers,
            // Its own partition may still be that of the worker that is lost.
            anywhere: matches!(attempt_failure, AttemptFailure::WorkerLost),
        });
    } else {
        let due_ms = draft.now_ms.saturating_add(delay_ms);
        draft.row(ActivityRetryScheduled {
            scheduled_event_id,
            attempt,
            due_ms,
            failure,
            worker,
            heartbeat_details,
            unstarted,
            lost_workers,
        });
    }
}

/// Who ran the attempt, as far as it is known.
fn worker_of<'a>(activity: &'a OpenActivity, told: Option<&'a WorkerIdentity>) -> Option<&'a WorkerIdentity> {
    match &activity.row.state {
        ActivityState::Started { worker, .. } => Some(worker),
        ActivityState::Dispatched | ActivityState::BackingOff { .. } => told,
    }
}

fn end(
    draft: &mut Draft,
    activity: &OpenActivity,
    attempt_failure: &AttemptFailure,
    failure: Failure,
    retry_state: RetryState,
    worker: Option<&WorkerIdentity>,
) {
    let scheduled_event_id = activity.scheduled_event_id;
    let known = worker_of(activity, worker);
    let started = known.map(|worker| (activity.row.attempt, worker));
    let outcome = match attempt_failure {
        AttemptFailure::TimedOut(_) => {
            let failure = match activity.row.last_failure.clone() {
                Some(last) => failure.caused_by(last),
                None => failure,
            };
            ActivityTaskTimedOut { scheduled_event_id, started_event_id: 0, failure, retry_state }.into()
        }
        AttemptFailure::Failed(_)
        | AttemptFailure::WorkerFailed(..)
        | AttemptFailure::Lost
        | AttemptFailure::WorkerLost => {
            let worker = known.cloned().unwrap_or_default();
            let cause = match attempt_failure {
                AttemptFailure::WorkerFailed(cause, _) => Some(*cause),
                _ => None,
            };
            ActivityTaskFailed { scheduled_event_id, started_event_id: 0, failure, retry_state, cause, worker }.into()
        }
    };
    activity.close_in(draft, started, outcome);
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
    let tries = activity.row.tries(activity.row.attempt);
    if policy.maximum_attempts > 0 && tries >= policy.maximum_attempts {
        return Err(RetryState::MaximumAttemptsReached);
    }
    if matches!(attempt_failure, AttemptFailure::WorkerLost) && !is_suspect(activity) {
        return in_time(0);
    }
    let asked_for = match &failure.info {
        FailureInfo::Application(application) => application.next_retry_delay_ms,
        _ => None,
    };
    in_time(asked_for.unwrap_or_else(|| policy.delay_after_ms(tries)))
}

/// Whether the worker that is lost now is one too many.
fn is_suspect(activity: &OpenActivity) -> bool {
    activity.row.lost_workers.saturating_add(1) >= LOST_WORKERS_MAX
}

fn worker_lost(activity: &OpenActivity) -> Failure {
    let row = &activity.row;
    let worker = worker_of(activity, None).map_or("", |worker| worker.identity.as_str());
    let (what, attempt) = (&row.activity_type, row.tries(row.attempt));
    if is_suspect(activity) {
        let lost = row.lost_workers.saturating_add(1);
        let message = format!(
            "activity `{what}` was with {lost} workers in a row when they were lost, the last one `{worker}` (attempt \
             {attempt}): it may be what takes them down"
        );
        return Failure::server("TW0321", message, false);
    }
    let message = format!("the worker `{worker}` that ran activity `{what}` (attempt {attempt}) is gone");
    Failure::server("TW0320", message, false)
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
        activity.row.activity_type,
        activity.row.tries(activity.row.attempt)
    );
    let last_heartbeat_details = activity.row.heartbeat_details.clone();
    Failure::of(message, FailureInfo::Timeout(TimeoutFailure { timeout_type: timeout, last_heartbeat_details }))
}
