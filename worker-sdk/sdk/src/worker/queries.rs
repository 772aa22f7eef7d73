//! Answers queries: from a run that this worker holds, or from one that is replayed for the purpose.
//!
//! It promises: a query changes nothing that others see, whatever its code does. That code runs on a thread of its own, so
//! that one that blocks holds up no executor, and its run for a bounded time only; what panics costs its run its place in
//! the cache. Queries have turns of their own and take no slots from workflow tasks.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use metrics::{Counter, counter};
use tidewright_client::HistoryPages;
use tidewright_log::{Producer, Received, Record};
use tidewright_replay::{Run, RunInfo};
use tidewright_schemas::limits::PAYLOAD_BYTES_MAX;
use tidewright_schemas::{Answer, EventId, HistoryEvent, QueryAnswered, QueryFailedCause, QueryTask, Reply, headers};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use super::cache::CachedRun;
use super::offsets::Position;
use super::query_answer::{self, Problem};
use super::turns::{Turn, Turns};
use crate::registry::Registry;

/// Most queries that are taken and not answered; more are refused at once.
const OPEN_MAX: usize = 1_000;
/// How long a query may keep a run from a workflow task that waits for it.
const HOLD_MAX: Duration = Duration::from_secs(5);

/// A query that was taken.
pub(crate) struct QueryJob {
    pub(crate) query: QueryTask,
    pub(crate) position: Position,
}

/// A run that is held for a query.
pub(crate) struct Held {
    pub(crate) run: CachedRun,
    /// Told when a workflow task waits for the run.
    pub(crate) wanted: Arc<Notify>,
}

/// A query that is done with.
pub(crate) struct QueryDone {
    pub(crate) position: Position,
    /// Whether it held the run.
    pub(crate) held: bool,
    /// The run that it held, or one that it replayed and that may be kept.
    pub(crate) run: Option<CachedRun>,
}

/// The queries of one worker.
pub(crate) struct Queries {
    desk: Arc<Desk>,
    turns: Turns<QueryJob>,
    open: usize,
}

/// What answering takes.
pub(crate) struct Desk {
    registry: Arc<Registry>,
    history: HistoryPages,
    producer: Producer,
    replies: String,
    answered: Counter,
    failed: Counter,
    expired: Counter,
}

impl Desk {
    pub(crate) fn new(
        registry: Arc<Registry>,
        history: HistoryPages,
        (producer, replies): (Producer, String),
        (namespace, task_queue): (&str, &str),
    ) -> Self {
        let count = |result: &'static str| {
            let labels =
                [("namespace", namespace.to_owned()), ("task_queue", task_queue.to_owned()), ("result", result.into())];
            counter!("tidewright_query_tasks_total", &labels)
        };
        let (answered, failed, expired) = (count("answered"), count("failed"), count("expired"));
        Self { registry, history, producer, replies, answered, failed, expired }
    }
}

impl Queries {
    /// Answers at most half as many queries at a time as there are slots for workflow tasks.
    pub(crate) fn new(desk: Desk, workflow_task_slots: usize) -> Self {
        Self { desk: Arc::new(desk), turns: Turns::new((workflow_task_slots / 2).max(1)), open: 0 }
    }

    /// Whether a record is a query.
    pub(crate) fn is_query(record: &Received) -> bool {
        record.header(headers::QUERY).is_some()
    }

