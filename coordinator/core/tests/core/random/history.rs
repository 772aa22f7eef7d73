//! What every history looks like, whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{EventAttributes, EventId, HistoryEvent};

pub fn check(events: &[HistoryEvent], status: WorkflowStatus) {
    assert!(matches!(events[0].attributes, EventAttributes::WorkflowExecutionStarted(_)), "it begins with its start");
    assert!(events.iter().map(|event| event.event_id).eq(1..=events.len() as EventId), "R13: ids are gapless");
    boundaries(events);
    ends(events, status);
    references(events);
}

/// R22: nothing stands between the start of a workflow task and its outcome.
fn boundaries(events: &[HistoryEvent]) {
    for pair in events.windows(2) {
        let (before, after) = (&pair[0], &pair[1].attributes);
        match &before.attributes {
            EventAttributes::WorkflowTaskScheduled(_) => {
                let EventAttributes::WorkflowTaskStarted(started) = after else {
                    panic!("{after:?} follows a WorkflowTaskScheduled")
                };
                assert_eq!(started.scheduled_event_id, before.event_id);
            }
            EventAttributes::WorkflowTaskStarted(_) => {
                let (scheduled, started) = match after {
                    EventAttributes::WorkflowTaskCompleted(e) => (e.scheduled_event_id, e.started_event_id),
                    EventAttributes::WorkflowTaskFailed(e) => (e.scheduled_event_id, e.started_event_id),
                    other => panic!("{other:?} follows a WorkflowTaskStarted"),
                };
                assert_eq!((scheduled, started), (before.event_id - 1, before.event_id));
            }
            _ => assert!(
                !matches!(after, EventAttributes::WorkflowTaskCompleted(_) | EventAttributes::WorkflowTaskFailed(_)),
                "{after:?} follows {before:?}"
            ),
        }
    }
}

fn ends(events: &[HistoryEvent], status: WorkflowStatus) {
    let is_end = |event: &HistoryEvent| event.attributes.closes_as();
    let before_last = &events[..events.len() - 1];
    assert!(before_last.iter().all(|event| is_end(event).is_none()), "something follows the end");
    assert_eq!(events.last().and_then(is_end).unwrap_or(WorkflowStatus::Running), status);
}

/// What refers to an event refers to one of the right kind before it, and ends it at most once.
fn references(events: &[HistoryEvent]) {
    let mut open = BTreeMap::new();
    let mut canceled = BTreeSet::new();
    let mut fired = BTreeSet::new();
    for event in events {
        let mut close = |scheduled: EventId, started: EventId| {
            let id: Option<String> = open.remove(&scheduled);
            assert!(id.is_some(), "event {} closes what is not open", event.event_id);
            assert!(started == 0 || started == event.event_id - 1, "event {} names another start", event.event_id);
        };
        match &event.attributes {
            EventAttributes::ActivityTaskScheduled(e) => drop(open.insert(event.event_id, e.activity_id.clone())),
            EventAttributes::ActivityTaskCompleted(e) => close(e.scheduled_event_id, e.started_event_id),
            EventAttributes::ActivityTaskFailed(e) => close(e.scheduled_event_id, e.started_event_id),
            EventAttributes::ActivityTaskTimedOut(e) => close(e.scheduled_event_id, e.started_event_id),
            EventAttributes::TimerFired(e) => {
                assert!(fired.insert(e.started_event_id), "a timer fired twice");
                is_start(events, e.started_event_id, &e.timer_id);
            }
            EventAttributes::TimerCanceled(e) => {
                assert!(canceled.insert(e.started_event_id), "a timer was cancelled twice");
                is_start(events, e.started_event_id, &e.timer_id);
            }
            _ => {}
        }
    }
}

fn is_start(events: &[HistoryEvent], event_id: EventId, id: &str) {
    let start = events.get(event_id as usize - 1).map(|event| &event.attributes);
    assert!(matches!(start, Some(EventAttributes::TimerStarted(e)) if e.timer_id == id), "{id} began as {start:?}");
}
