//! Definitions: what `#[workflow]` and `#[activity]` make, and what a person can write in their stead.
//!
//! A definition is a constant that names a workflow or an activity, keeps the types of its input and output, and holds
//! the code behind it. So a caller's wrong input does not compile, and nothing is looked up by text.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidewright_client::WorkflowType;

use crate::error::{ActivityError, ActivityResult, WorkflowError, WorkflowResult};
use crate::handlers::{HandlerSet, WorkflowState};
use crate::{ActivityContext, ActivitySet, WorkflowContext};

/// The future of a workflow.
pub type WorkflowRun<O> = Pin<Box<dyn Future<Output = WorkflowResult<O>> + Send>>;

/// The future of one attempt of an activity.
pub type ActivityRun<'a, O> = Pin<Box<dyn Future<Output = ActivityResult<O>> + Send + 'a>>;

/// A workflow: its type, what it takes and gives, and its code. `#[workflow]` makes one from an `async fn`; by hand:
///
/// ```
/// use tidewright::prelude::*;
///
/// async fn double(_ctx: &WorkflowContext, number: u64) -> WorkflowResult<u64> {
///     Ok(number * 2)
/// }
/// const DOUBLE: WorkflowDef<u64, u64> =
///     WorkflowDef::new("Double", |ctx, number| Box::pin(async move { double(&ctx, number).await }));
/// ```
///
/// `S` is its state, if it has one: see [`WorkflowState`].
pub struct WorkflowDef<I, O, S = ()> {
    name: &'static str,
    run: fn(WorkflowContext<S>, I) -> WorkflowRun<O>,
    begin: fn(&I) -> (S, HandlerSet<S>),
}

impl<I, O> WorkflowDef<I, O> {
    /// Defines a workflow without state.
    #[must_use]
    pub const fn new(name: &'static str, run: fn(WorkflowContext, I) -> WorkflowRun<O>) -> Self {
        Self { name, run, begin: |_| ((), HandlerSet::none()) }
    }
}

impl<I, O, S: WorkflowState<Input = I>> WorkflowDef<I, O, S> {
    /// Defines a workflow that has state.
    #[must_use]
    pub const fn with_state(name: &'static str, run: fn(WorkflowContext<S>, I) -> WorkflowRun<O>) -> Self {
        Self { name, run, begin: |input| (S::init(input), HandlerSet::of_state()) }
    }
}

impl<I, O, S> WorkflowDef<I, O, S> {
    /// The type under which it is registered.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn run(&self, ctx: WorkflowContext<S>, input: I) -> WorkflowRun<O> {
        (self.run)(ctx, input)
    }

    pub(crate) fn begin(&self, input: &I) -> (S, HandlerSet<S>) {
        (self.begin)(input)
    }
}

impl<I, O, S> Clone for WorkflowDef<I, O, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, O, S> Copy for WorkflowDef<I, O, S> {}

impl<I, O, S> fmt::Debug for WorkflowDef<I, O, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkflowDef").field(&self.name).finish()
    }
}

impl<I: Serialize, O: DeserializeOwned, S> WorkflowType for WorkflowDef<I, O, S> {
    type Input = I;
    type Output = O;
    type State = S;

    fn workflow_type(&self) -> &str {
        self.name
    }
}

/// Marks an activity, or a call of one, that has a start-to-close or schedule-to-close timeout.
#[derive(Debug, Clone, Copy)]
pub struct WithTimeout;

/// Marks an activity, or a call of one, that has neither a start-to-close nor a schedule-to-close timeout. Such a call
/// is no future yet: give the activity a default (`#[activity(start_to_close = "30s")]`) or the call one
/// (`.start_to_close(…)` or `.options(…)`).
#[derive(Debug, Clone, Copy)]
pub struct MissingTimeout;

/// Default timeouts of an activity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DefaultTimeouts {
    pub(crate) start_to_close: Option<Duration>,
    pub(crate) schedule_to_start: Option<Duration>,
    pub(crate) schedule_to_close: Option<Duration>,
    pub(crate) heartbeat: Option<Duration>,
}

