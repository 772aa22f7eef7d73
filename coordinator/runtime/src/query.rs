//! Queries: asks a worker about a workflow of a partition that this node owns, and tells only what history stands by.
//!
//! A query goes to the workflow's own partition of its task queue, behind the tasks that are there, and its answer comes
//! back over `replies`. It writes neither commands nor history. How many wait at the same time is bounded.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidewright_core::query::{self, Asked, OutgoingQuery, Standing};
use tidewright_core::read;
use tidewright_log::{CallError, Caller, Record, TopicKind};
use tidewright_schemas::api::{QueriedWorkflow, QueryWorkflow, history_url};
use tidewright_schemas::{Answer, QueryAnswered, QueryBasis, ReplyTo, RunId, TaskKind, WorkflowId, headers};
use tidewright_store::PartitionSnapshot;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::error::QueryError;
use crate::node::Node;
use crate::view::PartitionView;

/// How long a query waits for its answer unless it says so itself, and at most.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// How long a worker that is not there may take to come: one that is just started writes its first beacon sooner.
const WORKER_PATIENCE: Duration = Duration::from_secs(2);
/// How many queries of a node may wait for their answers at the same time.
const PENDING_MAX: usize = 1_000;

/// How long a query waits for its answer.
#[must_use]
pub fn query_timeout(query: &QueryWorkflow) -> Duration {
    query.timeout_ms.map_or(TIMEOUT_DEFAULT, Duration::from_millis).min(TIMEOUT_MAX)
}

/// Asks workers.
pub(crate) struct Queries {
    node: Arc<Node>,
    caller: Caller,
    pending: Semaphore,
}

/// A query of one run that is being asked.
struct Asking<'a> {
    queries: &'a Queries,
    view: &'a PartitionView,
    workflow_id: &'a WorkflowId,
    run_id: &'a RunId,
    query: &'a QueryWorkflow,
    deadline: Instant,
}

impl Queries {
    pub(crate) fn new(node: Arc<Node>, caller: Caller) -> Self {
        Self { node, caller, pending: Semaphore::new(PENDING_MAX) }
    }

    pub(crate) async fn ask(
        &self,
        view: &PartitionView,
        workflow_id: &WorkflowId,
        query: QueryWorkflow,
    ) -> Result<QueriedWorkflow, QueryError> {
        let _turn = self.pending.try_acquire().map_err(|_| QueryError::TooMany { pending_max: PENDING_MAX })?;
        let timeout = query_timeout(&query);
        let deadline = Instant::now() + timeout;
        let found = view.read(|rows| read::find_run(rows, workflow_id, query.run_id.as_ref()))?;
        let run_id = found.ok_or(QueryError::NotFound)?;
        let (run_id, query) = (&run_id, &query);
        let asking = Asking { queries: self, view, workflow_id, run_id, query, deadline };
        let Standing { status, task_queue, .. } = asking.standing()?;
        if query.query_reject_condition.rejects(status) {
            return Err(QueryError::Rejected { run_id: run_id.clone(), status });
        }
        self.check_worker(&task_queue, timeout / 2).await?;
        asking.heard(timeout / 2).await?;
        asking.answer().await
    }

    /// Nobody is kept waiting for a worker that is not there; but one that is just started may be waited for.
    async fn check_worker(&self, task_queue: &str, patience: Duration) -> Result<(), QueryError> {
        let patience = patience.min(WORKER_PATIENCE);
        if self.node.presence.is_served(TaskKind::Workflow, task_queue, patience).await {
            return Ok(());
        }
        Err(QueryError::NoWorker { task_queue: task_queue.to_owned() })
    }

