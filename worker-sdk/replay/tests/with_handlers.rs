//! Workflows that have state: signals change it before the code goes on, queries read it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use support::{History, activate, activity, here, words};
use tidewright_replay::{
    Begun, Handled, Handlers, Note, OperationKind, QueryProblem, ReplayError, Run, RunContext, RunInfo,
};
use tidewright_schemas::{Failure, Payload, RunId, WorkflowId};

/// Numbers that `add` brought.
#[derive(Clone, Default)]
struct Numbers(Arc<Mutex<Vec<u64>>>);

impl Numbers {
    fn sum(&self) -> u64 {
        self.0.lock().unwrap().iter().sum()
    }
}

impl Handlers for Numbers {
    fn signal(&mut self, name: &str, input: Option<&Payload>) -> Handled {
        match (name, input.map(Payload::read::<u64>)) {
            ("add", Some(Ok(number))) => {
                self.0.lock().unwrap().push(number);
                Handled::Done
            }
            ("add", _) => Handled::Unreadable("not a number".to_owned()),
            ("explode", _) => panic!("kaboom"),
            _ => Handled::Unknown,
        }
    }

    fn query(&self, name: &str, _: Option<&Payload>) -> Option<Result<Payload, Box<Failure>>> {
        match name {
            "sum" => Some(Ok(Payload::new(&self.sum()).unwrap())),
            "explode" => panic!("kaboom"),
            _ => None,
        }
    }

    fn signal_names(&self) -> Vec<&'static str> {
        vec!["add", "explode"]
    }

    fn query_names(&self) -> Vec<&'static str> {
        vec!["sum", "explode"]
    }

    fn state(&self) -> Option<Payload> {
        Payload::new(&*self.0.lock().unwrap()).ok()
    }
}

/// Says what it begins with, waits until the sum is 10, and says how many numbers that took.
fn until_ten() -> Run {
    let info = RunInfo {
        namespace: "default".to_owned(),
        workflow_id: WorkflowId::new("w").unwrap(),
        run_id: RunId::from_text("r"),
        workflow_type: "Test".to_owned(),
    };
    Run::new(
        info,
        Box::new(|ctx: RunContext, _| {
            let numbers = Numbers::default();
            let state = numbers.clone();
            let future = Box::pin(async move {
                let first = state.sum();
                let mut waiting = ctx.waiting(OperationKind::Condition, "", here());
                poll_fn(|cx| {
                    if state.sum() >= 10 {
                        return Poll::Ready(());
                    }
                    waiting.wait(cx);
                    Poll::Pending
                })
                .await;
                let count = state.0.lock().unwrap().len();
                Ok(Some(Payload::new(&format!("began with {first}, took {count}")).unwrap()))
            });
            Begun { future, handlers: Some(Box::new(numbers)) }
        }),
    )
}

