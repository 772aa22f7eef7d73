//! History events. A released event's meaning is frozen (R4).

use schemars::JsonSchema;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

mod activity;
mod timer;
mod workflow;
mod workflow_task;

pub use activity::{
    ActivityTaskCancelRequested, ActivityTaskCanceled, ActivityTaskCompleted, ActivityTaskFailed,
    ActivityTaskFailedCause, ActivityTaskScheduled, ActivityTaskStarted, ActivityTaskTimedOut,
};
pub use timer::{TimerCanceled, TimerFired, TimerStarted};
pub use workflow::{
    WorkflowExecutionCancelRequested, WorkflowExecutionCanceled, WorkflowExecutionCompleted, WorkflowExecutionFailed,
    WorkflowExecutionSignaled, WorkflowExecutionStarted, WorkflowExecutionTerminated, WorkflowExecutionTimedOut,
};
pub use workflow_task::{
    WorkflowTaskCompleted, WorkflowTaskFailed, WorkflowTaskFailedCause, WorkflowTaskScheduled, WorkflowTaskStarted,
    WorkflowTaskTimedOut,
};

use crate::EventId;
use crate::api::WorkflowStatus;

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
    WorkflowExecutionCanceled,
    WorkflowExecutionTerminated,
    WorkflowExecutionTimedOut,
    WorkflowExecutionSignaled,
    WorkflowExecutionCancelRequested,
    WorkflowTaskScheduled,
    WorkflowTaskStarted,
    WorkflowTaskCompleted,
    WorkflowTaskFailed,
    WorkflowTaskTimedOut,
    ActivityTaskScheduled,
    ActivityTaskStarted,
    ActivityTaskCompleted,
    ActivityTaskFailed,
    ActivityTaskTimedOut,
    ActivityTaskCancelRequested,
    ActivityTaskCanceled,
    TimerStarted,
    TimerFired,
    TimerCanceled,
);

impl EventAttributes {
    /// Whether somebody outside told the workflow something that it has to hear.
    #[must_use]
    pub fn is_from_outside(&self) -> bool {
        matches!(self, Self::WorkflowExecutionSignaled(_) | Self::WorkflowExecutionCancelRequested(_))
    }

    /// The `ActivityTaskScheduled` of the activity that this event closes, if it closes one.
    #[must_use]
    pub fn closes_activity(&self) -> Option<EventId> {
        match self {
            Self::ActivityTaskCompleted(event) => Some(event.scheduled_event_id),
            Self::ActivityTaskFailed(event) => Some(event.scheduled_event_id),
            Self::ActivityTaskTimedOut(event) => Some(event.scheduled_event_id),
            Self::ActivityTaskCanceled(event) => Some(event.scheduled_event_id),
            _ => None,
        }
    }

    /// How the run stands after this event, if the event ends it.
    #[must_use]
    pub fn closes_as(&self) -> Option<WorkflowStatus> {
        match self {
            Self::WorkflowExecutionCompleted(_) => Some(WorkflowStatus::Completed),
            Self::WorkflowExecutionFailed(_) => Some(WorkflowStatus::Failed),
            Self::WorkflowExecutionCanceled(_) => Some(WorkflowStatus::Canceled),
            Self::WorkflowExecutionTerminated(_) => Some(WorkflowStatus::Terminated),
            Self::WorkflowExecutionTimedOut(_) => Some(WorkflowStatus::TimedOut),
            _ => None,
        }
    }
}

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
