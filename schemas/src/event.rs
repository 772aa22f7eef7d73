//! History events. A released event's meaning is frozen (R4).

use schemars::JsonSchema;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

use crate::{EventId, Failure, Payload, RetryPolicy, RetryState, WorkerIdentity, WorkflowIdReusePolicy};

/// One event of a run's history:
/// `{"event_id": 1, "event_time_ms": 1790000000000, "event_type": "TimerFired", "attributes": {…}}`.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEvent {
    /// Its number; gapless from 1.
    pub event_id: EventId,
    /// The run's time when it happened, in milliseconds since 1970 (R6).
    pub event_time_ms: u64,
    /// What happened.
    pub attributes: EventAttributes,
}

macro_rules! events {
    ($($variant:ident),+ $(,)?) => {
        /// What happened; the names are Temporal's.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        #[expect(missing_docs, reason = "each variant is documented at its struct")]
        pub enum EventAttributes { $($variant($variant)),+ }

        impl EventAttributes {
            /// The values that `event_type` may have.
            pub const TYPES: &'static [&'static str] = &[$(stringify!($variant)),+];

            /// The value of `event_type`.
            #[must_use]
            pub fn event_type(&self) -> &'static str {
                match self { $(Self::$variant(_) => stringify!($variant)),+ }
            }

            /// For each type, the schema of its attributes.
            fn forms(generator: &mut schemars::SchemaGenerator) -> Vec<schemars::Schema> {
                vec![$(schemars::json_schema!({
                    "properties": {
                        "event_type": {"const": stringify!($variant)},
                        "attributes": generator.subschema_for::<$variant>(),
                    }
                })),+]
            }

            fn read(event_type: &str, attributes: &str) -> Result<Self, String> {
                match event_type {
                    $(stringify!($variant) => serde_json::from_str(attributes).map(Self::$variant).map_err(|e| e.to_string()),)+
                    other => Err(format!("unknown event_type `{other}`: it was written by a newer version")),
                }
            }
        }

        $(impl From<$variant> for EventAttributes { fn from(inner: $variant) -> Self { Self::$variant(inner) } })+
    };
}

events!(
    WorkflowExecutionStarted,
    WorkflowExecutionCompleted,
    WorkflowExecutionFailed,
    WorkflowTaskScheduled,
    WorkflowTaskStarted,
    WorkflowTaskCompleted,
    WorkflowTaskFailed,
    ActivityTaskScheduled,
    ActivityTaskStarted,
    ActivityTaskCompleted,
    ActivityTaskFailed,
    ActivityTaskTimedOut,
    TimerStarted,
    TimerFired,
    TimerCanceled,
);

impl Serialize for HistoryEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_struct("HistoryEvent", 4)?;
        event.serialize_field("event_id", &self.event_id)?;
        event.serialize_field("event_time_ms", &self.event_time_ms)?;
        event.serialize_field("event_type", self.attributes.event_type())?;
        event.serialize_field("attributes", &self.attributes)?;
        event.end()
    }
}

impl<'de> Deserialize<'de> for HistoryEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire<'a> {
            event_id: EventId,
            event_time_ms: u64,
            #[serde(borrow)]
            event_type: Cow<'a, str>,
            #[serde(borrow)]
            attributes: &'a RawValue,
        }
        use serde::de::Error as _;
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let wire: Wire<'_> = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        let attributes = EventAttributes::read(&wire.event_type, wire.attributes.get()).map_err(D::Error::custom)?;
        Ok(Self { event_id: wire.event_id, event_time_ms: wire.event_time_ms, attributes })
    }
}

impl JsonSchema for HistoryEvent {
    fn schema_name() -> Cow<'static, str> {
        "HistoryEvent".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "description": "One event of a run's history; `attributes` has the form that `event_type` names.",
            "required": ["event_id", "event_time_ms", "event_type", "attributes"],
            "properties": {
                "event_id": {"type": "integer", "minimum": 0, "description": "Gapless from 1; 0 while the event is buffered."},
                "event_time_ms": {"type": "integer", "minimum": 0},
            },
            "oneOf": EventAttributes::forms(generator),
        })
    }
}

/// A run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowExecutionStarted {
    /// Which workflow.
    pub workflow_type: String,
    /// Where its workers listen.
    pub task_queue: String,
    /// What it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Payload>,
    /// The id under which repeated starts are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What the caller allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_id_reuse_policy: Option<WorkflowIdReusePolicy>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Trace that the start belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// The run ended with a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowExecutionCompleted {
    /// What the workflow returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Payload>,
    /// The workflow task that decided it.
    pub workflow_task_completed_event_id: EventId,
}

/// The run ended with a failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowExecutionFailed {
    /// Why.
    pub failure: Failure,
    /// The workflow task that decided it.
    pub workflow_task_completed_event_id: EventId,
}

/// A workflow task was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowTaskScheduled {
    /// Where it was sent.
    pub task_queue: String,
    /// The first attempt is 1.
    pub attempt: u32,
}

