//! What workflow code works with: its context, and the futures that the context makes.
//!
//! Each future asks for what it stands for when it is first polled, resolves from history alone, and takes back what it
//! asked for when it is dropped. In a scope that is cancelled it asks for nothing and says so.

mod activity_call;
mod context;
mod random;
mod receive;
mod scope;
mod sleep;
mod state;
mod timeout;
mod wait_for;

pub use activity_call::ActivityCall;
pub use context::WorkflowContext;
pub use random::{Random, WorkflowRng};
pub use receive::{Cancellation, Receive};
pub use scope::{Canceled, CancellationScope};
pub use sleep::Sleep;
pub(crate) use state::StateCell;
pub use timeout::{Elapsed, Timeout, TimeoutError, WorkflowFutureExt};
pub use wait_for::{Condition, WaitFor};

use scope::Scope;
use tidewright_replay::RunContext;

/// The run, and the scope in which something is asked for: what every future of a workflow holds.
#[derive(Debug, Clone)]
pub struct World {
    pub(crate) run: RunContext,
    scope: Scope,
}

impl World {
    fn root(run: RunContext) -> Self {
        Self { run, scope: Scope::Root }
    }

    fn is_canceled(&self) -> bool {
        self.scope.is_canceled(&self.run)
    }
}
