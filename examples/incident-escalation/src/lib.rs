//! An incident: whoever is on call is paged; if nobody acknowledges in time, the next person is.
//!
//! ```sh
//! cargo run -p incident-escalation
//! ```
//!
//! What it shows:
//! - A loop of waits in a workflow reads like the rule that people have agreed on.
//! - A signal ends the waiting whenever it comes: also while somebody is still being paged.
//! - A query tells who is on it right now, and costs no history.
//! - An activity that fails for good is an ordinary error: here the next person is paged at once.
//!
//! [`Escalation`] is the whole pattern; [`Pager`] stands for your paging service.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidewright::prelude::*;

/// Where the workers of this example listen.
pub const TASK_QUEUE: &str = "incidents";

/// What happened, and who is to be told: the workflow's input.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Incident {
    /// What happened.
    pub summary: String,
    /// Who is paged, one after the other.
    pub rota: Vec<OnCall>,
}

/// Somebody on the rota.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OnCall {
    /// Who.
    pub name: String,
    /// How long the next person is spared, in milliseconds.
    pub acknowledge_within_ms: u64,
}

/// How it ended: the workflow's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Who has taken the incident.
    pub by: String,
    /// Who had been paged until then.
    pub paged: Vec<String>,
}

/// Who is on it: what the query answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Who is expected to acknowledge.
    pub on_duty: Option<String>,
    /// Who has been paged so far, the one on duty included.
    pub paged: Vec<String>,
    /// Who has acknowledged.
    pub acknowledged_by: Option<String>,
}

/// Pages one person after the other until somebody acknowledges.
#[derive(Default, Serialize)]
pub struct Escalation {
    standing: Standing,
}

#[workflow]
impl Escalation {
    /// Goes through the rota. Fails with `NobodyAcknowledged` at its end.
    #[run]
    pub async fn run(ctx: &WorkflowContext<Self>, incident: Incident) -> WorkflowResult<Acknowledged> {
        for person in &incident.rota {
            ctx.state_mut(|escalation| escalation.standing.on_duty = Some(person.name.clone()));
            let page = Page { to: person.name.clone(), text: incident.summary.clone() };
            match ctx.activity(Pager::page, page).schedule_to_close(1.mins()).await {
                Ok(()) => ctx.state_mut(|escalation| escalation.standing.paged.push(person.name.clone())),
                Err(failed) if failed.is_canceled() => return Err(failed.into()),
                // Somebody who cannot be reached is not waited for.
                Err(_) => continue,
            }
            let patience = Duration::from_millis(person.acknowledge_within_ms);
            let acknowledged = ctx.wait_for(|escalation| escalation.standing.acknowledged_by.clone());
            match acknowledged.timeout(patience).await {
                Ok(by) => {
                    let paged = ctx.state(|escalation| escalation.standing.paged.clone());
                    return Ok(Acknowledged { by, paged });
                }
                Err(TimeoutError::Elapsed(_)) => {}
                Err(TimeoutError::Failed(canceled)) => return Err(canceled.into()),
            }
        }
        Err(WorkflowError::new("NobodyAcknowledged", format!("nobody takes care of: {}", incident.summary)))
    }

    /// Somebody takes the incident. The first one has it.
    #[signal]
    pub fn acknowledge(&mut self, by: String) {
        self.standing.acknowledged_by.get_or_insert(by);
    }

    /// Who is on it.
    #[query]
    pub fn standing(&self) -> Standing {
        self.standing.clone()
    }
}

/// Whom to page: what the activity is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page {
    /// Whom to page.
    pub to: String,
    /// What to tell them.
    pub text: String,
}

/// Pages people.
pub struct Pager {
    /// Whose number is unknown.
    pub unreachable: Arc<[String]>,
}

#[activities]
impl Pager {
    /// Pages somebody.
    #[activity(start_to_close = "10s")]
    async fn page(&self, page: Page) -> ActivityResult<()> {
        if self.unreachable.contains(&page.to) {
            return Err(ActivityError::non_retryable("Unreachable", format!("{} has no number", page.to)));
        }
        println!("Paging {}: {}", page.to, page.text);
        Ok(())
    }
}

/// A worker for incidents, which still has to be run.
pub fn worker(client: &Client, pager: Pager) -> Worker {
    Worker::new(client, TASK_QUEUE).workflow(Escalation::run).activities(pager)
}
