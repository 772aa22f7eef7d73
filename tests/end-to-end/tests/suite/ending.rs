//! How runs end, and what becomes of whoever asks afterwards; over each way in.

use anyhow::{Result, ensure};
use end_to_end::ways::{WayIn, Ways, signal_of, start_of};
use end_to_end::{Running, World};
use futures::future::try_join_all;
use serde_json::{Value, json};
use tidewright::prelude::*;
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{
    Command, DeleteWorkflow, EventAttributes, RequestCancelWorkflow, RunId, SignalWorkflow, StartWorkflow,
    TerminateWorkflow,
};

struct Desk;

#[activities]
impl Desk {
    #[activity(start_to_close = "30s")]
    async fn tidy_up(&self) -> ActivityResult<()> {
        Ok(())
    }
}

/// Waits until it is asked to end, and does then what it was told at its start.
#[workflow]
async fn ends(ctx: &WorkflowContext, how: String) -> WorkflowResult<String> {
    ctx.canceled().await;
    match how.as_str() {
        "completes" => Ok("all the same".to_owned()),
        "fails" => Err(WorkflowError::new("Stuck", "it cannot be undone")),
        _ => {
            ctx.non_cancellable().activity(Desk::tidy_up, ()).await?;
            Err(WorkflowError::canceled().details(&"undone"))
        }
    }
}

async fn started() -> Result<(World, Running)> {
    let world = World::with_http().await?;
    let worker = Worker::new(&world.client()?, "q").workflow(ends).activities(Desk);
    let running = world.run(worker);
    Ok((world, running))
}

fn start(id: &str, how: &str) -> Result<StartWorkflow> {
    start_of("Ends", id, &json!(how))
}

