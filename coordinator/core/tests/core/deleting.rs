//! Deletion for privacy: R31, R32. [`World`] rebuilds state without what was tombstoned after every step.

use tidewright_core::{ApplyError, MemoryRows, Overlay, apply, audit, first_hole, is_wanted, read};
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{
    Answer, Epoch, HistoryEvent, RowFact, RunId, TimerTarget, Transition, WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy,
};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::sentences::given;
use crate::support::{ORDER, TOMBSTONES_LIVE_MS, World, workflow_id};

pub(crate) fn answered_delete() -> tidewright_core::Request {
    delete_with(|command| {
        command.request_id = Some("d1".to_owned());
        command.reply_to = Some(reply_to());
    })
}

pub(crate) fn closed() -> World {
    order_that_decided([complete()])
}

/// The run that was answered.
fn answered(w: &World) -> RunId {
    match w.step.facts.iter().find_map(|fact| match fact {
        RowFact::Answered(answered) => Some(&answered.answer),
        _ => None,
    }) {
        Some(Answer::RequestAccepted(accepted)) => accepted.run_id.clone(),
        other => panic!("not accepted: {other:?}"),
    }
}

/// Nothing is found of a run, by whatever way.
fn is_gone(w: &World, run_id: &RunId) {
    let id = workflow_id(ORDER);
    assert_eq!(read::find_run(&w.rows, &id, Some(run_id)).unwrap(), None);
    assert_eq!(read::describe(&w.rows, &id, run_id).unwrap(), None);
    assert_eq!(read::history(&w.rows, &id, run_id, 1, 10).unwrap(), None);
    assert_eq!(read::outcome(&w.rows, &id, run_id).unwrap(), None);
    assert!(read::list(&w.rows, &[], 100).unwrap().iter().all(|(_, run)| run.run_id != *run_id));
}

/// Takes every step that the deletion still needs; says how many.
pub(crate) fn to_the_end(w: &mut World) -> usize {
    let mut steps = 0;
    while w.due().iter().any(|due| due.target == TimerTarget::RunDeletion) {
        w.when_due(TimerTarget::RunDeletion);
        steps += 1;
        assert!(steps < 100, "it does not end");
    }
    steps
}

#[test]
fn a_closed_run_is_gone_at_once_and_its_rows_follow() {
    let mut w = closed();
    let run_id = w.run_id();
    w.when(answered_delete())
        .then_events([])
        .then_facts(["RunDeleted", "Answered RequestAccepted"])
        .then_effects(["reply RequestAccepted"]);
    assert_eq!(answered(&w), run_id);
    is_gone(&w, &run_id);
    assert_eq!(read::find_run(&w.rows, &workflow_id(ORDER), None).unwrap(), None);
    assert!(w.tombstoned.is_empty(), "nothing is tombstoned before a position covers it");
    w.when_due(TimerTarget::RunDeletion).then_events([]).then_facts(["DeletionAdvanced 1"]).then_effects([]);
    assert_eq!(w.tombstoned, [0, 1]);
    let forgets_at_ms = w.due()[0].due_ms;
    assert_eq!(forgets_at_ms, w.now_ms + TOMBSTONES_LIVE_MS);
    w.when_due(TimerTarget::RunDeletion).then_facts(["RunForgotten"]).then_effects([]);
    assert_eq!(w.tombstoned, [0, 1], "what says that it is deleted goes after what says that it is forgotten");
    assert_eq!(w.superseded_count(), w.record_count() - 1);
    assert!(w.rows.all().is_empty(), "{:?}", w.rows.all().keys());
}