/// An activity: its type, the struct that holds what it needs, what it takes and gives, and its code. `#[activity]`
/// makes one from a method; by hand:
///
/// ```
/// use tidewright::prelude::*;
///
/// struct Mail { sender: String }
///
/// impl Mail {
///     const SEND: ActivityDef<Mail, String, usize> =
///         ActivityDef::new("SendMail", |mail: &Mail, _ctx, text| Box::pin(mail.send(text)))
///             .start_to_close(std::time::Duration::from_secs(10));
///
///     async fn send(&self, text: String) -> ActivityResult<usize> {
///         Ok(self.sender.len() + text.len())
///     }
/// }
///
/// impl Activities for Mail {
///     fn register(set: &mut ActivitySet<Self>) {
///         set.add(Self::SEND);
///     }
/// }
/// ```
pub struct ActivityDef<A, I, O, T = WithTimeout> {
    name: &'static str,
    run: for<'a> fn(&'a A, &'a ActivityContext, I) -> ActivityRun<'a, O>,
    timeouts: DefaultTimeouts,
    has_timeout: PhantomData<fn() -> T>,
}

impl<A, I, O> ActivityDef<A, I, O, MissingTimeout> {
    /// Defines an activity that has no default timeout yet.
    #[must_use]
    pub const fn new(name: &'static str, run: for<'a> fn(&'a A, &'a ActivityContext, I) -> ActivityRun<'a, O>) -> Self {
        let timeouts =
            DefaultTimeouts { start_to_close: None, schedule_to_start: None, schedule_to_close: None, heartbeat: None };
        Self { name, run, timeouts, has_timeout: PhantomData }
    }
}

impl<A, I, O, T> ActivityDef<A, I, O, T> {
    /// The type under which it is registered.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Default limit for one attempt from its start.
    #[must_use]
    pub const fn start_to_close(self, timeout: Duration) -> ActivityDef<A, I, O> {
        self.with(DefaultTimeouts { start_to_close: Some(timeout), ..self.timeouts })
    }

    /// Default limit for all attempts together.
    #[must_use]
    pub const fn schedule_to_close(self, timeout: Duration) -> ActivityDef<A, I, O> {
        self.with(DefaultTimeouts { schedule_to_close: Some(timeout), ..self.timeouts })
    }

    /// Default limit for the wait for a worker.
    #[must_use]
    pub const fn schedule_to_start(self, timeout: Duration) -> Self {
        self.with(DefaultTimeouts { schedule_to_start: Some(timeout), ..self.timeouts })
    }

    /// Default limit for the time between two heartbeats of an attempt, and from its start to the first.
    #[must_use]
    pub const fn heartbeat_timeout(self, timeout: Duration) -> Self {
        self.with(DefaultTimeouts { heartbeat: Some(timeout), ..self.timeouts })
    }

    const fn with<U>(self, timeouts: DefaultTimeouts) -> ActivityDef<A, I, O, U> {
        ActivityDef { name: self.name, run: self.run, timeouts, has_timeout: PhantomData }
    }

    /// Runs the activity's code here and now, as its unit tests do.
    pub fn run<'a>(&self, activities: &'a A, ctx: &'a ActivityContext, input: I) -> ActivityRun<'a, O> {
        (self.run)(activities, ctx, input)
    }

    pub(crate) fn timeouts(&self) -> DefaultTimeouts {
        self.timeouts
    }
}

impl<A, I, O, T> Clone for ActivityDef<A, I, O, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, I, O, T> Copy for ActivityDef<A, I, O, T> {}

impl<A, I, O, T> fmt::Debug for ActivityDef<A, I, O, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ActivityDef").field(&self.name).finish()
    }
}

/// A struct whose methods are activities. `#[activities]` implements it.
pub trait Activities: Send + Sync + Sized + 'static {
    /// Adds each activity to the set.
    fn register(set: &mut ActivitySet<Self>);
}

/// What the code of a workflow may return.
#[diagnostic::on_unimplemented(
    message = "a workflow cannot return `{Self}`",
    note = "return `WorkflowResult<T>`, or a `Result` whose error converts into `WorkflowError`"
)]
pub trait WorkflowReturn {
    /// What the workflow gives.
    type Output;
    /// Its result.
    fn into_result(self) -> WorkflowResult<Self::Output>;
}

impl<T, E: Into<WorkflowError>> WorkflowReturn for Result<T, E> {
    type Output = T;
    fn into_result(self) -> WorkflowResult<T> {
        self.map_err(Into::into)
    }
}

/// What the code of an activity may return.
#[diagnostic::on_unimplemented(
    message = "an activity cannot return `{Self}`",
    note = "return `ActivityResult<T>`, or a `Result` whose error converts into `ActivityError`"
)]
pub trait ActivityReturn {
    /// What the activity gives.
    type Output;
    /// Its result.
    fn into_result(self) -> ActivityResult<Self::Output>;
}

impl<T, E: Into<ActivityError>> ActivityReturn for Result<T, E> {
    type Output = T;
    fn into_result(self) -> ActivityResult<T> {
        self.map_err(Into::into)
    }
}
