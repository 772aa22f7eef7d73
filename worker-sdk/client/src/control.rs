//! Requests to a workflow that was started: signals, cancellation, termination.

use std::borrow::Borrow;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;

use serde::Serialize;
use tidewright_schemas::{
    Answer, Command, DeleteWorkflow, Payload, PayloadError, Rejected, RequestCancelWorkflow, RunId, SignalWorkflow,
    TerminateWorkflow,
};
use uuid::Uuid;

use crate::error::RequestError;
use crate::handle::WorkflowHandle;

/// A workflow's signal: its name, and what it is given. A constant that workflow and caller share:
///
/// ```
/// # use tidewright_client::SignalDef;
/// const APPROVE: SignalDef<bool> = SignalDef::new("approve");
/// ```
///
/// `S` is the workflow whose state handles it; `()` is any workflow that takes its signals itself.
pub struct SignalDef<T, S = ()> {
    name: &'static str,
    types: PhantomData<fn(T, S)>,
}

impl<T, S> SignalDef<T, S> {
    /// Names a signal.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<T, S> Clone for SignalDef<T, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, S> Copy for SignalDef<T, S> {}

impl<T, S> std::fmt::Debug for SignalDef<T, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SignalDef").field(&self.name).finish()
    }
}

/// A signal on its way: await it. It is part of the workflow's history when this resolves.
#[must_use = "a signal is not sent unless awaited"]
pub struct SignalCall<O, S = ()> {
    handle: WorkflowHandle<O, S>,
    name: String,
    input: Result<Payload, PayloadError>,
    request_id: Option<String>,
}

impl<O, S> SignalCall<O, S> {
    /// Makes repeated signals one, also from several processes. A random one by default.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = Some(request_id.into());
        self
    }

    async fn send(self) -> Result<RunId, RequestError> {
        let signal = SignalWorkflow {
            run_id: self.handle.run_id.clone(),
            signal_name: self.name,
            input: Some(self.input?),
            request_id: Some(self.request_id.unwrap_or_else(random_id)),
            identity: Some(self.handle.client.config().identity.clone()),
            ..SignalWorkflow::default()
        };
        self.handle.ask(signal.into()).await
    }
}

impl<O: 'static, S: 'static> IntoFuture for SignalCall<O, S> {
    type Output = Result<RunId, RequestError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl<O, S> WorkflowHandle<O, S> {
    /// Tells the workflow something: `run.signal(APPROVE, &true).await?`. Gives the run that hears it. A signal that
    /// another workflow handles does not compile.
    pub fn signal<T: Serialize>(&self, signal: SignalDef<T, S>, input: impl Borrow<T>) -> SignalCall<O, S> {
        self.signal_named(signal.name(), input.borrow())
    }

    /// Tells the workflow something by the signal's name.
    pub fn signal_named(&self, name: impl Into<String>, input: &impl Serialize) -> SignalCall<O, S> {
        SignalCall { handle: self.clone(), name: name.into(), input: Payload::new(input), request_id: None }
    }

    /// Asks the workflow to end: its code is told, cleans up and decides how it ends. To ask twice changes nothing.
    pub async fn cancel(&self, reason: impl Into<String> + Send) -> Result<RunId, RequestError> {
        let cancel = RequestCancelWorkflow {
            run_id: self.run_id.clone(),
            reason: Some(reason.into()),
            request_id: Some(random_id()),
            identity: Some(self.client.config().identity.clone()),
            ..RequestCancelWorkflow::default()
        };
        self.ask(cancel.into()).await
    }

    /// Ends the workflow at once, without asking its code.
    pub async fn terminate(&self, reason: impl Into<String> + Send) -> Result<RunId, RequestError> {
        let terminate = TerminateWorkflow {
            run_id: self.run_id.clone(),
            reason: Some(reason.into()),
            request_id: Some(random_id()),
            identity: Some(self.client.config().identity.clone()),
            ..TerminateWorkflow::default()
        };
        self.ask(terminate.into()).await
    }

    /// Deletes the run, its history and every trace of it in the engine; an open one is terminated first. It is gone for
    /// everybody when this resolves; what is left on Kafka goes as compaction comes by.
    pub async fn delete(&self, reason: impl Into<String> + Send) -> Result<RunId, RequestError> {
        let delete = DeleteWorkflow {
            run_id: self.run_id.clone(),
            reason: Some(reason.into()),
            request_id: Some(random_id()),
            identity: Some(self.client.config().identity.clone()),
            reply_to: None,
        };
        self.ask(delete.into()).await
    }

    async fn ask(&self, command: Command) -> Result<RunId, RequestError> {
        let patience = self.client.config().request_timeout;
        let build = |reply_to| command.answered_to(reply_to);
        let caller = self.client.caller().await?;
        match caller.call(&self.workflow_id, Vec::new(), patience, build).await? {
            Answer::RequestAccepted(accepted) => Ok(accepted.run_id),
            Answer::Rejected(Rejected { code, message, .. }) => Err(match code.as_str() {
                "TW0206" => RequestError::NotFound { message },
                "TW0207" => RequestError::Closed { message },
                _ => RequestError::Rejected { code, message },
            }),
            other => Err(RequestError::UnexpectedAnswer(other.type_name().to_owned())),
        }
    }
}

fn random_id() -> String {
    Uuid::new_v4().to_string()
}
