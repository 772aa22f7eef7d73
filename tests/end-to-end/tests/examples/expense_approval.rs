//! An expense is approved, or its time runs out.

use anyhow::{Context as _, ensure};
use end_to_end::{World, eventually, in_time};
use expense_approval::{Decision, Expense, ExpenseApproval, Outcome, Status, TASK_QUEUE, worker};
use serde_json::json;
use tidewright_schemas::EventAttributes;

fn approved(by: &str) -> Decision {
    Decision::Approved { by: by.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_expense_is_paid_and_the_first_word_counts() -> anyhow::Result<()> {
    let world = World::with_http().await?;
    let client = world.client()?;
    // As another service would write it: the time for the answer is the default.
    let expense: Expense =
        serde_json::from_value(json!({"employee": "Anna", "purpose": "a tide table", "amount_cents": 4_200}))?;
    let run = client.start(ExpenseApproval::run, expense).id("expense-1").task_queue(TASK_QUEUE).await?;
    run.signal(ExpenseApproval::decide, approved("Carol")).await?;
    run.signal(ExpenseApproval::decide, Decision::Rejected { reason: "too late".to_owned() }).await?;
    let _worker = world.run(worker(&client));
    let outcome = in_time("the workflow ends", run.result()).await??;
    ensure!(outcome.decision == approved("Carol"), "{outcome:?}");
    ensure!(outcome.payment_id.is_some_and(|payment| payment.starts_with("payment-")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expense_waits_a_week_by_default() -> anyhow::Result<()> {
    let world = World::with_http().await?;
    let client = world.client()?;
    let _worker = world.run(worker(&client));
    let expense: Expense =
        serde_json::from_value(json!({"employee": "Anna", "purpose": "a tide table", "amount_cents": 4_200}))?;
    let run = client.start(ExpenseApproval::run, expense).id("expense-2").task_queue(TASK_QUEUE).await?;
    let timer = world.event("expense-2", |event| match event {
        EventAttributes::TimerStarted(timer) => Some(timer.start_to_fire_timeout_ms),
        _ => None,
    });
    ensure!(timer.await? == 7 * 24 * 60 * 60 * 1_000);
    let status = || async { run.query(ExpenseApproval::status, ()).await.ok() };
    ensure!(eventually("a worker answers", status).await? == Status::Waiting);
    run.signal(ExpenseApproval::decide, approved("Carol")).await?;
    ensure!(in_time("the workflow ends", run.result()).await??.decision == approved("Carol"));
    ensure!(eventually("a worker answers", status).await? == Status::Decided(approved("Carol")));
    let timer_is_gone = |event: &EventAttributes| matches!(event, EventAttributes::TimerCanceled(_)).then_some(());
    world.event("expense-2", timer_is_gone).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expense_that_nobody_decides_on_is_rejected() -> anyhow::Result<()> {
    let world = World::with_http().await?;
    let client = world.client()?;
    let _worker = world.run(worker(&client));
    let expense = Expense {
        employee: "Ben".to_owned(),
        purpose: "an ice cream".to_owned(),
        amount_cents: 300,
        answer_within_ms: 200,
    };
    let run = client.start(ExpenseApproval::run, expense).id("expense-3").task_queue(TASK_QUEUE).await?;
    let Outcome { decision, payment_id } = in_time("the workflow ends", run.result()).await??;
    let Decision::Rejected { reason } = decision else { anyhow::bail!("{decision:?}") };
    ensure!(reason.contains("nobody answered") && payment_id.is_none(), "{reason}");
    let fired = |event: &EventAttributes| matches!(event, EventAttributes::TimerFired(_)).then_some(());
    world.event("expense-3", fired).await.context("the time ran out by a timer")
}