#[test]
fn an_open_run_is_terminated_in_the_same_record_and_nothing_of_it_is_wanted() {
    let mut w = order_that_decided([schedule("a"), detached("mail"), timer("t", 60_000)]);
    let run_id = w.run_id();
    let tasks: Vec<_> = w.activity_tasks.iter().map(|(token, _)| token.clone()).collect();
    w.when(answered_delete()).then_events(["WorkflowExecutionTerminated"]).then_facts([
        "RunDeleted",
        "Answered RequestAccepted",
        "orders told that the run is closed",
    ]);
    is_gone(&w, &run_id);
    for token in tasks {
        assert!(!is_wanted(&w.rows, &token.workflow_id, &token.task).unwrap());
    }
    let due: Vec<_> = w.due().into_iter().map(|due| due.target).collect();
    assert_eq!(due, [TimerTarget::RunDeletion]);
}

#[test]
fn a_deletion_record_holds_nothing_that_was_buffered() {
    let mut w = given(|w| w.when(start(ORDER)).when(signal("secret")));
    w.when(delete()).then_events(["WorkflowTaskFailed ForceCloseCommand", "WorkflowExecutionTerminated"]);
    w.then_facts(["RunDeleted"]);
}

#[test]
fn completions_against_deletion_in_both_orders() {
    type Ask = fn(&mut World);
    let asks: [(&str, Ask); 6] = [
        ("workflow task", |w| {
            w.when(task_completed([complete()]));
        }),
        ("activity", |w| {
            w.when(activity_completed("a"));
        }),
        ("notice", |w| {
            w.when(started_notice("a", "w"));
        }),
        ("failure", |w| {
            w.when(activity_failed("a"));
        }),
        ("lost task", |w| {
            w.when(activity_lost("a"));
        }),
        ("undeliverable task", |w| {
            w.when(workflow_task_undeliverable());
        }),
    ];
    for (what, ask) in asks {
        let past = || {
            let mut w = order_that_decided([schedule("a")]);
            w.when(signal("go"));
            w
        };
        let mut w = past();
        w.when(delete());
        ask(&mut w);
        assert!(w.step.nothing, "{what} after the deletion: {:?}", w.step);
        to_the_end(&mut w);
        assert!(w.rows.all().is_empty(), "{what}");
        let mut w = past();
        ask(&mut w);
        assert!(!w.step.nothing, "{what} before the deletion");
        w.when(delete());
        to_the_end(&mut w);
        assert!(w.rows.all().is_empty(), "{what}");
    }
}

#[test]
fn what_is_asked_of_a_deleted_run_finds_none() {
    let mut w = order_that_decided([timer("t", 5_000)]);
    let timer = w.due().remove(0);
    w.when(delete());
    w.when(signal("late")).then_dead_lettered("TW0206");
    w.when(cancel_requested()).then_dead_lettered("TW0206");
    w.when(terminate()).then_dead_lettered("TW0206");
    w.after(60_000).when(fire(&timer)).then_nothing();
    let mut w = order_that_decided([]);
    w.when(signal("before")).when(delete()).then_facts(["RunDeleted"]);
}

#[test]
fn a_confirmation_of_a_deleted_runs_task_says_no() {
    let mut w = order_that_decided([schedule("a")]);
    w.when(delete()).when(may_run("a", "w")).then_effects(["reply Drop"]);
}

#[test]
fn r21_a_repeated_deletion_is_answered_again_while_it_is_remembered() {
    let mut w = closed();
    let run_id = w.run_id();
    w.when(answered_delete());
    for _ in 0..2 {
        w.when(answered_delete()).then_events([]).then_facts(["Answered RequestAccepted"]);
        assert_eq!(answered(&w), run_id);
        // By the run's id, too, whoever asks.
        let named = run_id.clone();
        w.when(delete_with(|command| {
            command.run_id = Some(named);
            command.reply_to = Some(reply_to());
        }));
        assert_eq!(answered(&w), run_id);
        w.when_due(TimerTarget::RunDeletion);
    }
    let mut w = closed();
    w.when(answered_delete()).when(delete()).then_nothing();
    to_the_end(&mut w);
    w.when(answered_delete()).then_rejected("TW0206");
    World::default().when(answered_delete()).then_rejected("TW0206");
}

