//! The loop that takes workflow tasks of a queue, advances their runs, and commits what is done.
//!
//! Tasks of one run are advanced in order, one at a time; different runs go side by side, as many as there are slots.
//! Queries come among them; one that is answered from a run that is held here waits for the run's tasks before it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewright_client::HistoryPages;
use tidewright_log::{GroupEvent, Received};
use tidewright_schemas::{Command, QueryTask, RunId, TaskVerdict, WorkerIdentity, WorkflowTask, headers};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::WorkerError;
use super::cache::{Cache, CachedRun};
use super::commands::Commands;
use super::confirm::Confirmations;
use super::measure::{Meters, Occupancy};
use super::membership::Membership;
use super::offsets::{Offsets, Position};
use super::queries::{Held, Queries, QueryDone, QueryJob};
use super::text_header;
use super::threads::WorkflowThreads;
use super::trace;
use super::workflow_task::{Advanced, Advancer};
use crate::registry::Registry;

/// What advancing runs needs.
pub(crate) struct Workflows {
    pub(crate) registry: Arc<Registry>,
    pub(crate) history: HistoryPages,
    pub(crate) commands: Commands,
    pub(crate) confirmations: Arc<Confirmations>,
    pub(crate) worker: WorkerIdentity,
    pub(crate) meters: Arc<Meters>,
    pub(crate) threads: WorkflowThreads,
}

/// A task that was taken.
struct Job {
    task: Arc<WorkflowTask>,
    position: Position,
    traceparent: Option<String>,
    /// Whether it may have been with another worker.
    to_confirm: bool,
}

/// What waits for a run.
enum Next {
    Task(Job),
    Query(Box<QueryJob>),
}

/// What waits for a run that is in use.
#[derive(Default)]
struct Line {
    waiting: VecDeque<Next>,
    /// Told when a task is among it.
    wanted: Arc<Notify>,
}

impl Line {
    fn push(&mut self, next: Next) {
        if matches!(next, Next::Task(_)) {
            self.wanted.notify_one();
        }
        self.waiting.push_back(next);
    }
}

/// What was done.
enum Done {
    /// A task, whose completion is in the log.
    Task { position: Position, cached: Option<CachedRun> },
    /// A query.
    Query(QueryDone),
}

/// The loop.
pub(crate) struct WorkflowLoop {
    membership: Membership,
    workflows: Arc<Workflows>,
    occupancy: Arc<Occupancy>,
    cache: Cache,
    queries: Queries,
    offsets: Offsets,
    /// Runs that are in use, each with what waits for it.
    busy: HashMap<RunId, Line>,
    /// How many tasks were taken and are not done: never more than the slots.
    taken: usize,
    jobs: JoinSet<(RunId, Done)>,
}

impl WorkflowLoop {
    pub(crate) fn new(
        membership: Membership,
        workflows: Arc<Workflows>,
        occupancy: Arc<Occupancy>,
        cache: Cache,
        queries: Queries,
    ) -> Self {
        Self {
            membership,
            workflows,
            occupancy,
            cache,
            queries,
            offsets: Offsets::default(),
            busy: HashMap::new(),
            taken: 0,
            jobs: JoinSet::new(),
        }
    }

