//! Legal histories, and what becomes of them when something is left out, doubled or in the wrong place.
//!
//! A history is written as sentences; what refers to something refers to the last of its name.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use grammar::{Illegal, check};
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::*;

/// Everything that a history may tell, in one that the workflow ends itself.
const WHOLE: &str = "start, signal, task, begun, done, schedule a, schedule b, timer t, timer u, fired t, task, begun, \
    failed, signal, task 2, begun, done, cancel u, cancel requested, runs a, result a, failure b, task, begun, done, \
    fired u, schedule c, complete";
/// An activity that is asked to end and does, one that does not listen, and one that ends before it was asked.
const CANCELLED: &str = "start, task, begun, done, schedule a, schedule b, schedule c, signal, task, begun, done, stop a, \
    stop b, stop c, runs c, result c, runs a, stopped a, task, begun, done, runs b, result b, task, begun, done, complete";
const SHORT: &[&str] = &[
    WHOLE,
    CANCELLED,
    "start, task, begun, done, schedule a, signal, task, begun, done, stop a, stopped a, task, begun, done, complete",
    "start, task, begun, done, schedule a, signal, task, begun, done, stop a, runs a, failure a, task, begun, done, fail",
    "start, task, begun, done, schedule a, signal, task, begun, done, stop a, too late a, task, begun, done, complete",
    "start, task, begun, done, complete",
    "start, task, begun, done, fail",
    "start, cancel requested, task, begun, done, canceled",
    "start, task, begun, force-closed, signal, terminated",
    "start, task, begun, force-closed, timed out",
    "start, terminated",
    "start, task, begun, task-timed-out, task 2, begun, done, complete",
    "start, task, begun, failed, task 3, begun, done, schedule a, runs a, failure a, task, begun, done, fail",
    "start, task, begun, done, schedule a, too late a, task, begun, done, timer t, signal",
    "start, task, begun, done, timer t, task, begun, done, signal, cancel t, complete",
    "start, task, begun, done, timer t, signal, task, begun, done, cancel t, fired t, task, begun",
];

/// Builds the events of sentences.
#[derive(Default)]
struct Story {
    events: Vec<HistoryEvent>,
    last: BTreeMap<String, EventId>,
}

impl Story {
    fn of(sentences: &[&str]) -> Vec<HistoryEvent> {
        let mut story = Self::default();
        for sentence in sentences {
            let attributes = story.attributes(sentence);
            let event_id = story.events.len() as EventId + 1;
            story.last.insert(sentence.split(" 2").next().unwrap().replace(" 3", ""), event_id);
            story.events.push(HistoryEvent { event_id, event_time_ms: 1_000 + event_id, attributes });
        }
        story.events
    }

    fn the(&self, name: &str) -> EventId {
        self.last.get(name).copied().unwrap_or_default()
    }

