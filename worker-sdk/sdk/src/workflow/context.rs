//! The workflow's context.

use std::fmt;

use jiff::Timestamp;
use tidewright_replay::RunContext;

use super::{StateCell, World};

/// The workflow's world. Everything that a workflow does goes through it, so that a replay does the same.
///
/// Workflow code must not do anything else that has a side effect or depends on time, chance or the process it runs
/// in: that is for activities.
///
/// `S` is the workflow's state; a workflow that is a function has none.
pub struct WorkflowContext<S = ()> {
    pub(super) world: World,
    pub(super) state: StateCell<S>,
}

impl<S> WorkflowContext<S> {
    pub(crate) fn new(run: RunContext, state: StateCell<S>) -> Self {
        Self { world: World::root(run), state }
    }

    /// This context without the workflow's state, in the same scope: for functions that serve several workflows.
    #[must_use]
    pub fn stateless(&self) -> WorkflowContext {
        WorkflowContext { world: self.world.clone(), state: StateCell::new(()) }
    }

    /// The time at which the current workflow task was started: the same on every replay.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let ms = i64::try_from(self.world.run.now_ms()).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
    }

    /// The workflow's id.
    #[must_use]
    pub fn workflow_id(&self) -> &str {
        self.world.run.info().workflow_id.as_str()
    }

    /// The run's id.
    #[must_use]
    pub fn run_id(&self) -> &str {
        self.world.run.info().run_id.as_str()
    }

    /// The workflow's type.
    #[must_use]
    pub fn workflow_type(&self) -> &str {
        &self.world.run.info().workflow_type
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.world.run.info().namespace
    }
}

impl<S> Clone for WorkflowContext<S> {
    fn clone(&self) -> Self {
        Self { world: self.world.clone(), state: self.state.clone() }
    }
}

impl<S> fmt::Debug for WorkflowContext<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkflowContext").field(&self.world).finish()
    }
}
