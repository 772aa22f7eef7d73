//! Signals, cancellation, termination and timeouts, by the SDK, over HTTP's commands and as plain records.

use std::future::IntoFuture as _;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use end_to_end::World;
use serde::de::DeserializeOwned;
use serde_json::json;
use tidewright::RequestError;
use tidewright::prelude::*;
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{EventAttributes, WorkflowIdConflictPolicy};

const APPROVE: SignalDef<String> = SignalDef::new("approve");

struct Desk;

#[activities]
impl Desk {
    #[activity(start_to_close = "10s")]
    async fn tidy_up(&self, _ctx: &ActivityContext, _input: ()) -> ActivityResult<()> {
        Ok(())
    }
}

/// Waits for two approvals, or for somebody to call it off.
#[workflow]
async fn approval(ctx: &WorkflowContext, _input: ()) -> WorkflowResult<Vec<String>> {
    let mut names = Vec::new();
    while names.len() < 2 {
        select! {
            () = ctx.canceled() => {
                ctx.non_cancellable().activity(Desk::tidy_up, ()).await?;
                return Err(WorkflowError::canceled());
            }
            name = ctx.receive(APPROVE) => names.push(name?),
        }
    }
    Ok(names)
}

/// Adds up signals until one says 0.
#[workflow]
async fn sum(ctx: &WorkflowContext, _input: ()) -> WorkflowResult<u64> {
    let mut sum = 0;
    loop {
        match ctx.receive_named::<u64>("add").await? {
            0 => return Ok(sum),
            number => sum += number,
        }
    }
}

async fn started() -> anyhow::Result<(World, end_to_end::Running, Client)> {
    let world = World::start().await?;
    let client = world.client()?;
    let worker = Worker::new(&client, "q").workflow(approval).workflow(sum).activities(Desk);
    let running = world.run(worker);
    Ok((world, running, client))
}

