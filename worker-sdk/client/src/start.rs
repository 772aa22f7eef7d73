//! The start of a workflow.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;
use tidewright_schemas::{
    Answer, Command, Payload, PayloadError, Rejected, Signal, SignalWithStartWorkflow, StartWorkflow, WorkflowId,
    WorkflowIdConflictPolicy, WorkflowIdReusePolicy, headers,
};
use uuid::Uuid;

use crate::client::Client;
use crate::control::SignalDef;
use crate::error::StartError;
use crate::handle::WorkflowHandle;

/// A start on its way: await it.
#[must_use = "a start does nothing unless awaited"]
pub struct StartCall<O, S = ()> {
    client: Client,
    workflow_type: String,
    workflow_id: Option<String>,
    task_queue: Option<String>,
    input: Result<Payload, PayloadError>,
    request_id: Option<String>,
    options: Options,
    signal: Option<(String, Result<Payload, PayloadError>)>,
    traceparent: Option<String>,
    types: PhantomData<fn(S) -> O>,
}

/// What a start may say beyond what every start needs.
#[derive(Default)]
struct Options {
    reuse: Option<WorkflowIdReusePolicy>,
    conflict: Option<WorkflowIdConflictPolicy>,
    execution_timeout: Option<Duration>,
    run_timeout: Option<Duration>,
    task_timeout: Option<Duration>,
    start_delay: Option<Duration>,
    memo: BTreeMap<String, Payload>,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl<O, S> StartCall<O, S> {
    pub(crate) fn new(client: Client, workflow_type: &str, input: Result<Payload, PayloadError>) -> Self {
        let task_queue = client.config().task_queue.clone();
        Self {
            client,
            workflow_type: workflow_type.to_owned(),
            workflow_id: None,
            task_queue,
            input,
            request_id: None,
            options: Options::default(),
            signal: None,
            traceparent: None,
            types: PhantomData,
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
        self.options.reuse = Some(policy);
        self
    }

    /// What happens if a run of the id is open. Default: the start fails; a signal-with-start takes the open run.
    pub fn id_conflict_policy(mut self, policy: WorkflowIdConflictPolicy) -> Self {
        self.options.conflict = Some(policy);
        self
    }

    /// Limit for the workflow with all its runs.
    pub fn execution_timeout(mut self, timeout: Duration) -> Self {
        self.options.execution_timeout = Some(timeout);
        self
    }

    /// Limit for one run.
    pub fn run_timeout(mut self, timeout: Duration) -> Self {
        self.options.run_timeout = Some(timeout);
        self
    }

    /// Limit for advancing the workflow once: a workflow task that a worker has begun and that is not done by then is
    /// tried again. None by default; code that keeps its thread is given up in any case (TW0904).
    pub fn task_timeout(mut self, timeout: Duration) -> Self {
        self.options.task_timeout = Some(timeout);
        self
    }

    /// How long the first workflow task waits. A signal-with-start ends the wait, an ordinary signal does not.
    pub fn start_delay(mut self, delay: Duration) -> Self {
        self.options.start_delay = Some(delay);
        self
    }

    /// Adds a note for people. Left out if it cannot be serialised.
    pub fn memo(mut self, key: impl Into<String>, value: &impl Serialize) -> Self {
        if let Ok(value) = Payload::new(value) {
            self.options.memo.insert(key.into(), value);
        }
        self
    }

    /// Signals the workflow, too: the open run if there is one, else the one that is started. One request, atomically.
    pub fn with_signal<T: Serialize>(mut self, signal: SignalDef<T, S>, input: impl Borrow<T>) -> Self {
        self.signal = Some((signal.name().to_owned(), Payload::new(input.borrow())));
        self
    }

    /// W3C trace context that the workflow belongs to.
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    async fn send(self) -> Result<WorkflowHandle<O, S>, StartError> {
        let workflow_id = WorkflowId::new(self.workflow_id.unwrap_or_else(|| Uuid::new_v4().to_string()))?;
        let task_queue = self.task_queue.ok_or(StartError::NoTaskQueue)?;
        let start = StartWorkflow {
            input: Some(self.input?),
            request_id: Some(self.request_id.unwrap_or_else(|| Uuid::new_v4().to_string())),
            workflow_id_reuse_policy: self.options.reuse,
            workflow_id_conflict_policy: self.options.conflict,
            workflow_execution_timeout_ms: self.options.execution_timeout.map(millis),
            workflow_run_timeout_ms: self.options.run_timeout.map(millis),
            workflow_task_timeout_ms: self.options.task_timeout.map(millis),
            start_delay_ms: self.options.start_delay.map(millis),
            memo: self.options.memo,
            identity: Some(self.client.config().identity.clone()),
            ..StartWorkflow::new(self.workflow_type, workflow_id.clone(), task_queue)
        };
        let command: Command = match self.signal {
            None => start.into(),
            Some((signal_name, input)) => {
                let signal = Signal { signal_name, input: Some(input?), header: BTreeMap::new() };
                SignalWithStartWorkflow { start, signal }.into()
            }
        };
        let trace = self.traceparent.map(|value| (headers::TRACEPARENT.to_owned(), value.into_bytes()));
        let patience = self.client.config().request_timeout;
        let build = |reply_to| command.answered_to(reply_to);
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

impl<O: 'static, S: 'static> IntoFuture for StartCall<O, S> {
    type Output = Result<WorkflowHandle<O, S>, StartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
