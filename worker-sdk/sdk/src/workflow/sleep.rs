//! Durable timers.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::FusedFuture;
use tidewright_replay::{Origin, PendingTimer};

use super::{Canceled, WorkflowContext, World};
use crate::error::millis;

impl<S> WorkflowContext<S> {
    /// A durable timer, to the millisecond, of any length: one of ten years costs a row. It starts when it is first
    /// awaited and is cancelled when it is dropped, or its scope is cancelled, before it fires.
    #[must_use = "a timer does nothing unless awaited"]
    #[track_caller]
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(self.world.clone(), duration, Location::caller())
    }
}

/// A durable timer.
#[must_use = "a timer does nothing unless awaited"]
pub struct Sleep {
    world: World,
    state: SleepState,
}

enum SleepState {
    New(u64, Origin),
    Pending(PendingTimer),
    Done,
}

impl Sleep {
    pub(super) fn new(world: World, duration: Duration, at: Origin) -> Self {
        Self { world, state: SleepState::New(millis(duration), at) }
    }
}

impl Future for Sleep {
    type Output = Result<(), Canceled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let is_canceled = self.world.is_canceled();
        let mut pending = match std::mem::replace(&mut self.state, SleepState::Done) {
            SleepState::New(..) if is_canceled => return Poll::Ready(Err(Canceled)),
            SleepState::New(ms, at) => self.world.run.start_timer(ms, at),
            SleepState::Pending(pending) => pending,
            SleepState::Done => return Poll::Pending,
        };
        match Pin::new(&mut pending).poll(cx) {
            Poll::Ready(()) => Poll::Ready(Ok(())),
            // Dropping it takes the timer back.
            Poll::Pending if is_canceled => Poll::Ready(Err(Canceled)),
            Poll::Pending => {
                self.state = SleepState::Pending(pending);
                Poll::Pending
            }
        }
    }
}

impl FusedFuture for Sleep {
    fn is_terminated(&self) -> bool {
        matches!(self.state, SleepState::Done)
    }
}