/// A workflow task was sent: emission is its start (R22).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowTaskStarted {
    /// Its `WorkflowTaskScheduled`.
    pub scheduled_event_id: EventId,
}

/// A worker advanced the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowTaskCompleted {
    /// Its `WorkflowTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// Its `WorkflowTaskStarted`.
    pub started_event_id: EventId,
    /// The id that the worker gave this completion.
    pub completion_id: String,
    /// Who did it.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

/// Why a workflow task failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkflowTaskFailedCause {
    /// The worker has no such workflow type.
    WorkflowTypeNotRegistered,
    /// The code does not do what history says it did.
    NonDeterministicError,
    /// The code panicked, or failed outside its own error handling.
    WorkflowWorkerUnhandledFailure,
    /// A decision is invalid: a missing timeout, a duplicate id, an unknown name.
    BadDecision,
    /// The completion does not fit a record.
    CompletionTooLarge,
    /// The worker could not get the history that the task builds on.
    HistoryUnavailable,
    /// The task could not be sent to its topic.
    TaskQueueUnavailable,
    /// The task was not in its topic any more.
    TaskLost,
}

/// A workflow task failed; it is tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowTaskFailed {
    /// Its `WorkflowTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// Its `WorkflowTaskStarted`.
    pub started_event_id: EventId,
    /// Why.
    pub cause: WorkflowTaskFailedCause,
    /// More about it.
    pub failure: Failure,
    /// Who said so.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

/// An activity was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityTaskScheduled {
    /// Its id in the run.
    pub activity_id: String,
    /// Which activity.
    pub activity_type: String,
    /// Where its workers listen.
    pub task_queue: String,
    /// What it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Payload>,
    /// Limit for one attempt from its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_to_close_timeout_ms: Option<u64>,
    /// Limit for the wait for a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_to_start_timeout_ms: Option<u64>,
    /// Limit for all attempts together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_to_close_timeout_ms: Option<u64>,
    /// How failures are retried.
    pub retry_policy: RetryPolicy,
    /// Fire and forget: the activity outlives its run, and its end does not wake the workflow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub detached: bool,
    /// The workflow task that decided it.
    pub workflow_task_completed_event_id: EventId,
}

/// An attempt of an activity began; written when the activity closes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityTaskStarted {
    /// Its `ActivityTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// The attempt that closed it.
    pub attempt: u32,
    /// Who ran it.
    #[serde(default)]
    pub worker: WorkerIdentity,
    /// Why the attempt before failed, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Failure>,
}

/// An activity succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityTaskCompleted {
    /// Its `ActivityTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// Its `ActivityTaskStarted`.
    pub started_event_id: EventId,
    /// What it returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Payload>,
    /// Who ran it.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

/// An activity failed for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityTaskFailed {
    /// Its `ActivityTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// Its `ActivityTaskStarted`; 0 if it never started.
    pub started_event_id: EventId,
    /// Why.
    pub failure: Failure,
    /// Why it was not tried again.
    pub retry_state: RetryState,
    /// Who ran it.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

/// An activity took too long for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityTaskTimedOut {
    /// Its `ActivityTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// Its `ActivityTaskStarted`; 0 if it never started.
    pub started_event_id: EventId,
    /// The timeout; its cause is the last attempt's failure, if there was one.
    pub failure: Failure,
    /// Why it was not tried again.
    pub retry_state: RetryState,
}

/// A timer began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimerStarted {
    /// Its id in the run.
    pub timer_id: String,
    /// How long, in milliseconds.
    pub start_to_fire_timeout_ms: u64,
    /// The workflow task that decided it.
    pub workflow_task_completed_event_id: EventId,
}

/// A timer fired.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimerFired {
    /// Its id in the run.
    pub timer_id: String,
    /// Its `TimerStarted`.
    pub started_event_id: EventId,
}

/// A timer was cancelled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimerCanceled {
    /// Its id in the run.
    pub timer_id: String,
    /// Its `TimerStarted`.
    pub started_event_id: EventId,
    /// The workflow task that decided it.
    pub workflow_task_completed_event_id: EventId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_keeps_its_payload_byte_for_byte() {
        let json = r#"{"event_id":9,"event_time_ms":5,"event_type":"ActivityTaskCompleted","attributes":{"scheduled_event_id":5,"started_event_id":8,"result":{"z": 1.50,"a":12345678901234567890},"worker":{"identity":"w","incarnation":"i"}}}"#;
        let event: HistoryEvent = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), json);
    }

    #[test]
    fn an_unknown_event_type_is_an_error_that_names_it() {
        let json = r#"{"event_id":9,"event_time_ms":5,"event_type":"Levitated","attributes":{}}"#;
        assert!(serde_json::from_str::<HistoryEvent>(json).unwrap_err().to_string().contains("Levitated"));
    }
}
