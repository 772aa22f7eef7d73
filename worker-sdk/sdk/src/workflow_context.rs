//! What workflow code can do: ask for activities, sleep, tell the time.

use std::borrow::Borrow;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::FusedFuture;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidewright_replay::{ActivityRequest, PendingActivity, PendingTimer, RunContext};
use tidewright_schemas::Failure;
use uuid::Uuid;

use crate::convert::{from_payload, to_payload};
use crate::definition::{ActivityDef, DefaultTimeouts, MissingTimeout, WithTimeout};
use crate::error::{ActivityFailed, application, millis};
use crate::options::{ActivityOptions, RetryPolicy};

/// The workflow's world. Everything that a workflow does goes through it, so that a replay does the same.
///
/// Workflow code must not do anything else that has a side effect or depends on time, chance or the process it runs
/// in: that is for activities.
#[derive(Debug, Clone)]
pub struct WorkflowContext {
    run: RunContext,
}

impl WorkflowContext {
    pub(crate) fn new(run: RunContext) -> Self {
        Self { run }
    }

    pub(crate) fn run(&self) -> &RunContext {
        &self.run
    }

    /// Calls an activity. Nothing happens until the call is awaited (or [detached](ActivityCall::detach)).
    #[must_use = "an activity call does nothing unless awaited or detached"]
    pub fn activity<A, I: Serialize, O, T>(
        &self,
        activity: ActivityDef<A, I, O, T>,
        input: impl Borrow<I>,
    ) -> ActivityCall<O, T> {
        ActivityCall::new(self.run.clone(), activity.name(), activity.timeouts(), input.borrow())
    }

    /// Calls an activity by its name: of another service, in any language.
    #[must_use = "an activity call does nothing unless awaited or detached"]
    pub fn activity_named<O>(&self, name: &str, input: &impl Serialize) -> ActivityCall<O, MissingTimeout> {
        ActivityCall::new(self.run.clone(), name, DefaultTimeouts::default(), input)
    }

    /// A durable timer. It starts when it is first awaited and is cancelled when it is dropped before it fires.
    #[must_use = "a timer does nothing unless awaited"]
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep { state: SleepState::New(self.run.clone(), millis(duration)) }
    }

    /// The time at which the current workflow task was started: the same on every replay.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let ms = i64::try_from(self.run.now_ms()).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
    }

    /// A random number, the same on every replay. It derives from the run's id: not for secrets.
    #[must_use]
    pub fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.run.fill_random(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A random UUID, the same on every replay. It derives from the run's id: not for secrets.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.run.fill_random(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// The workflow's id.
    #[must_use]
    pub fn workflow_id(&self) -> &str {
        self.run.info().workflow_id.as_str()
    }

    /// The run's id.
    #[must_use]
    pub fn run_id(&self) -> &str {
        self.run.info().run_id.as_str()
    }

    /// The workflow's type.
    #[must_use]
    pub fn workflow_type(&self) -> &str {
        &self.run.info().workflow_type
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.run.info().namespace
    }
}

/// A call of an activity: a future, once it has a timeout. Without any it does not compile:
///
/// ```compile_fail
/// # use tidewright::prelude::*;
/// #[workflow]
/// async fn order(ctx: &WorkflowContext) -> WorkflowResult<u64> {
///     Ok(ctx.activity_named::<u64>("Charge", &42).await?)
/// }
/// ```
///
/// ```
/// # use tidewright::prelude::*;
/// #[workflow]
/// async fn order(ctx: &WorkflowContext) -> WorkflowResult<u64> {
///     Ok(ctx.activity_named::<u64>("Charge", &42).start_to_close(30.secs()).await?)
/// }
/// # let _ = order;
/// ```
#[must_use = "an activity call does nothing unless awaited or detached"]
pub struct ActivityCall<O, T = WithTimeout> {
    state: CallState,
    types: PhantomData<fn() -> (O, T)>,
}

enum CallState {
    New(RunContext, ActivityRequest),
    Invalid(Box<Failure>),
    Pending(PendingActivity),
    Done,
}

impl<O, T> ActivityCall<O, T> {
    fn new<I: Serialize>(run: RunContext, name: &str, timeouts: DefaultTimeouts, input: &I) -> Self {
        let state = match to_payload(input) {
            Ok(input) => CallState::New(
                run,
                ActivityRequest {
                    activity_type: name.to_owned(),
                    task_queue: None,
                    input: Some(input),
                    start_to_close_timeout_ms: timeouts.start_to_close.map(millis),
                    schedule_to_start_timeout_ms: timeouts.schedule_to_start.map(millis),
                    schedule_to_close_timeout_ms: timeouts.schedule_to_close.map(millis),
                    retry_policy: None,
                },
            ),
            Err(problem) => CallState::Invalid(application(
                problem.error_type("Input"),
                format!("the input of activity `{name}` cannot be sent: {problem}"),
                true,
            )),
        };
        Self { state, types: PhantomData }
    }

