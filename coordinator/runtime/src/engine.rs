//! The handle of a running engine.

use std::sync::Arc;
use std::time::Duration;

use tidewright_log::cluster::{ClusterView, ClusterWriter};
use tidewright_log::{
    Admin, CallError, Caller, CallerOptions, GroupConsumer, GroupOptions, Producer, TopicKind, TopicSpec,
};
use tidewright_owner::AcceptedLoss;
use tidewright_owner::presence::WorkerSeen;
use tidewright_schemas::api::{QueriedWorkflow, QueryWorkflow};
use tidewright_schemas::topics::{Topics, partition_of};
use tidewright_schemas::{Answer, ClusterRecord, Command, NamespaceRecord, NodeRecord, TaskKind, WorkflowId, headers};
use tokio::sync::watch;

use crate::config::EngineConfig;
use crate::error::{EngineError, QueryError, ReadError, RequestError};
use crate::node::{Namespace, Node};
use crate::query::Queries;
use crate::status::{PartitionState, PartitionStatus, SkipRefused};
use crate::supervisor::Supervisor;
use crate::view::PartitionView;

/// How long a request waits for its answer.
const REQUEST_PATIENCE: Duration = Duration::from_secs(30);
/// Partitions of the replies topic when it is created.
const REPLY_PARTITIONS: u32 = 4;

/// A running engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    node: Arc<Node>,
    cluster: ClusterView,
    caller: Caller,
    queries: Queries,
    stop: watch::Sender<bool>,
    joined: watch::Receiver<bool>,
    ended: watch::Receiver<Option<Result<(), EngineError>>>,
}

/// Where a partition is.
pub enum Route {
    /// Here.
    Local(PartitionView),
    /// At another node.
    Remote {
        /// Base URL of its HTTP API.
        http_url: String,
    },
    /// Nobody knows: it is being taken over, or it stopped.
    Unavailable {
        /// For people.
        reason: String,
    },
}

impl Engine {
    /// Makes what is missing in Kafka, joins the cluster, and serves until [`Engine::shutdown`].
    pub async fn start(config: EngineConfig) -> Result<Self, EngineError> {
        let topics = Topics::new(&config.prefix, &config.namespace)?;
        let admin = Admin::new(&config.kafka)?;
        let producer = Producer::new(&config.kafka)?;
        ensure(&admin, &[TopicSpec::new(topics.cluster(), TopicKind::Cluster, 1)]).await?;
        let writer = ClusterWriter::new(producer.clone(), topics.cluster());
        let cluster = ClusterView::start(&config.kafka, &topics.cluster(), Some(writer.clone()))
            .await
            .map_err(|e| EngineError::Kafka(e.to_string()))?;
        let namespace = namespace(&config, &topics, &admin, &writer, &cluster).await?;
        if let Some(http_url) = config.http_url.clone() {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            let node = NodeRecord { node: config.node.clone(), http_url, version };
            writer.put(&ClusterRecord::NodeRecord(node)).await.map_err(|e| EngineError::Kafka(e.to_string()))?;
        }
        let caller = Caller::start(&config.kafka, producer.clone(), CallerOptions::new(&topics))
            .await
            .map_err(|e| EngineError::Kafka(e.to_string()))?;
        let mut membership = GroupOptions::new(topics.commands(), [topics.commands()]).membership_only();
        membership.session_timeout = config.session_timeout;
        let group = GroupConsumer::join(&config.kafka, &membership)?;
        let node = Arc::new(Node::new(config, topics, admin, producer, namespace)?);
        let queries = Queries::new(Arc::clone(&node), caller.clone());
        let (stop, stopped) = watch::channel(false);
        let (joined, has_joined) = watch::channel(false);
        let (end, ended) = watch::channel(None);
        let supervisor = Supervisor::new(Arc::clone(&node), group, joined);
        tokio::spawn(async move {
            let result = supervisor.run(stopped).await.map_err(EngineError::from);
            // Nobody listens any more once the last handle is dropped.
            let _ = end.send(Some(result));
        });
        Ok(Self { inner: Arc::new(Inner { node, cluster, caller, queries, stop, joined: has_joined, ended }) })
    }

