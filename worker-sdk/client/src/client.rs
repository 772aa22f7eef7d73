//! The client: a cheap handle to one namespace.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidewright_log::cluster::ClusterView;
use tidewright_log::{CallError, Caller, CallerOptions, Producer};
use tidewright_schemas::topics::Topics;
use tidewright_schemas::{Payload, RunId, WorkflowId, WorkflowIdError};
use tokio::sync::OnceCell;

use crate::config::{ClientConfig, ConfigError};
use crate::definition::WorkflowType;
use crate::handle::WorkflowHandle;
use crate::history::HistoryPages;
use crate::start::StartCall;

/// A namespace. Cheap to clone; all clones share their connections, which are made when they are first needed.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: ClientConfig,
    topics: Topics,
    producer: Producer,
    http: reqwest::Client,
    caller: OnceCell<Caller>,
    cluster: OnceCell<ClusterView>,
}

impl Client {
    /// The default namespace on these brokers.
    pub async fn connect(brokers: impl Into<String>) -> Result<Self, ConfigError> {
        Self::new(ClientConfig::new(brokers))
    }

    /// The namespace that the `TIDEWRIGHT_*` variables name; see [`ClientConfig::from_env`].
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::new(ClientConfig::from_env())
    }

    /// The namespace that a configuration names.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        let topics = config.topics()?;
        let producer = Producer::new(&config.kafka)?;
        let http = reqwest::Client::builder().build().map_err(|e| ConfigError::Http(e.to_string()))?;
        let (caller, cluster) = (OnceCell::new(), OnceCell::new());
        Ok(Self { inner: Arc::new(Inner { config, topics, producer, http, caller, cluster }) })
    }

    /// Starts a workflow: `client.start(order_workflow, &order).id("order-1").task_queue("orders").await?`.
    pub fn start<W: WorkflowType>(&self, workflow: W, input: impl Borrow<W::Input>) -> StartCall<W::Output, W::State> {
        StartCall::new(self.clone(), workflow.workflow_type(), Payload::new(input.borrow()))
    }

    /// Starts a workflow by its name: of another service, in any language.
    pub fn start_named<O: DeserializeOwned>(&self, workflow_type: &str, input: &impl Serialize) -> StartCall<O> {
        StartCall::new(self.clone(), workflow_type, Payload::new(input))
    }

    /// The latest run of a workflow that was started elsewhere.
    pub fn workflow<W: WorkflowType>(
        &self,
        _workflow: W,
        workflow_id: impl Into<String>,
    ) -> Result<WorkflowHandle<W::Output, W::State>, WorkflowIdError> {
        Ok(self.handle(WorkflowId::new(workflow_id)?, None))
    }

    /// The latest run of a workflow of another service, in any language.
    pub fn workflow_named<O>(&self, workflow_id: impl Into<String>) -> Result<WorkflowHandle<O>, WorkflowIdError> {
        Ok(self.handle(WorkflowId::new(workflow_id)?, None))
    }

    /// How it was configured.
    #[must_use]
    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// The namespace's topics.
    #[must_use]
    pub fn topics(&self) -> &Topics {
        &self.inner.topics
    }

    /// The producer that all clones share.
    #[must_use]
    pub fn producer(&self) -> &Producer {
        &self.inner.producer
    }

    /// Requests that are answered over Kafka.
    pub async fn caller(&self) -> Result<&Caller, CallError> {
        let inner = &self.inner;
        let start = || Caller::start(&inner.config.kafka, inner.producer.clone(), CallerOptions::new(&inner.topics));
        inner.caller.get_or_try_init(start).await
    }

    /// Reads histories from the URLs that workflow tasks name.
    #[must_use]
    pub fn history_pages(&self) -> HistoryPages {
        HistoryPages::new(self.inner.http.clone())
    }

    pub(crate) fn handle<O, S>(&self, workflow_id: WorkflowId, run_id: Option<RunId>) -> WorkflowHandle<O, S> {
        WorkflowHandle { client: self.clone(), workflow_id, run_id, types: PhantomData }
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.inner.http
    }

    /// Base URL of the node that owns a workflow, or else of any node: each answers for every workflow.
    pub(crate) async fn http_base(&self, workflow_id: &WorkflowId) -> Result<String, String> {
        let inner = &self.inner;
        if let Some(url) = &inner.config.http_url {
            return Ok(url.clone());
        }
        let topic = inner.topics.cluster();
        let start = || ClusterView::start(&inner.config.kafka, &topic, None);
        let view = inner.cluster.get_or_try_init(start).await.map_err(|e| e.to_string())?;
        let owner = view.http_url_for(inner.topics.namespace(), workflow_id);
        owner.or_else(|| view.nodes().into_iter().next().map(|node| node.http_url)).ok_or_else(|| {
            format!("topic {topic} names no engine node; start one, or set TIDEWRIGHT_HTTP_URL to reach it another way")
        })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("config", &self.inner.config).finish_non_exhaustive()
    }
}