    /// Sends a query once and waits for what comes back.
    async fn send(&self, outgoing: OutgoingQuery, deadline: Instant) -> Result<Answer, QueryError> {
        let OutgoingQuery { mut task, task_queue, traceparent } = outgoing;
        self.check_worker(&task_queue, Duration::ZERO).await?;
        let topic = self.node.topics.workflow_tasks(&task_queue);
        if !self.node.task_topics.is_known(&topic) {
            let ensured = self.node.task_topics.ensure(&topic, TopicKind::Tasks).await;
            ensured.map_err(|(_, problem)| QueryError::Unavailable(problem))?;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + left;
        task.expires_at_ms = u64::try_from(expires.as_millis()).unwrap_or(u64::MAX);
        let workflow_id = task.workflow_id.clone();
        let build = |reply_to: ReplyTo| {
            let correlation_id = reply_to.correlation_id.clone();
            task.reply_to = reply_to;
            let record = Record::to(topic)
                .key(task.workflow_id.as_str())
                // A wire type of our own always serialises: its maps have text keys.
                .value(serde_json::to_vec(&task).unwrap_or_default())
                .header(headers::CONTENT_TYPE, headers::JSON)
                .header(headers::SCHEMA_VERSION, headers::CURRENT_SCHEMA_VERSION)
                .header(headers::QUERY, correlation_id);
            match traceparent {
                Some(traceparent) => record.header(headers::TRACEPARENT, traceparent),
                None => record,
            }
        };
        self.caller.ask(&workflow_id, left, build).await.map_err(|error| match error {
            CallError::Timeout { .. } => QueryError::NotAnswered { workflow_id, task_queue },
            error => QueryError::Unavailable(error.to_string()),
        })
    }
}

impl Asking<'_> {
    /// Waits until the run has heard what it was told until now. Whoever fails or hangs is asked about what it did before.
    async fn heard(&self, wait: Duration) -> Result<(), QueryError> {
        let Some(hears_with) = self.standing()?.hears_with else { return Ok(()) };
        let look = |rows: &PartitionSnapshot<'_>| query::standing(rows, self.workflow_id, self.run_id);
        let has_heard = |standing: &Option<Standing>| standing.as_ref().is_none_or(|it| it.has_heard(hears_with));
        self.view.read_until_changed(self.workflow_id, wait, look, has_heard).await?;
        Ok(())
    }

    fn standing(&self) -> Result<Standing, QueryError> {
        let standing = self.view.read(|rows| query::standing(rows, self.workflow_id, self.run_id))?;
        standing.ok_or(QueryError::NotFound)
    }

    /// A worker's answer that history stands by.
    async fn answer(&self) -> Result<QueriedWorkflow, QueryError> {
        let mut exact = false;
        loop {
            let answer = self.queries.send(self.outgoing(exact)?, self.deadline).await?;
            let (basis, outcome) = match answer {
                Answer::QueryAnswered(QueryAnswered { basis, query_result }) => (Some(basis), Ok(query_result)),
                Answer::QueryFailed(failed) => (failed.basis.clone(), Err(failed)),
                other => {
                    return Err(QueryError::Unavailable(format!("the worker answered with {}", other.type_name())));
                }
            };
            let accepted = match &basis {
                // It failed before it came to any state.
                None => true,
                Some(basis) => self.was_accepted(basis).await?,
            };
            let run_id = self.run_id.clone();
            match outcome {
                // The worker was ahead of history, which went another way: only the state that history knows will do.
                _ if !accepted && !exact => exact = true,
                Ok(query_result) => {
                    let as_of_event_id = basis.map_or(0, |basis| basis.started_event_id);
                    return Ok(QueriedWorkflow { run_id, as_of_event_id, query_result });
                }
                Err(failed) => return Err(QueryError::Failed { run_id, failed: Box::new(failed) }),
            }
        }
    }

    fn outgoing(&self, exact: bool) -> Result<OutgoingQuery, QueryError> {
        let (id, run_id, node) = (self.workflow_id, self.run_id, &self.queries.node);
        let namespace = node.topics.namespace();
        let history_url = node.config.http_url.as_ref().map(|base| history_url(base, namespace, id, run_id));
        let asked = Asked { query: self.query.clone(), exact, history_url };
        let outgoing = self.view.read(|rows| query::query_task(rows, namespace, id, run_id, asked))?;
        match outgoing {
            Some(outgoing) => Ok(outgoing),
            None => Err(QueryError::NotReady { run_id: run_id.clone(), standing: Box::new(self.standing()?) }),
        }
    }

    /// Whether history has the completion that an answer was given after. It may still be on its way.
    async fn was_accepted(&self, basis: &QueryBasis) -> Result<bool, QueryError> {
        let wait = self.deadline.saturating_duration_since(Instant::now());
        let look = |rows: &PartitionSnapshot<'_>| query::was_accepted(rows, self.workflow_id, self.run_id, basis);
        let accepted = self.view.read_until_changed(self.workflow_id, wait, look, Option::is_some).await?;
        Ok(accepted.unwrap_or(false))
    }
}
