//! Given an activity task, when a worker takes it, then these commands follow.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use support::{Engine, QUEUE, run};
use tidewright::prelude::*;
use tidewright_schemas::{Command, FailActivity, TaskVerdict, headers};

#[derive(Default)]
struct Tests {
    runs: Arc<AtomicU32>,
}

#[activities]
impl Tests {
    #[activity(start_to_close = "30s")]
    async fn greet(&self, ctx: &ActivityContext, name: String) -> ActivityResult<String> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        Ok(format!("{name} {} {}", ctx.attempt(), ctx.idempotency_key()))
    }

    #[activity(start_to_close = "30s")]
    async fn explode(&self) -> ActivityResult<()> {
        panic!("kaboom")
    }

    #[activity(start_to_close = "30s")]
    async fn decline(&self) -> ActivityResult<()> {
        Err(ActivityError::non_retryable("CardDeclined", "no money"))
    }

    #[activity(start_to_close = "30s")]
    async fn big(&self, bytes: usize) -> ActivityResult<String> {
        Ok("x".repeat(bytes))
    }

    #[activity(start_to_close = "30s")]
    async fn unserialisable(&self) -> ActivityResult<std::collections::BTreeMap<(u8, u8), u8>> {
        Ok([((1, 2), 3)].into())
    }

    #[activity(start_to_close = "30s")]
    async fn slow(&self, ms: u64) -> ActivityResult<u64> {
        tokio::time::sleep(ms.millis()).await;
        Ok(ms)
    }
}

