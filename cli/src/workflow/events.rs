//! What an event says, on one line.

use tidewright_schemas::{EventAttributes, EventId, Payload};

use super::failure::failure_line;
use crate::output::{clean, one_line};

/// How much of a payload a line shows.
const PAYLOAD_SHOWN: usize = 120;
/// How much of a name or an id a line shows.
const NAME_SHOWN: usize = 80;

/// A payload as JSON; an encoded one as it is on the wire.
pub(crate) fn payload_text(payload: &Payload) -> String {
    match payload.json_text() {
        Ok(text) => clean(&text),
        Err(_) => serde_json::to_string(payload).map_or_else(|error| error.to_string(), |text| clean(&text)),
    }
}

fn short(payload: Option<&Payload>) -> String {
    payload.map_or_else(|| "nothing".to_owned(), |payload| one_line(&payload_text(payload), PAYLOAD_SHOWN))
}

fn name(text: &str) -> String {
    one_line(text, NAME_SHOWN)
}

fn milliseconds(ms: u64) -> String {
    format!("{:?}", std::time::Duration::from_millis(ms))
}

/// Finds the type of an activity by its `ActivityTaskScheduled`, which stands earlier in the history.
pub(crate) trait ActivityTypes {
    fn activity_type(&self, scheduled_event_id: EventId) -> Option<&str>;
}

/// What is worth knowing about an event.
pub(crate) fn event_line(attributes: &EventAttributes, activities: &dyn ActivityTypes) -> String {
    use EventAttributes as E;
    let activity = |id: EventId| activities.activity_type(id).map_or_else(|| format!("activity {id}"), name);
    let by = |identity: &str| if identity.is_empty() { String::new() } else { format!(", by {}", name(identity)) };
    match attributes {
        E::WorkflowExecutionStarted(e) => {
            format!("{} on {}, input {}", name(&e.workflow_type), name(&e.task_queue), short(e.input.as_ref()))
        }
        E::WorkflowExecutionCompleted(e) => format!("result {}", short(e.result.as_ref())),
        E::WorkflowExecutionFailed(e) => one_line(&failure_line(&e.failure), PAYLOAD_SHOWN),
        E::WorkflowExecutionCanceled(e) => format!("details {}", short(e.details.as_ref())),
        E::WorkflowExecutionTerminated(e) => {
            let reason = e.reason.as_deref().unwrap_or("no reason given");
            format!("{}{}", one_line(reason, PAYLOAD_SHOWN), by(e.identity.as_deref().unwrap_or_default()))
        }
        E::WorkflowExecutionTimedOut(_) => String::new(),
        E::WorkflowExecutionSignaled(e) => {
            let by = by(e.identity.as_deref().unwrap_or_default());
            format!("{}, input {}{by}", name(&e.signal_name), short(e.input.as_ref()))
        }
        E::WorkflowExecutionCancelRequested(e) => {
            let cause = e.cause.as_deref().unwrap_or("no reason given");
            format!("{}{}", one_line(cause, PAYLOAD_SHOWN), by(e.identity.as_deref().unwrap_or_default()))
        }
        E::WorkflowTaskScheduled(e) => format!("on {}{}", name(&e.task_queue), attempt(e.attempt)),
        E::WorkflowTaskStarted(_) => String::new(),
        E::WorkflowTaskCompleted(e) => by(&e.worker.identity).trim_start_matches(", ").to_owned(),
        E::WorkflowTaskFailed(e) => format!("{:?}: {}", e.cause, one_line(&e.failure.message, PAYLOAD_SHOWN)),
        E::WorkflowTaskTimedOut(e) => {
            e.failure.as_ref().map_or_else(String::new, |failure| one_line(&failure_line(failure), PAYLOAD_SHOWN))
        }
        E::ActivityTaskScheduled(e) => {
            format!("{} on {}, input {}", name(&e.activity_type), name(&e.task_queue), short(e.input.as_ref()))
        }
        E::ActivityTaskStarted(e) => {
            let last =
                e.last_failure.as_ref().map(|last| format!(", after {}", one_line(&failure_line(last), NAME_SHOWN)));
            let (activity, attempt) = (activity(e.scheduled_event_id), attempt(e.attempt));
            format!("{activity}{attempt}{}{}", by(&e.worker.identity), last.unwrap_or_default())
        }
        E::ActivityTaskCompleted(e) => {
            format!("{}, result {}", activity(e.scheduled_event_id), short(e.result.as_ref()))
        }
        E::ActivityTaskFailed(e) => {
            let why = one_line(&failure_line(&e.failure), PAYLOAD_SHOWN);
            format!("{}, {:?}: {why}", activity(e.scheduled_event_id), e.retry_state)
        }
        E::ActivityTaskTimedOut(e) => {
            let why = one_line(&failure_line(&e.failure), PAYLOAD_SHOWN);
            format!("{}, {:?}: {why}", activity(e.scheduled_event_id), e.retry_state)
        }
        E::ActivityTaskCancelRequested(e) => activity(e.scheduled_event_id),
        E::ActivityTaskCanceled(e) => {
            format!("{}, details {}", activity(e.scheduled_event_id), short(e.details.as_ref()))
        }
        E::TimerStarted(e) => format!("timer {}, for {}", name(&e.timer_id), milliseconds(e.start_to_fire_timeout_ms)),
        E::TimerFired(e) => format!("timer {}", name(&e.timer_id)),
        E::TimerCanceled(e) => format!("timer {}", name(&e.timer_id)),
    }
}

fn attempt(attempt: u32) -> String {
    if attempt > 1 { format!(", attempt {attempt}") } else { String::new() }
}
