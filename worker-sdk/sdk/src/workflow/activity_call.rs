//! Calls of activities.

use std::borrow::Borrow;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::FusedFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidewright_replay::{ActivityCancellationType, ActivityRequest, Origin, PendingActivity};
use tidewright_schemas::Failure;

use super::{WorkflowContext, World};
use crate::contract::{ActivityType, Defaults, MissingTimeout, WithTimeout};
use crate::convert::{from_payload, to_payload};
use crate::error::{ActivityFailed, application, millis};
use crate::options::{ActivityOptions, RetryPolicy};

impl<S> WorkflowContext<S> {
    /// Calls an activity. Nothing happens until the call is awaited (or [detached](ActivityCall::detach)).
    #[must_use = "an activity call does nothing unless awaited or detached"]
    #[track_caller]
    pub fn activity<A: ActivityType>(
        &self,
        activity: A,
        input: impl Borrow<A::Input>,
    ) -> ActivityCall<A::Output, A::Timeout> {
        let (contract, at) = (activity.contract(), Location::caller());
        ActivityCall::new(self.world.clone(), contract.name(), contract.defaults(), input.borrow(), at)
    }

    /// Calls an activity by its name: of another service, in any language.
    #[must_use = "an activity call does nothing unless awaited or detached"]
    #[track_caller]
    pub fn activity_named<O>(&self, name: &str, input: &impl Serialize) -> ActivityCall<O, MissingTimeout> {
        ActivityCall::new(self.world.clone(), name, Defaults::default(), input, Location::caller())
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
    pub(super) world: World,
    at: Origin,
    state: CallState,
    types: PhantomData<fn() -> (O, T)>,
}

enum CallState {
    New(ActivityRequest),
    Invalid(Box<Failure>),
    Pending(PendingActivity, String),
    Done,
}

impl<O, T> ActivityCall<O, T> {
    fn new<I: Serialize>(world: World, name: &str, defaults: Defaults, input: &I, at: Origin) -> Self {
        let state = match to_payload(input) {
            Ok(input) => CallState::New(ActivityRequest {
                activity_type: name.to_owned(),
                task_queue: defaults.task_queue.map(str::to_owned),
                input: Some(input),
                start_to_close_timeout_ms: defaults.start_to_close.map(millis),
                schedule_to_start_timeout_ms: defaults.schedule_to_start.map(millis),
                schedule_to_close_timeout_ms: defaults.schedule_to_close.map(millis),
                heartbeat_timeout_ms: defaults.heartbeat.map(millis),
                retry_policy: None,
                cancellation_type: ActivityCancellationType::default(),
            }),
            Err(problem) => CallState::Invalid(application(
                problem.error_type("Input"),
                format!("the input of activity `{name}` cannot be sent: {problem}"),
                true,
            )),
        };
        Self { world, at, state, types: PhantomData }
    }

    /// The activity's type.
    pub(crate) fn activity_type(&self) -> String {
        match &self.state {
            CallState::New(request) => request.activity_type.clone(),
            CallState::Pending(_, activity_type) => activity_type.clone(),
            CallState::Invalid(_) | CallState::Done => String::new(),
        }
    }

    /// The same call in another scope.
    pub(crate) fn in_scope_of<S>(self, ctx: &WorkflowContext<S>) -> Self {
        Self { world: ctx.world.clone(), ..self }
    }

    /// With these options; what they leave out stays as it was.
    pub fn options(self, options: impl Borrow<ActivityOptions>) -> ActivityCall<O> {
        let options = options.borrow();
        let mut call = self.changed(|request| {
            let set = |slot: &mut Option<u64>, timeout: Option<Duration>| *slot = timeout.map(millis).or(*slot);
            set(&mut request.start_to_close_timeout_ms, options.start_to_close);
            set(&mut request.schedule_to_start_timeout_ms, options.schedule_to_start);
            set(&mut request.schedule_to_close_timeout_ms, options.schedule_to_close);
            set(&mut request.heartbeat_timeout_ms, options.heartbeat);
            request.cancellation_type = options.cancellation_type.unwrap_or(request.cancellation_type);
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

    /// Limits the time between two [heartbeats](crate::ActivityContext::heartbeat) of an attempt, and from its start to
    /// the first.
    pub fn heartbeat_timeout(self, timeout: Duration) -> Self {
        self.changed(|request| request.heartbeat_timeout_ms = Some(millis(timeout)))
    }

    /// What it means to cancel the call, with its scope or by dropping it. Default:
    /// [`TryCancel`](ActivityCancellationType::TryCancel).
    pub fn cancellation_type(self, cancellation_type: ActivityCancellationType) -> Self {
        self.changed(|request| request.cancellation_type = cancellation_type)
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
        if let CallState::New(request) = &mut self.state {
            change(request);
        }
        ActivityCall { world: self.world, at: self.at, state: self.state, types: PhantomData }
    }
}

impl<O> ActivityCall<O, WithTimeout> {
    /// Fire and forget: asks for the activity now and waits for nothing. It outlives the workflow.
    pub fn detach(self) {
        match self.state {
            CallState::New(request) => self.world.run.detach_activity(request),
            CallState::Invalid(failure) => tracing::error!(problem = failure.message, "a detached activity is lost"),
            // Asked for already: it goes on by itself.
            CallState::Pending(..) | CallState::Done => {}
        }
    }
}

impl<O: DeserializeOwned> Future for ActivityCall<O, WithTimeout> {
    type Output = Result<O, ActivityFailed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let is_canceled = self.world.is_canceled();
        let (mut pending, activity_type) = match std::mem::replace(&mut self.state, CallState::Done) {
            CallState::New(request) if is_canceled => {
                return Poll::Ready(Err(ActivityFailed::canceled(&request.activity_type)));
            }
            CallState::New(request) => {
                let activity_type = request.activity_type.clone();
                (self.world.run.schedule_activity(request, self.at), activity_type)
            }
            CallState::Pending(pending, activity_type) => (pending, activity_type),
            CallState::Invalid(failure) => return Poll::Ready(Err(ActivityFailed::new(failure))),
            CallState::Done => return Poll::Pending,
        };
        if is_canceled {
            pending.cancel();
        }
        match Pin::new(&mut pending).poll(cx) {
            Poll::Pending => {
                self.state = CallState::Pending(pending, activity_type);
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
