//! The worker: takes tasks of one queue from Kafka, runs them, and tells their workflows.
//!
//! It promises: a task's offset is committed only once what became of it is in the log (R24); what may be a repeat is
//! confirmed before it runs (R25); whatever user code or Kafka do, the worker goes on.

mod activity_loop;
mod attempt;
mod beacon;
mod cache;
mod commands;
mod confirm;
mod control;
mod hand;
mod heartbeats;
mod measure;
mod membership;
mod offers;
mod offsets;
mod options;
mod queries;
mod query_answer;
mod running;
mod threads;
mod trace;
mod turns;
mod workflow_loop;
mod workflow_task;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidewright_client::{Client, ConfigError};
use tidewright_log::{
    Admin, LogError, LogReader, ReaderOptions, Received, Severity, TopicKind, TopicReport, TopicSpec,
};
use tidewright_schemas::WorkerIdentity;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::definition::{Activities, WorkflowDef};
use crate::registry::Registry;
use activity_loop::ActivityLoop;
use attempt::Attempts;
use beacon::{Beacons, Portrait};
use cache::Cache;
use commands::Commands;
use confirm::Confirmations;
use control::Listener;
use measure::{CacheMeters, Meters, Occupancy, ThreadMeters};
use membership::Membership;
use offers::Offers;
pub use options::WorkerOptions;
use queries::{Desk, Queries};
use running::Running;
use threads::{Limits, WorkflowThreads};
use workflow_loop::{WorkflowLoop, Workflows};

/// Pause before Kafka is asked again at the worker's start.
const SETUP_RETRY_DELAY: Duration = Duration::from_secs(1);
/// How much of the control topic is fetched ahead.
const CONTROL_BYTES: usize = 256 * 1024;
/// How many tasks that were offered by name are fetched ahead: the next ones wait in their topic.
const OFFERED_MAX: usize = 10;

/// Why a worker does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// Nothing was registered.
    #[error("the worker of task queue `{0}` has neither workflows nor activities; register some before it runs")]
    NothingRegistered(String),
    /// Something was registered more than once.
    #[error(
        "registered more than once: {}; give one of them another name with #[activity(name = \"…\")] or #[workflow(name = \"…\")]",
        .0.join(", ")
    )]
    RegisteredTwice(Vec<String>),
    /// It could run nothing.
    #[error("`{0}` is 0, so that the worker could run nothing of what is registered; set it to at least 1")]
    NoSlots(&'static str),
    /// No task queue was named.
    #[error("no task queue: set TIDEWRIGHT_TASK_QUEUE, or name it in Worker::new")]
    NoTaskQueue,
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address for metrics cannot be used.
    #[error("{0}")]
    Metrics(String),
    /// A thread that the worker needs cannot be started.
    #[error("a thread cannot be started: {0}; see the limits of the process and the machine")]
    Thread(std::io::Error),
    /// Workflow code keeps every thread that there may be.
    #[error(
        "TW0905: all {slots} slots for workflow tasks are lost to workflow code that keeps its thread and does not return, so \
         the worker has stopped; start its process again, and see TW0904 in its log for the workflows and places"
    )]
    WorkflowThreadsStuck {
        /// How many slots there were.
        slots: usize,
    },
    /// Kafka refuses what the worker needs.
    #[error(transparent)]
    Kafka(#[from] LogError),
}

/// A worker of one task queue. It is built by what it can run, and then run:
/// `Worker::new(&client, "orders").workflow(order).activities(Payments { gateway }).run_until(stop).await?`.
#[must_use = "a worker does nothing unless run"]
pub struct Worker {
    client: Client,
    task_queue: String,
    registry: Registry,
    options: WorkerOptions,
}

impl Worker {
    /// A worker of a task queue.
    pub fn new(client: &Client, task_queue: impl Into<String>) -> Self {
        let (registry, options) = (Registry::default(), WorkerOptions::default());
        Self { client: client.clone(), task_queue: task_queue.into(), registry, options }
    }

