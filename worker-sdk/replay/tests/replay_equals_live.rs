//! Whatever a workflow does and in whatever order the world answers: replaying from scratch at any point gives the
//! same decisions as advancing bit by bit.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;

use futures::future::{join_all, select};
use futures::stream::{FuturesUnordered, StreamExt as _};
use proptest::prelude::*;
use support::{History, activate, activity, cancelled_by, here, run_of, words};
use tidewright_replay::{ActivityCancellationType, ActivityRequest, Run, RunContext};
use tidewright_schemas::{Decision, Payload};

/// One step of a made-up workflow.
#[derive(Debug, Clone)]
enum Step {
    Activity,
    Sleep,
    Detach,
    Random,
    All(Vec<Step>),
    Unordered(Vec<Step>),
    Race(Box<Step>, Box<Step>),
    /// An activity, and a timer that asks it to end.
    Cancelled(ActivityCancellationType),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let leaf = prop_oneof![
        4 => Just(Step::Activity),
        3 => Just(Step::Sleep),
        1 => Just(Step::Detach),
        1 => Just(Step::Random),
        1 => Just(Step::Cancelled(ActivityCancellationType::TryCancel)),
        1 => Just(Step::Cancelled(ActivityCancellationType::WaitCancellationCompleted)),
        1 => Just(Step::Cancelled(ActivityCancellationType::Abandon))
    ];
    let step = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Step::All),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Step::Unordered),
            (inner.clone(), inner).prop_map(|(a, b)| Step::Race(Box::new(a), Box::new(b))),
        ]
    });
    prop::collection::vec(step, 1..6)
}

fn perform(ctx: RunContext, step: Step) -> Pin<Box<dyn Future<Output = String> + Send>> {
    Box::pin(async move {
        match step {
            Step::Activity => match ctx.schedule_activity(activity("A"), here()).await {
                Ok(result) => result.map_or(String::new(), |r| r.json_text().unwrap().into_owned()),
                Err(failure) => failure.message,
            },
            Step::Sleep => {
                ctx.start_timer(5, here()).await;
                format!("slept until {}", ctx.now_ms())
            }
            Step::Detach => {
                ctx.detach_activity(activity("D"));
                String::new()
            }
            Step::Random => {
                let mut byte = [0];
                ctx.fill_random(&mut byte);
                if byte[0] % 2 == 0 {
                    ctx.start_timer(u64::from(byte[0]), here()).await;
                }
                String::new()
            }
            Step::All(steps) => join_all(steps.into_iter().map(|s| perform(ctx.clone(), s))).await.concat(),
            Step::Unordered(steps) => {
                let all: FuturesUnordered<_> = steps.into_iter().map(|s| perform(ctx.clone(), s)).collect();
                all.collect::<Vec<_>>().await.concat()
            }
            Step::Cancelled(cancellation_type) => {
                let request = ActivityRequest { cancellation_type, ..activity("C") };
                let work = ctx.schedule_activity(request, here());
                let outcome = cancelled_by(work, ctx.start_timer(5, here())).await;
                outcome.map_or_else(|failure| failure.message, |_| "completed".to_owned())
            }
            Step::Race(a, b) => select(perform(ctx.clone(), *a), perform(ctx, *b)).await.factor_first().0,
        }
    })
}

fn run_with(steps: Vec<Step>) -> Run {
    run_of(move |ctx, _| {
        let steps = steps.clone();
        Box::pin(async move {
            let mut all = String::new();
            for step in steps {
                all += &perform(ctx.clone(), step).await;
            }
            Ok(Some(Payload::new(&all).unwrap()))
        })
    })
}

/// What the world may still do.
#[derive(Debug, Default)]
struct Open {
    activities: BTreeSet<String>,
    timers: BTreeSet<String>,
}

impl Open {
    fn note(&mut self, decisions: &[Decision]) {
        for decision in decisions {
            match decision {
                Decision::ScheduleActivity(d) => drop(self.activities.insert(d.activity_id.clone())),
                Decision::StartTimer(d) => drop(self.timers.insert(d.timer_id.clone())),
                Decision::CancelTimer(d) => drop(self.timers.remove(&d.timer_id)),
                _ => {}
            }
        }
    }

    /// Lets one of the open things happen.
    fn happen(&mut self, choice: usize, history: History) -> History {
        let (activities, timers) = (self.activities.len(), self.timers.len());
        if activities + timers == 0 {
            return history;
        }
        let index = choice % (activities + timers);
        if index < activities {
            let id = self.activities.iter().nth(index).unwrap().clone();
            self.activities.remove(&id);
            match choice % 5 {
                0 => history.activity_failed(&id, "no"),
                1 => history.activity_canceled(&id, "7"),
                _ => history.activity_completed(&id, &id),
            }
        } else {
            let id = self.timers.iter().nth(index - activities).unwrap().clone();
            self.timers.remove(&id);
            history.fired(&id)
        }
    }
}

proptest! {
    #[test]
    fn replay_from_scratch_equals_live(
        steps in steps(),
        // For each workflow task: what happens before it, and how often it fails first.
        world in prop::collection::vec((prop::collection::vec(any::<usize>(), 1..4), 0_usize..3), 1..20),
    ) {
        let mut live = run_with(steps.clone());
        let mut history = History::started();
        let mut open = Open::default();
        for (happenings, failures) in world {
            let decisions = activate(&mut live, &history).unwrap();
            let again = activate(&mut run_with(steps.clone()), &history).unwrap();
            prop_assert_eq!(words(&decisions), words(&again));
            open.note(&decisions);
            history = history.decided(&decisions);
            if live.is_closed() {
                let mut whole = run_with(steps.clone());
                for event in &history.events {
                    whole.apply(event).unwrap();
                }
                prop_assert!(whole.is_closed());
                return Ok(());
            }
            for choice in happenings {
                history = open.happen(choice, history);
            }
            // A worker that saw a task fail evicts the run: live goes on from a fresh one.
            history = history.task_started();
            for _ in 0..failures {
                history = history.task_failed().task_started();
                live = run_with(steps.clone());
            }
        }
    }
}
