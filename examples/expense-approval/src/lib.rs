//! An expense waits for somebody to approve it: a week, if it must.
//!
//! ```sh
//! cargo run -p expense-approval
//! ```
//!
//! What it shows:
//! - A workflow with state is a struct. Signals change the state, queries read it, `wait_for` waits for it.
//! - To wait for a week costs a timer: no process, no thread, no connection stays open for it.
//! - The first of signal and timeout in the workflow's history wins, also after a crash.
//!
//! [`ExpenseApproval`] is the whole pattern; [`Office`] stands for your mail server and your ledger.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidewright::prelude::*;

/// Where the workers of this example listen.
pub const TASK_QUEUE: &str = "expenses";

/// What somebody paid for the company: the workflow's input.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Expense {
    /// Who paid.
    pub employee: String,
    /// What for.
    pub purpose: String,
    /// How much, in cents.
    pub amount_cents: u64,
    /// How long an approver may take, in milliseconds: a week unless it says otherwise.
    #[serde(default = "a_week_ms")]
    pub answer_within_ms: u64,
}

fn a_week_ms() -> u64 {
    7 * 24 * 60 * 60 * 1_000
}

/// What an approver says: the signal's input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// Pay it.
    Approved {
        /// Who says so.
        by: String,
    },
    /// Do not pay it.
    Rejected {
        /// Why.
        reason: String,
    },
}

/// Where an expense stands: what the query answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Nobody has decided yet.
    Waiting,
    /// Somebody has, or the time was up.
    Decided(Decision),
}

/// How it ended: the workflow's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What was decided.
    pub decision: Decision,
    /// The payment; none if there was none.
    pub payment_id: Option<String>,
}

/// Waits for a decision, and pays if it is a yes.
#[derive(Default, Serialize)]
pub struct ExpenseApproval {
    decision: Option<Decision>,
}

#[workflow]
impl ExpenseApproval {
    /// Asks an approver, waits, and settles the matter.
    #[run]
    pub async fn run(ctx: &WorkflowContext<Self>, expense: Expense) -> WorkflowResult<Outcome> {
        ctx.activity(Office::ask_approver, &expense).await?;

        let answer_within = Duration::from_millis(expense.answer_within_ms);
        let decision = match ctx.wait_for(|approval| approval.decision.clone()).timeout(answer_within).await {
            Ok(decision) => decision,
            Err(TimeoutError::Elapsed(_)) => Decision::Rejected { reason: "nobody answered in time".to_owned() },
            // Somebody called the whole workflow off.
            Err(TimeoutError::Failed(canceled)) => return Err(canceled.into()),
        };
        ctx.state_mut(|approval| approval.decision = Some(decision.clone()));

        let payment_id = match &decision {
            Decision::Approved { .. } => Some(ctx.activity(Office::pay, &expense).await?),
            Decision::Rejected { .. } => None,
        };
        Ok(Outcome { decision, payment_id })
    }

    /// An approver decides. The first word counts.
    #[signal]
    pub fn decide(&mut self, decision: Decision) {
        self.decision.get_or_insert(decision);
    }

    /// Where the expense stands.
    #[query]
    pub fn status(&self) -> Status {
        self.decision.clone().map_or(Status::Waiting, Status::Decided)
    }
}

/// What touches the world.
pub struct Office;

#[activities]
impl Office {
    /// Tells an approver that there is something to decide.
    #[activity(start_to_close = "10s")]
    async fn ask_approver(&self, ctx: &ActivityContext, expense: Expense) -> ActivityResult<()> {
        let Expense { employee, purpose, amount_cents, .. } = expense;
        let id = ctx.workflow_id();
        println!("To the approver: {employee} asks for {amount_cents} cents for {purpose}. Decide on `{id}`.");
        Ok(())
    }

    /// Pays the employee, once for each idempotency key: an activity runs at least once.
    #[activity(start_to_close = "10s")]
    async fn pay(&self, ctx: &ActivityContext, _expense: Expense) -> ActivityResult<String> {
        Ok(format!("payment-{}", ctx.idempotency_key()))
    }
}

/// A worker for expenses, which still has to be run.
pub fn worker(client: &Client) -> Worker {
    Worker::new(client, TASK_QUEUE).workflow(ExpenseApproval::run).activities(Office)
}
