//! One open run of an id: every reuse policy against every end, every conflict policy against every state of an open run,
//! request ids, start delays; over each way in.

use anyhow::{Context as _, Result, ensure};
use end_to_end::ways::{Asked, WayIn, Ways, signal_of, signal_with_start_of, start_of};
use end_to_end::{Running, World, eventually};
use futures::future::try_join_all;
use serde_json::{Value, json};
use tidewright::prelude::*;
use tidewright_log::Record;
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{
    Command, RequestCancelWorkflow, StartWorkflow, TerminateWorkflow, WorkflowIdConflictPolicy, WorkflowIdReusePolicy,
    headers,
};

const HOUR_MS: u64 = 60 * 60 * 1_000;

/// Ends as it is told, or waits until it hears the signal `go`.
#[workflow]
async fn ends(ctx: &WorkflowContext, how: String) -> WorkflowResult<String> {
    match how.as_str() {
        "Completed" => Ok(how),
        "Failed" => Err(WorkflowError::new("Refused", "it was told to fail")),
        _ => Ok(ctx.receive_named::<String>("go").await?),
    }
}

async fn started() -> Result<(World, Running)> {
    let world = World::with_http().await?;
    let worker = Worker::new(&world.client()?, "q").workflow(ends);
    let running = world.run(worker);
    Ok((world, running))
}

fn start(id: &str, how: &str) -> Result<StartWorkflow> {
    start_of("Ends", id, &json!(how))
}

/// Starts a workflow and waits until it has ended in this way.
async fn closed(world: &World, ways: &Ways<'_>, id: &str, status: WorkflowStatus) -> Result<String> {
    let mut command = start(id, status.as_str())?;
    if status == WorkflowStatus::TimedOut {
        command.workflow_run_timeout_ms = Some(1);
    }
    let run_id = ways.accepted(WayIn::Record, id, command).await?;
    match status {
        WorkflowStatus::Canceled => {
            ways.accepted(WayIn::Record, id, RequestCancelWorkflow::default()).await.map(drop)?
        }
        WorkflowStatus::Terminated => ways.accepted(WayIn::Record, id, TerminateWorkflow::default()).await.map(drop)?,
        _ => {}
    }
    let outcome = world.outcome(id).await?;
    ensure!(outcome.status == status, "{id}: {outcome:?}");
    Ok(run_id)
}