#[test]
fn a_signal_changes_the_state_before_the_code_goes_on() {
    let mut run = until_ten();
    assert_eq!(words(&activate(&mut run, &History::started()).unwrap()), Vec::<String>::new());
    // Two that are enough, and one more in the same task: the code goes on after the second.
    let history = History::started().task_completed().signaled("add", "4").signaled("add", "6").signaled("add", "1");
    let history = history.task_started();
    let expected = [r#"complete "began with 0, took 2""#];
    assert_eq!(words(&activate(&mut run, &history).unwrap()), expected);
    assert_eq!(words(&activate(&mut until_ten(), &history).unwrap()), expected);
}

#[test]
fn signals_that_come_with_the_start_are_there_when_the_code_begins() {
    let mut history = History::default();
    history.push_start();
    let history = history.signaled("add", "2").signaled("add", "1").task_started();
    let mut run = until_ten();
    activate(&mut run, &history).unwrap();
    let history = history.task_completed().signaled("add", "7").task_started();
    assert_eq!(words(&activate(&mut run, &history).unwrap()), [r#"complete "began with 3, took 3""#]);
}

#[test]
fn what_cannot_be_read_or_has_no_handler_is_noted_once() {
    let history = History::started().task_completed().signaled("add", r#""x""#).signaled("other", "1").task_started();
    let mut run = until_ten();
    activate(&mut run, &history).unwrap();
    let unreadable = Note::UnreadableSignal { name: "add".to_owned(), problem: "not a number".to_owned() };
    assert_eq!(run.take_notes(), [unreadable, Note::UnknownSignal { name: "other".to_owned() }]);
    let history = history.task_completed().signaled("add", "10").task_started();
    let mut again = until_ten();
    activate(&mut again, &history).unwrap();
    assert!(again.take_notes().is_empty() && again.is_closed());
}

#[test]
fn queries_read_the_state_also_of_a_closed_run_and_harm_nothing() {
    let history = History::started().task_completed().signaled("add", "4").task_started();
    let mut run = until_ten();
    activate(&mut run, &history).unwrap();
    assert_eq!(run.query("sum", None).unwrap(), Payload::new(&4).unwrap());
    let QueryProblem::Unknown { known, .. } = run.query("product", None).unwrap_err() else { panic!() };
    assert_eq!((known, run.signal_names()), (vec!["sum", "explode"], vec!["add", "explode"]));
    let QueryProblem::Panicked(panic) = run.query("explode", None).unwrap_err() else { panic!() };
    assert_eq!(panic.message, "kaboom");
    let history = history.task_completed().signaled("add", "6").task_started();
    activate(&mut run, &history).unwrap();
    assert!(run.is_closed());
    assert_eq!(run.query("sum", None).unwrap(), Payload::new(&10).unwrap());
    assert_eq!(run.workflow_state().unwrap(), Payload::new(&[4, 6]).unwrap());
}

#[test]
fn a_handler_that_panics_fails_the_task() {
    let history = History::started().task_completed().signaled("explode", "1").task_started();
    let error = activate(&mut until_ten(), &history).unwrap_err();
    assert!(matches!(error, ReplayError::Panicked(_)), "{error}");
}

#[test]
fn a_run_tells_what_it_waits_for_and_where() {
    let line = line!() + 4;
    let mut run = support::run_of(|ctx, _| {
        Box::pin(async move {
            let (_a, _b, _c) = futures::join!(
                ctx.schedule_activity(activity("Charge"), here()),
                ctx.start_timer(5, here()),
                ctx.receive_signal("go", here()),
            );
            Ok(None)
        })
    });
    assert!(run.pending().is_empty() && run.last_await().location().is_none());
    activate(&mut run, &History::started()).unwrap();
    let pending = run.pending();
    let told: Vec<_> = pending.iter().map(|p| (p.kind, p.name.as_str(), p.at.line() - line)).collect();
    let expected =
        [(OperationKind::Activity, "Charge", 0), (OperationKind::Timer, "5ms", 1), (OperationKind::Signal, "go", 2)];
    assert_eq!(told, expected);
    assert!(pending.iter().all(|p| p.at.file().ends_with("with_handlers.rs") && p.since_ms == 1_030), "{pending:?}");
    assert_eq!(run.last_await().location().unwrap().line(), line + 2);
    let history = History::started().task_completed().scheduled("1", "Charge").timer_started("2").fired("2");
    activate(&mut run, &history.task_started()).unwrap();
    assert_eq!(run.pending().iter().map(|p| p.kind).collect::<Vec<_>>(), [expected[0].0, expected[2].0]);
}

#[test]
fn a_wake_by_another_thread_is_told_at_once_even_while_the_run_is_advanced() {
    let mut run = support::run_of(|ctx, _| {
        Box::pin(async move {
            let mut timer = ctx.start_timer(5, here());
            poll_fn(|cx| {
                let waker = cx.waker().clone();
                std::thread::spawn(move || waker.wake()).join().unwrap();
                std::pin::Pin::new(&mut timer).poll(cx)
            })
            .await;
            Ok(None)
        })
    });
    let alarms = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&alarms);
    run.on_outsider(move || {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let history = History::started();
    activate(&mut run, &history).unwrap();
    assert_eq!(alarms.load(Ordering::SeqCst), 1);
    let history = history.task_completed().timer_started("1").fired("1").task_started();
    let error = activate(&mut run, &history).unwrap_err();
    assert!(matches!(error, ReplayError::WokenFromOutside { .. }), "{error}");
}