#[test]
fn a_deleted_id_is_as_one_that_was_never_used() {
    let mut w = World::default();
    w.when(start(ORDER).with_request_id("r").answered()).when(task_completed([complete()]));
    let first = w.run_id();
    w.when(delete());
    let again = start(ORDER).with_request_id("r").with_policy(WorkflowIdReusePolicy::RejectDuplicate).answered();
    w.when(again).then_effects(["workflow task 2#1", "reply WorkflowStarted"]);
    let second = w.run_id();
    assert_ne!(first, second);
    is_gone(&w, &first);
    to_the_end(&mut w);
    // What was remembered of the first run's request is the second's by now.
    w.when(start(ORDER).with_request_id("r").answered()).then_facts(["Answered WorkflowStarted"]);
    w.when(task_completed([complete()]));
    assert_eq!((w.run_id(), w.outcome().status), (second, WorkflowStatus::Completed));
}

#[test]
fn an_older_run_is_deleted_by_its_id_and_the_latest_stays() {
    let mut w = closed();
    let first = w.run_id();
    w.when(start(ORDER).with_request_id("again"));
    let second = w.run_id();
    let named = first.clone();
    w.when(delete_with(|command| command.run_id = Some(named))).then_events([]).then_facts(["RunDeleted"]);
    is_gone(&w, &first);
    assert_eq!(w.run_id(), second);
    to_the_end(&mut w);
    w.when(task_completed([complete()]));
    assert_eq!(w.outcome().status, WorkflowStatus::Completed);
}

#[test]
fn deleting_the_latest_run_leaves_the_one_before() {
    let mut w = closed();
    let first = w.run_id();
    w.when(start(ORDER).with_request_id("again")).when(delete());
    assert_eq!(w.run_id(), first, "the latest that is there");
    w.when(delete()).then_nothing();
    assert_eq!(w.run_id(), first, "whoever asks again means the run that is deleted");
    w.when(delete_with(|command| command.run_id = Some(first)));
    to_the_end(&mut w);
    assert!(w.rows.all().is_empty());
}

#[test]
fn r31_a_step_waits_until_no_recovery_needs_the_records() {
    let mut w = closed();
    w.when(delete());
    let deleted_at = w.offset - 1;
    w.released_offset = Some(deleted_at);
    w.when_due(TimerTarget::RunDeletion).then_early_by(500);
    w.released_offset = Some(deleted_at + 1);
    w.when_due(TimerTarget::RunDeletion).then_facts(["DeletionAdvanced 1"]);
    w.released_offset = Some(deleted_at + 1);
    w.after(TOMBSTONES_LIVE_MS).when_due(TimerTarget::RunDeletion).then_early_by(500);
    w.released_offset = None;
    w.when_due(TimerTarget::RunDeletion).then_facts(["RunForgotten"]);
}

#[test]
fn a_step_that_comes_twice_or_too_early_does_nothing() {
    let mut w = closed();
    w.when(delete());
    let first = w.due().remove(0);
    w.at_once(fire(&first)).then_early_by(1_000);
    w.when(fire(&first)).then_facts(["DeletionAdvanced 1"]);
    w.when(fire(&first)).then_nothing();
    let last = w.due().remove(0);
    w.when(fire(&last)).then_early_by(TOMBSTONES_LIVE_MS - 2_000);
    w.after(TOMBSTONES_LIVE_MS).when(fire(&last)).then_facts(["RunForgotten"]);
    w.when(fire(&last)).then_nothing();
    w.when(fire(&first)).then_nothing();
}

