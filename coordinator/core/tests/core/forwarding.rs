//! Commands that came by another partition are taken once (R9).

use tidewright_schemas::TimerTarget;

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::{ORDER, World};

#[test]
fn r9_two_forwarders_deliver_once() {
    let mut w = World::default();
    w.when(forwarded("commands/7/12", start(ORDER))).then_facts(["OriginSeen"]).then_effects(["workflow task 2#1"]);
    w.when(forwarded("commands/7/12", start(ORDER))).then_nothing();
    w.when(forwarded("commands/7/13", start(ORDER))).then_facts(["DeadLettered TW0202", "OriginSeen"]);
    w.when(forwarded("commands/7/13", start(ORDER))).then_nothing();
}

#[test]
fn r9_what_changed_nothing_is_not_taken_again_in_another_state() {
    let mut w = World::default();
    w.when(start(ORDER)).when(cancel_requested());
    w.when(forwarded("commands/7/12", cancel_requested())).then_facts(["OriginSeen"]).then_effects([]);
    w.when(terminate());
    // Taken for new, it would be rejected: nothing can be asked of a closed run.
    w.when(forwarded("commands/7/12", cancel_requested())).then_nothing();
}

#[test]
fn r9_an_answer_is_not_given_twice_either() {
    let mut w = World::default();
    w.when(forwarded("commands/7/12", start(ORDER).answered()));
    w.when(forwarded("commands/7/12", start(ORDER).answered())).then_nothing();
    w.when(forwarded("commands/7/14", start(ORDER).answered())).then_facts(["Answered Rejected TW0202", "OriginSeen"]);
}

#[test]
fn r9_origins_belong_to_a_workflow() {
    let mut w = World::default();
    w.when(forwarded("commands/7/12", start(ORDER)));
    w.when(forwarded("commands/7/12", start("order-2"))).then_effects(["workflow task 2#1"]);
}

#[test]
fn r2_what_identifies_is_not_superseded() {
    let mut w = order_that_decided([schedule("a")]);
    w.when(forwarded("commands/7/12", activity_failed("a"))).then_facts(["ActivityRetryScheduled #2", "OriginSeen"]);
    w.when_due(TimerTarget::ActivityRetry).when(activity_failed("a")).when_due(TimerTarget::ActivityRetry);
    w.when(forwarded("commands/7/12", activity_failed("a"))).then_nothing();
    // The two in between, but not the one that remembers the origin.
    assert_eq!(w.superseded_count(), 2);
}
