//! A workflow that was started.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tidewright_schemas::api::{HistoryPage, WorkflowDescription, WorkflowOutcome, WorkflowStatus};
use tidewright_schemas::{Failure, HistoryEvent, Payload, RunId, WorkflowId};

use crate::client::Client;
use crate::error::{ReadError, ResultError, WorkflowFailed};
use crate::follow::HistoryFollower;
use crate::http::Read;

/// How long a node is asked to wait for a result before it says that there is none yet.
const RESULT_WAIT: Duration = Duration::from_secs(30);

/// A workflow, or one run of it; it knows what the workflow gives, and whose signals and queries it takes.
pub struct WorkflowHandle<O = Payload, S = ()> {
    pub(crate) client: Client,
    pub(crate) workflow_id: WorkflowId,
    pub(crate) run_id: Option<RunId>,
    pub(crate) types: PhantomData<fn(S) -> O>,
}

impl<O, S> WorkflowHandle<O, S> {
    /// The workflow's id.
    #[must_use]
    pub fn workflow_id(&self) -> &str {
        self.workflow_id.as_str()
    }

    /// The run's id; empty for a handle that was made from the workflow's id alone and means its latest run.
    #[must_use]
    pub fn run_id(&self) -> &str {
        self.run_id.as_ref().map_or("", RunId::as_str)
    }

    /// Where the run stands, with the first of the activities and timers that it waits for.
    pub async fn describe(&self) -> Result<WorkflowDescription, ReadError> {
        self.read("", Vec::new(), Duration::ZERO, Some(self.client.config().request_timeout)).await
    }

    /// The run's whole history.
    pub async fn history(&self) -> Result<Vec<HistoryEvent>, ReadError> {
        let patience = Some(self.client.config().request_timeout);
        let mut events = Vec::new();
        let mut next = Some(1);
        while let Some(from) = next {
            let query = vec![("from_event_id", from.to_string())];
            let page: HistoryPage = self.read("/history", query, Duration::ZERO, patience).await?;
            events.extend(page.events);
            next = page.next_event_id;
        }
        Ok(events)
    }

    /// The run's history from its beginning, event by event, until the run has ended.
    pub fn follow(&self) -> HistoryFollower<O, S> {
        HistoryFollower::new(self.clone())
    }

    /// Waits until the run has ended, however long that takes and whichever node owns it meanwhile. A workflow that is not
    /// there yet is waited for, too, since its start may be on its way: [`describe`](Self::describe) tells whether it is.
    pub async fn outcome(&self) -> Result<WorkflowOutcome, ReadError> {
        loop {
            let query = vec![("wait_ms", RESULT_WAIT.as_millis().to_string())];
            let outcome: WorkflowOutcome = self.read("/result", query, RESULT_WAIT, None).await?;
            if outcome.status != WorkflowStatus::Running {
                return Ok(outcome);
            }
        }
    }

    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        mut query: Vec<(&str, String)>,
        server_wait: Duration,
        patience: Option<Duration>,
    ) -> Result<T, ReadError> {
        if let Some(run_id) = &self.run_id {
            query.push(("run_id", run_id.as_str().to_owned()));
        }
        let read = Read {
            client: &self.client,
            workflow_id: &self.workflow_id,
            path,
            query,
            body: None,
            server_wait,
            patience,
        };
        read.json().await
    }
}

impl<O: DeserializeOwned, S> WorkflowHandle<O, S> {
    /// Waits for the run's result, however long it takes. To give up earlier, drop it or put a timeout around it.
    pub async fn result(&self) -> Result<O, ResultError> {
        let outcome = self.outcome().await?;
        if outcome.status != WorkflowStatus::Completed {
            let missing = || Failure::server("", "the run did not complete, and why is not known", false);
            let failure = Box::new(outcome.failure.unwrap_or_else(missing));
            let (workflow_id, run_id, status) = (self.workflow_id.clone(), outcome.run_id, outcome.status);
            return Err(WorkflowFailed { workflow_id, run_id, status, failure }.into());
        }
        let result = outcome.result.unwrap_or_else(Payload::null);
        result.read().map_err(|source| ResultError::Unreadable { workflow_id: self.workflow_id.clone(), source })
    }
}

impl<O, S> fmt::Debug for WorkflowHandle<O, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut handle = f.debug_struct("WorkflowHandle");
        handle.field("workflow_id", &self.workflow_id).field("run_id", &self.run_id).finish_non_exhaustive()
    }
}

impl<O, S> Clone for WorkflowHandle<O, S> {
    fn clone(&self) -> Self {
        let (workflow_id, run_id) = (self.workflow_id.clone(), self.run_id.clone());
        Self { client: self.client.clone(), workflow_id, run_id, types: PhantomData }
    }
}
