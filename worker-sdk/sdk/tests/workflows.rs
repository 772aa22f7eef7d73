//! Given a workflow task, when a worker takes it, then these commands follow.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use support::{Engine, QUEUE, begun, events, one_activity_done, run};
use tidewright::prelude::*;
use tidewright_schemas::{
    Command, CompleteWorkflowTask, Decision, FailWorkflowTask, HistoryEvent, WorkflowTask, WorkflowTaskFailedCause,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

struct Steps;

#[activities]
impl Steps {
    #[activity(start_to_close = "30s")]
    async fn first(&self, number: u64) -> ActivityResult<u64> {
        Ok(number + 1)
    }
}

#[workflow]
async fn two_steps(ctx: &WorkflowContext, number: u64) -> WorkflowResult<u64> {
    let next = ctx.activity(Steps::first, number).await?;
    ctx.sleep(1.hours()).await?;
    Ok(next)
}

#[workflow]
async fn explodes(_ctx: &WorkflowContext) -> WorkflowResult<()> {
    panic!("kaboom")
}

#[workflow]
async fn waits_for_a_socket(_ctx: &WorkflowContext) -> WorkflowResult<()> {
    std::future::pending::<()>().await;
    Ok(())
}

#[workflow]
async fn too_big(_ctx: &WorkflowContext) -> WorkflowResult<String> {
    Ok("x".repeat(3 << 20))
}

async fn completed(engine: &mut Engine, task: &WorkflowTask) -> CompleteWorkflowTask {
    engine.send_workflow_task(task).await;
    match engine.outcome().await.0 {
        Command::CompleteWorkflowTask(completed) if completed.token == task.token => completed,
        other => panic!("{other:?}"),
    }
}

async fn failed(engine: &mut Engine, task: &WorkflowTask) -> FailWorkflowTask {
    engine.send_workflow_task(task).await;
    match engine.outcome().await.0 {
        Command::FailWorkflowTask(failed) if failed.token == task.token => failed,
        other => panic!("{other:?}"),
    }
}

fn is_timer(decisions: &[Decision]) -> bool {
    matches!(decisions, [Decision::StartTimer(timer)] if timer.start_to_fire_timeout_ms == 3_600_000)
}

/// The second task of a run, which builds on a completion.
fn second(engine: &Engine, completion_id: &str, events: Vec<HistoryEvent>) -> WorkflowTask {
    WorkflowTask {
        previous_started_event_id: 3,
        previous_completion_id: Some(completion_id.to_owned()),
        ..engine.workflow_task("TwoSteps", events)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_from_the_cache_with_only_what_is_new() {
    let mut engine = Engine::start().await;
    let worker = run(engine.worker().workflow(two_steps));
    let task = engine.workflow_task("TwoSteps", begun("TwoSteps", "41"));
    let first = completed(&mut engine, &task).await;
    let [Decision::ScheduleActivity(step)] = first.decisions.as_slice() else { panic!("{first:?}") };
    assert_eq!((step.activity_type.as_str(), step.start_to_close_timeout_ms), ("First", Some(30_000)));
    assert_eq!(step.input.as_ref().unwrap().read::<u64>().unwrap(), 41);

    let task = second(&engine, &first.completion_id, one_activity_done(&first.completion_id, "First", "42"));
    assert!(is_timer(&completed(&mut engine, &task).await.decisions));
    worker.stop().await;
    engine.committed(&engine.client.topics().workflow_tasks(QUEUE), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_followed_another_completion_is_not_used() {
    let mut engine = Engine::start().await;
    let worker = run(engine.worker().workflow(two_steps));
    let task = engine.workflow_task("TwoSteps", begun("TwoSteps", "41"));
    completed(&mut engine, &task).await;
    // Another completion was accepted, and the task names nowhere to get the history from.
    let task = second(&engine, "another", one_activity_done("another", "First", "42"));
    let failure = failed(&mut engine, &task).await;
    assert_eq!(failure.cause, WorkflowTaskFailedCause::HistoryUnavailable, "{failure:?}");
    // With the whole history in the task it goes on.
    let mut whole = begun("TwoSteps", "41");
    whole.extend(one_activity_done("another", "First", "42"));
    let task = second(&engine, "another", whole);
    assert!(is_timer(&completed(&mut engine, &task).await.decisions));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_run_pages_its_history() {
    let mut engine = Engine::start().await;
    let worker = run(engine.worker().workflow(two_steps));
    let mut task = second(&engine, "another", one_activity_done("another", "First", "42"));
    task.history_url = Some(serve_pages(begun("TwoSteps", "41")).await);
    assert!(is_timer(&completed(&mut engine, &task).await.decisions));
    worker.stop().await;
}

/// Serves a history, one event for each page.
async fn serve_pages(history: Vec<HistoryEvent>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/history?run_id=r", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(socket.read_u8().await.unwrap());
            }
            let request = String::from_utf8(request).unwrap();
            let from = request.split_once("?run_id=r&from_event_id=").unwrap().1;
            let from: u64 = from.split(' ').next().unwrap().parse().unwrap();
            let event = history.iter().find(|event| event.event_id == from).unwrap();
            let next = from + 1;
            let body =
                serde_json::json!({"run_id": "r", "status": "Running", "events": [event], "next_event_id": next})
                    .to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            socket.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_workflow_code_does_is_a_clear_failure_and_the_rest_goes_on() {
    let mut engine = Engine::start().await;
    let worker = engine.worker().workflow(two_steps).workflow(explodes).workflow(waits_for_a_socket);
    let worker = run(worker.workflow(too_big));

    let task = engine.workflow_task("Nonesuch", begun("Nonesuch", "1"));
    let failure = failed(&mut engine, &task).await;
    assert_eq!(failure.cause, WorkflowTaskFailedCause::WorkflowTypeNotRegistered);
    assert!(failure.failure.message.contains("Nonesuch") && failure.failure.message.contains("TwoSteps"));

    let task = engine.workflow_task("Explodes", begun("Explodes", "null"));
    let failure = failed(&mut engine, &task).await;
    assert_eq!(failure.cause, WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure);
    assert!(failure.failure.message.contains("kaboom") && failure.failure.message.contains("workflows.rs:"));

    let task = engine.workflow_task("WaitsForASocket", begun("WaitsForASocket", "null"));
    let failure = failed(&mut engine, &task).await;
    assert_eq!(failure.cause, WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure);
    let about = format!("TW0902: workflow order-1, run {}", engine.run_id());
    assert!(failure.failure.message.contains(&about), "{failure:?}");

    let mut changed = begun("TwoSteps", "41");
    changed.extend(one_activity_done("c", "Zeroth", "42"));
    let task = second(&engine, "c", changed);
    let failure = failed(&mut engine, &task).await;
    assert_eq!(failure.cause, WorkflowTaskFailedCause::NonDeterministicError);
    assert!(failure.failure.message.contains("Zeroth") && failure.failure.message.contains("First"));

    for (workflow_type, input, error_type) in
        [("TooBig", "null", "ResultTooLarge"), ("TwoSteps", "\"x\"", "InputNotReadable")]
    {
        let task = engine.workflow_task(workflow_type, begun(workflow_type, input));
        let done = completed(&mut engine, &task).await;
        let [Decision::FailWorkflow(failed)] = done.decisions.as_slice() else { panic!("{done:?}") };
        assert_eq!(failed.failure.error_type(), error_type);
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_task_is_passed_over() {
    let mut engine = Engine::start().await;
    let worker = run(engine.worker().workflow(two_steps));
    let topic = engine.client.topics().workflow_tasks(QUEUE);
    engine.send(&topic, b"not json".to_vec(), &[]).await;
    let task = engine.workflow_task("TwoSteps", begun("TwoSteps", "41"));
    completed(&mut engine, &task).await;
    worker.stop().await;
    engine.committed(&topic, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_sent_again_has_no_boundaries_of_its_own() {
    let mut engine = Engine::start().await;
    let worker = run(engine.worker().workflow(two_steps));
    let mut history = begun("TwoSteps", "41");
    history.extend(events(
        4,
        &[(
            "WorkflowTaskFailed",
            r#"{"scheduled_event_id":2,"started_event_id":3,"cause":"TaskLost","failure":{"message":"m","info":{"type":"Server","code":"TW1"}}}"#,
        )],
    ));
    let mut task = engine.workflow_task("TwoSteps", history);
    (task.scheduled_event_id, task.started_event_id, task.attempt) = (5, 6, 2);
    let done = completed(&mut engine, &task).await;
    assert!(matches!(done.decisions.as_slice(), [Decision::ScheduleActivity(_)]));
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_that_cannot_work_says_so_at_its_start() {
    let client = Client::new(ClientConfig::new("127.0.0.1:1")).unwrap();
    let nothing = Worker::new(&client, "q").run_until(std::future::pending::<()>()).await.unwrap_err();
    assert!(nothing.to_string().contains("neither workflows nor activities"), "{nothing}");
    let twice = Worker::new(&client, "q").workflow(two_steps).workflow(two_steps);
    let twice = twice.run_until(std::future::pending::<()>()).await.unwrap_err();
    assert!(twice.to_string().contains("workflow `TwoSteps`"), "{twice}");
}