    /// Finishes what has begun, writes the stores to disk, and leaves the group.
    pub async fn shutdown(&self) {
        // An error means that it has ended already.
        let _ = self.inner.stop.send(true);
        let mut ended = self.inner.ended.clone();
        let _ = ended.wait_for(Option::is_some).await;
        let node = format!("node/{}", self.inner.node.config.node);
        if self.inner.node.config.http_url.is_some()
            && let Err(error) = self.inner.node.cluster.remove(&node).await
        {
            tracing::warn!(%error, "the node's record stays in the cluster topic");
        }
    }

    /// Resolves if the engine ends by itself for good.
    pub async fn failed(&self) -> EngineError {
        let mut ended = self.inner.ended.clone();
        match ended.wait_for(|end| matches!(end, Some(Err(_)))).await.map(|end| end.clone()) {
            Ok(Some(Err(error))) => error,
            _ => std::future::pending().await,
        }
    }

    /// The namespace that is served.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.inner.node.topics.namespace()
    }

    /// This node's id.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.inner.node.config.node
    }

    /// The namespace's number of partitions.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.inner.node.partitions
    }

    /// The partitions that are assigned to this node.
    #[must_use]
    pub fn statuses(&self) -> Vec<PartitionStatus> {
        self.inner.node.board.statuses()
    }

    /// Whether this node has joined its group, and every partition that is assigned to it is owned or stopped.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.inner.joined.borrow()
            && self.inner.node.contact.is_fresh()
            && self.statuses().iter().all(|status| status.state != PartitionState::Recovering)
    }

    /// Recovers and claims a stopped partition anew. False if it has not stopped here.
    #[must_use]
    pub fn retry(&self, partition: u32) -> bool {
        self.inner.node.board.retry(partition)
    }

    /// Recovers and claims a stopped partition anew, and passes over the commands that are lost: exactly those for which it
    /// stopped.
    pub fn skip(&self, partition: u32, accepted: AcceptedLoss) -> Result<(), SkipRefused> {
        self.inner.node.board.skip(partition, accepted)
    }

    /// The offset after the last command of a partition; none if Kafka does not say right now.
    pub async fn commands_end(&self, partition: u32) -> Option<u64> {
        let node = &self.inner.node;
        node.admin.watermarks(&node.topics.commands(), partition).await.ok().map(|ends| ends.high)
    }

    /// Base URLs of the other nodes under this prefix, which may serve other namespaces.
    #[must_use]
    pub fn peers(&self) -> Vec<String> {
        let nodes = self.inner.cluster.nodes().into_iter();
        nodes.filter(|node| node.node != self.node()).map(|node| node.http_url).collect()
    }

    /// The workers of the namespace that are known: those that are there, and those that are gone for less than an hour.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerSeen> {
        self.inner.node.presence.workers()
    }

    /// Whether a worker that writes beacons, and is there, takes tasks of this kind from a task queue.
    #[must_use]
    pub fn has_worker(&self, kind: TaskKind, task_queue: &str) -> bool {
        self.inner.node.presence.serves(kind, task_queue)
    }

    /// Where a workflow is.
    #[must_use]
    pub fn route(&self, workflow_id: &WorkflowId) -> Route {
        self.route_to(partition_of(workflow_id.as_str().as_bytes(), self.partitions()))
    }

    /// Where each partition of the namespace is.
    #[must_use]
    pub fn owners(&self) -> Vec<(u32, Route)> {
        (0..self.partitions()).map(|partition| (partition, self.route_to(partition))).collect()
    }

    fn route_to(&self, partition: u32) -> Route {
        if let Some(owned) = self.inner.node.board.find(partition) {
            return Route::Local(PartitionView { partition, owned });
        }
        let status = self.statuses().into_iter().find(|status| status.partition == partition);
        match status.map(|status| status.state) {
            Some(PartitionState::Stopped { message, .. }) => {
                return Route::Unavailable { reason: format!("partition {partition} stopped: {message}") };
            }
            Some(PartitionState::Recovering) => {
                return Route::Unavailable { reason: format!("partition {partition} is being recovered") };
            }
            Some(PartitionState::Owned { .. }) | None => {}
        }
        match self.inner.cluster.owner(self.namespace(), partition) {
            Some(owner) if owner.node != self.node() => Route::Remote { http_url: owner.http_url },
            _ => Route::Unavailable { reason: format!("nobody owns partition {partition} right now") },
        }
    }

    /// Asks something of a workflow and waits until its owner has committed the answer. The command may be sent more than
    /// once: its request id makes repeats one.
    pub async fn request(
        &self,
        workflow_id: &WorkflowId,
        command: Command,
        traceparent: Option<String>,
    ) -> Result<Answer, RequestError> {
        let headers =
            traceparent.map(|value| (headers::TRACEPARENT.to_owned(), value.into_bytes())).into_iter().collect();
        let build = |reply_to| command.answered_to(reply_to);
        self.inner.caller.call(workflow_id, headers, REQUEST_PATIENCE, build).await.map_err(|error| match error {
            CallError::Timeout { .. } => RequestError::Timeout,
            error => RequestError::Unavailable(error.to_string()),
        })
    }

    /// Asks a workflow of a partition that is here, and waits for the answer of a worker for as long as the query says. To
    /// drop it is to ask no more.
    pub async fn query(&self, workflow_id: &WorkflowId, query: QueryWorkflow) -> Result<QueriedWorkflow, QueryError> {
        match self.route(workflow_id) {
            Route::Local(view) => self.inner.queries.ask(&view, workflow_id, query).await,
            Route::Remote { .. } | Route::Unavailable { .. } => Err(ReadError::NotOwned.into()),
        }
    }
}

