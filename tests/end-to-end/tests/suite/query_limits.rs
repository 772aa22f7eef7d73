//! How many queries may wait: for a node, for a worker. What nobody waits for any more is dropped.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Poll;

use anyhow::{Context as _, Result, bail, ensure};
use end_to_end::by_hand::{ByHand, beacons};
use end_to_end::ways::{WayIn, Ways, start_of};
use end_to_end::{World, eventually};
use serde_json::Value;
use tidewright::prelude::*;
use tidewright_log::{LogReader, ReaderOptions, Received, Record, StartAt};
use tidewright_runtime::QueryError;
use tidewright_schemas::api::QueryWorkflow;
use tidewright_schemas::{
    Answer, EventAttributes, QueryBasis, QueryFailedCause, QueryTask, Reply, ReplyTo, WorkflowId, headers,
};
use tokio::task::JoinSet;

/// How many a node, and how many a worker, takes.
const OPEN_MAX: usize = 1_000;
/// When nobody waits any more: long ago, or in the year 2100.
const EXPIRED: u64 = 1;
const IN_TIME: u64 = 4_102_444_800_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_takes_so_many_queries_and_says_of_one_more_that_it_is_too_many() -> Result<()> {
    let world = World::with_http().await?;
    let (ways, mut worker, _beacons) = (Ways::into(&world)?, ByHand::of(&world)?, beacons(&world, "silent"));
    ways.accepted(WayIn::Record, "asked", start_of("T", "asked", &Value::Null)?).await?;
    let task = worker.workflow_task().await?;
    worker.decide(&task, &[]).await?;
    let has_run = |event: &EventAttributes| matches!(event, EventAttributes::WorkflowTaskCompleted(_)).then_some(());
    world.event("asked", has_run).await?;
    let (id, engine) = (WorkflowId::new("asked")?, world.engine()?);
    let query = |timeout_ms| QueryWorkflow {
        query_type: "silence".to_owned(),
        timeout_ms: Some(timeout_ms),
        ..QueryWorkflow::default()
    };
    let no_answer = async || {
        let answer = engine.query(&id, query(1)).await;
        matches!(answer, Err(QueryError::NotAnswered { .. })).then_some(())
    };
    eventually("it is known that a worker is there", no_answer).await?;

    // A worker that does not answer keeps each waiting for its time.
    let (mut waiting, asked) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..OPEN_MAX {
        let (engine, id, query, asked) = (engine.clone(), id.clone(), query(60_000), Arc::clone(&asked));
        waiting.spawn(async move {
            let mut answer = pin!(engine.query(&id, query));
            let first = futures::poll!(&mut answer);
            asked.fetch_add(1, Ordering::SeqCst);
            match first {
                Poll::Ready(answered) => answered,
                Poll::Pending => answer.await,
            }
        });
    }
    eventually("all were asked", || async { (asked.load(Ordering::SeqCst) == OPEN_MAX).then_some(()) }).await?;
    let one_more = engine.query(&id, query(1)).await;
    let Err(too_many @ QueryError::TooMany { .. }) = one_more else { bail!("{one_more:?}") };
    ensure!(too_many.code() == Some("TW0632"), "{too_many}");
    if let Some(refused) = waiting.try_join_next() {
        bail!("one of {OPEN_MAX} was refused: {refused:?}");
    }
    // Whoever goes away makes room for another.
    waiting.shutdown().await;
    let again = engine.query(&id, query(1)).await;
    ensure!(matches!(again, Err(QueryError::NotAnswered { .. })), "{again:?}");
    Ok(())
}

/// Closed until the test opens it.
static GATE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

#[derive(Default)]
struct Asked;

#[workflow]
impl Asked {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {
        Ok(ctx.receive_named::<()>("never").await?)
    }

    #[query]
    fn name(&self) -> String {
        "asked".to_owned()
    }

    /// Holds up the worker's only turn.
    #[query]
    fn blocks(&self) -> String {
        let (lock, opened) = &GATE;
        let is_open = lock.lock().unwrap_or_else(PoisonError::into_inner);
        drop(opened.wait_while(is_open, |is_open| !*is_open));
        "opened".to_owned()
    }
}

/// Puts queries on the task queue as a node does.
struct Asking<'a> {
    world: &'a World,
    task: QueryTask,
}

