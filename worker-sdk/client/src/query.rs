//! Queries: questions to a workflow that a worker answers, and that leave no trace in history.

use std::borrow::Borrow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidewright_schemas::api::{QueriedWorkflow, QueryWorkflow};
use tidewright_schemas::{Payload, PayloadError};

pub use tidewright_schemas::api::QueryRejectCondition;

use crate::error::QueryError;
use crate::handle::WorkflowHandle;
use crate::http::Read;

/// How long a query waits for its answer unless it says so itself.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A workflow's query: its name, what it is given and what it answers. `S` is the workflow whose state answers it.
pub struct QueryDef<I, R, S = ()> {
    name: &'static str,
    types: PhantomData<fn(I, S) -> R>,
}

impl<I, R, S> QueryDef<I, R, S> {
    /// Names a query.
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

impl<I, R, S> Clone for QueryDef<I, R, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, R, S> Copy for QueryDef<I, R, S> {}

impl<I, R, S> fmt::Debug for QueryDef<I, R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QueryDef").field(&self.name).finish()
    }
}

/// A query on its way: await it. Dropping it is asking no more.
#[must_use = "a query is not asked unless awaited"]
pub struct QueryCall<R, O = Payload, S = ()> {
    handle: WorkflowHandle<O, S>,
    query_type: String,
    query_args: Result<Payload, PayloadError>,
    timeout: Duration,
    reject_condition: QueryRejectCondition,
    answer: PhantomData<fn() -> R>,
}

impl<O, S> WorkflowHandle<O, S> {
    /// Asks the workflow something, open or closed: `run.query(ExpenseApproval::status, ()).await?`. A query that another
    /// workflow answers does not compile. Everything that the workflow was told before is in the answer.
    pub fn query<I: Serialize, R>(&self, query: QueryDef<I, R, S>, input: impl Borrow<I>) -> QueryCall<R, O, S> {
        self.query_named(query.name(), input.borrow())
    }

    /// Asks the workflow something by the query's name. Every workflow answers `__stack_trace` (a text: what it waits for, and
    /// where in its code), `__state` and `__temporal_workflow_metadata`.
    pub fn query_named<R>(&self, name: impl Into<String>, input: &impl Serialize) -> QueryCall<R, O, S> {
        QueryCall {
            handle: self.clone(),
            query_type: name.into(),
            query_args: Payload::new(input),
            timeout: TIMEOUT,
            reject_condition: QueryRejectCondition::None,
            answer: PhantomData,
        }
    }
}

impl<R, O, S> QueryCall<R, O, S> {
    /// How long to wait for the answer: 10 s unless said otherwise, at most 60 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Which workflows not to ask: [`QueryError::Rejected`] then.
    pub fn reject_condition(mut self, condition: QueryRejectCondition) -> Self {
        self.reject_condition = condition;
        self
    }
}

impl<R: DeserializeOwned, O, S> QueryCall<R, O, S> {
    async fn ask(self) -> Result<R, QueryError> {
        let query = QueryWorkflow {
            run_id: self.handle.run_id.clone(),
            query_type: self.query_type,
            query_args: Some(self.query_args?),
            timeout_ms: Some(u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX)),
            query_reject_condition: self.reject_condition,
            ..QueryWorkflow::default()
        };
        let read = Read {
            client: &self.handle.client,
            workflow_id: &self.handle.workflow_id,
            path: "/query",
            query: Vec::new(),
            // What was serialised from these types before serialises again.
            body: Some(serde_json::to_vec(&query).map_err(PayloadError::Serialize)?),
            server_wait: self.timeout,
            patience: Some(self.timeout),
        };
        let answer: QueriedWorkflow = read.json().await.map_err(QueryError::of)?;
        let result = answer.query_result.unwrap_or_else(Payload::null);
        result.read().map_err(|source| QueryError::Unreadable { query_type: query.query_type, source })
    }
}

impl<R, O, S> IntoFuture for QueryCall<R, O, S>
where
    R: DeserializeOwned + 'static,
    O: 'static,
    S: 'static,
{
    type Output = Result<R, QueryError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.ask())
    }
}
