//! Futures that wait for what a run is told from outside.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::FusedFuture;
use tidewright_schemas::Payload;

use crate::context::Shared;

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

/// A place among those that wait; given up when dropped.
struct Waiting {
    shared: Arc<Shared>,
    ticket: Option<u64>,
}

impl Waiting {
    fn new(shared: Arc<Shared>) -> Self {
        Self { shared, ticket: None }
    }

    fn wait(&mut self, cx: &Context<'_>) {
        self.ticket = Some(self.shared.state().told.wait(self.ticket, cx.waker().clone()));
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
    pub(crate) fn new(shared: Arc<Shared>, name: String) -> Self {
        Self { name, waiting: Some(Waiting::new(shared)) }
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
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { waiting: Some(Waiting::new(shared)) }
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
