//! What the API needs of an engine. The engine is the one implementation outside tests.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tidewright_runtime::{
    AcceptedLoss, Engine, PartitionStatus, PartitionView, PendingPage, QueryError, ReadError, RequestError, Route,
    SkipRefused, WorkerSeen,
};
use tidewright_schemas::api::{
    HistoryPage, QueriedWorkflow, QueryWorkflow, WorkflowDescription, WorkflowOutcome, WorkflowSummary,
};
use tidewright_schemas::{Answer, Command, EventId, RunId, WorkflowId};

/// Runs with the keys that order them.
pub(crate) type Keyed = Vec<(Vec<u8>, WorkflowSummary)>;

/// Where a partition is.
pub(crate) enum Place {
    Local(Arc<dyn Partition>),
    Remote { http_url: String },
    Unavailable { reason: String },
}

/// A node of the engine.
#[async_trait]
pub(crate) trait Backend: Send + Sync + 'static {
    fn namespace(&self) -> &str;
    fn node(&self) -> &str;
    fn is_ready(&self) -> bool;
    fn statuses(&self) -> Vec<PartitionStatus>;
    fn place(&self, workflow_id: &WorkflowId) -> Place;
    fn places(&self) -> Vec<(u32, Place)>;
    /// The workers that are known.
    fn workers(&self) -> Vec<WorkerSeen>;
    /// Base URLs of the other nodes, which may serve other namespaces.
    fn peers(&self) -> Vec<String>;
    /// Tries a stopped partition of this node again; false if it has not stopped.
    fn retry(&self, partition: u32) -> bool;
    /// Tries a stopped partition of this node again and passes over what is accepted as lost.
    fn skip(&self, partition: u32, accepted: AcceptedLoss) -> Result<(), SkipRefused>;
    async fn commands_end(&self, partition: u32) -> Option<u64>;
    async fn request(
        &self,
        workflow_id: &WorkflowId,
        command: Command,
        traceparent: Option<String>,
    ) -> Result<Answer, RequestError>;
    /// Asks a workflow of a partition that is here.
    async fn query(&self, workflow_id: &WorkflowId, query: QueryWorkflow) -> Result<QueriedWorkflow, QueryError>;
}

/// Reads of a partition that this node owns.
#[async_trait]
pub(crate) trait Partition: Send + Sync + 'static {
    fn describe(
        &self,
        id: &WorkflowId,
        run: Option<&RunId>,
        page: PendingPage,
    ) -> Result<Option<WorkflowDescription>, ReadError>;
    fn history(
        &self,
        id: &WorkflowId,
        run: Option<&RunId>,
        from: EventId,
        limit: usize,
    ) -> Result<Option<HistoryPage>, ReadError>;
    /// As [`Self::history`]; of an open run that has no such events yet, waits for them for a while.
    async fn history_when_there(
        &self,
        id: &WorkflowId,
        run: Option<&RunId>,
        from: EventId,
        limit: usize,
        wait: Duration,
    ) -> Result<Option<HistoryPage>, ReadError>;
    fn list(&self, from_key: &[u8], limit: usize) -> Result<Keyed, ReadError>;
    async fn outcome(
        &self,
        id: &WorkflowId,
        run: Option<&RunId>,
        wait: Duration,
    ) -> Result<Option<WorkflowOutcome>, ReadError>;
}

impl From<Route> for Place {
    fn from(route: Route) -> Self {
        match route {
            Route::Local(view) => Self::Local(Arc::new(view)),
            Route::Remote { http_url } => Self::Remote { http_url },
            Route::Unavailable { reason } => Self::Unavailable { reason },
        }
    }
}

#[async_trait]
impl Backend for Engine {
    fn namespace(&self) -> &str {
        self.namespace()
    }

    fn node(&self) -> &str {
        self.node()
    }

    fn is_ready(&self) -> bool {
        self.is_ready()
    }

    fn statuses(&self) -> Vec<PartitionStatus> {
        self.statuses()
    }

    fn place(&self, workflow_id: &WorkflowId) -> Place {
        self.route(workflow_id).into()
    }

    fn places(&self) -> Vec<(u32, Place)> {
        self.owners().into_iter().map(|(partition, route)| (partition, route.into())).collect()
    }

    fn workers(&self) -> Vec<WorkerSeen> {
        self.workers()
    }

    fn peers(&self) -> Vec<String> {
        self.peers()
    }

    fn retry(&self, partition: u32) -> bool {
        self.retry(partition)
    }

    fn skip(&self, partition: u32, accepted: AcceptedLoss) -> Result<(), SkipRefused> {
        self.skip(partition, accepted)
    }

    async fn commands_end(&self, partition: u32) -> Option<u64> {
        self.commands_end(partition).await
    }

    async fn request(
        &self,
        workflow_id: &WorkflowId,
        command: Command,
        traceparent: Option<String>,
    ) -> Result<Answer, RequestError> {
        self.request(workflow_id, command, traceparent).await
    }

    async fn query(&self, workflow_id: &WorkflowId, query: QueryWorkflow) -> Result<QueriedWorkflow, QueryError> {
        self.query(workflow_id, query).await
    }
}

#[async_trait]
impl Partition for PartitionView {
    fn describe(
        &self,
        id: &WorkflowId,
        run: Option<&RunId>,
        page: PendingPage,
    ) -> Result<Option<WorkflowDescription>, ReadError> {
        self.describe(id, run, page)
    }

    fn history(
        &self,
        id: &WorkflowId,
        run: Option<&RunId>,
        from: EventId,
        limit: usize,
    ) -> Result<Option<HistoryPage>, ReadError> {
        self.history(id, run, from, limit)
    }

    async fn history_when_there(
        &self,
        id: &WorkflowId,
        run: Option<&RunId>,
        from: EventId,
        limit: usize,
        wait: Duration,
    ) -> Result<Option<HistoryPage>, ReadError> {
        self.history_when_there(id, run, from, limit, wait).await
    }

    fn list(&self, from_key: &[u8], limit: usize) -> Result<Keyed, ReadError> {
        self.list(from_key, limit)
    }

    async fn outcome(
        &self,
        id: &WorkflowId,
        run: Option<&RunId>,
        wait: Duration,
    ) -> Result<Option<WorkflowOutcome>, ReadError> {
        self.outcome(id, run, wait).await
    }
}
