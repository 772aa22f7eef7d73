//! An engine on a Kafka, and what a test does from outside.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tidewright::{Client, ClientConfig, Worker, WorkerError};
use tidewright_api::{ApiError, ApiServer};
use tidewright_log::{
    GroupConsumer, GroupError, GroupEvent, GroupOptions, LogReader, Producer, ReaderOptions, Received, Record, StartAt,
};
use tidewright_owner::trust::Secret;
use tidewright_runtime::{Engine, EngineConfig, PendingPage, Route};
use tidewright_schemas::api::{HistoryPage, WorkflowDescription, WorkflowOutcome, WorkflowStatus};
use tidewright_schemas::topics::Topics;
use tidewright_schemas::{ActivityTaskStarted, EventAttributes, HistoryEvent, RunId, WorkflowId};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinSet;

use crate::Kafka;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `check` yields something.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, check: impl FnMut() -> F) -> anyhow::Result<T> {
    eventually_within(PATIENCE, what, check).await
}

async fn eventually_within<T, F: Future<Output = Option<T>>>(
    patience: Duration,
    what: &str,
    mut check: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = check().await {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("within {patience:?} it did not happen that {what}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for what must come, but not for ever.
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> anyhow::Result<T> {
    let outcome = tokio::time::timeout(PATIENCE, future).await;
    outcome.with_context(|| format!("within {PATIENCE:?} it did not happen that {what}"))
}

/// A Kafka with topics of a test's own, and an engine on it.
pub struct World {
    pub kafka: Kafka,
    pub topics: Topics,
    pub producer: Producer,
    engine: Option<Engine>,
    /// Ends when it is dropped.
    api: JoinSet<Result<(), ApiError>>,
    state: tempfile::TempDir,
    config: EngineConfig,
}

/// A worker that runs.
pub struct Running {
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), WorkerError>>,
}

impl Running {
    /// Stops it in good order, and waits until it has.
    pub async fn stop(self) -> anyhow::Result<()> {
        // It may have ended by itself.
        let _ = self.stop.send(());
        Ok(tokio::time::timeout(PATIENCE, self.task).await.context("the worker does not end")???)
    }

    /// Ends it as a crash would: without a word to anybody.
    pub async fn crash(self) {
        self.task.abort();
        // It was told to end, so how it ends is known.
        let _ = self.task.await;
    }
}

/// A task or another record that a test took from a topic, as a worker would.
pub struct Taken {
    pub received: Received,
}

impl Taken {
    /// Its value as JSON.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_slice(self.received.value.as_deref().unwrap_or_default())?)
    }
}

impl Drop for World {
    /// Stops the engine before the directory of its state goes: RocksDB waits for a second after each file that it cannot
    /// write, and lets all other stores of the process wait with it.
    fn drop(&mut self) {
        let Some(engine) = self.engine.take() else { return };
        if Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread) {
            tokio::task::block_in_place(|| Handle::current().block_on(engine.shutdown()));
        }
    }
}

impl World {
    /// A world with an engine that owns all partitions.
    pub async fn start() -> anyhow::Result<Self> {
        let mut world = Self::without_engine().await?;
        world.start_engine().await?;
        Ok(world)
    }

    /// The same with an HTTP API, which clients need that ask for results or send queries.
    pub async fn with_http() -> anyhow::Result<Self> {
        let mut world = Self::without_engine().await?;
        let server = ApiServer::bind(([127, 0, 0, 1], 0).into()).await?;
        world.config.http_url = Some(format!("http://{}", server.local_addr()));
        world.start_engine().await?;
        world.api.spawn(server.serve(world.engine()?.clone(), std::future::pending()));
        Ok(world)
    }

    /// A world in which nothing runs yet.
    pub async fn without_engine() -> anyhow::Result<Self> {
        // Tests of one binary share the subscriber; the first one sets it.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_env("TIDEWRIGHT_LOG"))
            .with_test_writer()
            .try_init();
        let kafka = Kafka::start().await?;
        let prefix = format!("t{:012x}.", rand::random::<u64>() >> 16);
        let topics = Topics::new(&prefix, Topics::DEFAULT_NAMESPACE)?;
        let producer = Producer::new(&kafka.config())?;
        let secret = Secret::new(vec![7; 32])?;
        let state = tempfile::tempdir()?;
        let mut config = EngineConfig::new(kafka.config(), secret, state.path());
        config.prefix = topics.prefix().to_owned();
        config.partitions = 3;
        Ok(Self { kafka, topics, producer, engine: None, api: JoinSet::new(), state, config })
    }

