//! The machine of one run.
//!
//! Which events an activation sees follows from history alone: those before a `WorkflowTaskStarted` that was followed
//! by `WorkflowTaskCompleted` (or is the current one) and after the one before it. Boundaries of failed tasks do not
//! count: what they saw is seen by the next one. Inside an activation events are delivered one by one, in order, and
//! the code is polled after each, so that of two things that a workflow races the one that happened first wins.
//!
//! After an error the run must be thrown away.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tidewright_schemas::{
    CancelWorkflow, CanceledFailure, CompleteWorkflow, Decision, EventAttributes, EventId, FailWorkflow, Failure,
    FailureInfo, HistoryEvent, Payload,
};

use crate::context::Shared;
use crate::expected::Expected;
use crate::handlers::{Handled, Handlers, Note};
use crate::outcome::{ActivityOutcome, Asked, Ended};
use crate::panics::catch;
use crate::pending::LastAwait;
use crate::pulse::Pulse;
use crate::state::State;
use crate::wake::RunWaker;
use crate::{ReplayError, RunContext, RunInfo};

/// How often a workflow may be polled for one event: far more than any real one needs.
const POLLS_MAX: u32 = 100_000;

/// The future of a workflow: its result, or the failure that it ends with.
pub type WorkflowFuture = Pin<Box<dyn Future<Output = Result<Option<Payload>, Box<Failure>>> + Send>>;

/// A workflow that has begun: its future, and the handlers of its signals and queries if it has any.
pub struct Begun {
    /// The future, not polled yet.
    pub future: WorkflowFuture,
    /// The handlers.
    pub handlers: Option<Box<dyn Handlers>>,
}

impl From<WorkflowFuture> for Begun {
    fn from(future: WorkflowFuture) -> Self {
        Self { future, handlers: None }
    }
}

/// Begins a workflow, with its context and input.
pub type WorkflowStart = Box<dyn FnOnce(RunContext, Option<Payload>) -> Begun + Send>;

/// One run, as far as its history has been fed to it.
pub struct Run {
    pub(crate) shared: Arc<Shared>,
    start: Option<WorkflowStart>,
    future: Option<WorkflowFuture>,
    pub(crate) handlers: Option<Box<dyn Handlers>>,
    /// Whether the code was ever polled.
    has_run: bool,
    expected: Expected,
    /// Events that the next activation delivers.
    inbound: Vec<HistoryEvent>,
    /// Activities that are open, by the id of their `ActivityTaskScheduled`.
    scheduled: BTreeMap<EventId, Asked>,
    /// The last `WorkflowTaskStarted` and its time.
    started: Option<(EventId, u64)>,
    /// The `WorkflowTaskStarted` of the last activation.
    activated_at: EventId,
    last_event_id: EventId,
    pub(crate) pulse: Pulse,
}

impl Run {
    /// A run of which nothing is known yet.
    #[must_use]
    pub fn new(info: RunInfo, start: WorkflowStart) -> Self {
        let state = Mutex::new(State::new(info.run_id.as_str()));
        Self {
            shared: Arc::new(Shared { info, state, wake: Arc::new(RunWaker::new()), last_await: LastAwait::default() }),
            start: Some(start),
            future: None,
            handlers: None,
            has_run: false,
            expected: Expected::default(),
            inbound: Vec::new(),
            scheduled: BTreeMap::new(),
            started: None,
            activated_at: 0,
            last_event_id: 0,
            pulse: Pulse::default(),
        }
    }

    /// The last event that the run has seen, its own boundaries included.
    #[must_use]
    pub fn last_event_id(&self) -> EventId {
        self.last_event_id
    }

