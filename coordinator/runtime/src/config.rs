//! What an engine must be told.

use std::path::PathBuf;
use std::time::Duration;

use tidewright_log::KafkaConfig;
use tidewright_owner::Limits;
use tidewright_owner::trust::Secret;
use tidewright_schemas::topics::Topics;

/// How an engine runs.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// How Kafka is reached.
    pub kafka: KafkaConfig,
    /// Begins every topic's name and ends in a dot.
    pub prefix: String,
    /// The namespace that it serves.
    pub namespace: String,
    /// This node's id: unique in the cluster.
    pub node: String,
    /// Base URL under which other nodes and workers reach this node's HTTP API.
    pub http_url: Option<String>,
    /// The cluster's key for message authentication codes: the same on every node.
    pub secret: Secret,
    /// Where the state stores are. Deleting it is safe: it is rebuilt from Kafka.
    pub state_directory: PathBuf,
    /// Partitions of a namespace that is created.
    pub partitions: u32,
    /// Partitions of a task topic that is created.
    pub task_partitions: u32,
    /// How long a silent node keeps its partitions.
    pub session_timeout: Duration,
    /// After how long a worker that writes no beacon any more, while others do, is lost.
    pub worker_silence: Duration,
    /// Memory for what is read from the stores, in bytes.
    pub state_cache_bytes: usize,
    /// Memory for what is not yet in the stores' files, in bytes.
    pub state_write_buffer_bytes: usize,
    /// Whether spans are recorded, and for which share (0 to 1) of the runs whose start has no trace context.
    pub new_traces: Option<f64>,
    /// Bounds of each partition's owner.
    pub limits: Limits,
}

impl EngineConfig {
    /// The defaults for everything else.
    #[must_use]
    pub fn new(kafka: KafkaConfig, secret: Secret, state_directory: impl Into<PathBuf>) -> Self {
        Self {
            kafka,
            prefix: Topics::DEFAULT_PREFIX.to_owned(),
            namespace: Topics::DEFAULT_NAMESPACE.to_owned(),
            node: format!("node-{:08x}", rand::random::<u32>()),
            http_url: None,
            secret,
            state_directory: state_directory.into(),
            partitions: 4,
            task_partitions: 4,
            session_timeout: Duration::from_secs(6),
            worker_silence: Duration::from_secs(3),
            state_cache_bytes: 64 * 1024 * 1024,
            state_write_buffer_bytes: 64 * 1024 * 1024,
            new_traces: None,
            limits: Limits::default(),
        }
    }
}