impl<'a> Asking<'a> {
    /// About a run that waits.
    async fn about(world: &'a World, id: &str) -> Result<Self> {
        let completion = |event: &EventAttributes| match event {
            EventAttributes::WorkflowTaskCompleted(completed) => Some(completed.clone()),
            _ => None,
        };
        let completed = world.event(id, completion).await?;
        let run = world.describe_until(id, "it can be described", |_| true).await?;
        let events = world.history(id).await?;
        let basis = QueryBasis { started_event_id: completed.started_event_id, completion_id: completed.completion_id };
        let task = QueryTask {
            namespace: world.topics.namespace().to_owned(),
            workflow_id: WorkflowId::new(id)?,
            run_id: run.summary.run_id,
            workflow_type: run.summary.workflow_type,
            query_type: String::new(),
            query_args: None,
            header: BTreeMap::new(),
            basis,
            exact: false,
            last_event_id: events.len() as u64,
            events,
            history_url: None,
            expires_at_ms: 0,
            reply_to: ReplyTo { partition: 0, correlation_id: String::new() },
        };
        Ok(Self { world, task })
    }

    async fn ask(&self, query_type: &str, correlation_id: &str, expires_at_ms: u64) -> Result<()> {
        let reply_to = ReplyTo { partition: 0, correlation_id: correlation_id.to_owned() };
        let task = QueryTask { query_type: query_type.to_owned(), expires_at_ms, reply_to, ..self.task.clone() };
        let record = Record::to(self.world.topics.workflow_tasks("q"))
            .key(task.workflow_id.as_str())
            .value(serde_json::to_vec(&task)?)
            .header(headers::QUERY, correlation_id);
        self.world.producer.send(record).await.await?;
        Ok(())
    }

    /// All answers to queries, once there is one with this correlation id.
    async fn answers_with(&self, last: &str) -> Result<BTreeMap<String, Answer>> {
        let read = |received: &Received| {
            let reply = serde_json::from_slice::<Reply>(received.value.as_deref().unwrap_or_default()).ok();
            let is_of_query = |reply: &Reply| matches!(reply.answer, Answer::QueryAnswered(_) | Answer::QueryFailed(_));
            reply.filter(is_of_query).map(|reply| (reply.correlation_id, reply.answer))
        };
        let (replies, kafka) = (self.world.topics.replies(), self.world.kafka.config());
        let is_last = |received: &Received| read(received).is_some_and(|(id, _)| id == last);
        self.world.records(&replies, 1, is_last).await.with_context(|| format!("{last} is not answered"))?;
        let mut log = LogReader::new(&kafka, &ReaderOptions::default())?.open(&replies, 0, StartAt::Beginning).await?;
        let mut answers = BTreeMap::new();
        while log.position() < log.end_at_open() {
            answers.extend(log.next_batch(1_000, 1 << 20).await?.records.iter().filter_map(read));
        }
        Ok(answers)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_takes_so_many_queries_refuses_one_more_and_drops_what_nobody_waits_for() -> Result<()> {
    let world = World::with_http().await?;
    let client = world.client()?;
    let mut options = WorkerOptions::default();
    options.max_concurrent_workflow_tasks = 2;
    let _worker = world.run(Worker::new(&client, "q").options(options).workflow(Asked::run));
    client.start(Asked::run, ()).id("asked").task_queue("q").await?;
    let asking = Asking::about(&world, "asked").await?;
    // One that nobody waits for any more when the worker comes to it.
    asking.ask("name", "expired-0", EXPIRED).await?;
    asking.ask("name", "first", IN_TIME).await?;
    let answers = asking.answers_with("first").await?;
    ensure!(matches!(answers["first"], Answer::QueryAnswered(_)) && answers.len() == 1, "{answers:?}");

    // One has the only turn, and the others wait behind it: as many as may, and one more.
    asking.ask("blocks", "blocked", IN_TIME).await?;
    for number in 1..OPEN_MAX {
        let (id, expires) = if number % 100 == 0 { ("waits", IN_TIME) } else { ("expired", EXPIRED) };
        asking.ask("name", &format!("{id}-{number}"), expires).await?;
    }
    asking.ask("name", "one-more", IN_TIME).await?;
    let answers = asking.answers_with("one-more").await?;
    let Answer::QueryFailed(refused) = &answers["one-more"] else { bail!("{answers:?}") };
    ensure!(refused.cause == QueryFailedCause::WorkerBusy, "{refused:?}");
    ensure!(answers.len() == 2, "{answers:?}");

    *GATE.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    GATE.1.notify_all();
    asking.answers_with(&format!("waits-{}", OPEN_MAX - 100)).await?;
    asking.ask("name", "last", IN_TIME).await?;
    let answers = asking.answers_with("last").await?;
    ensure!(answers.values().filter(|answer| matches!(answer, Answer::QueryAnswered(_))).count() == OPEN_MAX / 100 + 2);
    ensure!(answers.keys().all(|id| !id.starts_with("expired")), "{:?}", answers.keys());
    Ok(())
}
