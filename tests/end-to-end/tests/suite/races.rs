//! Two things happen at about the same time, in either order: a worker made by hand says which comes first.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use end_to_end::World;
use end_to_end::by_hand::{beacons, complete_workflow, schedule_activity, start_timer};
use end_to_end::ways::{WayIn, signal_of, start_of};
use serde_json::{Value, json};
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{Command, DeleteWorkflow, RequestCancelWorkflow, StartWorkflow, TerminateWorkflow};

use crate::site::Site;

const RESULT: &str = "fine";

impl Site<'_> {
    /// Asks for something that must be accepted. When this resolves it has happened.
    async fn ask(&self, id: &str, command: impl Into<Command>) -> Result<()> {
        self.ways.accepted(WayIn::Record, id, command).await.map(drop)
    }

    /// The same for what must be refused because the run has ended.
    async fn is_too_late(&self, id: &str, command: impl Into<Command>) -> Result<()> {
        let asked = self.ways.ask(WayIn::Record, id, command).await?;
        ensure!(asked == Err("TW0207".to_owned()), "{id}: {asked:?}");
        Ok(())
    }

    async fn complete(&mut self, task: &Value) -> Result<()> {
        self.worker.decide(task, &[complete_workflow(&json!(RESULT))]).await
    }

    async fn ended_as(&self, id: &str, status: WorkflowStatus) -> Result<()> {
        let outcome = self.world.outcome(id).await?;
        ensure!(outcome.status == status, "{id}: {outcome:?}");
        Ok(())
    }

    /// The types of a history's events, once it has one of a type.
    async fn types_with(&self, id: &str, wanted: &str) -> Result<Vec<&'static str>> {
        self.world.event(id, |event| (event.event_type() == wanted).then_some(())).await?;
        let history = self.world.history(id).await?;
        Ok(history.iter().map(|event| event.attributes.event_type()).collect())
    }
}