    /// A worker of the task queue that `TIDEWRIGHT_TASK_QUEUE` names, with [`WorkerOptions::from_env`].
    pub fn from_env(client: &Client) -> Result<Self, WorkerError> {
        let named = client.config().task_queue.clone();
        let task_queue =
            named.or_else(|| std::env::var("TIDEWRIGHT_TASK_QUEUE").ok().filter(|queue| !queue.is_empty()));
        let worker = Self::new(client, task_queue.ok_or(WorkerError::NoTaskQueue)?);
        Ok(worker.options(WorkerOptions::from_env()?))
    }

    /// Registers a workflow: a function (`.workflow(order)`), or one with state (`.workflow(ExpenseApproval::run)`).
    pub fn workflow<I, O, S>(mut self, workflow: WorkflowDef<I, O, S>) -> Self
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + 'static,
        S: Send + 'static,
    {
        self.registry.add_workflow(workflow);
        self
    }

    /// Registers the activities of a struct.
    pub fn activities(mut self, activities: impl Activities) -> Self {
        self.registry.add_activities(activities);
        self
    }

    /// How it works.
    pub fn options(mut self, options: WorkerOptions) -> Self {
        self.options = options;
        self
    }

    /// Runs until the process is told to stop (SIGINT or SIGTERM).
    pub async fn run(self) -> Result<(), WorkerError> {
        self.run_until(shutdown_signal()).await
    }

    /// Runs until `stop` resolves. Then it takes no more tasks, hands back those that it has not begun, gives those that run
    /// [`WorkerOptions::graceful_shutdown_timeout`] to end, leaves its groups, and says that it has left.
    pub async fn run_until<F: Future>(self, stop: F) -> Result<(), WorkerError> {
        if !self.registry.registered_twice().is_empty() {
            return Err(WorkerError::RegisteredTwice(self.registry.registered_twice().to_vec()));
        }
        if !self.registry.has_workflows() && !self.registry.has_activities() {
            return Err(WorkerError::NothingRegistered(self.task_queue));
        }
        let slots = [
            (
                "max_concurrent_workflow_tasks",
                self.registry.has_workflows(),
                self.options.max_concurrent_workflow_tasks,
            ),
            ("max_concurrent_activities", self.registry.has_activities(), self.options.max_concurrent_activities),
        ];
        if let Some((name, ..)) = slots.into_iter().find(|(_, is_needed, slots)| *is_needed && *slots == 0) {
            return Err(WorkerError::NoSlots(name));
        }
        let mut stop = std::pin::pin!(stop);
        let _metrics = serve_metrics(self.options.metrics_listen).await?;
        let partitions = tokio::select! {
            ready = self.prepare_topics() => ready?,
            _ = &mut stop => return Ok(()),
        };
        let stopping = CancellationToken::new();
        let (parts, beacons) = self.parts()?;
        tokio::select! {
            () = beacons.spoken() => {}
            _ = &mut stop => {
                beacons.left().await;
                return Ok(());
            }
        }
        let mut loops = self.start(parts, partitions, &stopping)?;
        let mut outcome = Ok(());
        tokio::select! {
            _ = stop => {}
            // A loop ends only if it is told to, cannot go on, or by a defect of its own.
            Some(ended) = loops.join_next() => match ended {
                Ok(ended) => outcome = ended,
                Err(error) => tracing::error!("the worker stops: {error}"),
            }
        }
        if let Err(error) = &outcome {
            tracing::error!(task_queue = self.task_queue, "{error}");
        }
        tracing::info!(task_queue = self.task_queue, "the worker stops: running tasks are given time to end");
        stopping.cancel();
        beacons.leaving();
        while let Some(ended) = loops.join_next().await {
            match ended {
                Ok(ended) => outcome = outcome.and(ended),
                Err(error) => tracing::error!("a part of the worker failed while it stopped: {error}"),
            }
        }
        beacons.left().await;
        outcome
    }

