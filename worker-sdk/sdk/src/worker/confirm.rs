//! Asks whether a task that may be a repeat is still wanted (R25).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewright_client::Client;
use tidewright_schemas::{ActivityTask, Answer, ConfirmTask, TaskVerdict, WorkerIdentity, headers};

use super::measure::Meters;

/// How long one question waits for its answer; it is asked again until there is one.
const PATIENCE: Duration = Duration::from_secs(30);
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// A leave to run that was longer on its way is asked for once more: its owner may have died meanwhile, and the activity
/// may have been completed by whoever had the task before (ADR 0007).
const FRESH: Duration = Duration::from_millis(250);

/// Asks owners about tasks.
pub(crate) struct Confirmations {
    pub(crate) client: Client,
    pub(crate) worker: WorkerIdentity,
    pub(crate) meters: Arc<Meters>,
}

impl Confirmations {
    /// Whether to run the task. Without an answer there is nothing safe to do but to ask again.
    pub(crate) async fn ask(&self, task: &ActivityTask, traceparent: Option<&str>) -> TaskVerdict {
        let mut may_be_stale = true;
        loop {
            let asked = Instant::now();
            match self.ask_once(task, traceparent).await {
                Ok(TaskVerdict::Run) if may_be_stale && asked.elapsed() > FRESH => may_be_stale = false,
                Ok(verdict) => {
                    self.meters.confirmed(verdict);
                    return verdict;
                }
                Err(problem) => {
                    let (workflow_id, activity_type) = (&task.workflow_id, &task.activity_type);
                    tracing::warn!(%workflow_id, activity_type, "whether a task is still wanted is not known yet: {problem}");
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        }
    }

    async fn ask_once(&self, task: &ActivityTask, traceparent: Option<&str>) -> Result<TaskVerdict, String> {
        let trace = traceparent.map(|value| (headers::TRACEPARENT.to_owned(), value.as_bytes().to_vec()));
        let (token, worker) = (task.token.clone(), self.worker.clone());
        let caller = self.client.caller().await.map_err(|e| e.to_string())?;
        let build = |reply_to| ConfirmTask { token, worker, reply_to }.into();
        let answer = caller.call(&task.workflow_id, trace.into_iter().collect(), PATIENCE, build).await;
        match answer.map_err(|e| e.to_string())? {
            Answer::TaskConfirmed(confirmed) => Ok(confirmed.verdict),
            // What its owner rejects is not wanted.
            Answer::Rejected(rejected) => {
                let (workflow_id, code) = (&task.workflow_id, &rejected.code);
                tracing::warn!(%workflow_id, code, "a task is dropped: {}", rejected.message);
                Ok(TaskVerdict::Drop)
            }
            other => Err(format!("the answer {} is one to another question", other.type_name())),
        }
    }
}
