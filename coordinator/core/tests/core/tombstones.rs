//! What the tombstones of deletions say to whoever comes too late for the records (R31).

use tidewright_core::{MemoryRows, Overlay, Store as _, apply_tombstone};
use tidewright_schemas::TimerTarget;

use crate::deleting::{answered_delete, closed, to_the_end, written};
use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::{ORDER, World};

/// Rows after the tombstone of the record that deleted a run was read, by a state that never saw the deletion end.
fn after_tombstone(rows: &MemoryRows, key: &str) -> MemoryRows {
    let mut overlay = Overlay::new(rows);
    apply_tombstone(&mut overlay, key).unwrap();
    let changed = overlay.into_changes();
    let mut after = rows.clone();
    after.write(changed.into_iter().collect()).unwrap();
    after
}

#[test]
fn r31_a_state_that_missed_the_end_of_a_deletion_learns_it_from_the_tombstone() {
    let mut w = closed();
    let deletes = w.record_count();
    w.when(answered_delete()).when_due(TimerTarget::RunDeletion);
    let keys: Vec<_> = w.record_keys().map(str::to_owned).collect();
    for (number, key) in keys.iter().enumerate() {
        let after = after_tombstone(&w.rows, key);
        assert_eq!(after.all().is_empty(), number == deletes, "{key}");
    }
    for of_another in ["", "transition/", "position/1/claim/1", &keys[deletes].replace("/claim", "/another")] {
        assert_eq!(after_tombstone(&w.rows, of_another), w.rows, "{of_another}");
    }
}

#[test]
fn r31_a_run_whose_deletion_was_compacted_away_while_it_was_read_is_gone_with_its_tombstones() {
    let mut w = World::default();
    w.when(start(ORDER).with_request_id("r1")).when(task_completed([schedule("charge"), timer("wait", 1_000)]));
    w.when(signal_with("told", |signal| signal.request_id = Some("r2".to_owned())));
    w.when(answered_delete());
    to_the_end(&mut w);
    assert!(w.rows.all().is_empty());
    let keys: Vec<_> = w.record_keys().map(str::to_owned).collect();
    let records = w.records_from(0);
    for read in 1..records.len() {
        let mut rows = MemoryRows::default();
        for record in &records[..read] {
            rows = written(&rows, record).1;
        }
        // The record that ends the deletion may be there still, though its steps are gone.
        let with_end = written(&rows, &records[records.len() - 1]).1;
        for key in &keys {
            rows = after_tombstone(&rows, key);
        }
        let with_end = keys.iter().fold(with_end, |rows, key| after_tombstone(&rows, key));
        assert!(with_end.all().is_empty(), "{read} records and the last were read: {:?}", with_end.all().keys());
        assert!(rows.all().is_empty(), "{read} records were read: {:?}", rows.all().keys());
    }
}

#[test]
fn r31_a_tombstone_that_comes_late_forgets_no_later_deletion_by_the_same_request() {
    let mut w = closed();
    let deletes = w.record_count();
    w.when(answered_delete()).when_due(TimerTarget::RunDeletion);
    let key = w.record_keys().nth(deletes).unwrap().to_owned();
    let missed_the_end = w.rows.clone();
    w.when_due(TimerTarget::RunDeletion).then_facts(["RunForgotten"]);
    let from = w.record_count();
    w.when(start(ORDER)).when(answered_delete());
    let mut rows = missed_the_end;
    for change in w.records_from(from) {
        rows = written(&rows, &change).1;
    }
    assert_eq!(after_tombstone(&rows, &key), w.rows);
}