fn is_before(types: &[&str], first: &str, second: &str) -> bool {
    let at = |wanted: &str| types.iter().position(|found| *found == wanted);
    at(first).zip(at(second)).is_some_and(|(first, second)| first < second)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_cancel_or_a_signal_against_completion_in_both_orders() -> Result<()> {
    let world = World::with_http().await?;
    let mut site = Site::on(&world)?;
    let asks: [(&str, &str, Command); 2] = [
        ("cancel", "WorkflowExecutionCancelRequested", RequestCancelWorkflow::default().into()),
        ("signal", "WorkflowExecutionSignaled", signal_of("s", &Value::Null)?.into()),
    ];
    for (id, event_type, command) in asks {
        // It comes while the task is out: the workflow hears it before it ends.
        let first = format!("{id}-first");
        let task = site.begun(&first).await?;
        site.ask(&first, command.clone()).await?;
        site.complete(&task).await?;
        let again = site.worker.workflow_task().await?;
        let told = again["events"].as_array().context("no events")?;
        ensure!(told.iter().any(|event| event["event_type"] == event_type), "{again}");
        ensure!(site.types_with(&first, event_type).await?.contains(&"WorkflowTaskFailed"));
        site.complete(&again).await?;
        site.ended_as(&first, WorkflowStatus::Completed).await?;
        // It comes after the end.
        let second = format!("{id}-second");
        let task = site.begun(&second).await?;
        site.complete(&task).await?;
        site.ended_as(&second, WorkflowStatus::Completed).await?;
        site.is_too_late(&second, command).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn timer_against_signal_in_both_orders() -> Result<()> {
    let world = World::with_http().await?;
    let mut site = Site::on(&world)?;
    // What comes while a task is out stands before what its completion begins to wait for.
    let task = site.begun("signal-first").await?;
    site.ask("signal-first", signal_of("s", &Value::Null)?).await?;
    site.worker.decide(&task, &[start_timer("t", 1)]).await?;
    let task = site.worker.workflow_task().await?;
    site.worker.decide(&task, &[]).await?;
    let types = site.types_with("signal-first", "TimerFired").await?;
    ensure!(is_before(&types, "WorkflowExecutionSignaled", "TimerFired"), "{types:?}");
    let task = site.worker.workflow_task().await?;
    site.complete(&task).await?;

    let task = site.begun("timer-first").await?;
    site.worker.decide(&task, &[start_timer("t", 1)]).await?;
    site.types_with("timer-first", "TimerFired").await?;
    site.ask("timer-first", signal_of("s", &Value::Null)?).await?;
    let task = site.worker.workflow_task().await?;
    site.worker.decide(&task, &[]).await?;
    let types = site.types_with("timer-first", "WorkflowExecutionSignaled").await?;
    ensure!(is_before(&types, "TimerFired", "WorkflowExecutionSignaled"), "{types:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_termination_against_a_workflow_task_in_both_orders() -> Result<()> {
    let world = World::with_http().await?;
    let mut site = Site::on(&world)?;
    let task = site.begun("termination-first").await?;
    site.ask("termination-first", TerminateWorkflow::default()).await?;
    let types = site.types_with("termination-first", "WorkflowExecutionTerminated").await?;
    ensure!(is_before(&types, "WorkflowTaskFailed", "WorkflowExecutionTerminated"), "{types:?}");
    site.complete(&task).await?;
    // What is asked after the completion is answered after it: it has come to nothing.
    site.is_too_late("termination-first", signal_of("s", &Value::Null)?).await?;
    site.ended_as("termination-first", WorkflowStatus::Terminated).await?;

    let task = site.begun("completion-first").await?;
    site.complete(&task).await?;
    site.ended_as("completion-first", WorkflowStatus::Completed).await?;
    site.is_too_late("completion-first", TerminateWorkflow::default()).await
}

/// Lets something that must happen within a limit happen until it was in time: how fast this machine is decides nothing.
async fn in_time(mut within: impl AsyncFnMut(&str, u64) -> Result<bool>) -> Result<()> {
    for limit_ms in [500, 4_000, 30_000] {
        if within(&format!("within-{limit_ms}"), limit_ms).await? {
            return Ok(());
        }
    }
    anyhow::bail!("it was never in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn completion_against_the_timeout_of_the_run_in_both_orders() -> Result<()> {
    let world = World::with_http().await?;
    let mut site = Site::on(&world)?;
    let start = StartWorkflow { workflow_run_timeout_ms: Some(1), ..start_of("T", "late", &Value::Null)? };
    let task = site.begun_as(start).await?;
    site.ended_as("late", WorkflowStatus::TimedOut).await?;
    site.complete(&task).await?;
    site.is_too_late("late", signal_of("s", &Value::Null)?).await?;
    site.ended_as("late", WorkflowStatus::TimedOut).await?;

    in_time(async |id, limit_ms| {
        let start = StartWorkflow { workflow_run_timeout_ms: Some(limit_ms), ..start_of("T", id, &Value::Null)? };
        let task = site.begun_as(start).await?;
        site.complete(&task).await?;
        let in_time = world.outcome(id).await?.status == WorkflowStatus::Completed;
        // Another run's timer that is due later has fired: this one's would have, too.
        let after = format!("after-{id}");
        let task = site.begun(&after).await?;
        site.worker.decide(&task, &[start_timer("t", limit_ms)]).await?;
        let task = site.worker.workflow_task().await?;
        site.complete(&task).await?;
        ensure!((world.outcome(id).await?.status == WorkflowStatus::Completed) == in_time, "the end has changed");
        Ok(in_time)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn completion_against_the_timeouts_of_an_activity_in_both_orders() -> Result<()> {
    let world = World::with_http().await?;
    let mut site = Site::on(&world)?;
    // All attempts together took too long: the activity is closed.
    let task = site.begun("too-late").await?;
    site.worker.decide(&task, &[schedule_activity("a", &json!({"schedule_to_close_timeout_ms": 1}))]).await?;
    site.types_with("too-late", "ActivityTaskTimedOut").await?;
    let activity = site.worker.activity_task().await?;
    site.worker.tell("CompleteActivity", &activity, json!({"result": 1})).await?;
    let task = site.worker.workflow_task().await?;
    site.complete(&task).await?;
    site.ended_as("too-late", WorkflowStatus::Completed).await?;
    ensure!(!site.types_with("too-late", "WorkflowExecutionCompleted").await?.contains(&"ActivityTaskCompleted"));

    // One attempt took too long, and the activity waits for its next: the late word closes it (R29).
    let task = site.begun("not-too-late").await?;
    let retry = json!({"start_to_close_timeout_ms": 1, "retry_policy": {"initial_interval_ms": 3_600_000}});
    site.worker.decide(&task, &[schedule_activity("a", &retry)]).await?;
    let activity = site.worker.activity_task().await?;
    let worker = json!({"identity": "by hand", "incarnation": "by-hand"});
    site.worker.tell("RecordActivityStarted", &activity, json!({ "worker": worker })).await?;
    let backs_off = |run: &tidewright_schemas::api::WorkflowDescription| {
        run.pending_activities.iter().any(|activity| activity.attempt == 2)
    };
    world.describe_until("not-too-late", "the attempt times out", backs_off).await?;
    site.worker.tell("CompleteActivity", &activity, json!({"result": 1})).await?;
    site.types_with("not-too-late", "ActivityTaskCompleted").await?;
    let task = site.worker.workflow_task().await?;
    site.complete(&task).await?;

    in_time(async |id, limit_ms| {
        let task = site.begun(id).await?;
        let limited = schedule_activity("a", &json!({"schedule_to_close_timeout_ms": limit_ms}));
        site.worker.decide(&task, &[limited, start_timer("later", limit_ms)]).await?;
        let activity = site.worker.activity_task().await?;
        site.worker.tell("CompleteActivity", &activity, json!({"result": 1})).await?;
        // Either end of the activity, and then the timer that is due no earlier than its timeout. The task says so: it may
        // be here before the event is committed and can be read (R18).
        let mut has_fired = false;
        while !has_fired {
            let task = site.worker.workflow_task_of(id).await?;
            has_fired =
                task["events"].as_array().into_iter().flatten().any(|event| event["event_type"] == "TimerFired");
            site.worker.decide(&task, &[]).await?;
        }
        let types = site.types_with(id, "TimerFired").await?;
        let ends =
            types.iter().filter(|found| found.starts_with("ActivityTaskCompleted") || found.ends_with("TimedOut"));
        ensure!(ends.count() == 1, "{types:?}");
        Ok(types.contains(&"ActivityTaskCompleted"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_or_a_signal_with_start_against_the_end_in_both_orders() -> Result<()> {
    let world = World::with_http().await?;
    let mut site = Site::on(&world)?;
    let start = |id: &str, request_id: &str| {
        Ok::<_, anyhow::Error>(StartWorkflow {
            request_id: Some(request_id.to_owned()),
            ..start_of("T", id, &Value::Null)?
        })
    };
    let task = site.begun("start").await?;
    let refused = site.ways.ask(WayIn::Record, "start", start("start", "r-1")?).await?;
    ensure!(refused == Err("TW0202".to_owned()), "{refused:?}");
    site.complete(&task).await?;
    site.ended_as("start", WorkflowStatus::Completed).await?;
    let next = site.begun_as(start("start", "r-1")?).await?;
    ensure!(next["run_id"] != task["run_id"], "the refused request starts after the end");
    site.complete(&next).await?;

    let both = |request_id: &str| end_to_end::ways::signal_with_start_of(start("both", request_id)?, "s", &json!(1));
    let task = site.begun("both").await?;
    let met = site.ways.accepted(WayIn::Record, "both", both("r-1")?).await?;
    ensure!(task["run_id"] == met.as_str());
    site.complete(&task).await?;
    let again = site.worker.workflow_task().await?;
    ensure!(again["run_id"] == met.as_str() && again["attempt"] == 2, "the run hears it before it ends: {again}");
    site.complete(&again).await?;
    site.ended_as("both", WorkflowStatus::Completed).await?;
    let opened = site.ways.accepted(WayIn::Record, "both", both("r-2")?).await?;
    let task = site.worker.workflow_task().await?;
    ensure!(opened != met && task["run_id"] == opened.as_str());
    let told = task["events"].as_array().context("no events")?;
    ensure!(told.iter().any(|event| event["event_type"] == "WorkflowExecutionSignaled"), "{task}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_against_completion_in_both_orders() -> Result<()> {
    let world = World::with_http().await?;
    let mut site = Site::on(&world)?;
    let is_unknown = async |site: &Site<'_>, id: &str| {
        let asked = site.ways.ask(WayIn::Record, id, signal_of("s", &Value::Null)?).await?;
        ensure!(asked == Err("TW0206".to_owned()), "{id}: {asked:?}");
        anyhow::Ok(())
    };
    let task = site.begun("deletion-first").await?;
    site.ask("deletion-first", DeleteWorkflow::default()).await?;
    site.complete(&task).await?;
    is_unknown(&site, "deletion-first").await?;

    let task = site.begun("completion-first").await?;
    site.complete(&task).await?;
    site.ended_as("completion-first", WorkflowStatus::Completed).await?;
    site.ask("completion-first", DeleteWorkflow::default()).await?;
    is_unknown(&site, "completion-first").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_a_worker_against_completion_in_both_orders() -> Result<()> {
    let mut world = World::with_http().await?;
    world.stop_engine().await;
    world.change_engine(|config| config.worker_silence = Duration::from_secs(1));
    world.start_engine().await?;
    let mut site = Site::on(&world)?;
    let (_stays, goes) = (beacons(&world, "stays"), beacons(&world, "goes"));
    let retry = json!({"retry_policy": {"initial_interval_ms": 1}});
    let mut activities = Vec::new();
    for id in ["loss-first", "completion-first"] {
        let task = site.begun(id).await?;
        site.worker.decide(&task, &[schedule_activity("a", &retry)]).await?;
        let activity = site.worker.activity_task().await?;
        let worker = json!({"identity": "goes", "incarnation": "goes"});
        site.worker.tell("RecordActivityStarted", &activity, json!({ "worker": worker })).await?;
        let is_started = |run: &tidewright_schemas::api::WorkflowDescription| {
            run.pending_activities.iter().any(|activity| activity.last_worker.as_deref() == Some("goes"))
        };
        world.describe_until(id, "its start is noted", is_started).await?;
        activities.push(activity);
    }
    site.worker.tell("CompleteActivity", &activities[1], json!({"result": 1})).await?;
    site.types_with("completion-first", "ActivityTaskCompleted").await?;
    drop(goes);
    // Only what it had begun and not completed begins again.
    let again = site.worker.activity_task().await?;
    ensure!(again["workflow_id"] == "loss-first" && again["attempt"] == 2, "{again}");
    // R29: the word of a worker that was taken for lost counts.
    site.worker.tell("CompleteActivity", &activities[0], json!({"result": 1})).await?;
    site.types_with("loss-first", "ActivityTaskCompleted").await?;
    site.worker.tell("CompleteActivity", &again, json!({"result": 2})).await?;
    for _ in 0..2 {
        let task = site.worker.workflow_task().await?;
        site.complete(&task).await?;
    }
    for id in ["loss-first", "completion-first"] {
        site.ended_as(id, WorkflowStatus::Completed).await?;
        let types = site.types_with(id, "WorkflowExecutionCompleted").await?;
        ensure!(types.iter().filter(|found| **found == "ActivityTaskCompleted").count() == 1, "{types:?}");
    }
    Ok(())
}
