//! What an activity knows about the attempt that it is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidewright_schemas::{ActivityTask, Failure, Payload};

use crate::attempt_link::{AttemptLink, CancelReason};
use crate::convert::to_payload;
use crate::error::{ActivityError, ActivityResult};

/// One attempt of an activity. [`ActivityInfo::default`] is one for unit tests.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ActivityInfo {
    /// The namespace.
    pub namespace: String,
    /// The workflow that asks.
    pub workflow_id: String,
    /// Its run.
    pub run_id: String,
    /// Its type.
    pub workflow_type: String,
    /// The activity's id in the run.
    pub activity_id: String,
    /// Its type.
    pub activity_type: String,
    /// Id of the event that asks for it.
    pub scheduled_event_id: u64,
    /// The first attempt is 1.
    pub attempt: u32,
    /// Limit for this attempt.
    pub start_to_close: Option<Duration>,
    /// Limit for the time between two heartbeats.
    pub heartbeat_timeout: Option<Duration>,
    /// What the last heartbeat of an earlier attempt said.
    pub heartbeat_details: Option<Payload>,
    /// Why the attempt before failed.
    pub last_failure: Option<Failure>,
    /// W3C trace context of whoever asks.
    pub traceparent: Option<String>,
}

/// What an activity knows about the attempt that it is.
pub struct ActivityContext {
    info: ActivityInfo,
    idempotency_key: String,
    link: Arc<AttemptLink>,
}

impl fmt::Debug for ActivityContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityContext").field("info", &self.info).finish_non_exhaustive()
    }
}

impl ActivityContext {
    /// A context for an attempt; a worker makes it, or a unit test.
    #[must_use]
    pub fn new(info: ActivityInfo) -> Self {
        Self::linked(info, Arc::new(AttemptLink::new(Arc::default())))
    }

    fn linked(info: ActivityInfo, link: Arc<AttemptLink>) -> Self {
        let idempotency_key = format!("{}/{}", info.run_id, info.scheduled_event_id);
        Self { info, idempotency_key, link }
    }

    pub(crate) fn of_task(task: &ActivityTask, traceparent: Option<String>, link: Arc<AttemptLink>) -> Self {
        let info = ActivityInfo {
            namespace: task.namespace.clone(),
            workflow_id: task.workflow_id.as_str().to_owned(),
            run_id: task.run_id.as_str().to_owned(),
            workflow_type: task.workflow_type.clone(),
            activity_id: task.activity_id.clone(),
            activity_type: task.activity_type.clone(),
            scheduled_event_id: task.scheduled_event_id,
            attempt: task.attempt,
            start_to_close: task.start_to_close_timeout_ms.map(Duration::from_millis),
            heartbeat_timeout: task.heartbeat_timeout_ms.map(Duration::from_millis),
            heartbeat_details: task.heartbeat_details.clone(),
            last_failure: task.last_failure.clone(),
            traceparent,
        };
        Self::linked(info, link)
    }

    /// Says that the activity is alive, and how far it has come: the next attempt is given the latest `details`. Call it
    /// as often as you like: the worker sends the latest once in 80% of the heartbeat timeout (30 s where there is none,
    /// at most every 60 s), and with a failure. An activity that falls silent for its heartbeat timeout is tried again.
    ///
    /// Details that cannot be serialised or take more than 2 MiB are an error that no retry can help.
    pub fn heartbeat(&self, details: &impl Serialize) -> ActivityResult<()> {
        let payload = to_payload(details).map_err(|problem| {
            let message = format!("the heartbeat details cannot be sent: {problem}");
            ActivityError::non_retryable(problem.error_type("HeartbeatDetails"), message)
        })?;
        self.link.heartbeat(payload);
        Ok(())
    }

    /// What the last heartbeat of an earlier attempt said; an error if it is no `T`.
    pub fn heartbeat_details<T: DeserializeOwned>(&self) -> ActivityResult<Option<T>> {
        Ok(self.info.heartbeat_details.as_ref().map(Payload::read).transpose()?)
    }

    /// Waits until the activity should end, and says why. Code that waits for something long waits for this, too, cleans
    /// up, and ends with [`ActivityError::canceled`]. It needs no heartbeats to hear it.
    pub async fn cancelled(&self) -> CancelReason {
        self.link.cancelled().await
    }

    /// Whether the activity should end: for code that computes.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel_reason().is_some()
    }

    /// Why the activity should end, if it should.
    #[must_use]
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        self.link.cancel_reason()
    }

    /// Tells the activity to end, as a worker does: for unit tests.
    pub fn cancel(&self, reason: CancelReason) {
        self.link.cancel(reason);
    }

    /// The same for every attempt of this activity and different for every other: give it to whatever must not do
    /// the same thing twice. An activity runs at least once, so an attempt can follow one that had succeeded.
    #[must_use]
    pub fn idempotency_key(&self) -> &str {
        &self.idempotency_key
    }

    /// The first attempt is 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.info.attempt
    }

    /// The workflow that asks.
    #[must_use]
    pub fn workflow_id(&self) -> &str {
        &self.info.workflow_id
    }

    /// Its run.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.info.run_id
    }

    /// The activity's id in the run.
    #[must_use]
    pub fn activity_id(&self) -> &str {
        &self.info.activity_id
    }

    /// Everything there is to know.
    #[must_use]
    pub fn info(&self) -> &ActivityInfo {
        &self.info
    }
}
