//! What a worker can run, by type.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidewright_replay::{Begun, WorkflowFuture, WorkflowStart};
use tidewright_schemas::{Failure, Payload};

use crate::convert::{from_payload, to_payload};
use crate::definition::{Activities, ActivityDef, WorkflowDef};
use crate::error::application;
use crate::workflow::StateCell;
use crate::{ActivityContext, WorkflowContext};

/// How one attempt ended.
pub(crate) type AttemptOutcome = Result<Payload, Box<Failure>>;
/// The future of one attempt.
pub(crate) type Attempt = Pin<Box<dyn Future<Output = AttemptOutcome> + Send>>;
type ActivityRunner = Arc<dyn Fn(ActivityContext, Option<Payload>) -> Attempt + Send + Sync>;
type WorkflowStarter = Arc<dyn Fn() -> WorkflowStart + Send + Sync>;

/// The activities of one struct, on their way into a worker.
pub struct ActivitySet<A> {
    activities: Arc<A>,
    runners: Vec<(&'static str, ActivityRunner)>,
}

impl<A: Activities> ActivitySet<A> {
    pub(crate) fn of(activities: A) -> Self {
        let mut set = Self { activities: Arc::new(activities), runners: Vec::new() };
        A::register(&mut set);
        set
    }

    /// Adds an activity.
    pub fn add<I, O, T>(&mut self, activity: ActivityDef<A, I, O, T>)
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + 'static,
        T: 'static,
    {
        let activities = Arc::clone(&self.activities);
        let runner = move |ctx: ActivityContext, input: Option<Payload>| -> Attempt {
            let activities = Arc::clone(&activities);
            Box::pin(async move {
                let input = from_payload(input.as_ref()).map_err(|problem| {
                    let message = format!("activity `{}` cannot read its input: {problem}", activity.name());
                    application("InputNotReadable".to_owned(), message, true)
                })?;
                let output =
                    activity.run(&activities, &ctx, input).await.map_err(|error| Box::new(error.into_failure()))?;
                to_payload(&output).map_err(|problem| {
                    let message = format!("the result of activity `{}` cannot be sent: {problem}", activity.name());
                    application(problem.error_type("Result"), message, true)
                })
            })
        };
        self.runners.push((activity.name(), Arc::new(runner)));
    }
}

impl<I, O, S> WorkflowDef<I, O, S>
where
    I: DeserializeOwned + Send + 'static,
    O: Serialize + 'static,
    S: Send + 'static,
{
    /// The workflow as [`tidewright_replay::Run`] takes it: for the worker, and for tools that replay histories.
    #[must_use]
    pub fn replayable(self) -> WorkflowStart {
        Box::new(move |run, input| {
            let input: I = match from_payload(input.as_ref()) {
                Ok(input) => input,
                Err(problem) => {
                    let message = format!("workflow `{}` cannot read its input: {problem}", self.name());
                    let failure = application("InputNotReadable".to_owned(), message, true);
                    return (Box::pin(std::future::ready(Err(failure))) as WorkflowFuture).into();
                }
            };
            let (state, handlers) = self.begin(&input);
            let state = StateCell::new(state);
            let handlers = handlers.of(state.clone());
            // The async runtime's cooperative budget must not make a workflow pend: history alone decides that.
            let future = Box::pin(tokio::task::unconstrained(async move {
                let ctx = WorkflowContext::new(run, state);
                let output = self.run(ctx, input).await.map_err(|error| Box::new(error.into_failure()))?;
                let result = to_payload(&output).map_err(|problem| {
                    let message = format!("the result of workflow `{}` cannot be sent: {problem}", self.name());
                    application(problem.error_type("Result"), message, true)
                })?;
                Ok(Some(result))
            }));
            Begun { future, handlers }
        })
    }
}

/// What a worker can run.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    workflows: BTreeMap<&'static str, WorkflowStarter>,
    activities: BTreeMap<&'static str, ActivityRunner>,
    twice: Vec<String>,
}

impl Registry {
    pub(crate) fn add_workflow<I, O, S>(&mut self, workflow: WorkflowDef<I, O, S>)
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + 'static,
        S: Send + 'static,
    {
        let starter: WorkflowStarter = Arc::new(move || workflow.replayable());
        if self.workflows.insert(workflow.name(), starter).is_some() {
            self.twice.push(format!("workflow `{}`", workflow.name()));
        }
    }

    pub(crate) fn add_activities<A: Activities>(&mut self, activities: A) {
        for (name, runner) in ActivitySet::of(activities).runners {
            if self.activities.insert(name, runner).is_some() {
                self.twice.push(format!("activity `{name}`"));
            }
        }
    }

    /// What was registered more than once.
    pub(crate) fn registered_twice(&self) -> &[String] {
        &self.twice
    }

    pub(crate) fn has_workflows(&self) -> bool {
        !self.workflows.is_empty()
    }

    pub(crate) fn has_activities(&self) -> bool {
        !self.activities.is_empty()
    }

    pub(crate) fn workflow(&self, workflow_type: &str) -> Option<WorkflowStart> {
        self.workflows.get(workflow_type).map(|starter| starter())
    }

    pub(crate) fn activity(&self, activity_type: &str) -> Option<&ActivityRunner> {
        self.activities.get(activity_type)
    }

    /// The names of all workflows, for messages.
    pub(crate) fn workflow_names(&self) -> String {
        self.workflows.keys().copied().collect::<Vec<_>>().join(", ")
    }

    /// The names of all activities, for messages.
    pub(crate) fn activity_names(&self) -> String {
        self.activities.keys().copied().collect::<Vec<_>>().join(", ")
    }
}
