//! What a run was told, as its history has it: what the reference run takes the outcome of races from. It knows nothing
//! of how workers advance a run.

use std::collections::{BTreeMap, BTreeSet};

use tidewright_schemas::{EventAttributes, EventId, HistoryEvent};

/// How an activity ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Completed(u64),
    Failed,
    Canceled,
}

/// What a run was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// How activities ended, by their ids.
    pub(crate) outcomes: BTreeMap<String, Outcome>,
    /// Activities that were asked to end.
    pub(crate) asked: BTreeSet<String>,
    /// When the end of an activity or a signal was first heard.
    pub(crate) heard: BTreeMap<String, EventId>,
    /// When timers fired.
    pub(crate) fired: BTreeMap<String, EventId>,
    /// Whether the run was asked to end.
    pub(crate) cancel_requested: bool,
}

impl Told {
    pub(crate) fn by(events: &[HistoryEvent]) -> Self {
        let mut told = Self::default();
        let mut scheduled: BTreeMap<EventId, &str> = BTreeMap::new();
        for event in events {
            match &event.attributes {
                EventAttributes::ActivityTaskScheduled(e) => {
                    scheduled.insert(event.event_id, &e.activity_id);
                }
                EventAttributes::ActivityTaskCancelRequested(e) => {
                    told.asked.extend(scheduled.get(&e.scheduled_event_id).map(|id| (*id).to_owned()));
                }
                EventAttributes::TimerFired(e) => {
                    told.fired.insert(e.timer_id.clone(), event.event_id);
                }
                EventAttributes::WorkflowExecutionSignaled(e) => {
                    told.heard.entry(e.signal_name.clone()).or_insert(event.event_id);
                }
                EventAttributes::WorkflowExecutionCancelRequested(_) => told.cancel_requested = true,
                attributes => {
                    let ended = attributes.closes_activity().and_then(|id| scheduled.get(&id));
                    if let (Some(id), Some(outcome)) = (ended, outcome(attributes)) {
                        told.outcomes.insert((*id).to_owned(), outcome);
                        told.heard.entry((*id).to_owned()).or_insert(event.event_id);
                    }
                }
            }
        }
        told
    }
}

/// How an activity ended, if the event says that one did.
pub(crate) fn outcome(attributes: &EventAttributes) -> Option<Outcome> {
    match attributes {
        EventAttributes::ActivityTaskCompleted(done) => {
            Some(Outcome::Completed(done.result.as_ref().and_then(|result| result.read().ok()).unwrap_or_default()))
        }
        EventAttributes::ActivityTaskFailed(_) | EventAttributes::ActivityTaskTimedOut(_) => Some(Outcome::Failed),
        EventAttributes::ActivityTaskCanceled(_) => Some(Outcome::Canceled),
        _ => None,
    }
}
