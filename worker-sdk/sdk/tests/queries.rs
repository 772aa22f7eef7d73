//! Given a query, when a worker takes it, then this is the answer; and nothing else is written.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::{Condvar, Mutex};

use support::{Engine, QUEUE, begun, events, run, soon};
use tidewright::prelude::*;
use tidewright_schemas::{
    Answer, Command, CompleteWorkflowTask, HistoryEvent, Payload, QueryBasis, QueryFailed, QueryFailedCause, QueryTask,
    WorkflowTask,
};

/// Each holds back queries until its test lets them go.
static GATES: [(Mutex<bool>, Condvar); 2] = [const { (Mutex::new(false), Condvar::new()) }; 2];

fn open(gate: usize) {
    *GATES[gate].0.lock().unwrap() = true;
    GATES[gate].1.notify_all();
}

#[derive(Default, serde::Serialize)]
struct Counter {
    count: u64,
}

#[workflow]
impl Counter {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>, target: u64) -> WorkflowResult<u64> {
        if target == 99 {
            panic!("kaboom")
        }
        ctx.wait_for(move |counter| counter.count >= target).await?;
        Ok(ctx.state(|counter| counter.count))
    }

    #[signal]
    fn add(&mut self, number: u64) {
        self.count += number;
    }

    #[query]
    fn count(&self) -> u64 {
        self.count
    }

    #[query]
    fn plus(&self, number: u64) -> Result<u64, std::num::TryFromIntError> {
        u64::try_from(i128::from(self.count) + i128::from(number) - 1_000)
    }

    #[query]
    fn explode(&self) -> u64 {
        panic!("kaboom")
    }

    #[query]
    fn big(&self) -> String {
        "x".repeat(3 << 20)
    }

    #[query]
    fn blocks(&self, gate: usize) -> u64 {
        let (is_open, opened) = &GATES[gate];
        drop(opened.wait_while(is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
        self.count
    }
}

/// A history: a run that waits for a target, was told to add 2 before its only task, which was accepted.
fn waiting(target: u64) -> Vec<HistoryEvent> {
    let mut history = begun("Counter", &target.to_string());
    history.truncate(1);
    history.extend(events(
        2,
        &[
            ("WorkflowTaskScheduled", r#"{"task_queue":"orders","attempt":1}"#),
            ("WorkflowTaskStarted", r#"{"scheduled_event_id":2}"#),
            ("WorkflowTaskCompleted", r#"{"scheduled_event_id":2,"started_event_id":3,"completion_id":"accepted"}"#),
        ],
    ));
    history
}

fn result<T: serde::de::DeserializeOwned>(answer: &Answer) -> (T, QueryBasis) {
    match answer {
        Answer::QueryAnswered(answered) => {
            (answered.query_result.as_ref().unwrap().read().unwrap(), answered.basis.clone())
        }
        other => panic!("{other:?}"),
    }
}

fn failed(answer: Answer) -> QueryFailed {
    match answer {
        Answer::QueryFailed(failed) => failed,
        other => panic!("{other:?}"),
    }
}

async fn completed(engine: &mut Engine, task: &WorkflowTask) -> CompleteWorkflowTask {
    engine.send_workflow_task(task).await;
    completion(engine, task).await
}

async fn completion(engine: &mut Engine, task: &WorkflowTask) -> CompleteWorkflowTask {
    match engine.outcome().await.0 {
        Command::CompleteWorkflowTask(completed) if completed.token == task.token => completed,
        other => panic!("{other:?}"),
    }
}

/// The task that brings a signal to a run whose last task, at `before`, was completed.
fn signal_task(engine: &Engine, before: u64, completion_id: &str, number: u64) -> WorkflowTask {
    let completed = format!(
        r#"{{"scheduled_event_id":{},"started_event_id":{before},"completion_id":"{completion_id}"}}"#,
        before - 1
    );
    let signal = format!(r#"{{"signal_name":"add","input":{number}}}"#);
    let scheduled = format!(r#"{{"scheduled_event_id":{}}}"#, before + 3);
    let news = events(
        before + 1,
        &[
            ("WorkflowTaskCompleted", &completed),
            ("WorkflowExecutionSignaled", &signal),
            ("WorkflowTaskScheduled", r#"{"task_queue":"orders","attempt":1}"#),
            ("WorkflowTaskStarted", &scheduled),
        ],
    );
    WorkflowTask {
        previous_started_event_id: before,
        previous_completion_id: Some(completion_id.to_owned()),
        ..engine.workflow_task("Counter", news)
    }
}

fn about(query: QueryTask, basis: &QueryBasis) -> QueryTask {
    QueryTask { basis: basis.clone(), events: Vec::new(), ..query }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_held_answers_as_its_last_task_left_it() {
    let mut engine = Engine::start().await;
    let worker = run(engine.worker().workflow(Counter::run));
    let task = engine.workflow_task("Counter", begun("Counter", "5"));
    let first = completed(&mut engine, &task).await;
    // It carries no events and names no place to get them from: only the run that is held can answer.
    let basis = QueryBasis { started_event_id: 3, completion_id: first.completion_id.clone() };
    let query = |engine: &Engine| about(engine.query_task("Counter", "count", waiting(5)), &basis);
    assert_eq!(result(&engine.ask(&query(&engine)).await), (0_u64, basis.clone()));
    let task = signal_task(&engine, 3, &first.completion_id, 2);
    let second = completed(&mut engine, &task).await;
    // Whoever asks about the state before gets the later one and is told so; unless only that very state will do.
    let later = QueryBasis { started_event_id: 7, completion_id: second.completion_id };
    assert_eq!(result(&engine.ask(&query(&engine)).await), (2_u64, later));
    let exact = failed(engine.ask(&QueryTask { exact: true, ..query(&engine) }).await);
    assert_eq!(exact.cause, QueryFailedCause::ReplayFailed, "{exact:?}");
    let exact = QueryTask { exact: true, ..engine.query_task("Counter", "count", waiting(5)) };
    assert_eq!(result::<u64>(&engine.ask(&exact).await).0, 0);
    // The run that was held is still there, and goes on.
    let topic = engine.client.topics().workflow_tasks(QUEUE);
    engine.committed(&topic, 6).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_not_held_is_replayed_and_then_goes_on_from_there() {
    let mut engine = Engine::start().await;
    let worker = run(engine.worker().workflow(Counter::run));
    let query = engine.query_task("Counter", "count", waiting(5));
    assert_eq!(result(&engine.ask(&query).await), (0_u64, query.basis.clone()));
    // The worker keeps the run before it says that the query is done.
    engine.committed(&engine.client.topics().workflow_tasks(QUEUE), 1).await;
    // Only what is new: the run that was replayed for the query is advanced.
    let mut task = signal_task(&engine, 3, "accepted", 5);
    task.events.remove(0);
    let done = completed(&mut engine, &task).await;
    assert_eq!(done.decisions.len(), 1, "{done:?}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_has_ended_answers_as_of_its_end() {
    let engine = Engine::start().await;
    let worker = run(engine.worker().workflow(Counter::run));
    let mut history = waiting(0);
    history
        .extend(events(5, &[("WorkflowExecutionCompleted", r#"{"result":0,"workflow_task_completed_event_id":4}"#)]));
    for query_type in ["count", "__state", "__stack_trace", "__temporal_workflow_metadata"] {
        let answer = engine.ask(&engine.query_task("Counter", query_type, history.clone())).await;
        let text = result::<serde_json::Value>(&answer).0.to_string();
        let expected = match query_type {
            "count" => "0",
            "__state" => r#"{"count":0}"#,
            "__stack_trace" => "its code has ended",
            _ => r#"{"name":"explode"}"#,
        };
        assert!(text.contains(expected), "{query_type}: {text}");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_workflow_says_where_it_waits() {
    let engine = Engine::start().await;
    let worker = run(engine.worker().workflow(Counter::run));
    let answer = engine.ask(&engine.query_task("Counter", "__stack_trace", waiting(5))).await;
    let text = result::<String>(&answer).0;
    assert!(text.contains("condition") && text.contains("tests/queries.rs:"), "{text}");
    assert!(text.contains("since 1970-01-01T00:00:01.003Z"), "{text}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_cannot_be_answered_says_why_and_harms_nothing() {
    let mut engine = Engine::start().await;
    let worker = run(engine.worker().workflow(Counter::run));
    let task = engine.workflow_task("Counter", begun("Counter", "5"));
    let first = completed(&mut engine, &task).await;
    let basis = QueryBasis { started_event_id: 3, completion_id: first.completion_id };
    let ask = async |workflow_type: &str, query_type: &str, args: &str, events: Vec<HistoryEvent>| {
        let query_args = Some(Payload::from_json(args).unwrap());
        let query = QueryTask { query_args, ..engine.query_task(workflow_type, query_type, events) };
        failed(engine.ask(&QueryTask { basis: basis.clone(), ..query }).await)
    };
    let whole = || waiting(5);
    let unknown = ask("Counter", "cuont", "null", whole()).await;
    assert_eq!(unknown.cause, QueryFailedCause::UnknownQuery);
    for name in ["count", "plus", "__stack_trace", "__state", "__temporal_workflow_metadata"] {
        assert!(unknown.failure.message.contains(name), "{unknown:?}");
    }
    let mut other_code = whole();
    let timer = r#"{"timer_id":"1","start_to_fire_timeout_ms":5,"workflow_task_completed_event_id":4}"#;
    other_code.extend(events(5, &[("TimerStarted", timer)]));
    let cases = [
        (ask("Counter", "plus", "1", whole()).await, "TryFromIntError"),
        (ask("Counter", "plus", r#""one""#, whole()).await, "InputNotReadable"),
        (ask("Counter", "big", "null", whole()).await, "ResultTooLarge"),
        (ask("Counter", "explode", "null", whole()).await, "Panic"),
    ];
    for (failed, error_type) in cases {
        assert_eq!((failed.cause, failed.failure.error_type()), (QueryFailedCause::HandlerFailed, error_type));
        assert_eq!(failed.basis.as_ref(), Some(&basis), "{failed:?}");
    }
    let not_here = ask("Nothing", "count", "null", whole()).await;
    // The run was evicted by the panic, so this worker looks for the type.
    assert_eq!(not_here.cause, QueryFailedCause::WorkflowTypeNotRegistered);
    assert!(not_here.failure.message.contains("Counter"), "{not_here:?}");
    let differs = ask("Counter", "count", "null", other_code).await;
    assert_eq!(
        (differs.cause, differs.failure.error_type()),
        (QueryFailedCause::ReplayFailed, "NonDeterministicError")
    );
    let panics = ask("Counter", "count", "null", waiting(99)).await;
    assert_eq!((panics.cause, panics.failure.error_type()), (QueryFailedCause::ReplayFailed, "Panic"));
    // It goes on all the same: from the whole history, since the run that panicked is not kept.
    let mut task = signal_task(&engine, 3, &basis.completion_id, 5);
    task.events.splice(0..0, begun("Counter", "5"));
    assert_eq!(completed(&mut engine, &task).await.decisions.len(), 1);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_blocks_holds_up_nobody_for_long() {
    let mut engine = Engine::start().await;
    let worker = run(engine.worker().workflow(Counter::run));
    let task = engine.workflow_task("Counter", begun("Counter", "5"));
    let first = completed(&mut engine, &task).await;
    let basis = QueryBasis { started_event_id: 3, completion_id: first.completion_id };
    let query_args = Some(Payload::new(&0).unwrap());
    let blocked = QueryTask { query_args, ..engine.query_task("Counter", "blocks", waiting(5)) };
    let blocked = about(blocked, &basis);
    engine.send_query(&blocked).await;
    // The run's next task waits for its turn, and gets the whole history, since its run is with the query.
    let mut task = signal_task(&engine, 3, &basis.completion_id, 5);
    task.events.splice(0..0, begun("Counter", "5"));
    assert_eq!(completed(&mut engine, &task).await.decisions.len(), 1);
    let answer = failed(engine.answer_to(&blocked).await);
    assert_eq!((answer.cause, answer.failure.error_type()), (QueryFailedCause::HandlerFailed, "QueryBlocked"));
    open(0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_behind_a_task_sees_what_the_task_left() {
    let mut engine = Engine::start().await;
    // Both are there before the worker is.
    let task = engine.workflow_task("Counter", begun("Counter", "5"));
    engine.send_workflow_task(&task).await;
    let before = QueryBasis { started_event_id: 1, completion_id: "before".to_owned() };
    let query = about(engine.query_task("Counter", "count", waiting(5)), &before);
    engine.send_query(&query).await;
    let worker = run(engine.worker().workflow(Counter::run));
    let completion_id = completion(&mut engine, &task).await.completion_id;
    assert_eq!(result(&engine.answer_to(&query).await), (0_u64, QueryBasis { started_event_id: 3, completion_id }));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_nobody_waits_for_any_more_is_dropped() {
    let engine = Engine::start().await;
    let worker = run(engine.worker().workflow(Counter::run));
    let late = QueryTask { expires_at_ms: 1, ..engine.query_task("Counter", "count", waiting(5)) };
    engine.send_query(&late).await;
    let topic = engine.client.topics().workflow_tasks(QUEUE);
    engine.send(&topic, b"no query".to_vec(), &[("tw-query", "x")]).await;
    let asked = engine.query_task("Counter", "count", waiting(5));
    assert_eq!(result::<u64>(&engine.ask(&asked).await).0, 0);
    worker.stop().await;
    engine.committed(&topic, 3).await;
    assert_eq!(engine.reply_count().await, 1, "only the last one is answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_in_the_hands_of_a_worker_that_dies_is_answered_by_the_next_one() {
    let engine = Engine::start().await;
    let worker = run(engine.worker().workflow(Counter::run));
    let query_args = Some(Payload::new(&1).unwrap());
    let query = QueryTask { query_args, ..engine.query_task("Counter", "blocks", waiting(5)) };
    // It is in the worker's hands once one that came later was answered.
    engine.send_query(&query).await;
    let later = engine.query_task("Counter", "count", waiting(5));
    assert_eq!(result::<u64>(&engine.ask(&later).await).0, 0);
    worker.kill().await;
    let next = run(engine.worker().workflow(Counter::run));
    open(1);
    assert_eq!(result::<u64>(&soon("an answer", engine.answer_to(&query)).await).0, 0);
    next.stop().await;
}