    /// Runs until it is told to stop, or every slot is lost to code that keeps its thread; then tasks that were taken have
    /// `grace` to be done, and the group is left.
    pub(crate) async fn run(mut self, stop: CancellationToken, grace: Duration) -> Result<(), WorkerError> {
        let slots = self.occupancy.slots;
        let mut given_up = self.workflows.threads.given_up();
        let mut outcome = Ok(());
        while !stop.is_cancelled() {
            let lost = *given_up.borrow_and_update();
            if lost >= slots {
                outcome = Err(WorkerError::WorkflowThreadsStuck { slots });
                break;
            }
            let used = (self.taken + lost).min(slots);
            let free = slots - used;
            self.occupancy.set(used);
            tokio::select! {
                () = stop.cancelled() => {}
                // Its sender lives as long as the threads, and those as long as this loop.
                _ = given_up.changed() => {}
                Some(done) = self.jobs.join_next() => self.done(done),
                () = self.queries.freed() => self.serve_queries(),
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
        outcome
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
        let value = record.value.as_deref().unwrap_or_default();
        let position = taken.position;
        let accepted = if Queries::is_query(record) {
            serde_json::from_slice::<QueryTask>(value)
                .map(|query| self.accept_query(QueryJob { query, position: position.clone() }))
        } else {
            let traceparent = text_header(record, headers::TRACEPARENT);
            let may_be_repeat =
                taken.below_end || record.header(headers::POSSIBLE_REPEAT).is_some_and(|value| value == b"true");
            serde_json::from_slice::<WorkflowTask>(value).map(|task| {
                let to_confirm = may_be_repeat || task.possible_repeat;
                let task = Arc::new(task);
                self.accept_task(Job { task, position: position.clone(), traceparent, to_confirm });
            })
        };
        if let Err(error) = accepted {
            let (topic, partition, offset) = (&record.topic, record.partition, record.offset);
            tracing::error!(%topic, partition, offset, "a record is no workflow task and is passed over: {error}");
            self.commit(&position);
        }
    }

    fn accept_task(&mut self, job: Job) {
        self.taken += 1;
        match self.busy.get_mut(&job.task.run_id) {
            Some(line) => line.push(Next::Task(job)),
            None => self.start(job),
        }
    }

    fn accept_query(&mut self, job: QueryJob) {
        let run_id = job.query.run_id.clone();
        match self.queries.take(job) {
            Ok(job) => self.consider(job),
            Err(refusal) => {
                self.jobs.spawn(async move { (run_id, Done::Query(refusal.await)) });
            }
        }
    }

    /// Serves queries that wait, as long as there are turns.
    fn serve_queries(&mut self) {
        while let Some(job) = self.queries.next() {
            self.consider(job);
        }
    }

    fn consider(&mut self, job: QueryJob) {
        match self.busy.get_mut(&job.query.run_id) {
            Some(line) => line.push(Next::Query(Box::new(job))),
            None => drop(self.ask(job)),
        }
    }

    fn start(&mut self, job: Job) {
        let run_id = job.task.run_id.clone();
        self.busy.entry(run_id.clone()).or_default();
        let cached = self.cache.take(&run_id);
        let workflows = Arc::clone(&self.workflows);
        self.jobs.spawn(async move {
            let cached = workflows.advance(&job, cached).await;
            (run_id, Done::Task { position: job.position, cached })
        });
    }

    /// Begins to answer a query, if it is its turn. True if that takes the run.
    fn ask(&mut self, job: QueryJob) -> bool {
        let Some((job, turn)) = self.queries.turn(job) else { return false };
        let run_id = job.query.run_id.clone();
        let held = self.cache.take_for(&job.query);
        let held =
            held.map(|run| Held { run, wanted: Arc::clone(&self.busy.entry(run_id.clone()).or_default().wanted) });
        let holds = held.is_some();
        let answer = self.queries.answer(job, held, turn);
        self.jobs.spawn(async move { (run_id, Done::Query(answer.await)) });
        holds
    }

    fn done(&mut self, done: Result<(RunId, Done), tokio::task::JoinError>) {
        match done {
            Ok((run_id, Done::Task { position, cached })) => {
                self.taken -= 1;
                self.commit(&position);
                self.give_back(run_id, cached);
            }
            Ok((run_id, Done::Query(done))) => {
                match done.run {
                    run if done.held => self.give_back(run_id, run),
                    // While a task has the run, what it leaves is newer.
                    Some(run) if !self.busy.contains_key(&run_id) => self.cache.offer(run_id, run),
                    _ => {}
                }
                self.commit(&done.position);
                self.queries.done();
                self.serve_queries();
            }
            // User code's panics are values, so this is a defect of the worker's own: its record stays open, and the
            // task is delivered again after a restart.
            Err(error) => tracing::error!("a workflow task ended unexpectedly: {error}"),
        }
        for position in self.queries.drop_expired() {
            self.commit(&position);
        }
    }

    /// The run is not in use any more, and perhaps kept: what waits for it comes next.
    fn give_back(&mut self, run_id: RunId, cached: Option<CachedRun>) {
        if let Some(cached) = cached {
            self.cache.put(run_id.clone(), cached);
        }
        let mut waiting = self.busy.remove(&run_id).unwrap_or_default().waiting;
        while let Some(next) = waiting.pop_front() {
            let takes_the_run = match next {
                Next::Task(job) => {
                    self.start(job);
                    true
                }
                Next::Query(job) => self.ask(*job),
            };
            if takes_the_run {
                let line = self.busy.entry(run_id).or_default();
                waiting.into_iter().for_each(|next| line.push(next));
                return;
            }
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
        let traceparent = job.traceparent.as_deref();
        if job.to_confirm && self.confirmations.ask_for_workflow(task, traceparent).await == TaskVerdict::Drop {
            return cached;
        }
        let Self { registry, history, worker, meters, threads, .. } = self;
        let span = trace::workflow_task(task, job.traceparent.as_deref());
        let advancer = Advancer { registry, history, worker, meters, threads, span: &span };
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