#[test]
fn the_cost_of_a_deletion_does_not_grow_with_the_history() {
    let mut w = World::default();
    w.check_compaction = false;
    w.when(start(ORDER));
    for n in 0..270 {
        let signal = signal_with("s", |command| command.request_id = Some(format!("r{n}")));
        w.when(signal).when(task_completed([]));
    }
    let before = w.rows.all().len();
    w.when(delete());
    assert!(w.rows.all().len() + 10 > before, "a deletion removes the rows at once");
    let mut left = w.rows.all().len();
    let mut steps = 0;
    while left > 4 {
        w.when_due(TimerTarget::RunDeletion);
        let now = w.rows.all().len();
        assert!(left - now < 5_000, "{} rows go in one step", left - now);
        (left, steps) = (now, steps + 1);
        w.compact();
    }
    assert!(steps >= 2, "{steps} steps");
    let all = (0..=2 * 270).collect::<Vec<_>>();
    assert_eq!(w.tombstoned[..all.len()], all);
    to_the_end(&mut w);
    assert!(w.rows.all().is_empty());
}

/// Two runs of one id: the second began in the record that closed the first.
fn replaced() -> (World, RunId, RunId) {
    let mut w = order_that_decided([]);
    let first = w.run_id();
    w.when(start(ORDER).with(|start| {
        start.workflow_id_conflict_policy = Some(WorkflowIdConflictPolicy::TerminateExisting);
        start.request_id = Some("second".to_owned());
    }));
    let second = w.run_id();
    (w, first, second)
}

fn delete_run(w: &mut World, run_id: &RunId) {
    let named = run_id.clone();
    w.when(delete_with(|command| command.run_id = Some(named))).then_facts(["RunDeleted"]);
}

#[test]
fn a_shared_record_goes_with_the_second_of_its_runs() {
    let shared = 2;
    for first_goes_first in [true, false] {
        let (mut w, first, second) = replaced();
        let (one, other) = if first_goes_first { (&first, &second) } else { (&second, &first) };
        delete_run(&mut w, one);
        to_the_end(&mut w);
        assert!(!w.tombstoned.contains(&shared), "the other run needs it");
        is_gone(&w, one);
        assert!(read::describe(&w.rows, &workflow_id(ORDER), other).unwrap().is_some());
        w.compact();
        delete_run(&mut w, other);
        to_the_end(&mut w);
        assert!(w.tombstoned.contains(&shared));
        assert!(w.rows.all().is_empty(), "{:?}", w.rows.all().keys());
        w.compact();
    }
}

#[test]
fn a_deletion_is_remembered_while_another_run_holds_the_start() {
    let (mut w, first, second) = replaced();
    delete_run(&mut w, &second);
    w.when_due(TimerTarget::RunDeletion).then_facts(["DeletionAdvanced 1"]);
    assert!(w.due().is_empty(), "it waits for the first run: {:?}", w.due());
    w.after(2 * TOMBSTONES_LIVE_MS).when(signal("late")).then_dead_lettered("TW0207");
    delete_run(&mut w, &first);
    w.when_due(TimerTarget::RunDeletion).then_facts(["DeletionAdvanced 1"]);
    let due: Vec<_> = w.due().into_iter().map(|due| (due.run_id, due.due_ms)).collect();
    let at_ms = w.now_ms + TOMBSTONES_LIVE_MS;
    assert_eq!(due, [(second, at_ms), (first, at_ms + 1)], "the first tells that the second may go");
    assert_eq!(to_the_end(&mut w), 2);
    assert!(w.rows.all().is_empty());
}

#[test]
fn both_runs_of_a_shared_record_may_go_at_the_same_time() {
    for first_goes_first in [true, false] {
        let (mut w, first, second) = replaced();
        let (one, other) = if first_goes_first { (&first, &second) } else { (&second, &first) };
        delete_run(&mut w, one);
        delete_run(&mut w, other);
        to_the_end(&mut w);
        assert_eq!(w.tombstoned.iter().filter(|source| **source == 2).count(), 1);
        assert!(w.rows.all().is_empty());
    }
}

