//! Workflow code that keeps its thread: it is told of and given up, and holds up nothing else.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex};

use futures::FutureExt as _;
use support::log::Log;
use support::{Engine, begun, run, soon};
use tidewright::prelude::*;
use tidewright::{WorkerError, WorkerOptions};
use tidewright_schemas::{
    Command, FailWorkflowTask, FailureInfo, RunId, TimeoutType, WorkflowTask, WorkflowTaskFailedCause,
};

/// What blocked code waits for, by the name of the gate.
static GATES: (Mutex<BTreeMap<String, bool>>, Condvar) = (Mutex::new(BTreeMap::new()), Condvar::new());

/// Lets through whoever waits; dropped, too, so that a test that fails leaves no thread behind.
struct Gate(&'static str);

impl Gate {
    fn open(&self) {
        GATES.0.lock().unwrap().insert(self.0.to_owned(), true);
        GATES.1.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

#[workflow]
async fn blocks(ctx: &WorkflowContext, gate: String) -> WorkflowResult<()> {
    let mut timer = ctx.sleep(1.hours());
    assert!((&mut timer).now_or_never().is_none());
    let is_open = |gates: &mut BTreeMap<String, bool>| !gates.contains_key(&gate);
    drop(GATES.1.wait_while(GATES.0.lock().unwrap(), is_open).unwrap());
    timer.await?;
    Ok(())
}

#[workflow]
async fn sleeps(ctx: &WorkflowContext) -> WorkflowResult<()> {
    ctx.sleep(1.hours()).await?;
    Ok(())
}

struct Steps;

#[activities]
impl Steps {
    #[activity(start_to_close = "30s")]
    async fn double(&self, number: u64) -> ActivityResult<u64> {
        Ok(2 * number)
    }
}

fn options(slots: usize, detection_ms: u64) -> WorkerOptions {
    let mut options = WorkerOptions::default();
    options.max_concurrent_workflow_tasks = slots;
    options.deadlock_warning_after = 50.millis();
    options.deadlock_detection_timeout = detection_ms.millis();
    options
}

fn blocking_task(engine: &Engine, gate: &Gate) -> WorkflowTask {
    engine.workflow_task("Blocks", begun("Blocks", &format!("{:?}", gate.0)))
}

async fn failure(engine: &mut Engine, task: &WorkflowTask) -> FailWorkflowTask {
    match engine.outcome().await.0 {
        Command::FailWorkflowTask(failed) if failed.token == task.token => failed,
        other => panic!("{other:?}"),
    }
}

/// One thread for everything but workflow code: were the code on it, nothing would be answered.
#[tokio::test(flavor = "current_thread")]
async fn code_that_keeps_its_thread_is_given_up_and_the_rest_goes_on() {
    let log = Log::capture();
    let gate = Gate("rest");
    let mut engine = Engine::start().await;
    let worker = engine.worker().workflow(blocks).workflow(sleeps).activities(Steps).options(options(10, 2_000));
    let worker = run(worker);

    let blocked = blocking_task(&engine, &gate);
    engine.send_workflow_task(&blocked).await;
    let run_id = engine.run_id().to_owned();
    let line = ["WARN", "TW0904", "workflow_id=order-1", &run_id];
    let warned = engine.answering_until(log.line(&line)).await;
    assert!(warned.contains("Blocks") && warned.contains("blocking.rs:"), "{warned}");
    let mut other = engine.workflow_task("Sleeps", begun("Sleeps", "null"));
    other.run_id = RunId::from_text("another-run");
    engine.send_workflow_task(&other).await;
    let step = engine.activity_task("Double", &21);
    engine.send_activity_task(&step, "t").await;

    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(engine.outcome().await.0);
    }
    let of = |token: &str| {
        let named = format!("{token:?}");
        outcomes.iter().find(|outcome| serde_json::to_string(outcome).unwrap().contains(&named)).unwrap()
    };
    assert!(matches!(of(&other.token), Command::CompleteWorkflowTask(_)), "{outcomes:?}");
    assert!(matches!(of(&step.token), Command::CompleteActivity(_)), "{outcomes:?}");
    let Command::FailWorkflowTask(failed) = of(&blocked.token) else { panic!("{outcomes:?}") };
    assert_eq!(failed.cause, WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure);
    assert_eq!(failed.failure.error_type(), "PotentialDeadlock");
    let message = &failed.failure.message;
    assert!(message.contains("TW0904: workflow order-1") && message.contains("blocking.rs:"), "{message}");

    // The code would only take one more thread.
    let again = blocking_task(&engine, &gate);
    engine.send_workflow_task(&again).await;
    let message = failure(&mut engine, &again).await.failure.message;
    assert!(message.contains("TW0904") && message.contains("still"), "{message}");

    // Once it has returned, its run goes on.
    gate.open();
    loop {
        let again = blocking_task(&engine, &gate);
        engine.send_workflow_task(&again).await;
        match engine.outcome().await.0 {
            Command::CompleteWorkflowTask(done) if done.token == again.token => break,
            Command::FailWorkflowTask(failed) if failed.failure.message.contains("still") => {}
            other => panic!("{other:?}"),
        }
    }
    worker.stop().await;
}

/// More of them than there are threads at first.
#[tokio::test(flavor = "multi_thread")]
async fn many_that_keep_their_threads_hold_up_no_other() {
    Log::capture();
    let gate = Gate("many");
    let mut engine = Engine::start().await;
    let worker = engine.worker().workflow(blocks).workflow(sleeps).options(options(200, 3_600_000));
    let worker = run(worker);
    let many = 150;
    for number in 0..many {
        let mut blocked = blocking_task(&engine, &gate);
        blocked.run_id = RunId::from_text(format!("run-{number}"));
        engine.send_workflow_task(&blocked).await;
    }
    let other = engine.workflow_task("Sleeps", begun("Sleeps", "null"));
    engine.send_workflow_task(&other).await;
    let (done, _) = engine.outcome().await;
    assert!(matches!(&done, Command::CompleteWorkflowTask(done) if done.token == other.token), "{done:?}");
    gate.open();
    for _ in 0..many {
        let (done, _) = engine.outcome().await;
        assert!(matches!(&done, Command::CompleteWorkflowTask(_)), "{done:?}");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_has_lost_every_slot_says_so_and_stops() {
    Log::capture();
    let gate = Gate("every-slot");
    let mut engine = Engine::start().await;
    let worker = engine.worker().workflow(blocks).activities(Steps).options(options(1, 50));
    let worker = tokio::spawn(worker.run_until(std::future::pending::<()>()));
    let blocked = blocking_task(&engine, &gate);
    engine.send_workflow_task(&blocked).await;
    assert!(failure(&mut engine, &blocked).await.failure.message.contains("TW0904"));
    let error = soon("the worker's end", worker).await.unwrap().unwrap_err();
    assert!(matches!(error, WorkerError::WorkflowThreadsStuck { slots: 1 }), "{error}");
    assert!(error.to_string().contains("TW0905"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_code_keeps_its_thread_stops_when_it_is_told_to() {
    Log::capture();
    let gate = Gate("told-to-stop");
    let mut engine = Engine::start().await;
    let worker = run(engine.worker().workflow(blocks).options(options(10, 50)));
    let blocked = blocking_task(&engine, &gate);
    engine.send_workflow_task(&blocked).await;
    failure(&mut engine, &blocked).await;
    worker.stop().await;
}

/// A watchdog that would wait for longer than any test.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_overdue_times_out_and_its_run_goes_on_when_the_code_has_returned() {
    Log::capture();
    let gate = Gate("overdue");
    let mut engine = Engine::start().await;
    let worker = run(engine.worker().workflow(blocks).workflow(sleeps).options(options(10, 3_600_000)));
    let mut overdue = blocking_task(&engine, &gate);
    overdue.workflow_task_timeout_ms = Some(100);
    engine.send_workflow_task(&overdue).await;
    let failed = failure(&mut engine, &overdue).await.failure;
    let FailureInfo::Timeout(timeout) = &failed.info else { panic!("{failed:?}") };
    assert_eq!(timeout.timeout_type, TimeoutType::StartToClose);
    assert!(failed.message.contains("TW0906") && failed.message.contains("blocking.rs:"), "{}", failed.message);
    engine.send_workflow_task(&overdue).await;
    assert!(failure(&mut engine, &overdue).await.failure.message.contains("still"));
    gate.open();
    let in_time = loop {
        let again = blocking_task(&engine, &gate);
        engine.send_workflow_task(&again).await;
        match engine.outcome().await.0 {
            Command::CompleteWorkflowTask(done) => break done.token == again.token,
            Command::FailWorkflowTask(failed) if failed.failure.message.contains("still") => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(in_time);
    worker.stop().await;
}