/// Everything that can be asked of a workflow, with words for it.
fn requests() -> Result<[(&'static str, Command); 4]> {
    Ok([
        ("signal", signal_of("s", &Value::Null)?.into()),
        ("cancel", RequestCancelWorkflow::default().into()),
        ("terminate", TerminateWorkflow::default().into()),
        ("delete", DeleteWorkflow::default().into()),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_cancel_is_heard_by_the_code_which_decides_how_to_end() -> Result<()> {
    let (world, _worker) = started().await?;
    let ways = Ways::into(&world)?;
    let cases = [
        ("completes", WorkflowStatus::Completed),
        ("fails", WorkflowStatus::Failed),
        ("agrees", WorkflowStatus::Canceled),
    ];
    let check = async |way: WayIn, how: &'static str, status: WorkflowStatus| {
        let id = format!("{how}-{way:?}");
        let run_id = ways.accepted(way, &id, start(&id, how)?).await?;
        let cancel =
            RequestCancelWorkflow { reason: Some("not needed".to_owned()), ..RequestCancelWorkflow::default() };
        ensure!(ways.accepted(way, &id, cancel).await? == run_id);
        ensure!(world.outcome(&id).await?.status == status, "{id}");
        let history = world.history(&id).await?;
        let reasons: Vec<_> = history
            .iter()
            .filter_map(|event| match &event.attributes {
                EventAttributes::WorkflowExecutionCancelRequested(asked) => Some(asked.cause.clone()),
                _ => None,
            })
            .collect();
        ensure!(reasons == [Some("not needed".to_owned())], "{id}: {reasons:?}");
        let tidied = history.iter().any(|event| event.attributes.event_type() == "ActivityTaskCompleted");
        ensure!(tidied == (how == "agrees"), "{id}: {history:?}");
        anyhow::Ok(())
    };
    try_join_all(cases.iter().flat_map(|(how, status)| WayIn::ALL.map(|way| check(way, how, *status)))).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_termination_or_a_deletion_ends_a_run_at_once_over_each_way_in() -> Result<()> {
    let (world, _worker) = started().await?;
    let ways = Ways::into(&world)?;
    let check = async |way: WayIn| {
        let id = format!("terminated-{way:?}");
        ways.accepted(way, &id, start(&id, "agrees")?).await?;
        ways.accepted(way, &id, TerminateWorkflow { reason: Some("enough".to_owned()), ..Default::default() }).await?;
        let outcome = world.outcome(&id).await?;
        let says_why = outcome.failure.as_ref().is_some_and(|failure| failure.message.contains("enough"));
        ensure!(outcome.status == WorkflowStatus::Terminated && says_why, "{id}: {outcome:?}");

        let id = format!("deleted-{way:?}");
        let first = ways.accepted(way, &id, start(&id, "agrees")?).await?;
        ensure!(ways.accepted(way, &id, DeleteWorkflow::default()).await? == first);
        // It is gone for whoever asks next, and its id is as one that was never used.
        let nothing = ways.ask(way, &id, signal_of("s", &Value::Null)?).await?;
        ensure!(nothing == Err("TW0206".to_owned()), "{id}: {nothing:?}");
        let again = ways.accepted(way, &id, start(&id, "agrees")?).await?;
        ensure!(again != first);
        anyhow::Ok(())
    };
    try_join_all(WayIn::ALL.map(check)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_timeout_of_a_workflow_ends_it_over_each_way_in() -> Result<()> {
    let (world, _worker) = started().await?;
    let ways = Ways::into(&world)?;
    let hour = Some(60 * 60 * 1_000);
    let limits = [("run", Some(150), None), ("execution", None, Some(150)), ("earlier", hour, Some(150))];
    let check = async |way: WayIn, (limit, run_ms, execution_ms): (&'static str, Option<u64>, Option<u64>)| {
        let id = format!("{limit}-{way:?}");
        let mut command = start(&id, "agrees")?;
        (command.workflow_run_timeout_ms, command.workflow_execution_timeout_ms) = (run_ms, execution_ms);
        ways.accepted(way, &id, command).await?;
        let outcome = world.outcome(&id).await?;
        ensure!(outcome.status == WorkflowStatus::TimedOut, "{id}: {outcome:?}");
        let history = world.history(&id).await?;
        let (first, last) = (history.first().map(|it| it.event_time_ms), history.last().map(|it| it.event_time_ms));
        let took = first.zip(last).map(|(first, last)| last - first);
        ensure!(took.is_some_and(|ms| (150..60 * 60 * 1_000).contains(&ms)), "{id}: {took:?}");
        anyhow::Ok(())
    };
    try_join_all(limits.iter().flat_map(|limit| WayIn::ALL.map(|way| check(way, *limit)))).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeout_of_a_workflow_task_goes_in_over_each_way_and_ends_no_run() -> Result<()> {
    let world = World::with_http().await?;
    let ways = Ways::into(&world)?;
    for way in WayIn::ALL {
        let id = format!("task-{way:?}");
        let command = StartWorkflow { workflow_task_timeout_ms: Some(2_000), ..start(&id, "agrees")? };
        ways.accepted(way, &id, command).await?;
        let told = |event: &EventAttributes| match event {
            EventAttributes::WorkflowExecutionStarted(started) => Some(started.workflow_task_timeout_ms),
            _ => None,
        };
        ensure!(world.event(&id, told).await? == Some(2_000), "{id}");
    }
    // What counts is the time from when a worker begins, and it ends no run.
    let _worker = world.run(Worker::new(&world.client()?, "q").workflow(ends).activities(Desk));
    for way in WayIn::ALL {
        let id = format!("task-{way:?}");
        ways.accepted(way, &id, RequestCancelWorkflow::default()).await?;
        ensure!(world.outcome(&id).await?.status == WorkflowStatus::Canceled, "{id}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_nobody_or_comes_after_the_end_is_told_so_over_each_way_in() -> Result<()> {
    let (world, _worker) = started().await?;
    let ways = Ways::into(&world)?;
    ways.accepted(WayIn::Record, "closed", start("closed", "agrees")?).await?;
    // The one that ends it, and one under another request id while it is open: both are heard, once.
    for request_id in ["c-1", "c-1", "c-2"] {
        let cancel = RequestCancelWorkflow { request_id: Some(request_id.to_owned()), ..Default::default() };
        let asked = ways.ask(WayIn::Record, "closed", cancel).await?;
        ensure!(asked.is_ok() || asked == Err("TW0207".to_owned()), "{asked:?}");
    }
    ensure!(world.outcome("closed").await?.status == WorkflowStatus::Canceled);
    for way in WayIn::ALL {
        for (word, command) in requests()? {
            let unknown = ways.ask(way, "unknown", command.clone()).await?;
            ensure!(unknown == Err("TW0206".to_owned()), "{way:?}, {word}: {unknown:?}");
            if word != "delete" {
                let late = ways.ask(way, "closed", command).await?;
                ensure!(late == Err("TW0207".to_owned()), "{way:?}, {word}: {late:?}");
            }
        }
    }
    // R21: the request that ended it gets the answer that it got before; one under another id does not.
    let again =
        |request_id: &str| RequestCancelWorkflow { request_id: Some(request_id.to_owned()), ..Default::default() };
    for way in [WayIn::Http, WayIn::Record] {
        ways.accepted(way, "closed", again("c-1")).await?;
        let other = ways.ask(way, "closed", again("c-3")).await?;
        ensure!(other == Err("TW0207".to_owned()), "{way:?}: {other:?}");
    }
    let history = world.history("closed").await?;
    let asked = |event: &&tidewright_schemas::HistoryEvent| event.attributes.event_type().ends_with("CancelRequested");
    ensure!(history.iter().filter(asked).count() == 1, "{history:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_named_is_meant_whatever_runs_now() -> Result<()> {
    let (world, _worker) = started().await?;
    let ways = Ways::into(&world)?;
    let first = ways.accepted(WayIn::Record, "id", start("id", "agrees")?).await?;
    ways.accepted(WayIn::Record, "id", TerminateWorkflow::default()).await?;
    let named = StartWorkflow { request_id: Some("again".to_owned()), ..start("id", "agrees")? };
    let second = ways.accepted(WayIn::Record, "id", named).await?;
    let run_id = Some(RunId::from_text(first.clone()));
    let requests: [Command; 3] = [
        SignalWorkflow { run_id: run_id.clone(), ..signal_of("s", &Value::Null)? }.into(),
        RequestCancelWorkflow { run_id: run_id.clone(), ..Default::default() }.into(),
        TerminateWorkflow { run_id: run_id.clone(), ..Default::default() }.into(),
    ];
    for way in [WayIn::CommandLine, WayIn::Http, WayIn::Record] {
        for request in &requests {
            let asked = ways.ask(way, "id", request.clone()).await?;
            ensure!(asked == Err("TW0207".to_owned()), "{way:?}: {asked:?}");
        }
    }
    let open = world.describe_until("id", "it can be described", |_| true).await?;
    ensure!((open.summary.run_id.as_str(), open.signal_count) == (second.as_str(), 0), "{open:?}");
    ensure!(ways.accepted(WayIn::Http, "id", DeleteWorkflow { run_id, ..Default::default() }).await? == first);
    ensure!(ways.accepted(WayIn::Record, "id", RequestCancelWorkflow::default()).await? == second);
    ensure!(world.outcome("id").await?.status == WorkflowStatus::Canceled);
    Ok(())
}