#[test]
fn a_chain_of_runs_goes_in_any_order() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let (mut w, first, second) = replaced();
        w.when(start(ORDER).with(|start| {
            start.workflow_id_conflict_policy = Some(WorkflowIdConflictPolicy::TerminateExisting);
        }));
        let runs = [first, second, w.run_id()];
        for at in order {
            delete_run(&mut w, &runs[at]);
            to_the_end(&mut w);
        }
        assert!(w.rows.all().is_empty(), "{order:?}");
    }
}

#[test]
fn r9_a_forwarded_start_is_taken_once_even_if_its_run_is_deleted() {
    let mut w = World::default();
    w.when(forwarded("commands/7/1", start(ORDER))).when(task_completed([complete()]));
    w.when(forwarded("commands/7/2", |_: &World| delete()));
    w.when_due(TimerTarget::RunDeletion).then_facts(["DeletionAdvanced 1", "OriginSeen"]);
    assert_eq!(w.tombstoned, [1], "the start tells of its origin until the step that says it again is committed");
    to_the_end(&mut w);
    w.when(forwarded("commands/7/1", start(ORDER))).then_nothing();
    w.when(forwarded("commands/7/2", |_: &World| delete())).then_nothing();
    w.compact();
}

/// A record of some run that says nothing but these events.
fn record(run_id: &RunId, source_offset: u64, events: Vec<HistoryEvent>) -> Transition {
    Transition {
        epoch: Epoch { offset: 7, key: "claim".to_owned() },
        source_offset,
        source_time_ms: 0,
        workflow_id: workflow_id(ORDER),
        run_id: Some(run_id.clone()),
        events,
        history_digest: None,
        rows: Vec::new(),
        next_run: None,
        supersedes: Vec::new(),
    }
}

pub(crate) fn written(rows: &MemoryRows, change: &Transition) -> (tidewright_core::Applied, MemoryRows) {
    use tidewright_core::Store as _;
    let mut overlay = Overlay::new(rows);
    let applied = apply(&mut overlay, change).unwrap();
    let mut after = rows.clone();
    after.write(overlay.into_changes().into_iter().collect()).unwrap();
    (applied, after)
}

#[test]
fn r31_records_of_a_run_without_a_start_are_leftovers() {
    let mut w = closed();
    w.when(start("other"));
    let events = w.history();
    let gone = RunId::from_text("gone");
    for events in [events[3..].to_vec(), Vec::new()] {
        let (applied, after) = written(&w.rows, &record(&gone, 9, events));
        assert!(applied.is_leftover);
        assert_eq!(after, w.rows);
    }
}

#[test]
fn r13_a_hole_stops_the_partition_unless_a_deletion_follows() {
    let mut w = order_that_decided([]);
    let events = w.history();
    let beyond: Vec<_> = events.iter().cloned().map(|e| HistoryEvent { event_id: e.event_id + 10, ..e }).collect();
    let (applied, holed) = written(&w.rows, &record(&w.run_id(), 9, beyond));
    assert!(matches!(applied.hole.as_deref(), Some(ApplyError::Gap { expected: 5, found: 11, .. })), "{applied:?}");
    let hole = first_hole(&holed).unwrap().expect("a hole");
    assert!(hole.to_string().contains("its next event is 5"), "{hole}");
    assert!(first_hole(&w.rows).unwrap().is_none());
    // What follows of the run is passed over; its deletion makes good.
    let next = HistoryEvent { event_id: 15, ..events[3].clone() };
    let (applied, holed) = written(&holed, &record(&w.run_id(), 10, vec![next]));
    assert!(applied.hole.is_none() && !applied.is_leftover);
    let run_id = w.run_id();
    w.when(delete());
    let mut deletion = record(&run_id, 11, Vec::new());
    deletion.rows.clone_from(&w.step.facts);
    let (_, after) = written(&holed, &deletion);
    assert!(first_hole(&after).unwrap().is_none());
    assert_eq!(audit(&after).unwrap(), Vec::<String>::new());
}
