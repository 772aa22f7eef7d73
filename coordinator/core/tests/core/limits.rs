//! What is as long as it may be is taken; one byte, or one decision, more is not.

use tidewright_schemas::limits::{DECISIONS_MAX, NAME_BYTES_MAX, WORKFLOW_ID_BYTES_MAX};
use tidewright_schemas::{StartWorkflow, WorkflowId};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::sentences::given;
use crate::support::{ORDER, World};

fn name_of(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[test]
fn names_of_a_start_may_be_as_long_as_they_may() {
    let changes: [fn(&mut StartWorkflow, String); 4] = [
        |start, name| start.workflow_type = name,
        |start, name| start.task_queue = name,
        |start, name| start.identity = Some(name),
        |start, name| start.request_id = Some(name),
    ];
    for change in changes {
        let with = |bytes| start(ORDER).answered().with(|start| change(start, name_of(bytes)));
        World::default().when(with(NAME_BYTES_MAX)).then_effects(["workflow task 2#1", "reply WorkflowStarted"]);
        World::default().when(with(NAME_BYTES_MAX + 1)).then_rejected("TW0201");
    }
    assert!(WorkflowId::new(name_of(WORKFLOW_ID_BYTES_MAX)).is_ok());
    assert!(WorkflowId::new(name_of(WORKFLOW_ID_BYTES_MAX + 1)).is_err());
}

#[test]
fn names_of_what_is_told_may_be_as_long_as_they_may() {
    let answered = |bytes| {
        signal_with("", move |signal| {
            signal.signal_name = name_of(bytes);
            signal.reply_to = Some(reply_to());
        })
    };
    let mut w = order_that_decided([]);
    w.when(answered(NAME_BYTES_MAX));
    assert_eq!(w.describe().signal_count, 1);
    w.when(answered(NAME_BYTES_MAX + 1)).then_rejected("TW0201");
}

#[test]
fn ids_of_decisions_may_be_as_long_as_they_may() {
    let mut w = given(|w| w.when(start(ORDER)));
    let (activity_id, timer_id) = (name_of(NAME_BYTES_MAX), name_of(NAME_BYTES_MAX));
    w.when(task_completed([schedule(&activity_id), timer(&timer_id, 1)]));
    assert_eq!((w.describe().pending_activity_count, w.describe().pending_timer_count), (1, 1));
    for decision in [schedule(&name_of(NAME_BYTES_MAX + 1)), timer(&name_of(NAME_BYTES_MAX + 1), 1)] {
        let mut w = given(|w| w.when(start(ORDER)));
        w.when(task_completed([decision]));
        w.event("WorkflowTaskFailed");
    }
}

#[test]
fn a_task_may_decide_as_much_as_it_may() {
    let decisions = |count: usize| (0..count).map(|number| timer(&number.to_string(), 60_000)).collect();
    let mut w = given(|w| w.when(start(ORDER)));
    w.check_compaction = false;
    w.when(task_completed_with(decisions(DECISIONS_MAX)));
    assert_eq!(w.describe().pending_timer_count as usize, DECISIONS_MAX);
    let mut w = given(|w| w.when(start(ORDER)));
    w.when(task_completed_with(decisions(DECISIONS_MAX + 1)));
    w.event("WorkflowTaskFailed");
}
