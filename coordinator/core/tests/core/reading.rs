//! What the API reads.

use tidewright_core::read;
use tidewright_schemas::api::{PendingActivityState, WorkflowStatus};
use tidewright_schemas::{RunId, TimerTarget};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::{ORDER, START_MS, World, workflow_id};

#[test]
fn a_run_is_described() {
    let mut w = order_that_decided([schedule("a"), schedule("b"), timer("t", 5_000)]);
    w.when(activity_failed("a")).when(started_notice("b", "w"));
    let described = w.describe();
    let summary = &described.summary;
    assert_eq!((summary.workflow_id.as_str(), summary.workflow_type.as_str()), (ORDER, "OrderWorkflow"));
    assert_eq!((summary.task_queue.as_str(), summary.status), ("orders", WorkflowStatus::Running));
    assert_eq!((summary.start_time_ms, summary.close_time_ms), (START_MS + 1_000, None));
    assert_eq!(summary.history_length, 7);
    let bytes: usize = w.history().iter().map(|event| serde_json::to_string(event).unwrap().len()).sum();
    assert_eq!(described.history_size_bytes, bytes as u64);
    let states: Vec<_> = described.pending_activities.iter().map(|a| (a.activity_id.as_str(), a.state)).collect();
    assert_eq!(states, [("a", PendingActivityState::BackingOff), ("b", PendingActivityState::Started)]);
    assert_eq!(described.pending_timers[0].timer_id, "t");
    assert_eq!(described.pending_workflow_task, None);
}

#[test]
fn a_run_that_is_not_there_is_not_found() {
    let w = order_that_decided([]);
    let id = workflow_id(ORDER);
    let other = RunId::from_text("another");
    assert_eq!(read::find_run(&w.rows, &workflow_id("order"), None).unwrap(), None);
    assert_eq!(read::find_run(&w.rows, &id, Some(&other)).unwrap(), None);
    assert_eq!(read::find_run(&w.rows, &id, Some(&w.run_id())).unwrap(), Some(w.run_id()));
    assert_eq!(read::describe(&w.rows, &id, &other).unwrap(), None);
    assert_eq!(read::outcome(&w.rows, &id, &other).unwrap(), None);
    assert_eq!(read::history(&w.rows, &id, &other, 1, 10).unwrap(), None);
}

#[test]
fn an_outcome_is_known_once_the_run_ended() {
    let mut w = order_that_decided([schedule("a")]);
    assert_eq!(w.outcome().status, WorkflowStatus::Running);
    w.when(activity_completed("a")).when(task_completed([complete()]));
    let outcome = w.outcome();
    assert_eq!(outcome.status, WorkflowStatus::Completed);
    assert_eq!(outcome.result.map(|result| result.json_text().unwrap().into_owned()).unwrap(), "\"shipped\"");
    assert_eq!(w.describe().summary.close_time_ms, Some(w.now_ms));
    let w = order_that_decided([fail()]);
    assert_eq!((w.outcome().status, w.outcome().failure), (WorkflowStatus::Failed, Some(boom())));
}

#[test]
fn an_outcome_stays_known_when_a_detached_activity_ends_later() {
    let mut w = order_that_decided([detached("mail"), complete()]);
    w.when(activity_completed("mail"));
    assert!(w.outcome().result.is_some());
}

#[test]
fn a_history_is_read_in_pages() {
    let mut w = order_that_decided([schedule("a"), timer("t", 5_000)]);
    w.when(activity_completed("a")).when_due(TimerTarget::Timer).when(task_completed([complete()]));
    let whole = w.history();
    for size in [1, 3, 100] {
        let (mut from, mut pages) = (1, Vec::new());
        loop {
            let page = read::history(&w.rows, &workflow_id(ORDER), &w.run_id(), from, size).unwrap().expect("a run");
            assert!(page.events.len() <= size);
            pages.extend(page.events);
            match page.next_event_id {
                Some(next) => from = next,
                None => break,
            }
        }
        assert_eq!(pages, whole);
    }
    let beyond = read::history(&w.rows, &workflow_id(ORDER), &w.run_id(), 1_000, 10).unwrap().expect("a run");
    assert_eq!((beyond.events.len(), beyond.next_event_id), (0, None));
}

#[test]
fn a_page_of_history_has_at_least_one_event_and_not_too_many_bytes() {
    let mut w = order_that_decided([]);
    w.when(start("order-2"));
    let mut w = World::default();
    w.when(start(ORDER));
    for n in 0..4 {
        let name = format!("a{n}");
        w.when(task_completed([schedule(&name)])).when(activity_completed_with(&name, payload_of(2_000_000)));
    }
    let page = read::history(&w.rows, &workflow_id(ORDER), &w.run_id(), 1, 1_000).unwrap().expect("a run");
    let bytes: usize = page.events.iter().map(|event| serde_json::to_string(event).unwrap().len()).sum();
    assert!(bytes < 5_000_000 && page.next_event_id.is_some());
}

#[test]
fn runs_are_listed_newest_first_in_pages() {
    let mut w = World::default();
    for id in ["a", "b", "c"] {
        w.when(start(id));
    }
    w.when(task_completed([complete()])).when(start("c").with_request_id("again"));
    let (mut from, mut found) = (Vec::new(), Vec::new());
    loop {
        let page = read::list(&w.rows, &from, 2).unwrap();
        let Some((last, _)) = page.last() else { break };
        from = [last.as_slice(), &[0]].concat();
        found.extend(page.into_iter().map(|(_, run)| format!("{} {}", run.workflow_id, run.status.as_str())));
    }
    assert_eq!(found, ["c Running", "c Completed", "b Running", "a Running"]);
}