    /// Changes how this world's next engine is configured.
    pub fn change_engine(&mut self, change: impl FnOnce(&mut EngineConfig)) {
        change(&mut self.config);
    }

    /// Starts the engine and waits until it owns its partitions.
    pub async fn start_engine(&mut self) -> anyhow::Result<()> {
        let engine = Engine::start(self.config.clone()).await?;
        let owned = engine.clone();
        self.engine = Some(engine);
        eventually("the engine owns every partition", || {
            let all = owned.owners().iter().all(|(_, route)| matches!(route, Route::Local(_)));
            async move { all.then_some(()) }
        })
        .await
    }

    /// Stops the engine in good order.
    pub async fn stop_engine(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.shutdown().await;
        }
    }

    /// Deletes the engine's state; it must be stopped.
    pub fn delete_state(&mut self) -> anyhow::Result<()> {
        self.state = tempfile::tempdir()?;
        self.config.state_directory = self.state.path().to_owned();
        Ok(())
    }

    /// The engine.
    pub fn engine(&self) -> anyhow::Result<&Engine> {
        self.engine.as_ref().context("no engine runs")
    }

    /// Where its HTTP API listens.
    pub fn http_url(&self) -> anyhow::Result<&str> {
        self.config.http_url.as_deref().context("it has no HTTP API")
    }

    /// Publishes a command as any Kafka client would: a key and a JSON value.
    pub async fn publish(&self, key: &str, json: &str) -> anyhow::Result<()> {
        let record = Record::to(self.topics.commands()).key(key).value(json);
        self.producer.send(record).await.await?;
        Ok(())
    }

    /// The end of a workflow.
    pub async fn outcome(&self, workflow_id: &str) -> anyhow::Result<WorkflowOutcome> {
        self.outcome_within(workflow_id, PATIENCE).await
    }

    /// The end of a workflow that takes its time.
    pub async fn outcome_within(&self, workflow_id: &str, patience: Duration) -> anyhow::Result<WorkflowOutcome> {
        self.end_of(workflow_id, None, patience).await
    }

    /// The end of one run of a workflow.
    pub async fn outcome_of_run(&self, workflow_id: &str, run_id: &str) -> anyhow::Result<WorkflowOutcome> {
        self.end_of(workflow_id, Some(RunId::from_text(run_id.to_owned())), PATIENCE).await
    }

    async fn end_of(
        &self,
        workflow_id: &str,
        run_id: Option<RunId>,
        patience: Duration,
    ) -> anyhow::Result<WorkflowOutcome> {
        let id = WorkflowId::new(workflow_id)?;
        let engine = self.engine()?;
        eventually_within(patience, &format!("workflow {workflow_id} ends"), || async {
            match engine.route(&id) {
                Route::Local(view) => view
                    .outcome(&id, run_id.as_ref(), Duration::from_secs(1))
                    .await
                    .ok()
                    .flatten()
                    .filter(|outcome| outcome.status != WorkflowStatus::Running),
                Route::Remote { .. } | Route::Unavailable { .. } => None,
            }
        })
        .await
    }

    /// The whole history of a workflow's latest run, held against the grammar.
    pub async fn history(&self, workflow_id: &str) -> anyhow::Result<Vec<HistoryEvent>> {
        let mut events: Vec<HistoryEvent> = Vec::new();
        let mut run_id = None;
        loop {
            let from = events.last().map_or(1, |last| last.event_id + 1);
            let page = self.history_page(workflow_id, run_id.as_ref(), from).await?;
            events.extend(page.events);
            run_id = Some(page.run_id);
            if page.next_event_id.is_none() {
                break;
            }
        }
        grammar::check(&events).with_context(|| format!("the history of {workflow_id}"))?;
        Ok(events)
    }

    async fn history_page(&self, workflow_id: &str, run_id: Option<&RunId>, from: u64) -> anyhow::Result<HistoryPage> {
        let id = WorkflowId::new(workflow_id)?;
        let engine = self.engine()?;
        eventually(&format!("the history of {workflow_id} can be read"), || async {
            match engine.route(&id) {
                Route::Local(view) => view.history(&id, run_id, from, 10_000).ok().flatten(),
                Route::Remote { .. } | Route::Unavailable { .. } => None,
            }
        })
        .await
    }

    /// The first start of an activity that the workflow's history tells of.
    pub async fn activity_started(&self, workflow_id: &str) -> anyhow::Result<ActivityTaskStarted> {
        self.event(workflow_id, |event| match event {
            EventAttributes::ActivityTaskStarted(started) => Some(started.clone()),
            _ => None,
        })
        .await
    }

    /// Waits until a workflow's description is as it should be.
    pub async fn describe_until(
        &self,
        workflow_id: &str,
        what: &str,
        is_so: impl Fn(&WorkflowDescription) -> bool,
    ) -> anyhow::Result<WorkflowDescription> {
        let id = WorkflowId::new(workflow_id)?;
        let engine = self.engine()?;
        eventually(what, || async {
            match engine.route(&id) {
                Route::Local(view) => {
                    view.describe(&id, None, PendingPage::default()).ok().flatten().filter(|found| is_so(found))
                }
                Route::Remote { .. } | Route::Unavailable { .. } => None,
            }
        })
        .await
    }

    /// A client of the SDK.
    pub fn client(&self) -> anyhow::Result<Client> {
        let mut config = ClientConfig::new(self.kafka.brokers());
        config.topic_prefix = self.topics.prefix().to_owned();
        Ok(Client::new(config)?)
    }

    /// Runs a worker until the guard is dropped.
    pub fn run(&self, worker: Worker) -> Running {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(worker.run_until(stopped));
        Running { stop, task }
    }

    /// The first event of a kind in a workflow's history, once there is one.
    pub async fn event<T>(&self, workflow_id: &str, find: impl Fn(&EventAttributes) -> Option<T>) -> anyhow::Result<T> {
        eventually(&format!("workflow {workflow_id} has the event"), || async {
            let history = self.history(workflow_id).await.ok()?;
            history.iter().find_map(|event| find(&event.attributes))
        })
        .await
    }

    /// A member of a topic's group, as a worker is.
    pub fn consumer(&self, topic: &str) -> anyhow::Result<GroupConsumer> {
        Ok(GroupConsumer::join(&self.kafka.config(), &GroupOptions::new(topic, [topic]))?)
    }

    /// Takes the next record as a worker would, and commits it.
    pub async fn take(&self, consumer: &mut GroupConsumer) -> anyhow::Result<Taken> {
        let next = async {
            loop {
                let event = match consumer.next(1, 1).await {
                    // The engine makes the topic with its first task.
                    Err(GroupError::TopicMissing { .. }) => continue,
                    event => event?,
                };
                if let GroupEvent::Records(records) = event {
                    // One was asked for.
                    if let Some(received) = records.into_iter().next() {
                        let partition = tidewright_log::TopicPartition {
                            topic: received.topic.clone(),
                            partition: received.partition,
                        };
                        consumer.commit(&partition, received.offset + 1);
                        return anyhow::Ok(Taken { received });
                    }
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.context("no record came")?
    }

    /// All records of a one-partition topic that satisfy a condition, once there are `count` of them.
    pub async fn records(
        &self,
        topic: &str,
        count: usize,
        wanted: impl Fn(&Received) -> bool,
    ) -> anyhow::Result<Vec<Received>> {
        let reader = LogReader::new(&self.kafka.config(), &ReaderOptions::default())?;
        let mut log = reader.open(topic, 0, StartAt::Beginning).await?;
        let mut found = Vec::new();
        let all = async {
            while found.len() < count {
                let batch = log.next_batch(1_000, 16 * 1024 * 1024).await?;
                found.extend(batch.records.into_iter().filter(|record| wanted(record)));
            }
            anyhow::Ok(())
        };
        match tokio::time::timeout(PATIENCE, all).await {
            Ok(result) => result?,
            Err(_) => bail!("{topic} holds {} of {count} records that were expected", found.len()),
        }
        Ok(found)
    }
}