/// What a workflow returned, once it has ended.
async fn result<T: DeserializeOwned>(world: &World, id: &str) -> anyhow::Result<T> {
    let outcome = world.outcome(id).await?;
    ensure!(outcome.status == WorkflowStatus::Completed, "{outcome:?}");
    Ok(outcome.result.context("it returned nothing")?.read()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_are_heard_in_order_also_those_that_come_early_or_twice() -> anyhow::Result<()> {
    let (world, _worker, client) = started().await?;
    let run = client.start(approval, ()).id("early").task_queue("q").await?;
    run.signal(APPROVE, "anna".to_owned()).request_id("first").await?;
    run.signal(APPROVE, "anna".to_owned()).request_id("first").await?;
    run.signal(APPROVE, "ben".to_owned()).await?;
    ensure!(result::<Vec<String>>(&world, "early").await? == ["anna", "ben"]);
    let late = run.signal(APPROVE, "carl".to_owned()).await;
    ensure!(matches!(late, Err(RequestError::Closed { .. })), "{late:?}");
    let nobody = client.workflow_named::<()>("nobody")?.signal(APPROVE, String::new()).await;
    ensure!(matches!(nobody, Err(RequestError::NotFound { .. })), "{nobody:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_is_a_plain_record_and_one_that_cannot_be_read_is_passed_over() -> anyhow::Result<()> {
    let (world, _worker, client) = started().await?;
    client.start(approval, ()).id("plain").task_queue("q").await?;
    for input in [json!({"not": "a name"}), json!("anna"), json!("ben")] {
        let signal = json!({"type": "SignalWorkflow", "signal_name": "approve", "input": input});
        world.publish("plain", &signal.to_string()).await?;
    }
    ensure!(result::<Vec<String>>(&world, "plain").await? == ["anna", "ben"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_signal_is_lost_while_a_workflow_works() -> anyhow::Result<()> {
    let (world, _worker, client) = started().await?;
    let run = client.start(sum, ()).id("sum").task_queue("q").await?;
    let sends = (1..=200_u64).map(|number| run.signal_named("add", &number).into_future());
    for sent in futures::future::join_all(sends).await {
        sent?;
    }
    run.signal_named("add", &0_u64).await?;
    ensure!(result::<u64>(&world, "sum").await? == 200 * 201 / 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn signal_with_start_starts_once_and_signals_each_time() -> anyhow::Result<()> {
    let (world, _worker, client) = started().await?;
    let ask = |name: &str| client.start(approval, ()).id("both").task_queue("q").with_signal(APPROVE, name.to_owned());
    let first = ask("anna").await?;
    let second = ask("ben").await?;
    ensure!(first.run_id() == second.run_id());
    ensure!(result::<Vec<String>>(&world, "both").await? == ["anna", "ben"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_workflow_cleans_up_and_says_so() -> anyhow::Result<()> {
    let (world, _worker, client) = started().await?;
    let run = client.start(approval, ()).id("cancel").task_queue("q").await?;
    run.cancel("the customer changed their mind").await?;
    run.cancel("and again").await?;
    ensure!(world.outcome("cancel").await?.status == WorkflowStatus::Canceled);
    let history = world.history("cancel").await?;
    let count = |wanted: &str| history.iter().filter(|event| event.attributes.event_type() == wanted).count();
    ensure!(count("WorkflowExecutionCancelRequested") == 1 && count("ActivityTaskCompleted") == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_workflow_ends_at_once() -> anyhow::Result<()> {
    let (world, _worker, client) = started().await?;
    let run = client.start(approval, ()).id("terminate").task_queue("q").await?;
    run.terminate("it is not needed").await?;
    let outcome = world.outcome("terminate").await?;
    let says_why = outcome.failure.as_ref().is_some_and(|failure| failure.message.contains("not needed"));
    ensure!(outcome.status == WorkflowStatus::Terminated && says_why, "{outcome:?}");
    // Another start of the id while it runs terminates it, and says so.
    let first = client.start(approval, ()).id("replaced").task_queue("q").await?;
    let again = client.start(approval, ()).id("replaced").task_queue("q");
    let second = again.id_conflict_policy(WorkflowIdConflictPolicy::TerminateExisting).await?;
    ensure!(first.run_id() != second.run_id());
    let to_the_first = first.signal(APPROVE, "anna".to_owned()).await;
    ensure!(matches!(to_the_first, Err(RequestError::Closed { .. })), "{to_the_first:?}");
    second.signal(APPROVE, "anna".to_owned()).await?;
    second.signal(APPROVE, "ben".to_owned()).await?;
    ensure!(result::<Vec<String>>(&world, "replaced").await? == ["anna", "ben"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_takes_too_long_times_out() -> anyhow::Result<()> {
    let (world, _worker, client) = started().await?;
    let start = client.start(approval, ()).id("late").task_queue("q").run_timeout(Duration::from_millis(300));
    start.await?;
    ensure!(world.outcome("late").await?.status == WorkflowStatus::TimedOut);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_start_waits_and_says_until_when() -> anyhow::Result<()> {
    let (world, _worker, client) = started().await?;
    let start = client.start(sum, ()).id("delayed").task_queue("q").start_delay(Duration::from_millis(400));
    let run = start.memo("customer", &"anna").await?;
    run.signal_named("add", &0_u64).await?;
    ensure!(result::<u64>(&world, "delayed").await? == 0);
    let history = world.history("delayed").await?;
    let time_of = |wanted: &str| history.iter().find(|e| e.attributes.event_type() == wanted).map(|e| e.event_time_ms);
    let waited = time_of("WorkflowTaskScheduled").zip(time_of("WorkflowExecutionStarted")).map(|(a, b)| a - b);
    ensure!(waited.is_some_and(|ms| ms >= 400), "{waited:?}");
    let EventAttributes::WorkflowExecutionStarted(start) = &history[0].attributes else { bail!("{history:?}") };
    ensure!(start.memo.contains_key("customer"));
    ensure!(matches!(history[1].attributes, EventAttributes::WorkflowExecutionSignaled(_)), "{history:?}");
    Ok(())
}
