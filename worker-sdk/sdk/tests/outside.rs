//! Workflow code that awaits what is not the workflow's (TW0902): noticed whatever it is, with the place.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::sync::Mutex;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use support::log::Log;
use support::{Engine, begun, events, run};
use tidewright::prelude::*;
use tidewright_schemas::{Command, FailWorkflowTask, WorkflowTask, WorkflowTaskFailedCause};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;

/// Receivers that workflows listen to, by name.
static CHANNELS: Mutex<BTreeMap<String, oneshot::Receiver<()>>> = Mutex::new(BTreeMap::new());
/// Sockets likewise.
static SOCKETS: Mutex<BTreeMap<String, UdpSocket>> = Mutex::new(BTreeMap::new());

/// Something that only this process knows.
async fn outside(what: String) {
    match what.split_once(' ').unwrap() {
        ("sleep", ms) => tokio::time::sleep(ms.parse::<u64>().unwrap().millis()).await,
        ("channel", name) => {
            let receiver = CHANNELS.lock().unwrap().remove(name).unwrap();
            receiver.await.unwrap();
        }
        ("socket", name) => {
            let socket = SOCKETS.lock().unwrap().remove(name).unwrap();
            socket.recv(&mut [0; 8]).await.unwrap();
        }
        other => panic!("{other:?}"),
    }
}

/// Waits for nothing of its own.
#[workflow]
async fn waits(ctx: &WorkflowContext, what: String) -> WorkflowResult<()> {
    assert!(ctx.sleep(1.hours()).now_or_never().is_none());
    outside(what).await;
    Ok(())
}

/// Waits for something of its own, too.
#[workflow]
async fn races(ctx: &WorkflowContext, what: String) -> WorkflowResult<()> {
    let mut outside: futures::future::Fuse<BoxFuture<'static, ()>> = outside(what).boxed().fuse();
    select! {
        () = outside => {}
        slept = ctx.sleep(1.hours()) => slept?,
    }
    Ok(())
}

async fn failure(engine: &mut Engine, task: &WorkflowTask) -> FailWorkflowTask {
    engine.send_workflow_task(task).await;
    match engine.outcome().await.0 {
        Command::FailWorkflowTask(failed) if failed.token == task.token => failed,
        other => panic!("{other:?}"),
    }
}

fn assert_told(engine: &Engine, failed: &FailWorkflowTask) {
    assert_eq!(failed.cause, WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure);
    let message = &failed.failure.message;
    let about = format!("TW0902: workflow order-1, run {}", engine.run_id());
    assert!(message.contains(&about) && message.contains("outside.rs:"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_waits_for_nothing_of_its_own_fails_its_task_at_once() {
    Log::capture();
    let (_sender, receiver) = oneshot::channel();
    CHANNELS.lock().unwrap().insert("stuck".to_owned(), receiver);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    SOCKETS.lock().unwrap().insert("stuck".to_owned(), socket);
    for what in ["sleep 3600000", "channel stuck", "socket stuck"] {
        let mut engine = Engine::start().await;
        let worker = run(engine.worker().workflow(waits));
        let task = engine.workflow_task("Waits", begun("Waits", &format!("{what:?}")));
        let failed = failure(&mut engine, &task).await;
        assert_told(&engine, &failed);
        worker.stop().await;
    }
}

/// Advances a run that races `what` with a timer of its own, lets `what` happen, and returns how the next task fails.
async fn next_task_after(what: &str, happens: impl AsyncFnOnce()) {
    let log = Log::capture();
    let mut engine = Engine::start().await;
    let worker = run(engine.worker().workflow(races));
    let task = engine.workflow_task("Races", begun("Races", &format!("{what:?}")));
    engine.send_workflow_task(&task).await;
    let Command::CompleteWorkflowTask(first) = engine.outcome().await.0 else { panic!("{what}") };
    happens().await;
    log.line(&["ERROR", "outside the workflow woke it", "workflow_id=order-1", engine.run_id(), "outside.rs:"]).await;

    let completed =
        format!(r#"{{"scheduled_event_id":2,"started_event_id":3,"completion_id":"{}"}}"#, first.completion_id);
    let timer = r#"{"timer_id":"1","start_to_fire_timeout_ms":3600000,"workflow_task_completed_event_id":4}"#;
    let news = [
        ("WorkflowTaskCompleted", completed.as_str()),
        ("TimerStarted", timer),
        ("TimerFired", r#"{"timer_id":"1","started_event_id":5}"#),
        ("WorkflowTaskScheduled", r#"{"task_queue":"orders","attempt":1}"#),
        ("WorkflowTaskStarted", r#"{"scheduled_event_id":7}"#),
    ];
    let mut task = engine.workflow_task("Races", events(4, &news));
    task.previous_started_event_id = 3;
    task.previous_completion_id = Some(first.completion_id);
    let failed = failure(&mut engine, &task).await;
    assert_told(&engine, &failed);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_a_sleep_of_the_runtime_wakes_fails_its_next_task() {
    next_task_after("sleep 100", async || {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_a_channel_from_outside_wakes_fails_its_next_task() {
    let (sender, receiver) = oneshot::channel();
    CHANNELS.lock().unwrap().insert("woken".to_owned(), receiver);
    next_task_after("channel woken", async || sender.send(()).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_a_socket_wakes_fails_its_next_task() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    SOCKETS.lock().unwrap().insert("woken".to_owned(), socket);
    next_task_after("socket woken", async || {
        let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        sender.send_to(b"news", address).await.unwrap();
    })
    .await;
}
