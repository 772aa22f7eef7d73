//! What a workflow is told from outside: signals, and the request to cancel.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::FusedFuture;
use serde::de::DeserializeOwned;
use tidewright_client::SignalDef;
use tidewright_replay::{PendingCancel, PendingSignal, RunContext};

use crate::WorkflowContext;
use crate::convert::from_payload;

impl WorkflowContext {
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
    ///         approved = ctx.receive(APPROVE) => Ok(approved),
    ///         () = ctx.sleep(7.days()) => Ok(false),
    ///     }
    /// }
    /// # let _ = approval;
    /// ```
    pub fn receive<T: DeserializeOwned>(&self, signal: SignalDef<T>) -> Receive<T> {
        self.receive_named(signal.name())
    }

    /// Waits for a signal by its name.
    pub fn receive_named<T: DeserializeOwned>(&self, name: &str) -> Receive<T> {
        let run = self.run().clone();
        Receive { pending: Some(run.receive_signal(name)), name: name.to_owned(), run, output: PhantomData }
    }

    /// Takes a signal that has come already.
    #[must_use]
    pub fn try_receive<T: DeserializeOwned>(&self, signal: SignalDef<T>) -> Option<T> {
        loop {
            let input = self.run().try_receive_signal(signal.name())?;
            match from_payload(input.as_ref()) {
                Ok(input) => return Some(input),
                Err(problem) => pass_over(self.run(), signal.name(), &problem),
            }
        }
    }

    /// Whether somebody has asked the workflow to end.
    #[must_use]
    pub fn is_cancel_requested(&self) -> bool {
        self.run().is_cancel_requested()
    }

    /// Waits until somebody asks the workflow to end. Then clean up and return
    /// [`WorkflowError::canceled`](crate::WorkflowError::canceled), or go on and complete:
    ///
    /// ```
    /// # use tidewright::prelude::*;
    /// #[workflow]
    /// async fn patient(ctx: &WorkflowContext) -> WorkflowResult<()> {
    ///     select! {
    ///         () = ctx.sleep(30.days()) => Ok(()),
    ///         () = ctx.canceled() => Err(WorkflowError::canceled()),
    ///     }
    /// }
    /// # let _ = patient;
    /// ```
    pub fn canceled(&self) -> Canceled {
        Canceled { pending: self.run().cancel_requested() }
    }
}

/// A signal that is not what the workflow expects must not stop it: a sender's mistake would be the workflow's end.
fn pass_over(run: &RunContext, signal: &str, problem: &dyn fmt::Display) {
    let info = run.info();
    tracing::error!(
        workflow_id = info.workflow_id.as_str(), run_id = info.run_id.as_str(), signal, %problem,
        "a signal was passed over: its input is not what the workflow expects"
    );
}

/// The next signal of a name.
#[must_use = "nothing is received unless awaited"]
pub struct Receive<T> {
    pending: Option<PendingSignal>,
    name: String,
    run: RunContext,
    output: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Future for Receive<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        while let Some(pending) = &mut this.pending {
            let Poll::Ready(input) = Pin::new(pending).poll(cx) else { return Poll::Pending };
            this.pending = None;
            match from_payload(input.as_ref()) {
                Ok(input) => return Poll::Ready(input),
                Err(problem) => {
                    pass_over(&this.run, &this.name, &problem);
                    this.pending = Some(this.run.receive_signal(this.name.as_str()));
                }
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

/// The request to end.
#[must_use = "nothing is waited for unless awaited"]
pub struct Canceled {
    pending: PendingCancel,
}

impl Future for Canceled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.pending).poll(cx)
    }
}

impl FusedFuture for Canceled {
    fn is_terminated(&self) -> bool {
        self.pending.is_terminated()
    }
}