    /// Takes a query. Too many are refused: what is returned says so.
    pub(crate) fn take(&mut self, job: QueryJob) -> Result<QueryJob, BoxFuture<'static, QueryDone>> {
        self.open += 1;
        if self.open <= OPEN_MAX {
            return Ok(job);
        }
        let desk = Arc::clone(&self.desk);
        Err(Box::pin(async move {
            let problem = Problem::new(
                QueryFailedCause::WorkerBusy,
                "WorkerBusy",
                format!("the worker has {OPEN_MAX} queries already; ask again in a moment"),
            );
            desk.reply(&job.query, problem.into_answer(None)).await;
            QueryDone { position: job.position, held: false, run: None }
        }))
    }

    /// A turn for one more query. Without one the query waits.
    pub(crate) fn turn(&mut self, job: QueryJob) -> Option<(QueryJob, Turn)> {
        self.turns.take(job)
    }

    /// The next query that waits, if there is a turn for it.
    pub(crate) fn next(&mut self) -> Option<QueryJob> {
        self.turns.next()
    }

    /// Resolves when there may be a turn for a query that waits.
    pub(crate) fn freed(&self) -> impl Future<Output = ()> + use<> {
        self.turns.freed()
    }

    /// A query is done with.
    pub(crate) fn done(&mut self) {
        self.open -= 1;
    }

    /// Drops queries that wait for a turn, but that nobody waits for any more: a code that blocks for ever must not keep
    /// their offsets from being committed.
    pub(crate) fn drop_expired(&mut self) -> Vec<Position> {
        let expired = self.turns.give_up(|job| left(&job.query).is_zero());
        self.open -= expired.len();
        self.desk.expired.increment(expired.len() as u64);
        expired.into_iter().map(|job| job.position).collect()
    }

    /// Answers a query: from the run that is held for it, or else from history.
    pub(crate) fn answer(
        &self,
        job: QueryJob,
        held: Option<Held>,
        turn: Turn,
    ) -> impl Future<Output = QueryDone> + use<> {
        let desk = Arc::clone(&self.desk);
        async move {
            let is_held = held.is_some();
            let run = desk.answer(job.query, held, turn).await;
            QueryDone { position: job.position, held: is_held, run }
        }
    }
}

impl Desk {
    async fn answer(self: &Arc<Self>, query: QueryTask, held: Option<Held>, turn: Turn) -> Option<CachedRun> {
        let left = left(&query);
        if left.is_zero() {
            self.expired.increment(1);
            return held.map(|held| held.run);
        }
        let wanted = held.as_ref().map(|held| Arc::clone(&held.wanted));
        let (query, began) = (Arc::new(query), Instant::now());
        let told = self.on_a_thread(Arc::clone(&query), held.map(|held| held.run), turn);
        let enough = async {
            match wanted {
                Some(wanted) => wanted.notified().await,
                None => std::future::pending().await,
            }
            tokio::time::sleep(HOLD_MAX).await;
        };
        let (answer, run) = tokio::select! {
            told = told => told.unwrap_or_else(|_| {
                let problem = Problem::handler("QueryThread", "the worker could not run the query");
                (problem.into_answer(None), None)
            }),
            () = enough => (blocked(&query, began).into_answer(None), None),
            () = tokio::time::sleep(left) => (blocked(&query, began).into_answer(None), None),
        };
        self.reply(&query, answer).await;
        run
    }

    /// Runs the query where user code may block. The turn is taken until it returns.
    fn on_a_thread(
        self: &Arc<Self>,
        query: Arc<QueryTask>,
        held: Option<CachedRun>,
        turn: Turn,
    ) -> oneshot::Receiver<(Answer, Option<CachedRun>)> {
        let (tell, told) = oneshot::channel();
        let (desk, runtime) = (Arc::clone(self), Handle::current());
        let work = move || {
            let replayed = match held {
                Some(cached) => Ok((cached, true)),
                None => runtime.block_on(desk.replay(&query)),
            };
            let answered = match replayed {
                Err(problem) => (problem.into_answer(None), None),
                Ok((cached, may_be_kept)) => ask(&query, cached, may_be_kept),
            };
            drop(turn);
            // Nobody may listen any more.
            let _ = tell.send(answered);
        };
        if let Err(error) = std::thread::Builder::new().name("query".to_owned()).spawn(work) {
            tracing::error!("a thread for a query cannot be started: {error}");
        }
        told
    }

