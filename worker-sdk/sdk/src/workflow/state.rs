//! The state of a workflow that has one: its code, its signals and its queries share it.

use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use super::WorkflowContext;

/// A workflow's state. One thread at a time advances a run, so nobody ever waits for it.
pub(crate) struct StateCell<S>(Arc<Mutex<S>>);

impl<S> StateCell<S> {
    pub(crate) fn new(state: S) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// Locks the state.
    ///
    /// # Panics
    /// If it is in use already: a closure that has the state asked for it again.
    #[track_caller]
    pub(crate) fn lock(&self) -> MutexGuard<'_, S> {
        match self.0.try_lock() {
            Ok(state) => state,
            // A panic of user code fails the workflow task, and the run is built anew.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                panic!("the workflow's state is in use: a closure that was given it must not ask the context for it")
            }
        }
    }
}

impl<S> Clone for StateCell<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> WorkflowContext<S> {
    /// Reads the workflow's state: `ctx.state(|s| s.decision.clone())`.
    ///
    /// # Panics
    /// If the closure uses the context's state itself; the workflow task fails then.
    #[track_caller]
    pub fn state<R>(&self, read: impl FnOnce(&S) -> R) -> R {
        read(&self.state.lock())
    }

    /// Changes the workflow's state; whoever waits for a condition on it looks again.
    ///
    /// # Panics
    /// If the closure uses the context's state itself; the workflow task fails then.
    #[track_caller]
    pub fn state_mut<R>(&self, change: impl FnOnce(&mut S) -> R) -> R {
        let result = change(&mut self.state.lock());
        self.world.run.wake_waiting();
        result
    }
}
