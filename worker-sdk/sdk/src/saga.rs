//! Sagas: what was done is undone, in reverse, when a later step fails.

use std::borrow::Borrow;
use std::future::Future;
use std::pin::Pin;

use futures::future::join_all;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tidewright_schemas::{Failure, FailureInfo};

use crate::contract::{ActivityType, WithTimeout};
use crate::error::{ActivityFailed, WorkflowError, WorkflowResult};
use crate::workflow::{ActivityCall, CancellationScope, WorkflowContext};

/// The type of the failure that a workflow ends with when its saga could not undo everything.
const COMPENSATION_FAILED: &str = "CompensationFailed";

type Undo = Pin<Box<dyn Future<Output = WorkflowResult<()>> + Send>>;

/// Remembers how to undo each step that was done, and undoes them when a later one fails: the last first, all of them even
/// if some cannot be undone, and also when the workflow was asked to end, since compensations run in a
/// [scope that is not cancelled](WorkflowContext::non_cancellable).
///
/// ```
/// use tidewright::prelude::*;
///
/// struct Inventory;
///
/// #[activities]
/// impl Inventory {
///     #[activity(start_to_close = "30s")]
///     async fn reserve(&self, sku: String) -> ActivityResult<u64> {
///         Ok(sku.len() as u64)
///     }
///
///     #[activity(start_to_close = "30s")]
///     async fn release(&self, reservation: u64) -> ActivityResult<()> {
///         Ok(())
///     }
/// }
///
/// #[workflow]
/// async fn order(ctx: &WorkflowContext, sku: String) -> WorkflowResult<()> {
///     let mut saga = Saga::new(ctx);
///     let reservation = ctx.activity(Inventory::reserve, &sku).await?;
///     saga.on_failure(Inventory::release, reservation);
///     let ship = ctx.activity_named::<()>("Ship", &sku).start_to_close(30.secs());
///     saga.run(ship).await
/// }
/// # let _ = order;
/// ```
///
/// A step may have been done although its activity failed: it timed out, its worker was lost, or its call was cancelled and
/// not waited for, as [`TryCancel`](crate::ActivityCancellationType::TryCancel) has it. What was registered after the step
/// is not undone then. Either register the compensation *before* the step, with an input that is known by then, and let it
/// do nothing if there is nothing to undo; or wait for the outcome with
/// [`WaitCancellationCompleted`](crate::ActivityCancellationType::WaitCancellationCompleted), which covers cancellation.
pub struct Saga<S = ()> {
    cleanup: CancellationScope<S>,
    compensations: Vec<(String, Undo)>,
    parallel: bool,
}

/// A compensation that failed, as it stands in the details of the workflow's failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CompensationFailed {
    /// Which one: the activity's type, or the name that was given.
    pub compensation: String,
    /// The type of what went wrong.
    pub error_type: String,
    /// What went wrong.
    pub message: String,
}

impl CompensationFailed {
    /// The compensations that failed, of a failure that a [`Saga`] made; empty for any other.
    #[must_use]
    pub fn all_of(failure: &Failure) -> Vec<Self> {
        match &failure.info {
            FailureInfo::Application(info) if info.error_type == COMPENSATION_FAILED => {
                info.details.as_ref().and_then(|details| details.read().ok()).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }
}

impl<S: Send + 'static> Saga<S> {
    /// A saga in which nothing has been done yet.
    #[must_use]
    pub fn new(ctx: &WorkflowContext<S>) -> Self {
        Self { cleanup: ctx.non_cancellable(), compensations: Vec::new(), parallel: false }
    }

    /// Undoes all steps at the same time instead of one after the other.
    #[must_use]
    pub fn parallel(mut self) -> Self {
        self.parallel = true;
        self
    }

    /// Undoes a step by an activity: the one that was just done, or one that is about to begin. Its options are those that the activity defines; for others see
    /// [`on_failure_call`](Self::on_failure_call).
    #[track_caller]
    pub fn on_failure<A>(&mut self, activity: A, input: impl Borrow<A::Input>)
    where
        A: ActivityType<Timeout = WithTimeout>,
        A::Output: DeserializeOwned + 'static,
    {
        let call = self.cleanup.activity(activity, input);
        self.on_failure_call(call);
    }

    /// Undoes a step by a call of an activity, which is made only then.
    pub fn on_failure_call<O: DeserializeOwned + 'static>(&mut self, call: ActivityCall<O>) {
        let (name, call) = (call.activity_type(), call.in_scope_of(&self.cleanup));
        self.push(name, async move { call.await.map(drop).map_err(WorkflowError::from) });
    }

