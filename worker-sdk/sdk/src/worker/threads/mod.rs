//! The threads that workflow code runs on, and the watchdog over them.
//!
//! Workflow code has no reason to keep its thread: it computes for a moment and awaits. Code that does keep it holds up no
//! executor here, so neither heartbeats nor activities nor other workflows: it is told of, another thread takes its
//! place, and after a while its workflow task is given up. Rust cannot end a thread, so one that is given up stays until its
//! code returns; there are never more of them than slots.

mod watchdog;
mod watched;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tidewright_replay::{Place, Run, catch};
use tidewright_schemas::RunId;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use super::measure::ThreadMeters;
pub(crate) use watched::{Blocked, Limits};
use watched::{Standing, Watched};

/// Threads that run at the same time if none is held: enough that a few that are held at once hold up no others.
const RUNNING_PER_PROCESSOR: usize = 4;
const RUNNING_MIN: usize = 16;

/// The threads of one worker. They end when it is dropped, or when their code returns.
pub(crate) struct WorkflowThreads {
    shared: Arc<Shared>,
}

/// Why work has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoResult {
    #[error(transparent)]
    Blocked(#[from] Blocked),
    #[error("the thread that advanced the workflow has ended")]
    ThreadEnded,
}

/// Work, with what is watched while it is done.
struct Task {
    watched: Watched,
    work: Box<dyn FnOnce() + Send>,
}

struct Shared {
    state: Mutex<State>,
    /// Told when there is work, or none any more.
    work: Condvar,
    /// Told when the watchdog has something to watch, or nothing any more.
    watch: Condvar,
    limits: Limits,
    /// Most threads that there are.
    slots: usize,
    /// Most threads that are not held: more would only get in each other's way.
    running_max: usize,
    /// How many threads are lost for now.
    given_up: watch::Sender<usize>,
    meters: ThreadMeters,
    /// What user code finds as its runtime, so that a misuse of it is noticed in the same way everywhere.
    runtime: Handle,
}

#[derive(Default)]
struct State {
    /// Bounded by the slots: one task for each workflow task that was taken.
    queue: VecDeque<Task>,
    /// Those that are there, each with what it does or without anything to do.
    threads: usize,
    watched: BTreeMap<u64, Watched>,
    numbers: u64,
    is_closed: bool,
    watchdog_sleeps: bool,
}

impl State {
    /// How many threads are with code that did not get on when it was last looked at.
    fn held(&self) -> usize {
        self.watched.values().filter(|watched| watched.is_held()).count()
    }
}

impl WorkflowThreads {
    /// Threads for as many workflow tasks at a time as there are slots.
    pub(crate) fn new(slots: usize, limits: Limits, meters: ThreadMeters) -> io::Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            watch: Condvar::new(),
            limits,
            slots,
            running_max: (processors * RUNNING_PER_PROCESSOR).max(RUNNING_MIN),
            given_up: watch::Sender::new(0),
            meters,
            runtime: Handle::current(),
        });
        watchdog::start(Arc::clone(&shared))?;
        Ok(Self { shared })
    }

    /// Does `work`, which runs the code of `run`, on one of the threads. Work whose result nobody waits for any more, or
    /// that was given up, is done all the same.
    pub(crate) async fn advance<T: Send + 'static>(
        &self,
        run: Run,
        work: impl FnOnce(Run) -> T + Send + 'static,
    ) -> Result<T, NoResult> {
        let (tell, told) = oneshot::channel();
        let (give_up, given_up) = oneshot::channel();
        let watched = Watched::new(&run, give_up);
        // What nobody waits for is dropped there, too: its destructors are user code.
        let work = Box::new(move || drop(tell.send(work(run))));
        self.shared.submit(Task { watched, work });
        tokio::select! {
            biased;
            told = told => told.map_err(|_| NoResult::ThreadEnded),
            Ok(blocked) = given_up => Err(blocked.into()),
        }
    }

    /// Whether a thread that was given up is still with this run.
    pub(crate) fn is_given_up(&self, run_id: &RunId) -> bool {
        let state = self.shared.lock();
        state.watched.values().any(|watched| watched.standing == Standing::GivenUp && watched.info.run_id == *run_id)
    }

    /// Nobody waits for this run's code any more. If it has a thread, that is lost until it returns; says where the code
    /// awaited something last.
    pub(crate) fn give_up(&self, run_id: &RunId) -> Option<Place> {
        let mut state = self.shared.lock();
        let mut of_run = state.watched.values_mut().filter(|watched| watched.info.run_id == *run_id);
        let last_await = of_run.next_back().map(Watched::give_up)?;
        // Another takes its place.
        let unserved = self.shared.add_threads(&mut state);
        drop(state);
        drop(unserved);
        self.shared.tell_given_up();
        Some(last_await)
    }

    /// How many threads are lost for now, each with a slot.
    pub(crate) fn given_up(&self) -> watch::Receiver<usize> {
        self.shared.given_up.subscribe()
    }
}

