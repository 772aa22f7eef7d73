//! Futures that wait for what a run is told from outside.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::FusedFuture;
use tidewright_schemas::Payload;

use crate::context::Shared;
use crate::pending::PendingOperation;

/// The next signal of a name that nobody else takes.
#[must_use = "futures do nothing unless polled"]
pub struct PendingSignal {
    name: String,
    waiting: Option<Waiting>,
}

/// The request to cancel.
#[must_use = "futures do nothing unless polled"]
pub struct PendingCancel {
    waiting: Option<Waiting>,
}

/// A place among those that wait for what comes from outside; given up when dropped. Whoever waits is woken whenever
/// a signal or the request to cancel comes, or [`RunContext::wake_waiting`](crate::RunContext::wake_waiting) is called,
/// looks, and waits again.
pub struct Waiting {
    shared: Arc<Shared>,
    about: Arc<PendingOperation>,
    ticket: Option<u64>,
}

impl Waiting {
    pub(crate) fn new(shared: Arc<Shared>, about: PendingOperation) -> Self {
        Self { shared, about: Arc::new(about), ticket: None }
    }

    /// Asks to be woken.
    pub fn wait(&mut self, cx: &Context<'_>) {
        self.shared.last_await.note(self.about.at);
        let about = Arc::clone(&self.about);
        self.ticket = Some(self.shared.state().told.wait(self.ticket, cx.waker().clone(), about));
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.state().told.forget(ticket);
        }
    }
}

impl PendingSignal {
    pub(crate) fn new(shared: Arc<Shared>, about: PendingOperation) -> Self {
        Self { name: about.name.clone(), waiting: Some(Waiting::new(shared, about)) }
    }
}

impl Future for PendingSignal {
    type Output = Option<Payload>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(waiting) = &mut this.waiting else { return Poll::Pending };
        let taken = waiting.shared.state().told.take(&this.name);
        match taken {
            Some(input) => {
                this.waiting = None;
                Poll::Ready(input)
            }
            None => {
                waiting.wait(cx);
                Poll::Pending
            }
        }
    }
}

impl FusedFuture for PendingSignal {
    fn is_terminated(&self) -> bool {
        self.waiting.is_none()
    }
}

impl PendingCancel {
    pub(crate) fn new(shared: Arc<Shared>, about: PendingOperation) -> Self {
        Self { waiting: Some(Waiting::new(shared, about)) }
    }
}

impl Future for PendingCancel {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(waiting) = &mut self.waiting else { return Poll::Pending };
        let requested = waiting.shared.state().told.is_cancel_requested();
        if requested {
            self.waiting = None;
            return Poll::Ready(());
        }
        waiting.wait(cx);
        Poll::Pending
    }
}

impl FusedFuture for PendingCancel {
    fn is_terminated(&self) -> bool {
        self.waiting.is_none()
    }
}