async fn ensure(admin: &Admin, specs: &[TopicSpec]) -> Result<(), EngineError> {
    let report = admin.ensure_topics(specs).await?;
    for difference in &report.differences {
        tracing::warn!(%difference, "a topic's settings differ from what they should be");
    }
    if report.missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<_> = report.missing.iter().map(|topic| format!("{} ({})", topic.name, topic.reason)).collect();
    Err(EngineError::TopicsMissing(missing.join("; ")))
}

/// The namespace's record, its topics, and whether this node may serve it.
async fn namespace(
    config: &EngineConfig,
    topics: &Topics,
    admin: &Admin,
    writer: &ClusterWriter,
    cluster: &ClusterView,
) -> Result<Namespace, EngineError> {
    let wanted = NamespaceRecord {
        namespace: config.namespace.clone(),
        incarnation: format!("{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>()),
        partitions: config.partitions.max(1),
        key_ids: vec![config.secret.id().to_owned()],
    };
    let record = writer.put_namespace(cluster, wanted).await.map_err(|e| EngineError::Kafka(e.to_string()))?;
    if !record.key_ids.iter().any(|id| id == config.secret.id()) {
        return Err(EngineError::WrongSecret {
            namespace: record.namespace,
            announced: record.key_ids.join(", "),
            own: config.secret.id().to_owned(),
        });
    }
    let specs = [
        TopicSpec::new(topics.commands(), TopicKind::Commands, record.partitions),
        TopicSpec::new(topics.history(), TopicKind::History, record.partitions),
        TopicSpec::new(topics.replies(), TopicKind::Replies, REPLY_PARTITIONS),
        TopicSpec::new(topics.dead_letters(), TopicKind::DeadLetters, 1),
        TopicSpec::new(topics.workers(), TopicKind::Workers, 1),
    ];
    ensure(admin, &specs).await?;
    for topic in [topics.commands(), topics.history()] {
        let found = admin.partition_count(&topic).await?.unwrap_or(0);
        if found < record.partitions {
            let (namespace, expected) = (record.namespace, record.partitions);
            return Err(EngineError::Partitions { namespace, topic, expected, found });
        }
    }
    Ok(Namespace { incarnation: record.incarnation, partitions: record.partitions })
}
