//! What the API reads.

use tidewright_core::read::{self, PendingPage};
use tidewright_schemas::api::{PendingActivityState, WorkflowStatus};
use tidewright_schemas::{ApplicationFailure, Failure, FailureInfo, RunId, TimerTarget};

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
fn a_description_says_who_began_it_and_how_long_it_may_take() {
    let mut w = World::default();
    w.when(start(ORDER).with_request_id("r1").with(|start| {
        start.identity = Some("7@shop".to_owned());
        start.workflow_run_timeout_ms = Some(60_000);
        start.workflow_execution_timeout_ms = Some(90_000);
    }));
    let described = w.describe();
    assert_eq!((described.identity.as_deref(), described.request_id.as_deref()), (Some("7@shop"), Some("r1")));
    let timeouts = (described.workflow_run_timeout_ms, described.workflow_execution_timeout_ms);
    assert_eq!(timeouts, (Some(60_000), Some(90_000)));
    assert_eq!(described.pending_workflow_task.expect("it is out").scheduled_event_id, Some(2));
}

#[test]
fn a_pending_activity_says_since_when_and_how_often_it_may_be_tried() {
    let mut w = order_that_decided([schedule("a")]);
    let scheduled_ms = w.now_ms;
    let pending = w.describe().pending_activities.remove(0);
    assert_eq!((pending.scheduled_time_ms, pending.attempt_scheduled_time_ms), (scheduled_ms, Some(scheduled_ms)));
    assert_eq!((pending.started_time_ms, pending.task_queue.as_str(), pending.detached), (None, "orders", false));
    w.when(started_notice("a", "w"));
    let pending = w.describe().pending_activities.remove(0);
    assert_eq!((pending.started_time_ms, pending.last_worker.as_deref()), (Some(w.now_ms), Some("w")));
    w.when(activity_failed("a"));
    let pending = w.describe().pending_activities.remove(0);
    assert_eq!((pending.scheduled_time_ms, pending.attempt_scheduled_time_ms), (scheduled_ms, None));
}

#[test]
fn what_is_pending_is_read_in_pages_that_repeat_and_miss_nothing() {
    let all = ["a0", "t0", "a1", "a2", "t1", "t2", "t3", "a3"];
    let mut w = World::default();
    let decision = |id: &&str| if id.starts_with('a') { schedule(id) } else { timer(id, 5_000) };
    w.when(start(ORDER)).when(task_completed_with(all.iter().map(decision).collect()));
    for limit in 1..5 {
        let (mut page, mut found) = (PendingPage { limit, ..PendingPage::default() }, Vec::new());
        loop {
            let described =
                read::describe_page(&w.rows, &workflow_id(ORDER), &w.run_id(), page).unwrap().expect("a run");
            assert!(described.pending_activities.len() <= limit && described.pending_timers.len() <= limit);
            assert_eq!((described.pending_activity_count, described.pending_timer_count), (4, 4));
            found.extend(described.pending_activities.into_iter().map(|a| (a.scheduled_event_id, a.activity_id)));
            found.extend(described.pending_timers.into_iter().map(|t| (t.started_event_id, t.timer_id)));
            match described.pending_next_event_id {
                Some(next) => page.from_event_id = next,
                None => break,
            }
        }
        found.sort();
        assert_eq!(found.into_iter().map(|(_, id)| id).collect::<Vec<_>>(), all, "{limit} at a time");
    }
}

#[test]
fn a_page_of_pending_activities_has_not_too_many_bytes_of_failures() {
    let large = || {
        let info = ApplicationFailure { details: Some(payload_of(1_500_000)), ..ApplicationFailure::default() };
        Failure::of("no", FailureInfo::Application(info))
    };
    let mut w = order_that_decided([schedule("a"), schedule("b"), schedule("c")]);
    for id in ["a", "b", "c"] {
        w.when(activity_failed_with(id, large()));
    }
    let described = w.describe();
    assert_eq!((described.pending_activities.len(), described.pending_next_event_id), (1, Some(6)));
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
