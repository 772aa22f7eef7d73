//! Asks whether a task that may be a repeat is still wanted (R25).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewright_client::Client;
use tidewright_schemas::{
    ActivityTask, Answer, ConfirmTask, TaskVerdict, WorkerIdentity, WorkflowId, WorkflowTask, headers,
};

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

/// A task to ask for.
struct Asked<'a> {
    token: &'a str,
    workflow_id: &'a WorkflowId,
    /// Its workflow's or its activity's type, for people.
    what: &'a str,
    traceparent: Option<&'a str>,
}

impl Confirmations {
    /// Whether to run the task. Without an answer there is nothing safe to do but to ask again.
    pub(crate) async fn ask_for_activity(&self, task: &ActivityTask, traceparent: Option<&str>) -> TaskVerdict {
        let (token, workflow_id, what) = (&task.token, &task.workflow_id, &task.activity_type);
        self.ask(&Asked { token, workflow_id, what, traceparent }).await
    }

    /// Whether to advance a run by the task (R26).
    pub(crate) async fn ask_for_workflow(&self, task: &WorkflowTask, traceparent: Option<&str>) -> TaskVerdict {
        let (token, workflow_id, what) = (&task.token, &task.workflow_id, &task.workflow_type);
        self.ask(&Asked { token, workflow_id, what, traceparent }).await
    }

    async fn ask(&self, task: &Asked<'_>) -> TaskVerdict {
        let mut may_be_stale = true;
        loop {
            let asked = Instant::now();
            match self.ask_once(task).await {
                Ok(TaskVerdict::Run) if may_be_stale && asked.elapsed() > FRESH => may_be_stale = false,
                Ok(verdict) => {
                    self.meters.confirmed(verdict);
                    return verdict;
                }
                Err(problem) => {
                    let (workflow_id, what) = (task.workflow_id, task.what);
                    tracing::warn!(%workflow_id, what, "whether a task is still wanted is not known yet: {problem}");
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        }
    }

    async fn ask_once(&self, task: &Asked<'_>) -> Result<TaskVerdict, String> {
        let trace = task.traceparent.map(|value| (headers::TRACEPARENT.to_owned(), value.as_bytes().to_vec()));
        let (token, worker) = (task.token.to_owned(), self.worker.clone());
        let caller = self.client.caller().await.map_err(|e| e.to_string())?;
        let build = |reply_to| ConfirmTask { token, worker, reply_to }.into();
        let answer = caller.call(task.workflow_id, trace.into_iter().collect(), PATIENCE, build).await;
        match answer.map_err(|e| e.to_string())? {
            Answer::TaskConfirmed(confirmed) => Ok(confirmed.verdict),
            // What its owner rejects is not wanted.
            Answer::Rejected(rejected) => {
                let (workflow_id, code) = (task.workflow_id, &rejected.code);
                tracing::warn!(%workflow_id, code, "a task is dropped: {}", rejected.message);
                Ok(TaskVerdict::Drop)
            }
            other => Err(format!("the answer {} is one to another question", other.type_name())),
        }
    }
}