    /// Whether the workflow code has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.start.is_none() && self.future.is_none()
    }

    /// Takes the next event of history; events that the run has seen are passed over. A completed workflow task is
    /// replayed here, and what it decided is held against the events that follow.
    pub fn apply(&mut self, event: &HistoryEvent) -> Result<(), ReplayError> {
        if event.event_id <= self.last_event_id {
            return Ok(());
        }
        if event.event_id != self.last_event_id + 1 {
            let (expected, got) = (self.last_event_id + 1, event.event_id);
            return Err(ReplayError::BadHistory(format!("event {expected} is missing; the next one is {got}")));
        }
        self.last_event_id = event.event_id;
        self.pulse.beat();
        match &event.attributes {
            EventAttributes::WorkflowTaskScheduled(_) => self.check_done(event),
            EventAttributes::WorkflowTaskStarted(_) => {
                self.started = Some((event.event_id, event.event_time_ms));
                Ok(())
            }
            EventAttributes::WorkflowTaskFailed(_) | EventAttributes::WorkflowTaskTimedOut(_) => {
                self.started = None;
                Ok(())
            }
            EventAttributes::WorkflowTaskCompleted(completed) => self.replay_task(completed.started_event_id),
            EventAttributes::ActivityTaskScheduled(activity) => {
                let (activity_id, activity_type) = (activity.activity_id.clone(), activity.activity_type.clone());
                self.shared.state().activity_scheduled(&activity_id, event.event_id);
                self.scheduled.insert(event.event_id, Asked { activity_id, activity_type });
                self.expected.check(event)
            }
            EventAttributes::TimerStarted(_)
            | EventAttributes::TimerCanceled(_)
            | EventAttributes::ActivityTaskCancelRequested(_)
            | EventAttributes::WorkflowExecutionCompleted(_)
            | EventAttributes::WorkflowExecutionFailed(_)
            | EventAttributes::WorkflowExecutionCanceled(_) => self.expected.check(event),
            // The run's end from outside: its code is not asked, so nothing that it decided is expected any more.
            EventAttributes::WorkflowExecutionTerminated(_) | EventAttributes::WorkflowExecutionTimedOut(_) => Ok(()),
            EventAttributes::WorkflowExecutionStarted(_)
            | EventAttributes::WorkflowExecutionSignaled(_)
            | EventAttributes::WorkflowExecutionCancelRequested(_)
            | EventAttributes::ActivityTaskStarted(_)
            | EventAttributes::ActivityTaskCompleted(_)
            | EventAttributes::ActivityTaskFailed(_)
            | EventAttributes::ActivityTaskTimedOut(_)
            | EventAttributes::ActivityTaskCanceled(_)
            | EventAttributes::TimerFired(_) => {
                // What came while the code's last task was out stands before what it decided, and nobody waits for it.
                if !self.is_closed() {
                    self.check_done(event)?;
                }
                self.inbound.push(event.clone());
                Ok(())
            }
        }
    }

    /// Advances the run over everything that it was fed: the workflow task that is current. `started_event_id` is the
    /// id that the task's `WorkflowTaskStarted` has or will get, `now_ms` the run's time.
    pub fn activate(&mut self, started_event_id: EventId, now_ms: u64) -> Result<Vec<Decision>, ReplayError> {
        if started_event_id < self.last_event_id {
            let last = self.last_event_id;
            return Err(ReplayError::BadHistory(format!(
                "the task was started at event {started_event_id}, but the run has seen event {last} already"
            )));
        }
        // A task that was sent again has boundaries only once it is accepted.
        self.expected.check_done(started_event_id, "WorkflowTaskStarted")?;
        self.last_event_id = started_event_id;
        let now_ms = self.started.filter(|(id, _)| *id == started_event_id).map_or(now_ms, |(_, time_ms)| time_ms);
        self.advance(started_event_id, now_ms)
    }

    fn check_done(&mut self, event: &HistoryEvent) -> Result<(), ReplayError> {
        self.expected.check_done(event.event_id, event.attributes.event_type())
    }

    fn replay_task(&mut self, started_event_id: EventId) -> Result<(), ReplayError> {
        if self.activated_at == started_event_id {
            return Ok(());
        }
        match self.started {
            Some((id, time_ms)) if id == started_event_id => {
                self.advance(id, time_ms)?;
                self.take_notes();
                Ok(())
            }
            _ => {
                let problem = format!("event {started_event_id}, the start of a completed task, is missing");
                Err(ReplayError::BadHistory(problem))
            }
        }
    }

    fn advance(&mut self, started_event_id: EventId, now_ms: u64) -> Result<Vec<Decision>, ReplayError> {
        if self.shared.wake.was_woken_from_outside() {
            return Err(ReplayError::WokenFromOutside { last_await: self.shared.last_await.place() });
        }
        self.activated_at = started_event_id;
        self.started = None;
        self.shared.state().now_ms = now_ms;
        self.settle_inbound();
        {
            let _advancing = self.shared.wake.advance();
            let inbound = std::mem::take(&mut self.inbound);
            self.deliver_all(inbound)?;
        }
        if self.future.is_some() && !self.shared.state().waits() {
            return Err(ReplayError::Stuck { last_await: self.shared.last_await.place() });
        }
        let mut state = self.shared.state();
        let decisions = state.take_decisions();
        self.expected.expect(&decisions, |decision| state.place_of(decision));
        Ok(decisions)
    }

    fn deliver_all(&mut self, events: Vec<HistoryEvent>) -> Result<(), ReplayError> {
        let mut events = events.into_iter().peekable();
        while let Some(event) = events.next() {
            self.deliver(event)?;
            let next_is_signal =
                events.peek().is_some_and(|e| matches!(e.attributes, EventAttributes::WorkflowExecutionSignaled(_)));
            // Signals that came with the start are in the state when the code begins.
            if self.has_run || self.handlers.is_none() || !next_is_signal {
                self.poll()?;
            }
        }
        Ok(())
    }

    /// What has ended in the history that will be delivered cannot be cancelled any more.
    fn settle_inbound(&self) {
        let mut state = self.shared.state();
        for event in &self.inbound {
            if let EventAttributes::TimerFired(fired) = &event.attributes {
                state.settle_timer(&fired.timer_id);
            }
            let closed = event.attributes.closes_activity().and_then(|id| self.scheduled.get(&id));
            if let Some(asked) = closed {
                state.settle_activity(&asked.activity_id);
            }
        }
    }

    fn deliver(&mut self, event: HistoryEvent) -> Result<(), ReplayError> {
        self.pulse.beat();
        match event.attributes {
            EventAttributes::WorkflowExecutionStarted(started) => self.begin(started.input)?,
            EventAttributes::ActivityTaskCompleted(completed) => {
                self.resolve(completed.scheduled_event_id, |_| Ok(completed.result))?;
            }
            EventAttributes::ActivityTaskFailed(failed) => {
                let (scheduled_event_id, started_event_id) = (failed.scheduled_event_id, failed.started_event_id);
                let ended = Ended { scheduled_event_id, started_event_id, identity: failed.worker.identity };
                self.resolve(scheduled_event_id, |asked| Err(asked.failed(ended, failed.retry_state, failed.failure)))?;
            }
            EventAttributes::ActivityTaskTimedOut(late) => {
                let (scheduled_event_id, started_event_id) = (late.scheduled_event_id, late.started_event_id);
                let ended = Ended { scheduled_event_id, started_event_id, identity: String::new() };
                self.resolve(scheduled_event_id, |asked| Err(asked.failed(ended, late.retry_state, late.failure)))?;
            }
            EventAttributes::ActivityTaskCanceled(canceled) => {
                let (scheduled_event_id, started_event_id) = (canceled.scheduled_event_id, canceled.started_event_id);
                let ended = Ended { scheduled_event_id, started_event_id, identity: canceled.worker.identity };
                self.resolve(scheduled_event_id, |asked| Err(asked.canceled(ended, canceled.details)))?;
            }
            EventAttributes::TimerFired(fired) => {
                let waker = self.shared.state().fire_timer(&fired.timer_id);
                wake(waker);
            }
            EventAttributes::WorkflowExecutionSignaled(signal) => self.signal(signal.signal_name, signal.input)?,
            EventAttributes::WorkflowExecutionCancelRequested(_) => {
                let wakers = self.shared.state().request_cancel();
                wake(wakers);
            }
            _ => {}
        }
        Ok(())
    }

    /// A signal goes to its handler; one without is kept for the code to take.
    fn signal(&mut self, name: String, input: Option<Payload>) -> Result<(), ReplayError> {
        let handled = match self.handlers.as_mut() {
            Some(handlers) => catch(|| handlers.signal(&name, input.as_ref())).map_err(ReplayError::Panicked)?,
            None => Handled::Unknown,
        };
        let mut state = self.shared.state();
        let wakers = match handled {
            Handled::Done => state.told.wake(),
            Handled::Unreadable(problem) => {
                state.notes.push(Note::UnreadableSignal { name, problem });
                Vec::new()
            }
            Handled::Unknown => {
                if self.handlers.is_some() && !state.told.is_asked_for(&name) {
                    state.notes.push(Note::UnknownSignal { name: name.clone() });
                }
                state.told.signal(name, input)
            }
        };
        drop(state);
        wake(wakers);
        Ok(())
    }

    fn begin(&mut self, input: Option<Payload>) -> Result<(), ReplayError> {
        let Some(start) = self.start.take() else {
            return Err(ReplayError::BadHistory("the run starts twice".to_owned()));
        };
        let context = RunContext::new(Arc::clone(&self.shared));
        let begun = catch(|| start(context, input)).map_err(ReplayError::Panicked)?;
        (self.future, self.handlers) = (Some(begun.future), begun.handlers);
        // Whatever was noted before is about nothing; the first poll needs no reason.
        wake(Some(self.shared.wake.waker()));
        Ok(())
    }

    fn resolve(
        &mut self,
        scheduled_event_id: EventId,
        outcome: impl FnOnce(&Asked) -> ActivityOutcome,
    ) -> Result<(), ReplayError> {
        let Some(activity) = self.scheduled.remove(&scheduled_event_id) else {
            let problem = format!("an activity ended whose start should be event {scheduled_event_id}; it is not");
            return Err(ReplayError::BadHistory(problem));
        };
        let waker = self.shared.state().resolve_activity(&activity.activity_id, outcome(&activity));
        wake(waker);
        Ok(())
    }

    /// Polls the code until it neither ends nor wakes itself.
    fn poll(&mut self) -> Result<(), ReplayError> {
        self.has_run = true;
        let waker = self.shared.wake.waker();
        let mut polls = 0;
        while self.shared.wake.take_woken() {
            let Some(future) = self.future.as_mut() else { return Ok(()) };
            polls += 1;
            if polls > POLLS_MAX {
                return Err(ReplayError::Spins { polls: POLLS_MAX, last_await: self.shared.last_await.place() });
            }
            self.pulse.beat();
            let poll = catch(|| future.as_mut().poll(&mut Context::from_waker(&waker)));
            match poll.map_err(ReplayError::Panicked)? {
                Poll::Pending => {}
                Poll::Ready(outcome) => return self.close(outcome),
            }
        }
        Ok(())
    }

    fn close(&mut self, outcome: Result<Option<Payload>, Box<Failure>>) -> Result<(), ReplayError> {
        match outcome {
            Ok(result) => self.shared.state().close(CompleteWorkflow { result }),
            Err(failure) => {
                let mut state = self.shared.state();
                // A workflow that says it was cancelled is, if somebody has asked for it.
                match cancellation(&failure).filter(|_| state.told.is_cancel_requested()) {
                    Some(canceled) => state.close(CancelWorkflow { details: canceled.details.clone() }),
                    None => state.close(FailWorkflow { failure: (*failure).shortened() }),
                }
            }
        }
        let future = self.future.take();
        catch(|| drop(future)).map_err(ReplayError::Panicked)
    }
}

/// The cancellation that a failure is: of the workflow itself, or of an activity.
fn cancellation(failure: &Failure) -> Option<&CanceledFailure> {
    match &failure.info {
        FailureInfo::Canceled(canceled) => Some(canceled),
        FailureInfo::Activity(_) => failure.cause.as_deref().and_then(cancellation),
        _ => None,
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // The future's destructors are user code: a panic there must not reach whoever drops the run, and there is
        // nothing left to do about it beyond the panic hook's message.
        let future = self.future.take();
        let _ = catch(|| drop(future));
    }
}

fn wake(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}
