//! What a transition costs does not grow with what a run has been through: counted in rows, not in time.

use std::cell::Cell;

use tidewright_core::{Decided, Found, Overlay, Request, Rows, RowsError, apply, decide, effects, workflow_task};
use tidewright_schemas::{Epoch, TaskKind, TimerTarget};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::sentences::given;
use crate::support::{NAMESPACE, ORDER, World, workflow_id};

/// Counts the rows that are read.
struct Counting<'a, R> {
    rows: &'a R,
    read: Cell<usize>,
}

impl<R: Rows> Rows for Counting<'_, R> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        self.read.set(self.read.get() + 1);
        self.rows.get(key)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Found, RowsError> {
        let found = self.rows.scan(prefix, from, limit)?;
        self.read.set(self.read.get() + 1 + found.len());
        Ok(found)
    }
}

/// Rows read and written, and events in the task, for a command that is decided, applied and sent, but not kept.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    read: usize,
    written: usize,
    events_sent: usize,
}

fn cost(w: &World, request: &Request) -> Cost {
    let counting = Counting { rows: &w.rows, read: Cell::new(0) };
    let context = tidewright_core::Context {
        incarnation: "incarnation".to_owned(),
        partition: 3,
        offset: w.offset,
        timestamp_ms: w.now_ms,
        ..tidewright_core::Context::default()
    };
    let Decided::Change(change) = decide(&counting, request, &context).unwrap() else { panic!("nothing changes") };
    let change = change.into_transition(Epoch { offset: 7, key: "claim".to_owned() }, &context);
    let mut overlay = Overlay::new(&counting);
    apply(&mut overlay, &change).unwrap();
    let mut events_sent = 0;
    for effect in effects(&change) {
        if let tidewright_core::Effect::Task { workflow_id, task } = effect
            && task.kind == TaskKind::Workflow
        {
            let sent = workflow_task(&overlay, NAMESPACE, &workflow_id, &task, false).unwrap().expect("it is wanted");
            events_sent += sent.task.events.len();
        }
    }
    let written = overlay.into_changes().len();
    Cost { read: counting.read.get(), written, events_sent }
}

/// A workflow that takes signals one by one, and what one more costs: the signal, and the completion that follows.
fn signalled(w: &mut World, times: usize) -> [Cost; 2] {
    for _ in 0..times {
        w.when(signal("next")).when(task_completed([]));
    }
    let of_signal = cost(w, &signal("next")(w));
    w.when(signal("next"));
    let completion = task_completed([])(w);
    let of_completion = cost(w, &completion);
    w.take(&completion);
    [of_signal, of_completion]
}

fn quick() -> World {
    let mut w = order_that_decided([timer("t", 60_000)]);
    w.check_compaction = false;
    w
}

#[test]
fn a_signal_costs_the_same_however_many_came_before() {
    let mut w = quick();
    let first = signalled(&mut w, 5);
    let later = signalled(&mut w, 300);
    assert_eq!(first, later);
}

#[test]
fn a_signal_that_is_buffered_costs_the_same_however_many_wait() {
    let mut w = given(|w| w.when(start(ORDER)));
    w.check_compaction = false;
    let one_more = |w: &mut World, times: usize| {
        for _ in 0..times {
            w.when(signal("next"));
        }
        cost(w, &signal("next")(w))
    };
    let first = one_more(&mut w, 2);
    assert_eq!(first, one_more(&mut w, 300));
}

#[test]
fn a_signal_costs_the_same_however_much_is_pending() {
    let mut few = quick();
    let decisions = (0..300).flat_map(|n| [schedule(&format!("a{n}")), timer(&format!("t{n}"), 90_000)]).collect();
    let mut many = given(|w| w.when(start(ORDER)));
    many.check_compaction = false;
    many.when(task_completed_with(decisions));
    assert_eq!(signalled(&mut few, 2), signalled(&mut many, 2));
    let completed = |w: &World| cost(w, &activity_completed("a7")(w));
    let with_many = completed(&many);
    let mut one = order_that_decided([schedule("a7")]);
    signalled(&mut one, 3);
    assert_eq!(completed(&one).written, with_many.written);
    assert_eq!(completed(&one).read, with_many.read);
}

#[test]
fn a_timer_of_ten_years_costs_its_rows_and_nothing_until_it_is_due() {
    const YEARS_10_MS: u64 = 10 * 365 * 86_400_000;
    let mut short = given(|w| w.when(start(ORDER)));
    let mut long = given(|w| w.when(start(ORDER)));
    short.when(task_completed([timer("t", 1_000)]));
    long.when(task_completed([timer("t", YEARS_10_MS)]));
    assert_eq!(short.rows.all().len(), long.rows.all().len());
    let due = long.due();
    assert_eq!(due.iter().map(|timer| timer.target).collect::<Vec<_>>(), [TimerTarget::Timer]);
    assert_eq!(due[0].due_ms, long.now_ms + YEARS_10_MS);
    let (records, rows) = (long.record_count(), long.rows.clone());
    long.after(YEARS_10_MS - 2);
    assert!(tidewright_core::due_timers(&long.rows, long.now_ms, 9).unwrap().0.is_empty(), "nothing is due before");
    assert_eq!((long.record_count(), &long.rows), (records, &rows));
    long.when_due(TimerTarget::Timer).then_events(["TimerFired t", "WorkflowTaskScheduled", "WorkflowTaskStarted"]);
}

#[test]
fn a_run_that_waits_for_a_worker_waits_for_no_time() {
    // A night without workers: nothing becomes due, so nothing is written.
    let mut w = given(|w| w.when(start(ORDER)));
    assert!(w.due().is_empty());
    w.when(task_completed([schedule("a")]));
    assert!(w.due().is_empty());
    assert_eq!(workflow_id(ORDER), w.activity_task("a").1.workflow_id);
}

#[test]
fn decisions_cost_the_same_however_much_is_pending() {
    let decided = |pending: usize| {
        let decisions = (0..pending).flat_map(|n| [schedule(&format!("a{n}")), timer(&format!("t{n}"), 90_000)]);
        let mut w = given(|w| w.when(start(ORDER)));
        w.check_compaction = false;
        w.when(task_completed_with(decisions.collect())).when(signal("next"));
        cost(&w, &task_completed([schedule("one-more"), timer("one-more", 1), cancel("t0"), timer("t0", 1)])(&w))
    };
    assert_eq!(decided(1), decided(900));
}
