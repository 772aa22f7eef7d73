//! What a caller knows of a workflow.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A workflow's type with what it takes and gives. The SDK's `#[workflow]` makes one; [`WorkflowNamed`] is one for a
/// workflow that is written elsewhere.
pub trait WorkflowType {
    /// What it takes.
    type Input: Serialize;
    /// What it gives.
    type Output: DeserializeOwned;
    /// Its state, which signals and queries are handled by; `()` if it has none.
    type State;

    /// The name under which workers register it.
    fn workflow_type(&self) -> &str;
}

/// A workflow by its name: of another service, in any language.
///
/// ```
/// # use tidewright_client::WorkflowNamed;
/// let order = WorkflowNamed::<serde_json::Value, serde_json::Value>::new("OrderWorkflow");
/// ```
#[derive(Debug)]
pub struct WorkflowNamed<I, O> {
    name: String,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> WorkflowNamed<I, O> {
    /// Names a workflow.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), types: PhantomData }
    }
}

impl<I: Serialize, O: DeserializeOwned> WorkflowType for WorkflowNamed<I, O> {
    type Input = I;
    type Output = O;
    type State = ();

    fn workflow_type(&self) -> &str {
        &self.name
    }
}
