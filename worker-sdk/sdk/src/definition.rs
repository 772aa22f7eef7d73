//! Definitions: what `#[workflow]` and `#[activity]` make, and what a person can write in their stead.
//!
//! A definition is a constant that names a workflow or an activity, keeps the types of its input and output, and holds
//! the code behind it. So a caller's wrong input does not compile, and nothing is looked up by text.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidewright_client::WorkflowType;

use crate::contract::{ActivityContract, ActivityType, MissingTimeout, WithTimeout};
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
    contract: ActivityContract<I, O, T>,
    run: for<'a> fn(&'a A, &'a ActivityContext, I) -> ActivityRun<'a, O>,
}

impl<A, I, O> ActivityDef<A, I, O, MissingTimeout> {
    /// Defines an activity that has no default timeout yet.
    #[must_use]
    pub const fn new(name: &'static str, run: for<'a> fn(&'a A, &'a ActivityContext, I) -> ActivityRun<'a, O>) -> Self {
        Self { contract: ActivityContract::new(name), run }
    }
}

impl<A, I, O, T> ActivityDef<A, I, O, T> {
    /// Defines the activity that a contract promises.
    #[must_use]
    pub const fn of(
        contract: ActivityContract<I, O, T>,
        run: for<'a> fn(&'a A, &'a ActivityContext, I) -> ActivityRun<'a, O>,
    ) -> Self {
        Self { contract, run }
    }

    /// The type under which it is registered.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.contract.name()
    }

    /// Default limit for one attempt from its start.
    #[must_use]
    pub const fn start_to_close(self, timeout: Duration) -> ActivityDef<A, I, O> {
        ActivityDef { contract: self.contract.start_to_close(timeout), run: self.run }
    }

    /// Default limit for all attempts together.
    #[must_use]
    pub const fn schedule_to_close(self, timeout: Duration) -> ActivityDef<A, I, O> {
        ActivityDef { contract: self.contract.schedule_to_close(timeout), run: self.run }
    }

    /// Default limit for the wait for a worker.
    #[must_use]
    pub const fn schedule_to_start(self, timeout: Duration) -> Self {
        Self { contract: self.contract.schedule_to_start(timeout), run: self.run }
    }

    /// Default limit for the time between two heartbeats of an attempt, and from its start to the first.
    #[must_use]
    pub const fn heartbeat_timeout(self, timeout: Duration) -> Self {
        Self { contract: self.contract.heartbeat_timeout(timeout), run: self.run }
    }

    /// Where its workers listen; by default on the queue of the workflow that calls it.
    #[must_use]
    pub const fn task_queue(self, task_queue: &'static str) -> Self {
        Self { contract: self.contract.task_queue(task_queue), run: self.run }
    }

    /// Runs the activity's code here and now, as its unit tests do.
    pub fn run<'a>(&self, activities: &'a A, ctx: &'a ActivityContext, input: I) -> ActivityRun<'a, O> {
        (self.run)(activities, ctx, input)
    }
}

impl<A, I: Serialize, O, T> ActivityType for ActivityDef<A, I, O, T> {
    type Input = I;
    type Output = O;
    type Timeout = T;

    fn contract(&self) -> ActivityContract<I, O, T> {
        self.contract
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
        f.debug_tuple("ActivityDef").field(&self.contract).finish()
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