/// Sends one task and returns its failure.
async fn failure(engine: &mut Engine, activity_type: &str, input: &impl serde::Serialize) -> FailActivity {
    let task = engine.activity_task(activity_type, input);
    engine.send_activity_task(&task, "00-1-1-01").await;
    match engine.outcome().await.0 {
        Command::FailActivity(failed) if failed.token == task.token => failed,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_told_with_its_trace_and_then_committed() {
    let mut engine = Engine::start().await;
    let worker = run(engine.worker().activities(Tests::default()));
    let task = engine.activity_task("Greet", &"Ada");
    engine.send_activity_task(&task, "00-trace-span-01").await;
    let (command, record) = engine.outcome().await;
    let Command::CompleteActivity(done) = command else { panic!("{command:?}") };
    assert_eq!(done.token, task.token);
    assert_eq!(done.result.unwrap().read::<String>().unwrap(), format!("Ada 1 {}/5", engine.run_id()));
    assert!(done.worker.identity.contains('@') && !done.worker.incarnation.is_empty());
    assert_eq!(record.header(headers::TRACEPARENT).unwrap(), b"00-trace-span-01");
    assert_eq!(record.key.as_deref().unwrap(), b"order-1");
    engine.committed(&engine.client.topics().activity_tasks(QUEUE), 1).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_user_code_does_is_a_clear_failure_and_the_rest_goes_on() {
    let mut engine = Engine::start().await;
    let worker = run(engine.worker().activities(Tests::default()));

    let panic = failure(&mut engine, "Explode", &()).await.failure;
    assert_eq!((panic.error_type(), panic.non_retryable()), ("Panic", false));
    assert!(panic.message.contains("kaboom") && panic.stack_trace.contains("activities.rs:"), "{panic:?}");

    let declined = failure(&mut engine, "Decline", &()).await.failure;
    assert_eq!((declined.error_type(), declined.non_retryable()), ("CardDeclined", true));

    let cases: [(&str, serde_json::Value, &str); 4] = [
        ("Nonesuch", serde_json::Value::Null, "ActivityTypeNotRegistered"),
        ("Greet", 7.into(), "InputNotReadable"),
        ("Unserialisable", serde_json::Value::Null, "ResultNotSerializable"),
        ("Big", (3 << 20).into(), "ResultTooLarge"),
    ];
    for (activity_type, input, error_type) in cases {
        let failure = failure(&mut engine, activity_type, &input).await.failure;
        assert_eq!((failure.error_type(), failure.non_retryable()), (error_type, true), "{failure:?}");
        assert!(failure.message.contains(activity_type), "{failure:?}");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_only_the_topic_finds_too_large_is_a_failure_too() {
    let mut engine = Engine::start().await;
    let worker = run(engine.worker().activities(Tests::default()));
    // Below the limit of a payload, above that of the commands topic.
    let failure = failure(&mut engine, "Big", &1_500_000).await.failure;
    assert_eq!((failure.error_type(), failure.non_retryable()), ("ResultTooLarge", true), "{failure:?}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_activity_is_announced_and_its_offset_committed_before_it_ends() {
    let mut engine = Engine::start().await;
    let worker = run(engine.worker().activities(Tests::default()));
    let task = engine.activity_task("Slow", &4_000);
    engine.send_activity_task(&task, "t").await;
    let (command, _) = engine.outcome().await;
    assert!(matches!(&command, Command::RecordActivityStarted(started) if started.token == task.token), "{command:?}");
    engine.committed(&engine.client.topics().activity_tasks(QUEUE), 1).await;
    let (command, _) = engine.outcome().await;
    assert!(matches!(&command, Command::CompleteActivity(done) if done.token == task.token), "{command:?}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_takes_too_long_is_ended_and_told() {
    let mut engine = Engine::start().await;
    let worker = run(engine.worker().activities(Tests::default()));
    let mut task = engine.activity_task("Slow", &60_000);
    task.start_to_close_timeout_ms = Some(200);
    engine.send_activity_task(&task, "t").await;
    let (command, _) = engine.outcome().await;
    let Command::FailActivity(failed) = command else { panic!("{command:?}") };
    assert_eq!(failed.failure.error_type(), "Timeout");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_possible_repeat_is_confirmed_before_it_runs() {
    let mut engine = Engine::start().await;
    let tests = Tests::default();
    let runs = Arc::clone(&tests.runs);
    let mut task = engine.activity_task("Greet", &"Ada");
    task.possible_repeat = true;
    engine.send_activity_task(&task, "t").await;
    let worker = run(engine.worker().activities(tests));

    let (command, _) = engine.command().await;
    let Command::ConfirmTask(asked) = command else { panic!("{command:?}") };
    assert_eq!(asked.token, task.token);
    engine.answer(&asked, TaskVerdict::Drop).await;
    engine.committed(&engine.client.topics().activity_tasks(QUEUE), 1).await;
    assert_eq!(runs.load(Ordering::SeqCst), 0);

    engine.send_activity_task(&task, "t").await;
    let (command, _) = engine.outcome().await;
    assert!(matches!(command, Command::CompleteActivity(_)), "{command:?}");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    worker.stop().await;
}

/// The owner that gave it may be gone, and another worker may have completed the activity meanwhile (ADR 0007).
#[tokio::test(flavor = "multi_thread")]
async fn leave_to_run_that_was_long_on_its_way_is_asked_for_again() {
    let mut engine = Engine::start().await;
    let tests = Tests::default();
    let runs = Arc::clone(&tests.runs);
    let mut task = engine.activity_task("Greet", &"Ada");
    task.possible_repeat = true;
    engine.send_activity_task(&task, "t").await;
    let worker = run(engine.worker().activities(tests));

    let (Command::ConfirmTask(first), _) = engine.command().await else { panic!("no question") };
    tokio::time::sleep(Duration::from_millis(400)).await;
    engine.answer(&first, TaskVerdict::Run).await;
    let second = loop {
        let (Command::ConfirmTask(asked), _) = engine.command().await else { panic!("no question") };
        // A question without an answer is repeated as it was.
        if asked.reply_to.correlation_id != first.reply_to.correlation_id {
            break asked;
        }
    };
    engine.answer(&second, TaskVerdict::Drop).await;
    engine.committed(&engine.client.topics().activity_tasks(QUEUE), 1).await;
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_task_is_delivered_again_and_a_finished_one_is_not() {
    let mut engine = Engine::start().await;
    let topic = engine.client.topics().activity_tasks(QUEUE);
    let worker = run(engine.worker().activities(Tests::default()));
    engine.send_activity_task(&engine.activity_task("Greet", &"done"), "t").await;
    engine.outcome().await;
    engine.committed(&topic, 1).await;
    let slow = engine.activity_task("Slow", &300);
    let first_greets = engine.activity_task("Greet", &"blocked");
    engine.send_activity_task(&slow, "t").await;
    engine.send_activity_task(&first_greets, "t").await;
    engine.outcome().await;
    worker.kill().await;

    let worker = run(engine.worker().activities(Tests::default()));
    // Whatever was open is asked about; nothing that was committed comes again.
    let (command, _) = engine.command().await;
    let Command::ConfirmTask(asked) = command else { panic!("{command:?}") };
    assert!([&slow.token, &first_greets.token].contains(&&asked.token));
    worker.kill().await;
}