    /// What the loops work with, and this worker's beacons.
    fn parts(&self) -> Result<(Parts, Beacons), WorkerError> {
        let (client, options) = (&self.client, &self.options);
        let topics = client.topics();
        let incarnation = Uuid::new_v4().to_string();
        let worker = WorkerIdentity { identity: client.config().identity.clone(), incarnation };
        let commands = Commands::new(client.producer().clone(), topics.commands());
        let (namespace, queue) = (topics.namespace(), &self.task_queue);
        let meters = Arc::new(Meters::new(namespace, queue));
        let registry = Arc::new(self.registry.clone());
        let confirmations =
            Arc::new(Confirmations { client: client.clone(), worker: worker.clone(), meters: Arc::clone(&meters) });
        let limits = Limits {
            warning_after: options.deadlock_warning_after,
            detection_timeout: options.deadlock_detection_timeout,
        };
        let thread_meters = ThreadMeters::new(namespace, queue);
        let threads = WorkflowThreads::new(options.max_concurrent_workflow_tasks, limits, thread_meters)
            .map_err(WorkerError::Thread)?;
        let workflows = Workflows {
            threads,
            registry: Arc::clone(&registry),
            history: client.history_pages(),
            commands: commands.clone(),
            confirmations: Arc::clone(&confirmations),
            worker: worker.clone(),
            meters: Arc::clone(&meters),
        };
        // A worker without any workflow leaves workflow tasks to those that have some; likewise for activities.
        let room = |registered: bool, worker_type, slots| {
            registered.then(|| Arc::new(Occupancy::new(namespace, queue, worker_type, slots)))
        };
        let workflow_room =
            room(self.registry.has_workflows(), "WorkflowWorker", options.max_concurrent_workflow_tasks);
        let activity_room = room(self.registry.has_activities(), "ActivityWorker", options.max_concurrent_activities);
        let portrait = Portrait {
            worker: worker.clone(),
            build_id: options.build_id.clone(),
            task_queue: queue.clone(),
            workflow_tasks: workflow_room.clone(),
            activities: activity_room.clone(),
        };
        let admin = Admin::new(&client.config().kafka)?;
        let beacons = Beacons::start(client.producer().clone(), admin, topics.workers(), portrait);
        let attempts = Arc::new(Attempts { registry, commands, worker, meters });
        Ok((Parts { workflows, attempts, confirmations, workflow_room, activity_room }, beacons))
    }

    /// Starts the loops. The activity tasks' topic has this many partitions.
    fn start(&self, parts: Parts, partitions: u32, stop: &CancellationToken) -> Result<Loops, WorkerError> {
        let (client, options) = (&self.client, &self.options);
        let (kafka, topics, queue) = (&client.config().kafka, client.topics(), &self.task_queue);
        let namespace = topics.namespace();
        let timeout = options.graceful_shutdown_timeout;
        let mut loops = JoinSet::new();
        if let Some(room) = parts.workflow_room {
            let membership = Membership::join(kafka, &topics.workflow_tasks(queue))?;
            let cache = Cache::new(options.max_cached_runs, CacheMeters::new(namespace, queue));
            let desk = Desk::new(
                Arc::clone(&parts.workflows.registry),
                client.history_pages(),
                (client.producer().clone(), topics.replies()),
                (namespace, queue),
            );
            let queries = Queries::new(desk, room.slots);
            let workflow_loop = WorkflowLoop::new(membership, Arc::new(parts.workflows), room, cache, queries);
            loops.spawn(workflow_loop.run(stop.clone(), timeout));
        }
        if let Some(room) = parts.activity_room {
            let membership = Membership::join_told(kafka, &topics.activity_tasks(queue))?;
            let running = Running::default();
            let reader =
                LogReader::new(kafka, &ReaderOptions { prefetch_bytes: CONTROL_BYTES, ..ReaderOptions::default() })?;
            let (commands, worker) = (parts.attempts.commands.clone(), parts.attempts.worker.clone());
            let (offers, places) = Offers::new();
            let listener = Listener { incarnation: worker.incarnation.clone(), running: running.clone(), offers };
            let heard = control::listen(reader.clone(), topics.control(queue), listener);
            let (pass_on, offered) = mpsc::channel(OFFERED_MAX);
            let fetched = offers::fetch(reader, topics.activity_tasks(queue), places, pass_on);
            let sent = heartbeats::send(running.clone(), commands, worker);
            let of_tasks = (parts.attempts, parts.confirmations, offered);
            let of_hand = (partitions as usize, options.return_task_after);
            let work = ActivityLoop::new(membership, of_tasks, room, of_hand, running).run(stop.clone(), timeout);
            loops.spawn(async move {
                // Attempts hear and are heard as long as one of them runs.
                tokio::select! {
                    () = work => {}
                    () = heard => {}
                    () = fetched => {}
                    () = sent => {}
                }
                Ok(())
            });
        }
        tracing::info!(
            namespace,
            task_queue = queue,
            workflows = self.registry.workflow_names(),
            activities = self.registry.activity_names(),
            "the worker runs"
        );
        Ok(loops)
    }

