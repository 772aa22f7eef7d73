//! What a workflow is told from outside: signals, and the request to cancel.

use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::FusedFuture;
use serde::de::DeserializeOwned;
use tidewright_client::SignalDef;
use tidewright_replay::{Note, OperationKind, Origin, PendingSignal, Waiting};

use super::{Canceled, WorkflowContext, World};
use crate::convert::from_payload;

impl<S> WorkflowContext<S> {
    /// Waits for a signal. Signals of one name are taken in the order in which they came; those that came before anybody
    /// waited are kept.
    ///
    /// ```
    /// # use tidewright::prelude::*;
    /// const APPROVE: SignalDef<bool> = SignalDef::new("approve");
    ///
    /// #[workflow]
    /// async fn approval(ctx: &WorkflowContext) -> WorkflowResult<bool> {
    ///     select! {
    ///         approved = ctx.receive(APPROVE) => Ok(approved?),
    ///         slept = ctx.sleep(7.days()) => Ok(slept.map(|()| false)?),
    ///     }
    /// }
    /// # let _ = approval;
    /// ```
    #[track_caller]
    pub fn receive<T: DeserializeOwned>(&self, signal: SignalDef<T>) -> Receive<T> {
        self.receive_named(signal.name())
    }

    /// Waits for a signal by its name.
    #[track_caller]
    pub fn receive_named<T: DeserializeOwned>(&self, name: &str) -> Receive<T> {
        let at = Location::caller();
        let pending = Some(self.world.run.receive_signal(name, at));
        Receive { world: self.world.clone(), pending, name: name.to_owned(), at, output: PhantomData }
    }

    /// Takes a signal that has come already.
    #[must_use]
    pub fn try_receive<T: DeserializeOwned>(&self, signal: SignalDef<T>) -> Option<T> {
        loop {
            let input = self.world.run.try_receive_signal(signal.name())?;
            match from_payload(input.as_ref()) {
                Ok(input) => return Some(input),
                Err(problem) => pass_over(&self.world, signal.name(), problem.to_string()),
            }
        }
    }

    /// Whether somebody has asked the workflow to end, whatever scope this is.
    #[must_use]
    pub fn is_cancel_requested(&self) -> bool {
        self.world.run.is_cancel_requested()
    }

    /// Waits until this scope is cancelled: with the outermost one, until somebody asks the workflow to end. For a workflow
    /// that goes on then, or ends otherwise than by letting [`Canceled`] through:
    ///
    /// ```
    /// # use tidewright::prelude::*;
    /// #[workflow]
    /// async fn patient(ctx: &WorkflowContext) -> WorkflowResult<&'static str> {
    ///     select! {
    ///         () = ctx.canceled() => Ok("called off"),
    ///         slept = ctx.sleep(30.days()) => Ok(slept.map(|()| "done")?),
    ///     }
    /// }
    /// # let _ = patient;
    /// ```
    #[track_caller]
    pub fn canceled(&self) -> Cancellation {
        let waiting = self.world.run.waiting(OperationKind::Cancellation, "", Location::caller());
        Cancellation { world: self.world.clone(), waiting: Some(waiting) }
    }
}

/// A signal that is not what the workflow expects must not stop it: a sender's mistake would be the workflow's end.
fn pass_over(world: &World, name: &str, problem: String) {
    world.run.note(Note::UnreadableSignal { name: name.to_owned(), problem });
}

/// The next signal of a name. One that has come already is taken even in a scope that is cancelled.
#[must_use = "nothing is received unless awaited"]
pub struct Receive<T> {
    pub(super) world: World,
    pending: Option<PendingSignal>,
    name: String,
    at: Origin,
    output: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Future for Receive<T> {
    type Output = Result<T, Canceled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        while let Some(pending) = &mut this.pending {
            match Pin::new(pending).poll(cx) {
                Poll::Ready(input) => match from_payload(input.as_ref()) {
                    Ok(input) => {
                        this.pending = None;
                        return Poll::Ready(Ok(input));
                    }
                    Err(problem) => {
                        pass_over(&this.world, &this.name, problem.to_string());
                        this.pending = Some(this.world.run.receive_signal(&this.name, this.at));
                    }
                },
                Poll::Pending if this.world.is_canceled() => {
                    this.pending = None;
                    return Poll::Ready(Err(Canceled));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Pending
    }
}

impl<T: DeserializeOwned> FusedFuture for Receive<T> {
    fn is_terminated(&self) -> bool {
        self.pending.is_none()
    }
}

/// The cancellation of a scope.
#[must_use = "nothing is waited for unless awaited"]
pub struct Cancellation {
    world: World,
    waiting: Option<Waiting>,
}

impl Future for Cancellation {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let is_canceled = self.world.is_canceled();
        let Some(waiting) = &mut self.waiting else { return Poll::Pending };
        if is_canceled {
            self.waiting = None;
            return Poll::Ready(());
        }
        waiting.wait(cx);
        Poll::Pending
    }
}

impl FusedFuture for Cancellation {
    fn is_terminated(&self) -> bool {
        self.waiting.is_none()
    }
}