    /// With these options; what they leave out stays as it was.
    pub fn options(self, options: impl Borrow<ActivityOptions>) -> ActivityCall<O> {
        let options = options.borrow();
        let mut call = self.changed(|request| {
            let set = |slot: &mut Option<u64>, timeout: Option<Duration>| *slot = timeout.map(millis).or(*slot);
            set(&mut request.start_to_close_timeout_ms, options.start_to_close);
            set(&mut request.schedule_to_start_timeout_ms, options.schedule_to_start);
            set(&mut request.schedule_to_close_timeout_ms, options.schedule_to_close);
        });
        if let Some(policy) = &options.retry {
            call = call.retry(policy.clone());
        }
        match &options.task_queue {
            Some(task_queue) => call.task_queue(task_queue),
            None => call,
        }
    }

    /// Limits one attempt from its start.
    pub fn start_to_close(self, timeout: Duration) -> ActivityCall<O> {
        self.changed(|request| request.start_to_close_timeout_ms = Some(millis(timeout)))
    }

    /// Limits all attempts together.
    pub fn schedule_to_close(self, timeout: Duration) -> ActivityCall<O> {
        self.changed(|request| request.schedule_to_close_timeout_ms = Some(millis(timeout)))
    }

    /// Limits the wait for a worker.
    pub fn schedule_to_start(self, timeout: Duration) -> Self {
        self.changed(|request| request.schedule_to_start_timeout_ms = Some(millis(timeout)))
    }

    /// How failures are retried.
    pub fn retry(self, policy: RetryPolicy) -> Self {
        self.changed(|request| request.retry_policy = Some(policy.to_wire()))
    }

    /// Where the activity's workers listen, if not on the workflow's own queue.
    pub fn task_queue(self, task_queue: impl Into<String>) -> Self {
        self.changed(|request| request.task_queue = Some(task_queue.into()))
    }

    fn changed<U>(mut self, change: impl FnOnce(&mut ActivityRequest)) -> ActivityCall<O, U> {
        if let CallState::New(_, request) = &mut self.state {
            change(request);
        }
        ActivityCall { state: self.state, types: PhantomData }
    }
}

impl<O> ActivityCall<O, WithTimeout> {
    /// Fire and forget: asks for the activity now and waits for nothing. It outlives the workflow.
    pub fn detach(self) {
        match self.state {
            CallState::New(run, request) => run.detach_activity(request),
            CallState::Invalid(failure) => tracing::error!(problem = failure.message, "a detached activity is lost"),
            // Asked for already: it goes on by itself.
            CallState::Pending(_) | CallState::Done => {}
        }
    }
}

impl<O: DeserializeOwned> Future for ActivityCall<O, WithTimeout> {
    type Output = Result<O, ActivityFailed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut pending = match std::mem::replace(&mut self.state, CallState::Done) {
            CallState::New(run, request) => run.schedule_activity(request),
            CallState::Pending(pending) => pending,
            CallState::Invalid(failure) => return Poll::Ready(Err(ActivityFailed::new(failure))),
            CallState::Done => return Poll::Pending,
        };
        match Pin::new(&mut pending).poll(cx) {
            Poll::Pending => {
                self.state = CallState::Pending(pending);
                Poll::Pending
            }
            Poll::Ready(Err(failure)) => Poll::Ready(Err(ActivityFailed::new(failure))),
            Poll::Ready(Ok(result)) => Poll::Ready(from_payload(result.as_ref()).map_err(|problem| {
                let message = format!("the activity's result is not what the workflow expects: {problem}");
                ActivityFailed::new(application("ResultNotReadable".to_owned(), message, true))
            })),
        }
    }
}

impl<O: DeserializeOwned> FusedFuture for ActivityCall<O, WithTimeout> {
    fn is_terminated(&self) -> bool {
        matches!(self.state, CallState::Done)
    }
}

/// A durable timer.
#[must_use = "a timer does nothing unless awaited"]
pub struct Sleep {
    state: SleepState,
}

enum SleepState {
    New(RunContext, u64),
    Pending(PendingTimer),
    Done,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut pending = match std::mem::replace(&mut self.state, SleepState::Done) {
            SleepState::New(run, ms) => run.start_timer(ms),
            SleepState::Pending(pending) => pending,
            SleepState::Done => return Poll::Pending,
        };
        let poll = Pin::new(&mut pending).poll(cx);
        if poll.is_pending() {
            self.state = SleepState::Pending(pending);
        }
        poll
    }
}

impl FusedFuture for Sleep {
    fn is_terminated(&self) -> bool {
        matches!(self.state, SleepState::Done)
    }
}
