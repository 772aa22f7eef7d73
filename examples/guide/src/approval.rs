//! A workflow with state: an expense is approved, rejected, or forgotten.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidewright::prelude::*;

/// What is to be decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Expense {
    pub amount_cents: u64,
    /// How long somebody has to decide.
    pub patience: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    Approved,
    Rejected,
}

#[derive(Default, Serialize)]
pub struct ExpenseApproval {
    decision: Option<Decision>,
    reminders: u32,
}

#[workflow]
impl ExpenseApproval {
    #[run]
    pub async fn run(ctx: &WorkflowContext<Self>, expense: Expense) -> WorkflowResult<Decision> {
        let decision = ctx.wait_for(|approval| approval.decision).timeout(expense.patience).await;
        match decision {
            Ok(decision) => Ok(decision),
            Err(TimeoutError::Elapsed(_)) => Ok(Decision::Rejected),
            Err(TimeoutError::Failed(canceled)) => Err(canceled.into()),
        }
    }

    /// The last word counts, until the workflow has heard the first.
    #[signal]
    pub fn decide(&mut self, decision: Decision) {
        self.decision = Some(decision);
    }

    #[signal]
    pub fn remind(&mut self) {
        self.reminders += 1;
    }

    #[query]
    pub fn status(&self) -> String {
        format!("{:?} after {} reminders", self.decision, self.reminders)
    }
}
