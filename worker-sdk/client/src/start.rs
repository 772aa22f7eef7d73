//! The start of a workflow.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;

use tidewright_schemas::{
    Answer, Payload, PayloadError, Rejected, StartWorkflow, WorkflowId, WorkflowIdReusePolicy, headers,
};
use uuid::Uuid;

use crate::client::Client;
use crate::error::StartError;
use crate::handle::WorkflowHandle;

/// A start on its way: await it.
#[must_use = "a start does nothing unless awaited"]
pub struct StartCall<O> {
    client: Client,
    workflow_type: String,
    workflow_id: Option<String>,
    task_queue: Option<String>,
    input: Result<Payload, PayloadError>,
    request_id: Option<String>,
    reuse: Option<WorkflowIdReusePolicy>,
    traceparent: Option<String>,
    output: PhantomData<fn() -> O>,
}

impl<O> StartCall<O> {
    pub(crate) fn new(client: Client, workflow_type: &str, input: Result<Payload, PayloadError>) -> Self {
        let task_queue = client.config().task_queue.clone();
        Self {
            client,
            workflow_type: workflow_type.to_owned(),
            workflow_id: None,
            task_queue,
            input,
            request_id: None,
            reuse: None,
            traceparent: None,
            output: PhantomData,
        }
    }

    /// The workflow's id: at most one run of it is open at any time. A random one by default.
    pub fn id(mut self, workflow_id: impl Into<String>) -> Self {
        self.workflow_id = Some(workflow_id.into());
        self
    }

    /// Where the workflow's workers listen.
    pub fn task_queue(mut self, task_queue: impl Into<String>) -> Self {
        self.task_queue = Some(task_queue.into());
        self
    }

    /// Makes repeated starts one, also from several processes. A random one by default.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = Some(request_id.into());
        self
    }

    /// Whether the id of a closed workflow may be used again.
    pub fn id_reuse_policy(mut self, policy: WorkflowIdReusePolicy) -> Self {
        self.reuse = Some(policy);
        self
    }

    /// W3C trace context that the workflow belongs to.
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    async fn send(self) -> Result<WorkflowHandle<O>, StartError> {
        let workflow_id = WorkflowId::new(self.workflow_id.unwrap_or_else(|| Uuid::new_v4().to_string()))?;
        let start = StartWorkflow {
            workflow_type: self.workflow_type,
            workflow_id: workflow_id.clone(),
            task_queue: self.task_queue.ok_or(StartError::NoTaskQueue)?,
            input: Some(self.input?),
            request_id: Some(self.request_id.unwrap_or_else(|| Uuid::new_v4().to_string())),
            workflow_id_reuse_policy: self.reuse,
            identity: Some(self.client.config().identity.clone()),
            reply_to: None,
        };
        let trace = self.traceparent.map(|value| (headers::TRACEPARENT.to_owned(), value.into_bytes()));
        let patience = self.client.config().request_timeout;
        let build = |reply_to| StartWorkflow { reply_to: Some(reply_to), ..start }.into();
        let caller = self.client.caller().await?;
        match caller.call(&workflow_id, trace.into_iter().collect(), patience, build).await? {
            Answer::WorkflowStarted(started) => Ok(self.client.handle(workflow_id, Some(started.run_id))),
            Answer::Rejected(Rejected { code, message, run_id: Some(run_id) }) => {
                Err(StartError::AlreadyStarted { code, message, run_id })
            }
            Answer::Rejected(Rejected { code, message, run_id: None }) => Err(StartError::Rejected { code, message }),
            other => Err(StartError::UnexpectedAnswer(other.type_name().to_owned())),
        }
    }
}

impl<O: 'static> IntoFuture for StartCall<O> {
    type Output = Result<WorkflowHandle<O>, StartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
