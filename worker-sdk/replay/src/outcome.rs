//! How an activity ended, as its workflow sees it: its result, or the activity's failure, caused by the last attempt's.

use tidewright_schemas::{ActivityFailure, CanceledFailure, EventId, Failure, FailureInfo, Payload, RetryState};

/// How an activity ended.
pub(crate) type ActivityOutcome = Result<Option<Payload>, Box<Failure>>;

/// An activity that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) activity_id: String,
    pub(crate) activity_type: String,
}

/// What history says of an activity's end besides its reason.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ended {
    /// 0 if history does not know the activity.
    pub(crate) scheduled_event_id: EventId,
    /// 0 if it never started.
    pub(crate) started_event_id: EventId,
    /// Worker of the last attempt.
    pub(crate) identity: String,
}

impl Asked {
    /// It failed, or took too long.
    pub(crate) fn failed(&self, ended: Ended, retry_state: RetryState, cause: Failure) -> Box<Failure> {
        let message = format!("activity `{}` failed: {}", self.activity_type, cause.message);
        self.failure(ended, retry_state, message, cause)
    }

    /// It was cancelled.
    pub(crate) fn canceled(&self, ended: Ended, details: Option<Payload>) -> Box<Failure> {
        let cause = Failure::of(
            "the activity was cancelled",
            FailureInfo::Canceled(CanceledFailure { details, ..CanceledFailure::default() }),
        );
        let message = format!("activity `{}` was cancelled", self.activity_type);
        self.failure(ended, RetryState::CancelRequested, message, cause)
    }

    fn failure(&self, ended: Ended, retry_state: RetryState, message: String, cause: Failure) -> Box<Failure> {
        let info = FailureInfo::Activity(ActivityFailure {
            scheduled_event_id: ended.scheduled_event_id,
            started_event_id: ended.started_event_id,
            activity_type: self.activity_type.clone(),
            activity_id: self.activity_id.clone(),
            identity: ended.identity,
            retry_state,
        });
        Box::new(Failure::of(message, info).caused_by(cause))
    }
}
