//! Waiting for a condition on the workflow's state.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::FusedFuture;
use tidewright_replay::{OperationKind, Waiting};

use super::{Canceled, StateCell, WorkflowContext, World};

/// What a condition says: `bool`, or an `Option` with what was waited for.
#[diagnostic::on_unimplemented(
    message = "a condition cannot say `{Self}`",
    note = "return a `bool`, or an `Option<T>` that is `Some` with what was waited for"
)]
pub trait Condition {
    /// What is given to who waited.
    type Value;
    /// The value, once the condition holds.
    fn value(self) -> Option<Self::Value>;
}

impl Condition for bool {
    type Value = ();
    fn value(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Condition for Option<T> {
    type Value = T;
    fn value(self) -> Self {
        self
    }
}

impl<S> WorkflowContext<S> {
    /// Waits until a condition on the workflow's state holds, which signals and other parts of the workflow change. It is
    /// looked at now and after each change; it must not have side effects.
    ///
    /// ```
    /// # use tidewright::prelude::*;
    /// #[derive(Default)]
    /// struct Approval { by: Option<String> }
    ///
    /// #[workflow]
    /// impl Approval {
    ///     #[run]
    ///     async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<String> {
    ///         let by = ctx.wait_for(|approval| approval.by.clone()).timeout(7.days()).await;
    ///         Ok(by.unwrap_or("nobody".to_owned()))
    ///     }
    ///
    ///     #[signal]
    ///     fn approve(&mut self, by: String) {
    ///         self.by = Some(by);
    ///     }
    /// }
    /// # let _ = Approval::run;
    /// ```
    #[track_caller]
    pub fn wait_for<F, C>(&self, condition: F) -> WaitFor<S, F>
    where
        F: FnMut(&S) -> C,
        C: Condition,
    {
        let waiting = self.world.run.waiting(OperationKind::Condition, "", Location::caller());
        WaitFor { world: self.world.clone(), state: self.state.clone(), condition, waiting: Some(waiting) }
    }
}

/// A condition that is waited for.
#[must_use = "nothing is waited for unless awaited"]
pub struct WaitFor<S, F> {
    pub(super) world: World,
    state: StateCell<S>,
    condition: F,
    waiting: Option<Waiting>,
}

// Nothing in it is ever pinned.
impl<S, F> Unpin for WaitFor<S, F> {}

impl<S, F, C> Future for WaitFor<S, F>
where
    F: FnMut(&S) -> C,
    C: Condition,
{
    type Output = Result<C::Value, Canceled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(waiting) = &mut this.waiting else { return Poll::Pending };
        let value = (this.condition)(&this.state.lock()).value();
        if value.is_none() && !this.world.is_canceled() {
            waiting.wait(cx);
            return Poll::Pending;
        }
        this.waiting = None;
        Poll::Ready(value.ok_or(Canceled))
    }
}

impl<S, F, C> FusedFuture for WaitFor<S, F>
where
    F: FnMut(&S) -> C,
    C: Condition,
{
    fn is_terminated(&self) -> bool {
        self.waiting.is_none()
    }
}