    /// Makes the task topics if they are not there. A worker that may not make them waits for someone who does. Says how
    /// many partitions there are for activity tasks.
    async fn prepare_topics(&self) -> Result<u32, WorkerError> {
        let admin = Admin::new(&self.client.config().kafka)?;
        let topics = self.client.topics();
        let partitions = self.options.task_topic_partitions;
        let names = [topics.workflow_tasks(&self.task_queue), topics.activity_tasks(&self.task_queue)];
        let mut wanted = names.map(|name| TopicSpec::new(name, TopicKind::Tasks, partitions)).to_vec();
        wanted.push(TopicSpec::new(topics.control(&self.task_queue), TopicKind::Control, 1));
        loop {
            match admin.ensure_topics(&wanted).await {
                Ok(report) => {
                    tell(&report);
                    break;
                }
                Err(error @ LogError::Config(_)) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!("the worker's topics cannot be looked up yet: {error}");
                    tokio::time::sleep(SETUP_RETRY_DELAY).await;
                }
            }
        }
        // One that is missing still will be made with the engine's default, which is as good a guess as any.
        let found = admin.partition_count(&topics.activity_tasks(&self.task_queue)).await.ok().flatten();
        Ok(found.unwrap_or(partitions))
    }
}

/// What a worker does at the same time; each part ends with why it cannot go on, if it was not told to end.
type Loops = JoinSet<Result<(), WorkerError>>;

/// What the loops of a worker work with.
struct Parts {
    workflows: Workflows,
    attempts: Arc<Attempts>,
    confirmations: Arc<Confirmations>,
    /// None if it takes no such tasks.
    workflow_room: Option<Arc<Occupancy>>,
    activity_room: Option<Arc<Occupancy>>,
}

/// Serves `/metrics` until it is dropped, if somebody asks for it.
#[cfg(feature = "prometheus")]
async fn serve_metrics(address: Option<SocketAddr>) -> Result<JoinSet<()>, WorkerError> {
    use tidewright_telemetry::prometheus;
    let mut serving = JoinSet::new();
    let Some(address) = address else { return Ok(serving) };
    let server = prometheus::MetricsServer::bind(address).await.map_err(|e| WorkerError::Metrics(e.to_string()))?;
    tracing::info!("metrics are served on http://{}/metrics", server.local_addr());
    serving.spawn(server.serve(prometheus::install()));
    Ok(serving)
}

#[cfg(not(feature = "prometheus"))]
async fn serve_metrics(address: Option<SocketAddr>) -> Result<JoinSet<()>, WorkerError> {
    let problem = |address| format!("metrics cannot be served on {address}: build with the feature `prometheus`");
    address.map_or_else(|| Ok(JoinSet::new()), |address| Err(WorkerError::Metrics(problem(address))))
}

fn tell(report: &TopicReport) {
    for topic in &report.missing {
        tracing::warn!(topic = topic.name, "a task topic is missing and will be waited for: {}", topic.reason);
    }
    for difference in report.differences.iter().filter(|difference| difference.severity != Severity::Harmless) {
        tracing::warn!("{difference}");
    }
}

/// Resolves when the process is told to stop.
async fn shutdown_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = tokio::signal::ctrl_c() => {}
                }
                return;
            }
            Err(error) => tracing::warn!("SIGTERM cannot be listened for: {error}"),
        }
    }
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!("Ctrl-C cannot be listened for, so the worker runs until it is killed: {error}");
        std::future::pending::<()>().await;
    }
}

/// A header as text.
fn text_header(record: &Received, name: &str) -> Option<String> {
    record.header(name).and_then(|value| std::str::from_utf8(value).ok()).map(str::to_owned)
}