    /// Undoes the step that was just done by code, which is given a context that is not cancelled with the workflow.
    ///
    /// ```
    /// # use tidewright::prelude::*;
    /// # #[workflow]
    /// # async fn order(ctx: &WorkflowContext) -> WorkflowResult<()> {
    /// # let mut saga = Saga::new(ctx);
    /// saga.on_failure_do("forget", |ctx| async move {
    ///     ctx.sleep(10.mins()).await?;
    ///     ctx.activity_named::<()>("Forget", &()).start_to_close(30.secs()).await?;
    ///     Ok(())
    /// });
    /// # Ok(())
    /// # }
    /// # let _ = order;
    /// ```
    pub fn on_failure_do<F, Fut>(&mut self, name: impl Into<String>, undo: F)
    where
        F: FnOnce(WorkflowContext<S>) -> Fut + Send + 'static,
        Fut: Future<Output = WorkflowResult<()>> + Send + 'static,
    {
        let ctx = WorkflowContext::clone(&self.cleanup);
        self.push(name.into(), async move { undo(ctx).await });
    }

    fn push(&mut self, name: String, undo: impl Future<Output = WorkflowResult<()>> + Send + 'static) {
        self.compensations.push((name, Box::pin(undo)));
    }

    /// Runs a step: if it fails, everything that was done is undone, and the error is the one of [`compensate`](Self::compensate).
    pub async fn run<T, E, F>(&mut self, step: F) -> WorkflowResult<T>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<WorkflowError>,
    {
        match step.await {
            Ok(done) => Ok(done),
            Err(error) => self.compensate(error).await,
        }
    }

    /// Undoes everything that was done, and gives the error back: as it was if all could be undone, else as the cause of
    /// one of the type `CompensationFailed`, whose details list [what could not](CompensationFailed).
    pub async fn compensate<T>(&mut self, error: impl Into<WorkflowError>) -> WorkflowResult<T> {
        let (error, count) = (error.into(), self.compensations.len());
        let failed = self.undo().await;
        if failed.is_empty() {
            return Err(error);
        }
        let what: Vec<_> = failed.iter().map(|f| format!("`{}`: {}", f.compensation, f.message)).collect();
        let message = format!(
            "{error}; {} of {count} compensations failed and need somebody to look at: {}",
            failed.len(),
            what.join("; ")
        );
        Err(WorkflowError::new(COMPENSATION_FAILED, message).details(&failed).with_cause(error))
    }

    /// Undoes everything that was done, and tells what could not be undone.
    pub async fn undo(&mut self) -> Vec<CompensationFailed> {
        let compensations = std::mem::take(&mut self.compensations).into_iter().rev();
        let run = |(name, undo): (String, Undo)| async move {
            let failure = undo.await.err()?.into_failure();
            let failed = ActivityFailed::new(Box::new(failure));
            let (error_type, message) = (failed.error_type().to_owned(), failed.message().to_owned());
            Some(CompensationFailed { compensation: name, error_type, message })
        };
        if self.parallel {
            return join_all(compensations.map(run)).await.into_iter().flatten().collect();
        }
        let mut failed = Vec::new();
        for compensation in compensations {
            failed.extend(run(compensation).await);
        }
        failed
    }
}

impl<S> std::fmt::Debug for Saga<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.compensations.iter().map(|(name, _)| name).collect();
        f.debug_struct("Saga").field("compensations", &names).field("parallel", &self.parallel).finish()
    }
}
