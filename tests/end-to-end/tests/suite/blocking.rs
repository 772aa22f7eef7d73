//! Workflow code that keeps its thread: history says so, its worker makes way for another, and the run goes on there.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use end_to_end::{World, eventually, in_time};
use futures::FutureExt as _;
use tidewright::prelude::*;
use tidewright::{WorkerError, WorkerOptions};
use tidewright_runtime::Life;
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{EventAttributes, TimeoutType, WorkflowTaskFailedCause};

/// Whether the code may go on: what it should not wait for.
static GATE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

fn gate() -> MutexGuard<'static, bool> {
    GATE.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_the_gate() {
    *gate() = true;
    GATE.1.notify_all();
}

#[workflow]
async fn waits_for_a_lock(ctx: &WorkflowContext) -> WorkflowResult<()> {
    let mut timer = ctx.sleep(1.millis());
    assert!((&mut timer).now_or_never().is_none(), "history has no timer yet when this is first run");
    drop(GATE.1.wait_while(gate(), |is_open| !*is_open));
    timer.await?;
    Ok(())
}

fn worker(world: &World) -> anyhow::Result<Worker> {
    let mut options = WorkerOptions::default();
    options.max_concurrent_workflow_tasks = 1;
    options.deadlock_detection_timeout = 500.millis();
    Ok(Worker::new(&world.client()?, "q").workflow(waits_for_a_lock).options(options))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_every_slot_is_lost_makes_way_for_another() -> anyhow::Result<()> {
    let world = World::start().await?;
    let blocked = tokio::spawn(worker(&world)?.run_until(std::future::pending::<()>()));
    let start =
        r#"{"type":"StartWorkflow","workflow_type":"WaitsForALock","workflow_id":"w","task_queue":"q","input":null}"#;
    world.publish("w", start).await?;
    let failed = world.event("w", |event| match event {
        EventAttributes::WorkflowTaskFailed(failed) => Some(failed.clone()),
        _ => None,
    });
    let failed = failed.await?;
    assert_eq!(failed.cause, WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure);
    let message = &failed.failure.message;
    assert!(message.contains("TW0904: workflow w, run ") && message.contains("blocking.rs:"), "{message}");

    let error = in_time("the worker stops", blocked).await??.unwrap_err();
    assert!(matches!(error, WorkerError::WorkflowThreadsStuck { slots: 1 }), "{error}");
    eventually("its last beacon says that it has left", || async {
        let seen = world.engine().ok()?.workers();
        seen.iter().all(|seen| seen.life == Life::Left).then_some(())
    })
    .await?;

    // In this process a lock is opened; elsewhere, a fixed build would be deployed.
    open_the_gate();
    let _other = world.run(worker(&world)?);
    assert_eq!(world.outcome("w").await?.status, WorkflowStatus::Completed);
    world.history("w").await?;
    Ok(())
}

/// Whether the other code may go on.
static OTHER_GATE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

#[workflow]
async fn waits_for_another_lock(_ctx: &WorkflowContext) -> WorkflowResult<()> {
    let gate = OTHER_GATE.0.lock().unwrap_or_else(PoisonError::into_inner);
    drop(OTHER_GATE.1.wait_while(gate, |is_open| !*is_open));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overdue_workflow_task_times_out_in_history_and_is_tried_again() -> anyhow::Result<()> {
    let world = World::start().await?;
    let client = world.client()?;
    let _worker = world.run(Worker::new(&client, "q").workflow(waits_for_another_lock));
    client.start(waits_for_another_lock, ()).id("w").task_queue("q").task_timeout(500.millis()).await?;
    let timed_out = world.event("w", |event| match event {
        EventAttributes::WorkflowTaskTimedOut(timed_out) => Some(timed_out.clone()),
        _ => None,
    });
    let timed_out = timed_out.await?;
    assert_eq!(timed_out.timeout_type, TimeoutType::StartToClose);
    let message = timed_out.failure.map(|failure| failure.message).unwrap_or_default();
    assert!(message.contains("TW0906: workflow w, run "), "{message}");
    *OTHER_GATE.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    OTHER_GATE.1.notify_all();
    assert_eq!(world.outcome("w").await?.status, WorkflowStatus::Completed);
    Ok(())
}
