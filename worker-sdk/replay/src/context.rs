//! What workflow code asks a run for. The SDK's workflow context wraps it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::FusedFuture;
use tidewright_schemas::{Failure, Payload, RetryPolicy, RunId, WorkflowId};

use crate::handlers::Note;
use crate::outside::{PendingCancel, PendingSignal, Waiting};
use crate::pending::{LastAwait, OperationKind, Origin, PendingOperation};
use crate::state::State;
use crate::wake::RunWaker;

/// Which run it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunInfo {
    /// The namespace.
    pub namespace: String,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The run.
    pub run_id: RunId,
    /// Its type.
    pub workflow_type: String,
}

/// An activity that workflow code asks for. Fields mean what those of
/// [`ScheduleActivity`](tidewright_schemas::ScheduleActivity) mean.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityRequest {
    /// Which activity.
    pub activity_type: String,
    /// Where its workers listen; default: the workflow's own queue.
    pub task_queue: Option<String>,
    /// What it is given.
    pub input: Option<Payload>,
    /// Limit for one attempt from its start.
    pub start_to_close_timeout_ms: Option<u64>,
    /// Limit for the wait for a worker.
    pub schedule_to_start_timeout_ms: Option<u64>,
    /// Limit for all attempts together.
    pub schedule_to_close_timeout_ms: Option<u64>,
    /// Limit for the time between two heartbeats of an attempt.
    pub heartbeat_timeout_ms: Option<u64>,
    /// How failures are retried.
    pub retry_policy: Option<RetryPolicy>,
    /// What it means to cancel it.
    pub cancellation_type: ActivityCancellationType,
}

/// What it means to cancel an activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ActivityCancellationType {
    /// The activity is asked to end; who waits for it hears at once that it was cancelled.
    #[default]
    TryCancel,
    /// The activity is asked to end; who waits for it hears how it ended: perhaps it completed all the same.
    WaitCancellationCompleted,
    /// The activity is left alone and not waited for any more.
    Abandon,
}

/// The workflow code's side of a run; a cheap handle.
#[derive(Clone)]
pub struct RunContext {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) info: RunInfo,
    pub(crate) state: Mutex<State>,
    pub(crate) wake: Arc<RunWaker>,
    pub(crate) last_await: LastAwait,
}

impl Shared {
    /// No lock is held while user code runs, so a poisoned one is sound.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunContext {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Which run it is.
    #[must_use]
    pub fn info(&self) -> &RunInfo {
        &self.shared.info
    }