    fn attributes(&self, sentence: &str) -> EventAttributes {
        let workflow_task_completed_event_id = self.the("done");
        let (scheduled_event_id, started_event_id) = (self.the("task"), self.the("begun"));
        let worker = WorkerIdentity::default();
        match sentence.split_once(' ').unwrap_or((sentence, "")) {
            ("start", _) => started(),
            ("signal", _) => signaled(),
            ("cancel", "requested") => WorkflowExecutionCancelRequested::default().into(),
            ("task", attempt) => {
                let attempt = attempt.parse().unwrap_or(1);
                WorkflowTaskScheduled { task_queue: "q".to_owned(), attempt }.into()
            }
            ("begun", _) => WorkflowTaskStarted { scheduled_event_id }.into(),
            ("done", _) => {
                let ids = format!(r#""scheduled_event_id":{scheduled_event_id},"started_event_id":{started_event_id}"#);
                minimal("WorkflowTaskCompleted", &format!(r#"{{{ids},"completion_id":"c"}}"#))
            }
            ("failed" | "force-closed", _) => {
                let cause = match sentence {
                    "failed" => WorkflowTaskFailedCause::NonDeterministicError,
                    _ => WorkflowTaskFailedCause::ForceCloseCommand,
                };
                WorkflowTaskFailed { scheduled_event_id, started_event_id, cause, failure: failure(), worker }.into()
            }
            ("task-timed-out", _) => {
                let (timeout_type, failure) = (TimeoutType::StartToClose, None);
                WorkflowTaskTimedOut { scheduled_event_id, started_event_id, timeout_type, failure, worker }.into()
            }
            ("complete", _) => WorkflowExecutionCompleted { result: None, workflow_task_completed_event_id }.into(),
            ("fail", _) => WorkflowExecutionFailed { failure: failure(), workflow_task_completed_event_id }.into(),
            ("canceled", _) => WorkflowExecutionCanceled { details: None, workflow_task_completed_event_id }.into(),
            ("terminated", _) => WorkflowExecutionTerminated::default().into(),
            ("timed", "out") => {
                let retry_state = RetryState::Timeout;
                WorkflowExecutionTimedOut { retry_state, new_execution_run_id: None }.into()
            }
            ("timer" | "fired" | "cancel", _) => self.of_timer(sentence),
            _ => self.of_activity(sentence),
        }
    }

    fn of_timer(&self, sentence: &str) -> EventAttributes {
        let (verb, id) = sentence.split_once(' ').unwrap();
        let (timer_id, started_event_id) = (id.to_owned(), self.the(&format!("timer {id}")));
        let workflow_task_completed_event_id = self.the("done");
        match verb {
            "timer" => {
                let (start_to_fire_timeout_ms, user_metadata) = (1, None);
                TimerStarted { timer_id, start_to_fire_timeout_ms, user_metadata, workflow_task_completed_event_id }
                    .into()
            }
            "fired" => TimerFired { timer_id, started_event_id }.into(),
            _ => TimerCanceled { timer_id, started_event_id, workflow_task_completed_event_id }.into(),
        }
    }

    fn of_activity(&self, sentence: &str) -> EventAttributes {
        let (verb, id) = sentence.rsplit_once(' ').unwrap();
        let (scheduled_event_id, started_event_id) =
            (self.the(&format!("schedule {id}")), self.the(&format!("runs {id}")));
        let (worker, retry_state) = (WorkerIdentity::default(), RetryState::NonRetryableFailure);
        match verb {
            "schedule" => scheduled(id, self.the("done")),
            "runs" => ActivityTaskStarted { scheduled_event_id, attempt: 1, worker, last_failure: None }.into(),
            "result" => ActivityTaskCompleted { scheduled_event_id, started_event_id, result: None, worker }.into(),
            "failure" => {
                let failure = failure();
                let cause = None;
                ActivityTaskFailed { scheduled_event_id, started_event_id, failure, retry_state, cause, worker }.into()
            }
            "stop" => {
                let workflow_task_completed_event_id = self.the("done");
                ActivityTaskCancelRequested { scheduled_event_id, workflow_task_completed_event_id }.into()
            }
            "stopped" => {
                let latest_cancel_requested_event_id = self.the(&format!("stop {id}"));
                let details = None;
                ActivityTaskCanceled {
                    details,
                    latest_cancel_requested_event_id,
                    scheduled_event_id,
                    started_event_id,
                    worker,
                }
                .into()
            }
            "too late" => {
                let failure = failure();
                ActivityTaskTimedOut { scheduled_event_id, started_event_id, failure, retry_state }.into()
            }
            other => panic!("`{other}` is no sentence"),
        }
    }
}

fn failure() -> Failure {
    Failure::application("Boom", "boom", false)
}

/// Attributes with nothing but what is required.
fn minimal(event_type: &str, attributes: &str) -> EventAttributes {
    let json = format!(r#"{{"event_id":1,"event_time_ms":1,"event_type":"{event_type}","attributes":{attributes}}}"#);
    serde_json::from_str::<HistoryEvent>(&json).unwrap().attributes
}

fn started() -> EventAttributes {
    minimal("WorkflowExecutionStarted", r#"{"workflow_type":"T","task_queue":"q"}"#)
}

fn signaled() -> EventAttributes {
    minimal("WorkflowExecutionSignaled", r#"{"signal_name":"s"}"#)
}

fn scheduled(id: &str, completed: EventId) -> EventAttributes {
    let attributes = format!(
        r#"{{"activity_id":"{id}","activity_type":"A","task_queue":"q","retry_policy":{{}},
            "workflow_task_completed_event_id":{completed}}}"#
    );
    minimal("ActivityTaskScheduled", &attributes)
}

fn words(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).collect()
}

fn verdict(text: &str) -> Result<Option<WorkflowStatus>, Illegal> {
    check(&Story::of(&words(text)))
}

#[track_caller]
fn is_illegal(text: &str, because: &str) {
    let what = verdict(text).unwrap_err().what;
    assert!(what.contains(because), "`{text}` is illegal because {what}");
}

#[test]
fn legal_histories_are_accepted_and_so_is_each_beginning_that_a_record_may_end_with() {
    for text in SHORT {
        assert!(verdict(text).is_ok(), "{text}: {:?}", verdict(text));
    }
    assert_eq!(verdict(WHOLE).unwrap(), Some(WorkflowStatus::Completed));
    assert_eq!(verdict("start, terminated").unwrap(), Some(WorkflowStatus::Terminated));
    assert_eq!(verdict("start, task, begun").unwrap(), None);
    assert_eq!(check(&[]).unwrap(), None);
}

#[test]
fn what_is_illegal_says_why() {
    is_illegal("signal", "begins with its start");
    is_illegal("start, start", "begins with its start, and only there");
    is_illegal("start, terminated, signal", "follows the end");
    is_illegal("start, task, signal", "inside a workflow task");
    is_illegal("start, task, begun, signal", "inside a workflow task");
    is_illegal("start, task, begun, terminated", "inside a workflow task");
    is_illegal("start, task, begun, done, done", "does not follow the workflow task");
    is_illegal("start, task 2", "expected is attempt 1");
    is_illegal("start, task, begun, failed, task", "expected is a later attempt");
    is_illegal("start, task, begun, failed, task 2, begun, failed", "no events");
    is_illegal("start, task, begun, failed, task 2, begun, task-timed-out", "no events");
    is_illegal("start, task, task-timed-out", "does not follow the workflow task");
    is_illegal("start, task, begun, force-closed, task 2", "should have ended");
    is_illegal("start, complete", "does not follow the WorkflowTaskCompleted");
    is_illegal("start, task, begun, done, task, begun, complete", "does not follow the WorkflowTaskCompleted");
    is_illegal("start, task, begun, done, signal, schedule a, task", "should have ended");
    is_illegal("start, task, begun, done, signal, schedule a", "should have ended");
    is_illegal("start, task, begun, done, schedule a, signal, complete", "among decisions");
    is_illegal("start, task, begun, done, signal, schedule a, signal", "should have ended");
    is_illegal("start, task, begun, done, signal, schedule a, terminated", "should have ended");
    is_illegal("start, task, begun, done, schedule a, runs a", "should follow its start");
    is_illegal("start, task, begun, done, schedule a, runs a, signal", "should follow its start");
    is_illegal("start, task, begun, done, schedule a, result a", "never started");
    is_illegal("start, task, begun, done, schedule a, failure a, failure a", "not open");
    is_illegal("start, task, begun, done, runs a, result a", "not open");
    is_illegal("start, task, begun, done, timer t, fired t, fired t", "fired before");
    is_illegal("start, task, begun, done, timer t, fired t, task, begun, done, cancel t", "had fired");
    is_illegal("start, task, begun, done, timer t, cancel t, cancel t", "cancelled before");
    is_illegal("start, task, begun, done, fired t", "did not start timer");
    is_illegal("start, cancel requested, cancel requested", "asked to end before");
    is_illegal("start, task, begun, done, stop a", "there is no activity");
    is_illegal("start, task, begun, done, schedule a, stop a, stop a", "asked to end before");
    is_illegal("start, task, begun, done, schedule a, stopped a", "names the request");
    is_illegal("start, task, begun, done, schedule a, stop a, stopped a, stopped a", "not open");
    is_illegal("start, task, begun, done, schedule a, stop a, stopped a, runs a, result a", "not open");
    is_illegal("start, task, begun, done, schedule a, stop a, runs a, stop a", "should follow its start");
    is_illegal("start, task, begun, done, schedule a, signal, stop a", "among decisions");
    is_illegal("start, task, begun, done, schedule a, failure a, task, begun, done, stop a", "had ended");
}

#[test]
fn numbers_and_times_are_in_order() {
    let story = || Story::of(&words("start, signal, task, begun, done, timer t, signal, task, begun"));
    let with = |change: fn(&mut [HistoryEvent])| {
        let mut events = story();
        change(&mut events);
        check(&events).unwrap_err().what
    };
    assert!(with(|events| events[3].event_id = 9).contains("follows event 3"));
    assert!(with(|events| events[4].event_time_ms = 1_000).contains("is before"));
    assert!(with(|events| events[1].event_time_ms = 1).contains("is before"));
    // A signal that came while the task was out keeps its time.
    let mut buffered = story();
    buffered[6].event_time_ms = buffered[3].event_time_ms;
    assert!(check(&buffered).is_ok());
    buffered[6].event_time_ms = buffered[1].event_time_ms - 1;
    assert!(check(&buffered).is_err());
    // A timer never fires early.
    let mut early = Story::of(&words("start, task, begun, done, timer t, fired t"));
    early[5].event_time_ms = early[4].event_time_ms;
    assert!(check(&early).unwrap_err().what.contains("fires at"));
}

/// How many faults a history can have, each one sentence that is left out, doubled or swapped with its neighbour, and those
/// that are not noticed.
fn with_each_fault(text: &str) -> (usize, Vec<String>) {
    let whole = words(text);
    let mut unnoticed = Vec::new();
    let mut faults = 0;
    let mut notice = |fault: String, sentences: Vec<&str>| {
        faults += 1;
        if check(&Story::of(&sentences)).is_ok() {
            unnoticed.push(fault);
        }
    };
    for at in 0..whole.len() {
        let (before, after) = (&whole[..at], &whole[at + 1..]);
        notice(format!("without {at} {}", whole[at]), [before, after].concat());
        notice(format!("twice {at} {}", whole[at]), [before, &[whole[at], whole[at]], after].concat());
        if let Some((next, rest)) = after.split_first().filter(|(next, _)| **next != whole[at]) {
            notice(format!("swapped {at} {} and {next}", whole[at]), [before, &[*next, whole[at]], rest].concat());
        }
    }
    (faults, unnoticed)
}

/// Whatever one sentence is left out, doubled or swapped with its neighbour: it is noticed, unless what comes out is
/// another legal history.
#[test]
fn a_history_with_a_fault_is_noticed() {
    let (faults, unnoticed) = with_each_fault(WHOLE);
    // A signal more or less, another order of decisions, something that has not ended yet: legal, too.
    let legal = [
        "without 1 signal",
        "twice 1 signal",
        "twice 5 schedule a",
        "swapped 5 schedule a and schedule b",
        "twice 6 schedule b",
        "swapped 6 schedule b and timer t",
        "twice 7 timer t",
        "swapped 7 timer t and timer u",
        "twice 8 timer u",
        "without 9 fired t",
        "without 13 signal",
        "twice 13 signal",
        "without 17 cancel u",
        "without 18 cancel requested",
        "without 21 failure b",
        "without 25 fired u",
        "without 26 schedule c",
        "twice 26 schedule c",
    ];
    assert_eq!(unnoticed, legal, "of {faults} faults");
}

#[test]
fn a_fault_in_the_story_of_a_cancelled_activity_is_noticed() {
    let (faults, unnoticed) = with_each_fault(CANCELLED);
    // Activities in another order, a signal more or less, one that was not asked to end, one that had not begun when it
    // ended as cancelled, and a run that goes on: legal, too.
    let legal = [
        "twice 4 schedule a",
        "swapped 4 schedule a and schedule b",
        "twice 5 schedule b",
        "swapped 5 schedule b and schedule c",
        "twice 6 schedule c",
        "without 7 signal",
        "twice 7 signal",
        "swapped 11 stop a and stop b",
        "without 12 stop b",
        "swapped 12 stop b and stop c",
        "without 13 stop c",
        "without 16 runs a",
        "without 26 complete",
    ];
    assert_eq!(unnoticed, legal, "of {faults} faults");
}
