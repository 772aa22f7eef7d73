//! The loop that takes workflow tasks of a queue, advances their runs, and commits what is done.
//!
//! Tasks of one run are advanced in order, one at a time; different runs go side by side, as many as there are slots.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewright_client::HistoryPages;
use tidewright_log::{GroupEvent, Received};
use tidewright_schemas::{Command, RunId, WorkerIdentity, WorkflowTask, headers};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cache::{Cache, CachedRun};
use super::commands::Commands;
use super::measure::{Meters, Occupancy};
use super::membership::Membership;
use super::offsets::{Offsets, Position};
use super::text_header;
use super::trace;
use super::workflow_task::{Advanced, Advancer};
use crate::registry::Registry;

/// What advancing runs needs.
pub(crate) struct Workflows {
    pub(crate) registry: Arc<Registry>,
    pub(crate) history: HistoryPages,
    pub(crate) commands: Commands,
    pub(crate) worker: WorkerIdentity,
    pub(crate) meters: Arc<Meters>,
}

/// A task that was taken.
struct Job {
    task: WorkflowTask,
    position: Position,
    traceparent: Option<String>,
}

/// A task whose completion is in the log.
struct Done {
    run_id: RunId,
    position: Position,
    cached: Option<CachedRun>,
}

/// The loop.
pub(crate) struct WorkflowLoop {
    membership: Membership,
    workflows: Arc<Workflows>,
    occupancy: Arc<Occupancy>,
    cache: Cache,
    offsets: Offsets,
    /// Runs that are being advanced, each with the tasks that wait for it.
    busy: HashMap<RunId, VecDeque<Job>>,
    /// How many tasks were taken and are not done: never more than the slots.
    taken: usize,
    jobs: JoinSet<Done>,
}

impl WorkflowLoop {
    pub(crate) fn new(
        membership: Membership,
        workflows: Arc<Workflows>,
        occupancy: Arc<Occupancy>,
        cache: Cache,
    ) -> Self {
        Self {
            membership,
            workflows,
            occupancy,
            cache,
            offsets: Offsets::default(),
            busy: HashMap::new(),
            taken: 0,
            jobs: JoinSet::new(),
        }
    }

    /// Runs until it is told to stop; then tasks that were taken have `grace` to be done, and the group is left.
    pub(crate) async fn run(mut self, stop: CancellationToken, grace: Duration) {
        while !stop.is_cancelled() {
            let free = self.occupancy.slots.saturating_sub(self.taken);
            self.occupancy.set(self.taken);
            tokio::select! {
                () = stop.cancelled() => {}
                Some(done) = self.jobs.join_next() => self.done(done),
                event = self.membership.next(free), if free > 0 => self.take(event),
            }
        }
        let drain = async {
            while let Some(done) = self.jobs.join_next().await {
                self.done(done);
            }
        };
        if tokio::time::timeout(grace, drain).await.is_err() {
            tracing::warn!("workflow tasks are not done after {grace:?}; they will be delivered again");
            self.jobs.shutdown().await;
        }
        self.membership.close().await;
    }

    fn take(&mut self, event: GroupEvent) {
        match event {
            GroupEvent::Assigned(partitions) => {
                for assigned in partitions {
                    self.offsets.assigned(assigned.partition, assigned.end_offset);
                }
            }
            GroupEvent::Revoked(partitions) | GroupEvent::Lost(partitions) => {
                partitions.iter().for_each(|partition| self.offsets.gone(partition));
            }
            GroupEvent::Records(records) => records.into_iter().for_each(|record| self.accept(&record)),
        }
    }

    fn accept(&mut self, record: &Received) {
        let Some(taken) = self.offsets.take(record) else { return };
        match serde_json::from_slice::<WorkflowTask>(record.value.as_deref().unwrap_or_default()) {
            Ok(task) => {
                self.taken += 1;
                let traceparent = text_header(record, headers::TRACEPARENT);
                let job = Job { task, position: taken.position, traceparent };
                match self.busy.get_mut(&job.task.run_id) {
                    Some(waiting) => waiting.push_back(job),
                    None => self.start(job),
                }
            }
            Err(error) => {
                let (topic, partition, offset) = (&record.topic, record.partition, record.offset);
                tracing::error!(%topic, partition, offset, "a record is no workflow task and is passed over: {error}");
                self.commit(&taken.position);
            }
        }
    }

    fn start(&mut self, job: Job) {
        let run_id = job.task.run_id.clone();
        self.busy.entry(run_id.clone()).or_default();
        let cached = self.cache.take(&run_id);
        let workflows = Arc::clone(&self.workflows);
        self.jobs.spawn(async move {
            let cached = workflows.advance(&job, cached).await;
            Done { run_id, position: job.position, cached }
        });
    }

    fn done(&mut self, done: Result<Done, tokio::task::JoinError>) {
        let done = match done {
            Ok(done) => done,
            // User code's panics are values, so this is a defect of the worker's own: its record stays open, and the
            // task is delivered again after a restart.
            Err(error) => return tracing::error!("a workflow task ended unexpectedly: {error}"),
        };
        self.taken -= 1;
        self.commit(&done.position);
        if let Some(cached) = done.cached {
            self.cache.put(done.run_id.clone(), cached);
        }
        let next = self.busy.remove(&done.run_id).and_then(|mut waiting| {
            let next = waiting.pop_front();
            if !waiting.is_empty() {
                self.busy.insert(done.run_id, waiting);
            }
            next
        });
        if let Some(job) = next {
            self.start(job);
        }
    }

    fn commit(&mut self, position: &Position) {
        if let Some(offset) = self.offsets.settle(position) {
            self.membership.commit(&position.partition, offset);
        }
    }
}

impl Workflows {
    /// Advances a run by a task and returns once the outcome is in the log.
    async fn advance(&self, job: &Job, cached: Option<CachedRun>) -> Option<CachedRun> {
        let task = &job.task;
        if cached.as_ref().is_some_and(|cached| cached.token == task.token) {
            tracing::debug!(run_id = %task.run_id, "a task came again whose completion is in the log");
            return cached;
        }
        let Self { registry, history, worker, meters, .. } = self;
        let span = trace::workflow_task(task, job.traceparent.as_deref());
        let advancer = Advancer { registry, history, worker, meters, span: &span };
        let began = Instant::now();
        let Advanced { command, cached } = advancer.advance(task, cached).await;
        let failed = match &command {
            Command::FailWorkflowTask(failed) => {
                trace::failed(&span, &failed.failure.message);
                Some(failed.cause)
            }
            _ => None,
        };
        meters.workflow_task_ends(&task.workflow_type, began, failed);
        let traceparent = trace::onward(&span, job.traceparent.as_deref());
        let traceparent = traceparent.as_deref();
        match self.commands.send(&task.workflow_id, &command, traceparent).await {
            Ok(()) => cached,
            Err(error) => {
                tracing::error!(workflow_id = %task.workflow_id, run_id = %task.run_id, "a completion is refused: {error}");
                let failed = advancer.refused(task, &error.to_string()).into();
                if let Err(error) = self.commands.send(&task.workflow_id, &failed, traceparent).await {
                    tracing::error!(workflow_id = %task.workflow_id, "nor can its failure be sent: {error}");
                }
                None
            }
        }
    }
}