    /// The run's time, in milliseconds since 1970: when the workflow task that advances it was started.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.shared.state().now_ms
    }

    /// Asks for an activity, now, and waits for its outcome. It is cancelled when what is returned is dropped. `at` is the
    /// place in the code that asks.
    #[must_use = "an activity that nobody waits for is asked for with `detach_activity`"]
    pub fn schedule_activity(&self, request: ActivityRequest, at: Origin) -> PendingActivity {
        let about = self.about(OperationKind::Activity, &request.activity_type, at);
        let sequence = self.asked().schedule_activity(request, Some(about));
        PendingActivity { waiting: Some((Arc::clone(&self.shared), sequence)) }
    }

    /// Asks for an activity, now, whose outcome nobody waits for; it outlives its run.
    pub fn detach_activity(&self, request: ActivityRequest) {
        self.asked().schedule_activity(request, None);
    }

    /// Starts a timer, now. It is cancelled when what is returned is dropped.
    #[must_use = "a timer that is dropped is cancelled"]
    pub fn start_timer(&self, start_to_fire_timeout_ms: u64, at: Origin) -> PendingTimer {
        let about = self.about(OperationKind::Timer, &format!("{start_to_fire_timeout_ms}ms"), at);
        let sequence = self.asked().start_timer(start_to_fire_timeout_ms, about);
        PendingTimer { waiting: Some((Arc::clone(&self.shared), sequence)) }
    }

    /// Waits for a signal; those of one name are taken in the order in which they came.
    pub fn receive_signal(&self, name: &str, at: Origin) -> PendingSignal {
        PendingSignal::new(Arc::clone(&self.shared), self.about(OperationKind::Signal, name, at))
    }

    /// Takes a signal that has come already.
    #[must_use]
    pub fn try_receive_signal(&self, name: &str) -> Option<Option<Payload>> {
        self.asked().told.take(name)
    }

    /// Whether somebody has asked the run to end.
    #[must_use]
    pub fn is_cancel_requested(&self) -> bool {
        self.shared.state().told.is_cancel_requested()
    }

    /// Waits until somebody asks the run to end.
    pub fn cancel_requested(&self, at: Origin) -> PendingCancel {
        PendingCancel::new(Arc::clone(&self.shared), self.about(OperationKind::Cancellation, "", at))
    }

    /// A place among those that wait for what comes from outside.
    #[must_use]
    pub fn waiting(&self, kind: OperationKind, name: &str, at: Origin) -> Waiting {
        Waiting::new(Arc::clone(&self.shared), self.about(kind, name, at))
    }

    /// Wakes everything that the run waits for, so that it looks again: what it waits for has changed otherwise than by
    /// an event.
    pub fn wake_waiting(&self) {
        let wakers = self.asked().wake_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Leaves a note for whoever advances the run. It is dropped while history is replayed, so it is heard once.
    pub fn note(&self, note: Note) {
        self.asked().notes.push(note);
    }

    /// Fills `bytes` with randomness that is the same on every replay. Not for secrets: it derives from the run's id.
    pub fn fill_random(&self, bytes: &mut [u8]) {
        self.asked().fill_random(bytes);
    }

    fn about(&self, kind: OperationKind, name: &str, at: Origin) -> PendingOperation {
        PendingOperation { kind, name: name.to_owned(), since_ms: self.now_ms(), at }
    }

    fn asked(&self) -> MutexGuard<'_, State> {
        if !self.shared.wake.is_active() {
            self.shared.wake.note_outsider();
        }
        self.shared.state()
    }
}

impl fmt::Debug for RunContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RunContext").field(&self.shared.info).finish()
    }
}

/// An activity that was asked for; resolves when history has its outcome, is cancelled when dropped.
#[must_use = "an activity that is dropped is cancelled"]
pub struct PendingActivity {
    waiting: Option<(Arc<Shared>, u64)>,
}

impl Future for PendingActivity {
    type Output = Result<Option<Payload>, Box<Failure>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((shared, sequence)) = &self.waiting else { return Poll::Pending };
        let poll = shared.state().poll_activity(*sequence, cx, &shared.last_await);
        if poll.is_ready() {
            self.waiting = None;
        }
        poll
    }
}

impl FusedFuture for PendingActivity {
    fn is_terminated(&self) -> bool {
        self.waiting.is_none()
    }
}

impl PendingActivity {
    /// Cancels the activity, as its type says, and goes on waiting: poll it afterwards. To cancel twice changes nothing.
    pub fn cancel(&self) {
        if let Some((shared, sequence)) = &self.waiting {
            shared.state().cancel_activity(*sequence);
        }
    }
}

impl Drop for PendingActivity {
    fn drop(&mut self) {
        // Outside an activation it is the cache that drops the run, not the workflow its activity.
        if let Some((shared, sequence)) = self.waiting.take()
            && shared.wake.is_active()
        {
            shared.state().drop_activity(sequence);
        }
    }
}

/// A timer that was started; resolves when history says that it fired, is cancelled when dropped.
#[must_use = "a timer that is dropped is cancelled"]
pub struct PendingTimer {
    waiting: Option<(Arc<Shared>, u64)>,
}

impl Future for PendingTimer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some((shared, sequence)) = &self.waiting else { return Poll::Pending };
        let poll = shared.state().poll_timer(*sequence, cx, &shared.last_await);
        if poll.is_ready() {
            self.waiting = None;
        }
        poll
    }
}

impl FusedFuture for PendingTimer {
    fn is_terminated(&self) -> bool {
        self.waiting.is_none()
    }
}

impl Drop for PendingTimer {
    fn drop(&mut self) {
        // Outside an activation it is the cache that drops the run, not the workflow its timer.
        if let Some((shared, sequence)) = self.waiting.take()
            && shared.wake.is_active()
        {
            shared.state().cancel_timer(sequence);
        }
    }
}
