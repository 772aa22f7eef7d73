//! How workflows are written: state, conditions, scopes, sagas, contracts, and what happens when code changes. The
//! workflows are those of the guide.

use std::future::IntoFuture as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use end_to_end::{Running, World};
use guide::approval::{Decision, Expense, ExpenseApproval};
use guide::order::{Gateway, Order, Warehouse, fulfil};
use guide::provisioning::{Nodes, add_node, fastest};
use guide::waiting::countdown;
use serde::de::DeserializeOwned;
use tidewright::prelude::*;
use tidewright::{RequestError, StartCall};
use tidewright_api::ApiServer;
use tidewright_schemas::EventAttributes;
use tidewright_schemas::api::{WorkflowOutcome, WorkflowStatus};
use tokio::task::JoinSet;

struct Site {
    world: World,
    client: Client,
    _workers: [Running; 2],
}

impl Site {
    async fn open() -> Result<Self> {
        let world = World::start().await?;
        let client = world.client()?;
        let ours = Worker::new(&client, "q").workflow(ExpenseApproval::run).workflow(fulfil).workflow(add_node);
        let ours = ours.workflow(fastest).workflow(countdown).activities(Warehouse).activities(Nodes);
        let payments = Worker::new(&client, "payments").activities(Gateway);
        let workers = [world.run(ours), world.run(payments)];
        Ok(Self { world, client, _workers: workers })
    }

    fn approval(&self, id: &str, patience: Duration) -> StartCall<Decision, ExpenseApproval> {
        let expense = Expense { amount_cents: 4_200, patience };
        self.client.start(ExpenseApproval::run, expense).id(id).task_queue("q")
    }

    /// Starts an order and waits for the end.
    async fn ordered(&self, id: &str, address: &str) -> Result<WorkflowOutcome> {
        let input = Order { id: id.to_owned(), cents: 4_200, address: address.to_owned() };
        self.client.start(fulfil, input).id(id).task_queue("q").await?;
        self.world.outcome(id).await
    }

    /// Waits until the history of a workflow has an event of this type, whose activity is this one.
    async fn asked_for(&self, id: &str, activity_type: &str) -> Result<()> {
        self.world
            .event(id, |event| match event {
                EventAttributes::ActivityTaskScheduled(e) if e.activity_type == activity_type => Some(()),
                _ => None,
            })
            .await
    }

    /// What a workflow returned, once it has ended.
    async fn result<T: DeserializeOwned>(&self, id: &str) -> Result<T> {
        let outcome = self.world.outcome(id).await?;
        ensure!(outcome.status == WorkflowStatus::Completed, "{outcome:?}");
        Ok(outcome.result.context("it returned nothing")?.read()?)
    }

