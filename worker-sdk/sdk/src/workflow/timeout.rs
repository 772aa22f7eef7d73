//! Limits on how long a workflow waits for something.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::FusedFuture;
use tidewright_replay::Origin;

use super::{ActivityCall, Receive, Sleep, WaitFor, WorkflowContext, World};

/// It took longer than it was allowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it took longer than {limit:?}")]
pub struct Elapsed {
    /// How long it was allowed to take.
    pub limit: Duration,
}

/// Why something that was limited in time gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum TimeoutError<E> {
    /// It took too long, and is not waited for any more.
    #[error(transparent)]
    Elapsed(#[from] Elapsed),
    /// It failed by itself.
    #[error("{0}")]
    Failed(E),
}

impl<E> TimeoutError<E> {
    /// Whether it took too long.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        matches!(self, Self::Elapsed(_))
    }
}

/// Futures that a [`WorkflowContext`] makes, and what can be done with each.
pub trait WorkflowFutureExt: Future + Sized {
    /// The run and scope that the future belongs to.
    #[doc(hidden)]
    fn world(&self) -> World;

    /// Waits no longer than this, by a durable timer that starts with the future; what came first in history wins. The
    /// future is dropped when the time is up, and with it what it had asked for. A limit on something else, such as
    /// several futures together, is [`WorkflowContext::timeout`].
    #[track_caller]
    fn timeout<T, E>(self, limit: Duration) -> FlatTimeout<Self>
    where
        Self: Future<Output = Result<T, E>>,
    {
        let world = self.world();
        FlatTimeout { timeout: Timeout::new(world, limit, self, Location::caller()) }
    }
}

impl<S> WorkflowContext<S> {
    /// Waits for a future no longer than this, by a durable timer that starts with it; what came first in history wins.
    /// The future is dropped when the time is up, and with it what it had asked for.
    ///
    /// ```
    /// # use tidewright::prelude::*;
    /// # const A: SignalDef<u64> = SignalDef::new("a");
    /// # const B: SignalDef<u64> = SignalDef::new("b");
    /// #[workflow]
    /// async fn both(ctx: &WorkflowContext) -> WorkflowResult<Option<u64>> {
    ///     let both = async { try_join!(ctx.receive(A), ctx.receive(B)) };
    ///     match ctx.timeout(1.hours(), both).await {
    ///         Ok(signals) => signals.map(|(a, b)| Some(a + b)).map_err(WorkflowError::from),
    ///         Err(Elapsed { .. }) => Ok(None),
    ///     }
    /// }
    /// # let _ = both;
    /// ```
    #[track_caller]
    pub fn timeout<F: Future>(&self, limit: Duration, future: F) -> Timeout<F> {
        Timeout::new(self.world.clone(), limit, future, Location::caller())
    }
}

/// A future that is limited in time.
#[must_use = "futures do nothing unless awaited"]
pub struct Timeout<F> {
    limit: Duration,
    running: Option<(Pin<Box<F>>, Option<Sleep>)>,
}

impl<F> Timeout<F> {
    fn new(world: World, limit: Duration, future: F, at: Origin) -> Self {
        Self { limit, running: Some((Box::pin(future), Some(Sleep::new(world, limit, at)))) }
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let limit = self.limit;
        let Some((future, timer)) = &mut self.running else { return Poll::Pending };
        let outcome = match future.as_mut().poll(cx) {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => match timer.as_mut().map(|timer| Pin::new(timer).poll(cx)) {
                Some(Poll::Ready(Ok(()))) => Err(Elapsed { limit }),
                // In a cancelled scope there is no time; the future has to say itself that it ends.
                Some(Poll::Ready(Err(_))) => {
                    *timer = None;
                    return Poll::Pending;
                }
                Some(Poll::Pending) | None => return Poll::Pending,
            },
        };
        self.running = None;
        Poll::Ready(outcome)
    }
}

impl<F: Future> FusedFuture for Timeout<F> {
    fn is_terminated(&self) -> bool {
        self.running.is_none()
    }
}

/// A future of a workflow that is limited in time.
#[must_use = "futures do nothing unless awaited"]
pub struct FlatTimeout<F> {
    timeout: Timeout<F>,
}

impl<F, T, E> Future for FlatTimeout<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, TimeoutError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.timeout).poll(cx).map(|outcome| outcome?.map_err(TimeoutError::Failed))
    }
}

impl<F, T, E> FusedFuture for FlatTimeout<F>
where
    F: Future<Output = Result<T, E>>,
{
    fn is_terminated(&self) -> bool {
        self.timeout.is_terminated()
    }
}

impl<O: serde::de::DeserializeOwned> WorkflowFutureExt for ActivityCall<O> {
    fn world(&self) -> World {
        self.world.clone()
    }
}

impl<T: serde::de::DeserializeOwned> WorkflowFutureExt for Receive<T> {
    fn world(&self) -> World {
        self.world.clone()
    }
}

impl<S, F, C> WorkflowFutureExt for WaitFor<S, F>
where
    F: FnMut(&S) -> C,
    C: super::Condition,
{
    fn world(&self) -> World {
        self.world.clone()
    }
}