impl Drop for WorkflowThreads {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_closed = true;
        let undone = std::mem::take(&mut state.queue);
        drop(state);
        drop(undone);
        self.shared.work.notify_all();
        self.shared.watch.notify_all();
    }
}

impl Shared {
    /// No code of others runs while it is locked, so a poisoned lock is sound.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(self: &Arc<Self>, task: Task) {
        let mut state = self.lock();
        state.queue.push_back(task);
        if state.watchdog_sleeps {
            state.watchdog_sleeps = false;
            self.watch.notify_one();
        }
        let unserved = self.add_threads(&mut state);
        drop(state);
        self.work.notify_one();
        // What nobody will ever do has no result, and says so where it is dropped.
        drop(unserved);
    }

    /// Starts threads as long as work waits that none of those that are there can do. Returns work that none will ever do.
    fn add_threads(self: &Arc<Self>, state: &mut State) -> VecDeque<Task> {
        let held = state.held();
        while state.queue.len() > state.threads.saturating_sub(state.watched.len())
            && state.threads < self.slots
            && state.threads.saturating_sub(held) < self.running_max
        {
            let shared = Arc::clone(self);
            let started = std::thread::Builder::new().name("workflow".to_owned()).spawn(move || shared.serve());
            if let Err(error) = started {
                tracing::error!(threads = state.threads, "a thread for workflow code cannot be started: {error}");
                let none_is_free = state.threads <= held;
                return if none_is_free { std::mem::take(&mut state.queue) } else { VecDeque::new() };
            }
            state.threads += 1;
        }
        VecDeque::new()
    }

    /// A thread's life.
    fn serve(&self) {
        let _runtime = self.runtime.enter();
        while let Some((number, work)) = self.next() {
            // User code's panics are values, so this would be a defect of the worker's own.
            if let Err(panic) = catch(work) {
                tracing::error!("a thread for workflow code goes on after a defect of the worker: {panic}");
            }
            self.done(number);
        }
    }

    /// The next work for a thread; none if the thread is to end.
    fn next(&self) -> Option<(u64, Box<dyn FnOnce() + Send>)> {
        let mut state = self.lock();
        loop {
            if let Some(task) = state.queue.pop_front() {
                state.numbers += 1;
                let number = state.numbers;
                state.watched.insert(number, task.watched);
                return Some((number, task.work));
            }
            // One that took the place of another that runs again.
            let is_surplus = state.threads.saturating_sub(state.held()) > self.running_max;
            if state.is_closed || is_surplus {
                state.threads -= 1;
                return None;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, number: u64) {
        let Some(watched) = self.lock().watched.remove(&number) else { return };
        if watched.standing == Standing::GivenUp {
            self.tell_given_up();
            let (info, still_for) = (&watched.info, watched.still_for());
            tracing::info!(
                workflow_id = %info.workflow_id, run_id = %info.run_id, workflow_type = info.workflow_type,
                "workflow code that was given up has returned after {still_for:?}"
            );
        }
    }

    /// Under the lock, so that a later count is never overtaken by an earlier one.
    fn tell_given_up(&self) {
        let state = self.lock();
        let count = state.watched.values().filter(|watched| watched.standing == Standing::GivenUp).count();
        self.given_up.send_replace(count);
        self.meters.given_up(count);
    }
}