/// Another run than the one before.
fn is_another(asked: &Asked, before: &str) -> bool {
    asked.as_ref().is_ok_and(|run_id| run_id != before)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reuse_policy_against_every_end_over_each_way_in() -> Result<()> {
    use WorkflowIdReusePolicy::{AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate};
    use WorkflowStatus::{Canceled, Completed, Failed, Terminated, TimedOut};
    let (world, _worker) = started().await?;
    let ways = Ways::into(&world)?;
    let check = async |end: WorkflowStatus, way: WayIn| {
        let id = format!("{end:?}-{way:?}");
        let first = closed(&world, &ways, &id, end).await?;
        let again = async |policy| {
            let mut command = start(&id, "Completed")?;
            command.workflow_id_reuse_policy = Some(policy);
            command.request_id = Some(format!("again-{policy:?}"));
            ways.ask(way, &id, command).await
        };
        let rejected = again(RejectDuplicate).await?;
        ensure!(rejected == Err("TW0203".to_owned()), "{id}: {rejected:?}");
        let if_failed = again(AllowDuplicateFailedOnly).await?;
        if end == Completed {
            ensure!(if_failed == Err("TW0203".to_owned()), "{id}: {if_failed:?}");
        } else {
            ensure!(is_another(&if_failed, &first), "{id}: {if_failed:?}");
            ensure!(world.outcome(&id).await?.status == Completed);
        }
        let latest = if_failed.unwrap_or(first);
        let allowed = again(AllowDuplicate).await?;
        ensure!(is_another(&allowed, &latest), "{id}: {allowed:?}");
        anyhow::Ok(())
    };
    let closed_as = [Completed, Failed, Canceled, Terminated, TimedOut];
    try_join_all(closed_as.iter().flat_map(|end| WayIn::ALL.map(|way| check(*end, way)))).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_start_does_that_says_nothing_about_a_closed_id() -> Result<()> {
    let (world, _worker) = started().await?;
    let ways = Ways::into(&world)?;
    let first = closed(&world, &ways, "named", WorkflowStatus::Completed).await?;
    // R8: one without a request id never opens a closed id again; one with a request id does.
    let nameless = ways.ask(WayIn::Record, "named", start("named", "Completed")?).await?;
    ensure!(nameless == Err("TW0203".to_owned()), "{nameless:?}");
    let named = StartWorkflow { request_id: Some("r".to_owned()), ..start("named", "Completed")? };
    let again = ways.ask(WayIn::Record, "named", named).await?;
    ensure!(is_another(&again, &first), "{again:?}");
    Ok(())
}

/// An open run, as it is met.
#[derive(Debug, Clone, Copy)]
enum Met {
    /// It waits for its start delay.
    Delayed,
    /// Its first workflow task waits for a worker.
    Out,
    /// Its code waits.
    Idle,
}

async fn open(world: &World, ways: &Ways<'_>, id: &str, met: Met) -> Result<String> {
    let mut command = start(id, "wait")?;
    match met {
        Met::Delayed => command.start_delay_ms = Some(HOUR_MS),
        Met::Out => command.task_queue = "nobody".to_owned(),
        Met::Idle => {}
    }
    let run_id = ways.accepted(WayIn::Record, id, command).await?;
    if matches!(met, Met::Idle) {
        world.describe_until(id, "its code waits", |run| run.pending_workflow_task.is_none()).await?;
    }
    Ok(run_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_conflict_policy_against_every_open_run_over_each_way_in() -> Result<()> {
    use WorkflowIdConflictPolicy::{Fail, TerminateExisting, UseExisting};
    let (world, _worker) = started().await?;
    let ways = Ways::into(&world)?;
    let check = async |met: Met, way: WayIn| {
        let id = format!("{met:?}-{way:?}");
        let first = open(&world, &ways, &id, met).await?;
        let again = async |policy: Option<WorkflowIdConflictPolicy>| {
            let mut command = start(&id, "Completed")?;
            command.workflow_id_conflict_policy = policy;
            command.request_id = Some(format!("again-{policy:?}"));
            ways.ask(way, &id, command).await
        };
        for refusing in [None, Some(Fail)] {
            let refused = again(refusing).await?;
            ensure!(refused == Err("TW0202".to_owned()), "{id}: {refused:?}");
        }
        let met_it = again(Some(UseExisting)).await?;
        ensure!(met_it.as_ref() == Ok(&first), "{id}: {met_it:?} is not {first}");
        let replaced = again(Some(TerminateExisting)).await?;
        ensure!(is_another(&replaced, &first), "{id}: {replaced:?}");
        ensure!(world.outcome(&id).await?.status == WorkflowStatus::Completed, "the next run is not that of the start");
        ensure!(world.outcome_of_run(&id, &first).await?.status == WorkflowStatus::Terminated);
        anyhow::Ok(())
    };
    let states = [Met::Delayed, Met::Out, Met::Idle];
    try_join_all(states.iter().flat_map(|met| WayIn::ALL.map(|way| check(*met, way)))).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_makes_starts_one_over_all_ways_in_together() -> Result<()> {
    let (world, _worker) = started().await?;
    let ways = Ways::into(&world)?;
    let mut request = start("one", "wait")?;
    request.request_id = Some("r-1".to_owned());
    let runs = try_join_all(WayIn::ALL.map(|way| ways.accepted(way, "one", request.clone()))).await?;
    ensure!(runs.iter().all(|run| *run == runs[0]), "{runs:?}");
    // Also once the run has ended, and whatever the policy says of closed ids.
    ways.accepted(WayIn::Record, "one", signal_of("go", &json!("on"))?).await?;
    ensure!(world.outcome("one").await?.status == WorkflowStatus::Completed);
    request.workflow_id_reuse_policy = Some(WorkflowIdReusePolicy::RejectDuplicate);
    for way in WayIn::ALL {
        let run = ways.accepted(way, "one", request.clone()).await?;
        ensure!(run == runs[0], "{way:?}: {run}");
    }
    let history = world.history("one").await?;
    let starts = history.iter().filter(|event| event.attributes.event_type() == "WorkflowExecutionStarted").count();
    ensure!(starts == 1, "{history:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_of_a_cloud_event_makes_what_it_brings_one() -> Result<()> {
    let (world, _worker) = started().await?;
    let ways = Ways::into(&world)?;
    ways.accepted(WayIn::Record, "event", start("event", "wait")?).await?;
    let signal = serde_json::to_vec(&Command::from(signal_of("noted", &json!(1))?))?;
    for event_id in ["e-1", "e-1", "e-2"] {
        let record = Record::to(world.topics.commands()).key("event").value(signal.clone());
        world.producer.send(record.header(headers::CLOUDEVENT_ID, event_id)).await.await?;
    }
    ways.accepted(WayIn::Record, "event", signal_of("go", &json!("on"))?).await?;
    world.outcome("event").await?;
    let history = world.history("event").await?;
    let noted = history.iter().filter(|event| event.attributes.event_type() == "WorkflowExecutionSignaled").count();
    ensure!(noted == 3, "{noted} signals, two of three events and the one that ends it: {history:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_run_waits_for_its_time_or_for_a_signal_with_start_over_each_way_in() -> Result<()> {
    let (world, _worker) = started().await?;
    let ways = Ways::into(&world)?;
    let check = async |way: WayIn| {
        let id = format!("delayed-{way:?}");
        let delayed = StartWorkflow { start_delay_ms: Some(HOUR_MS), ..start(&id, "wait")? };
        let run_id = ways.accepted(way, &id, delayed.clone()).await?;
        ways.accepted(way, &id, signal_of("noted", &json!(1))?).await?;
        let waiting = world.describe_until(&id, "it has its signal", |run| run.signal_count == 1).await?;
        let until_ms = waiting.delayed_until_ms.context("an ordinary signal ended the delay")?;
        ensure!(until_ms - waiting.summary.start_time_ms == HOUR_MS, "{waiting:?}");
        ensure!(world.history(&id).await?.len() == 2, "its first task was sent");
        let go = signal_with_start_of(delayed, "go", &json!("on"))?;
        ensure!(ways.accepted(way, &id, go).await? == run_id);
        let outcome = world.outcome(&id).await?;
        ensure!(outcome.result.context("it completed")?.read::<String>()? == "on");
        anyhow::Ok(())
    };
    try_join_all(WayIn::ALL.map(check)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_run_can_be_ended_and_hears_a_request_to_cancel_when_it_begins() -> Result<()> {
    let (world, _worker) = started().await?;
    let ways = Ways::into(&world)?;
    let delayed = |id: &str, delay_ms| {
        Ok::<_, anyhow::Error>(StartWorkflow { start_delay_ms: Some(delay_ms), ..start(id, "wait")? })
    };
    for way in WayIn::ALL {
        let id = format!("ended-{way:?}");
        ways.accepted(way, &id, delayed(&id, HOUR_MS)?).await?;
        ways.accepted(way, &id, TerminateWorkflow::default()).await?;
        ensure!(world.outcome(&id).await?.status == WorkflowStatus::Terminated);
    }
    ways.accepted(WayIn::Record, "soon", delayed("soon", 200)?).await?;
    ways.accepted(WayIn::Record, "soon", RequestCancelWorkflow::default()).await?;
    ensure!(world.outcome("soon").await?.status == WorkflowStatus::Canceled);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_start_one_id_at_the_same_time_one_does() -> Result<()> {
    let (world, _worker) = started().await?;
    let ways = Ways::into(&world)?;
    let asked = futures::future::try_join_all((0..20).map(|n| {
        let way = if n % 2 == 0 { WayIn::Client } else { WayIn::Http };
        let command =
            start("contested", "wait").map(|start| StartWorkflow { request_id: Some(format!("r-{n}")), ..start });
        let ways = &ways;
        async move { ways.ask(way, "contested", command?).await }
    }))
    .await?;
    let (started, refused): (Vec<_>, Vec<_>) = asked.into_iter().partition(Result::is_ok);
    ensure!(started.len() == 1, "{started:?}");
    ensure!(refused.iter().all(|answer| answer.as_ref().is_err_and(|code| code == "TW0202")), "{refused:?}");
    let listed: Value = eventually("the node lists it", || async {
        let url = format!("{}/api/v1/namespaces/default/workflows", world.http_url().ok()?);
        reqwest::get(url).await.ok()?.error_for_status().ok()?.json().await.ok()
    })
    .await?;
    ensure!(listed["workflows"].as_array().is_some_and(|runs| runs.len() == 1), "{listed}");
    Ok(())
}
