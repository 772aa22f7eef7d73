//! Two expenses: one waits in vain, the other one is approved.

use expense_approval::{Decision, Expense, ExpenseApproval, TASK_QUEUE, worker};
use playground::Playground;
use tidewright::Client;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let playground = Playground::start().await?;
    let client = playground.client();
    playground.tell(worker(&client), story(client)).await
}

async fn story(client: Client) -> anyhow::Result<()> {
    let expense = |employee: &str, answer_within_ms| Expense {
        employee: employee.to_owned(),
        purpose: "a tide table".to_owned(),
        amount_cents: 4_200,
        answer_within_ms,
    };
    // A week is too long for a demonstration.
    let ben = client.start(ExpenseApproval::run, expense("Ben", 2_000)).task_queue(TASK_QUEUE).await?;
    println!("Ben's expense waits for 2 seconds …");
    println!("Ben's expense: {:?}", ben.result().await?);

    let anna = client.start(ExpenseApproval::run, expense("Anna", 60_000)).task_queue(TASK_QUEUE).await?;
    println!("Anna's expense: {:?}", anna.query(ExpenseApproval::status, ()).await?);
    anna.signal(ExpenseApproval::decide, Decision::Approved { by: "Carol".to_owned() }).await?;
    println!("Anna's expense: {:?}", anna.result().await?);
    Ok(())
}
