//! What a caller knows of an activity: its type, its input and output, and default options, without the code.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;

/// Marks an activity, or a call of one, that has a start-to-close or schedule-to-close timeout.
#[derive(Debug, Clone, Copy)]
pub struct WithTimeout;

/// Marks an activity, or a call of one, that has neither a start-to-close nor a schedule-to-close timeout. Such a call
/// is no future yet: give the activity a default (`#[activity(start_to_close = "30s")]`) or the call one
/// (`.start_to_close(…)` or `.options(…)`).
#[derive(Debug, Clone, Copy)]
pub struct MissingTimeout;

/// Default options of an activity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Defaults {
    pub(crate) start_to_close: Option<Duration>,
    pub(crate) schedule_to_start: Option<Duration>,
    pub(crate) schedule_to_close: Option<Duration>,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) task_queue: Option<&'static str>,
}

impl Defaults {
    const NONE: Self = Self {
        start_to_close: None,
        schedule_to_start: None,
        schedule_to_close: None,
        heartbeat: None,
        task_queue: None,
    };
}

/// Anything that can be called as an activity: an [`ActivityDef`](crate::ActivityDef), which has the code, or an
/// [`ActivityContract`], which has not.
pub trait ActivityType {
    /// What it takes.
    type Input: Serialize;
    /// What it gives.
    type Output;
    /// [`WithTimeout`] or [`MissingTimeout`].
    type Timeout;

    /// What a caller knows of it.
    fn contract(&self) -> ActivityContract<Self::Input, Self::Output, Self::Timeout>;
}

/// An activity as its callers know it. `#[activities]` on a trait makes one of each method; by hand, for an activity of
/// another service in any language:
///
/// ```
/// use tidewright::prelude::*;
/// use tidewright::ActivityContract;
///
/// const CHARGE: ActivityContract<u64, String> = ActivityContract::new("Charge")
///     .task_queue("payments")
///     .start_to_close(std::time::Duration::from_secs(30));
///
/// #[workflow]
/// async fn order(ctx: &WorkflowContext, cents: u64) -> WorkflowResult<String> {
///     Ok(ctx.activity(CHARGE, cents).await?)
/// }
/// # let _ = order;
/// ```
pub struct ActivityContract<I, O, T = WithTimeout> {
    name: &'static str,
    defaults: Defaults,
    types: PhantomData<fn(I) -> (O, T)>,
}

impl<I, O> ActivityContract<I, O, MissingTimeout> {
    /// Names an activity that has no default timeout yet.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, defaults: Defaults::NONE, types: PhantomData }
    }
}

impl<I, O, T> ActivityContract<I, O, T> {
    /// The type under which workers register it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Default limit for one attempt from its start.
    #[must_use]
    pub const fn start_to_close(self, timeout: Duration) -> ActivityContract<I, O> {
        self.with(Defaults { start_to_close: Some(timeout), ..self.defaults })
    }

    /// Default limit for all attempts together.
    #[must_use]
    pub const fn schedule_to_close(self, timeout: Duration) -> ActivityContract<I, O> {
        self.with(Defaults { schedule_to_close: Some(timeout), ..self.defaults })
    }

    /// Default limit for the wait for a worker.
    #[must_use]
    pub const fn schedule_to_start(self, timeout: Duration) -> Self {
        self.with(Defaults { schedule_to_start: Some(timeout), ..self.defaults })
    }

    /// Default limit for the time between two heartbeats of an attempt, and from its start to the first.
    #[must_use]
    pub const fn heartbeat_timeout(self, timeout: Duration) -> Self {
        self.with(Defaults { heartbeat: Some(timeout), ..self.defaults })
    }

    /// Where its workers listen; by default on the queue of the workflow that calls it.
    #[must_use]
    pub const fn task_queue(self, task_queue: &'static str) -> Self {
        self.with(Defaults { task_queue: Some(task_queue), ..self.defaults })
    }

    const fn with<U>(self, defaults: Defaults) -> ActivityContract<I, O, U> {
        ActivityContract { name: self.name, defaults, types: PhantomData }
    }

    pub(crate) fn defaults(&self) -> Defaults {
        self.defaults
    }
}

impl<I: Serialize, O, T> ActivityType for ActivityContract<I, O, T> {
    type Input = I;
    type Output = O;
    type Timeout = T;

    fn contract(&self) -> Self {
        *self
    }
}

impl<I, O, T> Clone for ActivityContract<I, O, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, O, T> Copy for ActivityContract<I, O, T> {}

impl<I, O, T> fmt::Debug for ActivityContract<I, O, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityContract").field("name", &self.name).field("defaults", &self.defaults).finish()
    }
}
