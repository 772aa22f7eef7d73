//! What a running activity and its worker tell each other: heartbeats one way, reasons to end the other.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;

use support::{Engine, QUEUE, run, soon};
use tidewright::prelude::*;
use tidewright_schemas::{ActivityCancelRequested, ActivityTask, Command, ControlMessage, headers};
use tokio::sync::{Mutex, mpsc};

struct Steps {
    /// What the activity is to do next.
    told: Arc<Mutex<mpsc::Receiver<Step>>>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Heartbeats with these details, one after the other.
    Beat(u64, u64),
    Succeed,
    Fail,
    /// Waits for a reason to end, and ends as it says.
    Obey,
    /// Waits for a reason to end, and says that it was cancelled whatever it is.
    SayCanceled,
}

#[activities]
impl Steps {
    #[activity(start_to_close = "30s")]
    async fn step(&self, ctx: &ActivityContext) -> ActivityResult<()> {
        let mut told = self.told.lock().await;
        loop {
            match told.recv().await.unwrap() {
                Step::Beat(from, to) => (from..=to).try_for_each(|details| ctx.heartbeat(&details))?,
                Step::Succeed => return Ok(()),
                Step::Fail => return Err(ActivityError::new("Failed", "it was told to")),
                Step::Obey => return Err(ctx.cancelled().await.into()),
                Step::SayCanceled => {
                    ctx.cancelled().await;
                    return Err(ActivityError::canceled(&()));
                }
            }
        }
    }
}

fn steps() -> (mpsc::Sender<Step>, Steps) {
    let (tell, told) = mpsc::channel(10);
    (tell, Steps { told: Arc::new(Mutex::new(told)) })
}

/// An attempt that may run for as long as it likes.
fn task(engine: &Engine) -> ActivityTask {
    ActivityTask { start_to_close_timeout_ms: None, ..engine.activity_task("Step", &()) }
}

/// The next command of the task that is not the announcement of its start.
async fn command(engine: &mut Engine, task: &ActivityTask) -> Command {
    loop {
        match engine.outcome().await.0 {
            Command::RecordActivityStarted(started) if started.token == task.token => {}
            other => return other,
        }
    }
}

async fn heartbeat(engine: &mut Engine, task: &ActivityTask) -> u64 {
    match command(engine, task).await {
        Command::RecordActivityHeartbeat(beat) if beat.token == task.token => beat.details.unwrap().read().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_heartbeat_goes_out_at_once_and_of_many_more_only_the_last_at_the_latest_before_a_failure() {
    let mut engine = Engine::start().await;
    let (tell, steps) = steps();
    let worker = run(engine.worker().activities(steps));
    let task = task(&engine);
    engine.send_activity_task(&task, "t").await;
    tell.send(Step::Beat(1, 1)).await.unwrap();
    assert_eq!(heartbeat(&mut engine, &task).await, 1);
    // Without a heartbeat timeout the next one is due in half a minute.
    tell.send(Step::Beat(2, 50)).await.unwrap();
    tell.send(Step::Fail).await.unwrap();
    assert_eq!(heartbeat(&mut engine, &task).await, 50);
    let failed = command(&mut engine, &task).await;
    assert!(matches!(&failed, Command::FailActivity(failed) if failed.token == task.token), "{failed:?}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_result_follows_is_not_sent() {
    let mut engine = Engine::start().await;
    let (tell, steps) = steps();
    let worker = run(engine.worker().activities(steps));
    let task = task(&engine);
    engine.send_activity_task(&task, "t").await;
    tell.send(Step::Beat(1, 1)).await.unwrap();
    assert_eq!(heartbeat(&mut engine, &task).await, 1);
    tell.send(Step::Beat(2, 50)).await.unwrap();
    tell.send(Step::Succeed).await.unwrap();
    let done = command(&mut engine, &task).await;
    assert!(matches!(&done, Command::CompleteActivity(done) if done.token == task.token), "{done:?}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_go_out_in_waves_each_with_the_latest_details() {
    let mut engine = Engine::start().await;
    let (tell, steps) = steps();
    let worker = run(engine.worker().activities(steps));
    // Due every 80 ms.
    let task = ActivityTask { heartbeat_timeout_ms: Some(100), ..task(&engine) };
    engine.send_activity_task(&task, "t").await;
    let mut last = 0;
    for wave in 1..=5 {
        tell.send(Step::Beat(10 * wave, 10 * wave + 9)).await.unwrap();
        // The first of a wave may be sent before the rest is there; the last follows when it is due.
        while last != 10 * wave + 9 {
            let details = heartbeat(&mut engine, &task).await;
            assert!(details > last, "{details} came after {last}");
            last = details;
        }
    }
    tell.send(Step::Succeed).await.unwrap();
    let done = command(&mut engine, &task).await;
    assert!(matches!(&done, Command::CompleteActivity(done) if done.token == task.token), "{done:?}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_cancel_reaches_an_activity_that_never_heartbeats() {
    let mut engine = Engine::start().await;
    let (tell, steps) = steps();
    let worker = run(engine.worker().activities(steps));
    let task = task(&engine);
    engine.send_activity_task(&task, "t").await;
    tell.send(Step::Obey).await.unwrap();
    let (started, _) = engine.outcome().await;
    assert!(matches!(&started, Command::RecordActivityStarted(started) if started.token == task.token), "{started:?}");
    let (workflow_id, run_id, scheduled_event_id) =
        (task.workflow_id.clone(), task.run_id.clone(), task.scheduled_event_id);
    let cancel: ControlMessage = ActivityCancelRequested { workflow_id, run_id, scheduled_event_id }.into();
    let topic = engine.client.topics().control(QUEUE);
    engine.send(&topic, serde_json::to_vec(&cancel).unwrap(), &[(headers::CONTENT_TYPE, headers::JSON)]).await;
    let canceled = command(&mut engine, &task).await;
    assert!(matches!(&canceled, Command::CancelActivity(canceled) if canceled.token == task.token), "{canceled:?}");
    worker.stop().await;
}

/// How an activity that does `step` ends when its worker is told to stop.
async fn end_with_its_worker(step: Step) -> (String, String) {
    let mut engine = Engine::start().await;
    let (tell, steps) = steps();
    let worker = run(engine.worker().activities(steps));
    let task = task(&engine);
    engine.send_activity_task(&task, "t").await;
    tell.send(step).await.unwrap();
    let (started, _) = engine.outcome().await;
    assert!(matches!(&started, Command::RecordActivityStarted(started) if started.token == task.token), "{started:?}");
    let (ended, ()) = tokio::join!(command(&mut engine, &task), soon("the worker's end", worker.stop()));
    match ended {
        Command::FailActivity(failed) if failed.token == task.token => {
            assert!(!failed.failure.non_retryable(), "another worker goes on: {failed:?}");
            (failed.failure.error_type().to_owned(), failed.failure.message)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_hears_that_its_worker_stops_and_is_tried_again_elsewhere() {
    let (error_type, message) = end_with_its_worker(Step::Obey).await;
    assert_eq!(error_type, "Interrupted");
    assert!(message.contains("its worker stops"), "{message}");
    // Nobody has asked it to end, so it was not cancelled, whatever it says.
    let (error_type, _) = end_with_its_worker(Step::SayCanceled).await;
    assert_eq!(error_type, "WorkerShutdown");
}