    async fn count(&self, id: &str, event_type: &str) -> Result<usize> {
        let history = self.world.history(id).await?;
        Ok(history.iter().filter(|event| event.attributes.event_type() == event_type).count())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_comes_before_the_timeout_counts() -> Result<()> {
    let site = Site::open().await?;
    let run = site.approval("in-time", 7.days()).await?;
    run.signal(ExpenseApproval::remind, ()).await?;
    run.signal(ExpenseApproval::decide, Decision::Approved).await?;
    ensure!(site.result::<Decision>("in-time").await? == Decision::Approved);
    ensure!(site.count("in-time", "TimerCanceled").await? == 1);
    // With the start: it is there when the workflow begins, so there is no timer at all.
    site.approval("at-once", 7.days()).with_signal(ExpenseApproval::decide, Decision::Approved).await?;
    ensure!(site.result::<Decision>("at-once").await? == Decision::Approved);
    ensure!(site.count("at-once", "TimerStarted").await? == 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_comes_after_the_timeout_does_not() -> Result<()> {
    let site = Site::open().await?;
    site.approval("too-late", Duration::from_millis(1)).await?;
    ensure!(site.result::<Decision>("too-late").await? == Decision::Rejected);
    let late =
        site.client.workflow(ExpenseApproval::run, "too-late")?.signal(ExpenseApproval::decide, Decision::Approved);
    let late = late.await;
    ensure!(matches!(late, Err(RequestError::Closed { .. })), "{late:?}");
    ensure!(site.count("too-late", "TimerFired").await? == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_signals_that_race_with_the_timeout_end_every_workflow_one_way_or_the_other() -> Result<()> {
    let site = Site::open().await?;
    for n in 0..10_u64 {
        let run = site.approval(&format!("race-{n}"), Duration::from_millis(n * 10)).await?;
        let _ = run.signal(ExpenseApproval::decide, Decision::Approved).into_future().await;
        let decision: Decision = site.result(&format!("race-{n}")).await?;
        // Which one it was is in history: what comes first there has won.
        let history = site.world.history(&format!("race-{n}")).await?;
        let first = history.iter().find_map(|event| match event.attributes {
            EventAttributes::WorkflowExecutionSignaled(_) => Some(Decision::Approved),
            EventAttributes::TimerFired(_) => Some(Decision::Rejected),
            _ => None,
        });
        ensure!(first == Some(decision), "{decision:?} although {first:?} came first: {history:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_undoes_what_was_done_and_tells_what_it_could_not_undo() -> Result<()> {
    let site = Site::open().await?;
    ensure!(site.ordered("fine", "Main Street 1").await?.status == WorkflowStatus::Completed);

    let undone = site.ordered("undone", "nowhere").await?;
    let failure = undone.failure.context("no failure")?;
    ensure!(failure.error_type() == "Activity", "{failure:?}");
    ensure!(failure.cause.as_ref().is_some_and(|cause| cause.error_type() == "UnknownAddress"), "{failure:?}");
    let history = site.world.history("undone").await?;
    let activities: Vec<_> = history
        .iter()
        .filter_map(|event| match &event.attributes {
            EventAttributes::ActivityTaskScheduled(e) => Some((e.activity_type.as_str(), e.task_queue.as_str())),
            _ => None,
        })
        .collect();
    let expected = [("Reserve", "q"), ("Charge", "payments"), ("Ship", "q"), ("Refund", "payments"), ("Release", "q")];
    ensure!(activities == expected, "{activities:?}");

    let stuck = site.ordered("stuck", "nowhere").await?;
    let failure = stuck.failure.context("no failure")?;
    let failed = CompensationFailed::all_of(&failure);
    ensure!(failure.error_type() == "CompensationFailed" && failed.len() == 1, "{failure:?}");
    ensure!((failed[0].compensation.as_str(), failed[0].error_type.as_str()) == ("Release", "ShelfIsStuck"));
    let cause = failure.cause.and_then(|cause| cause.cause).context("no cause")?;
    ensure!(cause.error_type() == "UnknownAddress", "{cause:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_undoes_what_was_done_when_the_customer_cancels_while_a_step_is_in_flight() -> Result<()> {
    let site = Site::open().await?;
    let input = Order { id: "called-off".to_owned(), cents: 1, address: "moon".to_owned() };
    let run = site.client.start(fulfil, input).id("called-off").task_queue("q").await?;
    site.asked_for("called-off", "Ship").await?;
    run.cancel("the customer changed their mind").await?;
    ensure!(site.world.outcome("called-off").await?.status == WorkflowStatus::Canceled);
    site.asked_for("called-off", "Refund").await?;
    site.asked_for("called-off", "Release").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_is_asked_to_end_cleans_up_and_a_timer_of_ten_years_goes() -> Result<()> {
    let site = Site::open().await?;
    let run = site.client.start(add_node, "slow".to_owned()).id("in-flight").task_queue("q").await?;
    site.asked_for("in-flight", "Create").await?;
    run.cancel("not needed").await?;
    ensure!(site.world.outcome("in-flight").await?.status == WorkflowStatus::Canceled);
    site.asked_for("in-flight", "Delete").await?;

    let run = site.client.start(add_node, "quick".to_owned()).id("ten-years").task_queue("q").await?;
    let timer = site.world.event("ten-years", |event| match event {
        EventAttributes::TimerStarted(timer) => Some(timer.start_to_fire_timeout_ms),
        _ => None,
    });
    ensure!(timer.await? == 3_650 * 86_400_000);
    run.cancel("not needed").await?;
    ensure!(site.world.outcome("ten-years").await?.status == WorkflowStatus::Canceled);
    ensure!(site.count("ten-years", "TimerCanceled").await? == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_and_selects_compose() -> Result<()> {
    let site = Site::open().await?;
    let nodes = ("slow".to_owned(), "quick".to_owned());
    site.client.start(fastest, nodes).id("fastest").task_queue("q").await?;
    ensure!(site.result::<String>("fastest").await? == "quick");
    let run = site.client.start(countdown, 1).id("countdown").task_queue("q");
    run.with_signal(SignalDef::<u64>::new("pause"), 0_u64).await?;
    let said: String = site.result("countdown").await?;
    ensure!(said.starts_with("0 s late at "), "{said}");
    Ok(())
}

#[workflow(name = "Evolving")]
async fn evolving(ctx: &WorkflowContext) -> WorkflowResult<String> {
    ctx.receive(GO).await?;
    ctx.activity_named::<()>("Nothing", &()).start_to_close(10.secs()).detach();
    ctx.receive(GO).await?;
    Ok("done".to_owned())
}

/// The same with another call in place of the activity.
#[workflow(name = "Evolving")]
async fn changed(ctx: &WorkflowContext) -> WorkflowResult<String> {
    ctx.receive(GO).await?;
    ctx.sleep(10.secs()).await?;
    ctx.receive(GO).await?;
    Ok("done otherwise".to_owned())
}

/// Has nothing to do with the run that cannot go on.
#[workflow]
async fn bystander(ctx: &WorkflowContext) -> WorkflowResult<()> {
    ctx.sleep(1.millis()).await?;
    Ok(())
}

const GO: SignalDef<()> = SignalDef::new("go");

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_changed_code_cannot_follow_says_so_and_goes_on_after_a_fixed_deploy() -> Result<()> {
    // A worker that does not know the run reads its history over HTTP.
    let server = ApiServer::bind(([127, 0, 0, 1], 0).into()).await?;
    let url = format!("http://{}", server.local_addr());
    let mut world = World::without_engine().await?;
    world.change_engine(|config| config.http_url = Some(url));
    world.start_engine().await?;
    let serving = server.serve(world.engine()?.clone(), std::future::pending::<()>());
    let mut background = JoinSet::new();
    background.spawn(serving);
    let client = world.client()?;
    let deploy = |workflow| world.run(Worker::new(&client, "q").workflow(workflow).workflow(bystander));
    let first = deploy(evolving);
    let run = client.start(evolving, ()).id("evolving").task_queue("q").await?;
    run.signal(GO, ()).await?;
    let scheduled = |event: &EventAttributes| match event {
        EventAttributes::ActivityTaskScheduled(_) => Some(()),
        _ => None,
    };
    world.event("evolving", scheduled).await?;
    first.stop().await?;

    let broken = deploy(changed);
    run.signal(GO, ()).await?;
    let failure = |event: &EventAttributes| match event {
        EventAttributes::WorkflowTaskFailed(failed) => Some(failed.failure.message.clone()),
        _ => None,
    };
    let message = world.event("evolving", failure).await?;
    for part in ["TW0901: workflow evolving, run ", "\n- event ", "`Nothing`", "\n+ the code: the start of timer 1"] {
        ensure!(message.contains(part), "{part} is not in {message}");
    }
    ensure!(message.contains("workflow_model.rs:"), "{message}");
    client.start(bystander, ()).id("bystander").task_queue("q").await?;
    ensure!(world.outcome("bystander").await?.status == WorkflowStatus::Completed, "nothing else stops");
    broken.stop().await?;

    let _fixed = deploy(evolving);
    let outcome = world.outcome("evolving").await?;
    ensure!(outcome.status == WorkflowStatus::Completed, "{outcome:?}");
    Ok(())
}
