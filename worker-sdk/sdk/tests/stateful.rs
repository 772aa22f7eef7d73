//! Workflows with state: `#[workflow]` on an `impl` block.

#![allow(clippy::unwrap_used, reason = "tests")]

mod history;

use history::{History, query, run_of};
use serde::{Deserialize, Serialize};
use tidewright::prelude::*;
use tidewright_schemas::Decision;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Verdict {
    Approved,
    Rejected,
}

#[derive(Serialize)]
struct Approval {
    limit: u64,
    verdict: Option<Verdict>,
    reminders: u32,
}

#[workflow]
impl Approval {
    #[init]
    fn new(amount: &u64) -> Self {
        Self { limit: amount * 2, verdict: None, reminders: 0 }
    }

    #[run]
    async fn run(ctx: &WorkflowContext<Self>, amount: u64) -> WorkflowResult<Verdict> {
        let began_with = ctx.state(|s| s.reminders);
        ctx.state_mut(|s| s.limit += amount + u64::from(began_with));
        let verdict = ctx.wait_for(|s| s.verdict).timeout(7.days()).await;
        Ok(verdict.unwrap_or(Verdict::Rejected))
    }

    /// Says yes or no.
    #[signal]
    fn decide(&mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
    }

    #[signal(name = "remind-me")]
    fn remind(&mut self) {
        self.reminders += 1;
    }

    #[query]
    fn status(&self) -> String {
        format!("{:?} after {} reminders", self.verdict, self.reminders)
    }

    /// Calls another query as a method.
    #[query(name = "left")]
    fn left_of(&self, spent: u64) -> Result<u64, std::num::TryFromIntError> {
        let _ = self.status();
        u64::try_from(i128::from(self.limit) - i128::from(spent))
    }
}

#[test]
fn the_names_are_those_of_struct_and_methods_or_what_the_attributes_say() {
    assert_eq!((Approval::run.name(), Approval::decide.name()), ("Approval", "decide"));
    assert_eq!((Approval::remind.name(), Approval::left_of.name()), ("remind-me", "left"));
}

#[test]
fn handlers_are_still_methods() {
    let mut approval = Approval::new(&1);
    approval.decide(Verdict::Approved);
    approval.remind();
    assert_eq!(approval.status(), "Some(Approved) after 1 reminders");
}

fn waiting() -> History {
    History::begun("10").decided(&[r#"{"type":"StartTimer","timer_id":"1","start_to_fire_timeout_ms":604800000}"#])
}

#[test]
fn a_signal_that_comes_before_the_timeout_wins() {
    let mut run = run_of(Approval::run);
    let begun = History::begun("10").advance(&mut run);
    assert!(matches!(begun.as_slice(), [Decision::StartTimer(t)] if t.start_to_fire_timeout_ms == 604_800_000));
    let history = waiting().signaled("decide", r#""Approved""#).fired("1");
    for run in [&mut run, &mut run_of(Approval::run)] {
        let decisions = history.clone().advance(run);
        let [Decision::CompleteWorkflow(done)] = decisions.as_slice() else { panic!("{decisions:?}") };
        assert_eq!(done.result.as_ref().unwrap().read::<Verdict>().unwrap(), Verdict::Approved);
    }
}

#[test]
fn a_timeout_that_comes_before_the_signal_wins() {
    let history = waiting().fired("1").signaled("decide", r#""Approved""#);
    let mut run = run_of(Approval::run);
    let decisions = history.advance(&mut run);
    let [Decision::CompleteWorkflow(done)] = decisions.as_slice() else { panic!("{decisions:?}") };
    assert_eq!(done.result.as_ref().unwrap().read::<Verdict>().unwrap(), Verdict::Rejected);
    assert_eq!(query::<String>(&run, "status", "null").unwrap(), "Some(Approved) after 0 reminders");
}

#[test]
fn queries_answer_refuse_and_show_the_state() {
    let mut run = run_of(Approval::run);
    let history = waiting().signaled("remind-me", "null").signaled("remind-me", "null");
    history.advance(&mut run);
    assert_eq!(query::<String>(&run, "status", "null").unwrap(), "None after 2 reminders");
    assert_eq!(query::<u64>(&run, "left", "29").unwrap(), 1);
    assert!(query::<u64>(&run, "left", "31").unwrap_err().contains("out of range"));
    assert!(query::<u64>(&run, "left", r#""x""#).unwrap_err().contains("cannot read its input"));
    assert!(query::<u64>(&run, "right", "1").unwrap_err().contains("left, status"));
    let state: serde_json::Value = run.workflow_state().unwrap().read().unwrap();
    assert_eq!(state, serde_json::json!({"limit": 30, "verdict": null, "reminders": 2}));
    assert_eq!(run.pending().iter().map(|p| p.kind.as_str()).collect::<Vec<_>>(), ["timer", "condition"]);
}

#[test]
fn signals_that_come_with_the_start_are_in_the_state_when_the_code_begins() {
    let mut run = run_of(Approval::run);
    History::started("10").signaled("remind-me", "null").advance(&mut run);
    assert_eq!(query::<u64>(&run, "left", "0").unwrap(), 31);
}

/// Has neither `Serialize` nor `Default` by itself, but can be shown.
#[derive(Debug, Default)]
struct Debuggable {
    #[expect(dead_code, reason = "shown")]
    count: u8,
}

#[workflow(name = "renamed")]
impl Debuggable {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {
        Ok(ctx.sleep(1.days()).await?)
    }
}

#[derive(Default)]
struct Secretive;

#[workflow]
impl Secretive {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {
        Ok(ctx.sleep(1.days()).await?)
    }
}

#[test]
fn a_state_is_shown_as_well_as_it_can_be() {
    let mut run = run_of(Debuggable::run);
    History::begun("null").advance(&mut run);
    assert!(run.workflow_state().unwrap().read::<String>().unwrap().contains("count: 0"));
    assert_eq!(Debuggable::run.name(), "renamed");
    let mut run = run_of(Secretive::run);
    History::begun("null").advance(&mut run);
    assert!(run.workflow_state().is_none());
}

#[derive(Default)]
struct Careless;

#[workflow]
impl Careless {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {
        ctx.state(|_| ctx.state_mut(|_| ()));
        Ok(())
    }
}

#[test]
fn a_state_that_is_asked_for_twice_at_once_is_a_failure_that_says_where() {
    let error = History::begun("null").try_advance(&mut run_of(Careless::run)).unwrap_err().to_string();
    assert!(error.contains("in use") && error.contains("stateful.rs:"), "{error}");
}