    /// Brings a run to the state that is asked about; and says whether it may serve as a cached one.
    async fn replay(&self, query: &QueryTask) -> Result<(CachedRun, bool), Problem> {
        let Some(start) = self.registry.workflow(&query.workflow_type) else {
            let (workflow_type, known) = (&query.workflow_type, self.registry.workflow_names());
            let message =
                format!("workflow type `{workflow_type}` is not registered with this worker, which knows [{known}]");
            return Err(Problem::new(
                QueryFailedCause::WorkflowTypeNotRegistered,
                "WorkflowTypeNotRegistered",
                message,
            ));
        };
        let info = RunInfo {
            namespace: query.namespace.clone(),
            workflow_id: query.workflow_id.clone(),
            run_id: query.run_id.clone(),
            workflow_type: query.workflow_type.clone(),
        };
        let mut replayed =
            Replayed { run: Run::new(info, start), last_event_id: query.last_event_id, has_ended: false };
        if query.events.is_empty() {
            let url = query.history_url.as_ref().ok_or_else(|| Problem::history("the query names no history_url"))?;
            let mut pages = self.history.range(url, 1, query.last_event_id + 1);
            while let Some(events) = pages.next().await.map_err(|e| Problem::history(e.to_string()))? {
                replayed.apply(&events)?;
            }
        } else {
            replayed.apply(&query.events)?;
        }
        let (run, may_be_kept) = (replayed.run, !replayed.has_ended);
        let (completion_id, started_event_id) = (query.basis.completion_id.clone(), query.basis.started_event_id);
        Ok((CachedRun { run, completion_id, started_event_id, token: String::new() }, may_be_kept))
    }

    /// Answers; whoever asked may not wait any more.
    async fn reply(&self, query: &QueryTask, answer: Answer) {
        match &answer {
            Answer::QueryAnswered(_) => self.answered.increment(1),
            _ => self.failed.increment(1),
        }
        let correlation_id = query.reply_to.correlation_id.clone();
        let reply = Reply { correlation_id, workflow_id: query.workflow_id.clone(), answer };
        let record = Record::to(&self.replies)
            .partition(u32::try_from(query.reply_to.partition).unwrap_or(u32::MAX >> 1))
            .key(query.workflow_id.as_str())
            // A wire type of our own always serialises: its maps have text keys.
            .value(serde_json::to_vec(&reply).unwrap_or_default())
            .header(headers::CONTENT_TYPE, headers::JSON)
            .header(headers::SCHEMA_VERSION, headers::CURRENT_SCHEMA_VERSION);
        let sent = async { self.producer.send(record).await.await };
        match tokio::time::timeout(left(query).max(Duration::from_millis(1)), sent).await {
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) => {
                tracing::warn!(workflow_id = %query.workflow_id, "the answer to a query is not delivered: {error}")
            }
        }
    }
}

/// A run that is replayed for a query.
struct Replayed {
    run: Run,
    last_event_id: EventId,
    has_ended: bool,
}

impl Replayed {
    fn apply(&mut self, events: &[HistoryEvent]) -> Result<(), Problem> {
        for event in events.iter().take_while(|event| event.event_id <= self.last_event_id) {
            self.run.apply(event).map_err(|error| Problem::replay(&error))?;
            self.has_ended |= event.attributes.closes_as().is_some();
        }
        Ok(())
    }
}

/// The answer of a run; and the run, if it may be kept.
fn ask(query: &QueryTask, cached: CachedRun, may_be_kept: bool) -> (Answer, Option<CachedRun>) {
    let basis = cached.basis();
    match query_answer::of(&cached.run, query) {
        Ok(result) if result.size() > PAYLOAD_BYTES_MAX => {
            let bytes = result.size();
            let message = format!(
                "the result of query `{}` takes {bytes} bytes, and at most {PAYLOAD_BYTES_MAX} are allowed",
                query.query_type
            );
            (
                Problem::handler("QueryResultTooLarge", message).into_answer(Some(basis)),
                Some(cached).filter(|_| may_be_kept),
            )
        }
        Ok(result) => {
            let answered = QueryAnswered { basis, query_result: Some(result) };
            (answered.into(), Some(cached).filter(|_| may_be_kept))
        }
        Err(problem) => {
            let keep = may_be_kept && !problem.spoils_the_run;
            (problem.into_answer(Some(basis)), Some(cached).filter(|_| keep))
        }
    }
}

/// The query is given up, and its run with it.
fn blocked(query: &QueryTask, began: Instant) -> Problem {
    let (query_type, waited) = (&query.query_type, began.elapsed());
    let message = format!("query `{query_type}` has no result after {waited:?}: its code, or the workflow's, blocks");
    tracing::error!(workflow_id = %query.workflow_id, run_id = %query.run_id, "{message}");
    Problem::handler("QueryBlocked", message)
}

/// How long somebody waits for the answer, as far as the clocks agree.
fn left(query: &QueryTask) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(query.expires_at_ms).saturating_sub(now)
}
