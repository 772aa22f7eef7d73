//! Scopes: what is asked for in one is cancelled with it.
//!
//! The outermost scope is cancelled when somebody asks the workflow to end. A nested one is cancelled with its parent
//! or by itself; a detached one only by itself.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidewright_replay::RunContext;

use super::{WorkflowContext, World};

/// A scope was cancelled, or the whole workflow was asked to end: nothing more is waited for there.
///
/// Let it through with `?`: a workflow that was asked to end then ends as cancelled. Clean up in
/// [`WorkflowContext::non_cancellable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was cancelled")]
#[non_exhaustive]
pub struct Canceled;

/// A place in the tree of scopes.
#[derive(Clone)]
pub(crate) enum Scope {
    /// The workflow's own.
    Root,
    /// One within another, or a detached one.
    Nested(Arc<Nested>),
}

pub(crate) struct Nested {
    parent: Option<Scope>,
    canceled: AtomicBool,
}

impl Scope {
    fn nested(parent: Option<Self>) -> Self {
        Self::Nested(Arc::new(Nested { parent, canceled: AtomicBool::new(false) }))
    }

    pub(crate) fn is_canceled(&self, run: &RunContext) -> bool {
        let mut scope = self;
        loop {
            match scope {
                Self::Root => return run.is_cancel_requested(),
                Self::Nested(nested) if nested.canceled.load(Ordering::SeqCst) => return true,
                Self::Nested(nested) => match &nested.parent {
                    Some(parent) => scope = parent,
                    None => return false,
                },
            }
        }
    }

    /// Whether this changed anything.
    fn cancel(&self) -> bool {
        match self {
            Self::Root => false,
            Self::Nested(nested) => !nested.canceled.swap(true, Ordering::SeqCst),
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "Scope::Root",
            Self::Nested(_) => "Scope::Nested",
        })
    }
}

/// A context whose activities, timers and waits are cancelled together, by [`cancel`](Self::cancel) or with the scope
/// that it is in. Whatever takes a `&WorkflowContext` takes a `&CancellationScope`, too.
///
/// ```
/// # use tidewright::prelude::*;
/// const STOP: SignalDef<()> = SignalDef::new("stop");
///
/// #[workflow]
/// async fn watched(ctx: &WorkflowContext) -> WorkflowResult<String> {
///     let attempt = ctx.scope();
///     let work = attempt.activity_named::<String>("Provision", &()).start_to_close(1.hours());
///     let watch = async {
///         ctx.receive(STOP).await?;
///         attempt.cancel(); // the activity hears it, and `work` resolves
///         WorkflowResult::Ok(())
///     };
///     let (work, _) = join!(work, ctx.timeout(2.hours(), watch));
///     Ok(work?)
/// }
/// # let _ = watched;
/// ```
pub struct CancellationScope<S = ()> {
    ctx: WorkflowContext<S>,
}

impl<S> CancellationScope<S> {
    /// Cancels what the scope waits for, and whatever is asked for in it later. To cancel twice changes nothing.
    pub fn cancel(&self) {
        if self.ctx.world.scope.cancel() {
            self.ctx.world.run.wake_waiting();
        }
    }
}

impl<S> WorkflowContext<S> {
    /// A scope of its own within this one: it can be cancelled alone, and is cancelled with this one.
    #[must_use]
    pub fn scope(&self) -> CancellationScope<S> {
        CancellationScope { ctx: self.within(Scope::nested(Some(self.world.scope.clone()))) }
    }

    /// A scope that goes on when this one is cancelled, or the workflow is asked to end: for cleaning up.
    ///
    /// ```
    /// # use tidewright::prelude::*;
    /// #[workflow]
    /// async fn rented(ctx: &WorkflowContext) -> WorkflowResult<()> {
    ///     let slept = ctx.sleep(30.days()).await;
    ///     // Runs in any case, also if the workflow was asked to end.
    ///     let cleanup = ctx.non_cancellable();
    ///     cleanup.activity_named::<()>("GiveBack", &()).start_to_close(30.secs()).await?;
    ///     Ok(slept?)
    /// }
    /// # let _ = rented;
    /// ```
    #[must_use]
    pub fn non_cancellable(&self) -> CancellationScope<S> {
        CancellationScope { ctx: self.within(Scope::nested(None)) }
    }

    /// Whether this scope is cancelled: by itself, with one around it, or since the workflow was asked to end.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.world.is_canceled()
    }

    fn within(&self, scope: Scope) -> Self {
        Self { world: World { run: self.world.run.clone(), scope }, state: self.state.clone() }
    }
}

impl<S> Deref for CancellationScope<S> {
    type Target = WorkflowContext<S>;

    fn deref(&self) -> &WorkflowContext<S> {
        &self.ctx
    }
}

impl<S> Clone for CancellationScope<S> {
    fn clone(&self) -> Self {
        Self { ctx: self.ctx.clone() }
    }
}

impl<S> fmt::Debug for CancellationScope<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancellationScope").field(&self.ctx).finish()
    }
}
