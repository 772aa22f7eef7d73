//! What an activity knows about the attempt that it is.

use std::time::Duration;

use tidewright_schemas::{ActivityTask, Failure};

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
    /// Why the attempt before failed.
    pub last_failure: Option<Failure>,
    /// W3C trace context of whoever asks.
    pub traceparent: Option<String>,
}

/// What an activity knows about the attempt that it is.
#[derive(Debug)]
pub struct ActivityContext {
    info: ActivityInfo,
    idempotency_key: String,
}

impl ActivityContext {
    /// A context for an attempt; a worker makes it, or a unit test.
    #[must_use]
    pub fn new(info: ActivityInfo) -> Self {
        let idempotency_key = format!("{}/{}", info.run_id, info.scheduled_event_id);
        Self { info, idempotency_key }
    }

    pub(crate) fn of_task(task: &ActivityTask, traceparent: Option<String>) -> Self {
        Self::new(ActivityInfo {
            namespace: task.namespace.clone(),
            workflow_id: task.workflow_id.as_str().to_owned(),
            run_id: task.run_id.as_str().to_owned(),
            workflow_type: task.workflow_type.clone(),
            activity_id: task.activity_id.clone(),
            activity_type: task.activity_type.clone(),
            scheduled_event_id: task.scheduled_event_id,
            attempt: task.attempt,
            start_to_close: task.start_to_close_timeout_ms.map(Duration::from_millis),
            last_failure: task.last_failure.clone(),
            traceparent,
        })
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
