//! How to reach a namespace.

use std::time::Duration;

use tidewright_log::{KafkaConfig, LogError};
use tidewright_schemas::topics::{TopicNameError, Topics};

/// How to reach a namespace. [`Self::from_env`] reads the environment; every field can also be set by code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The brokers and librdkafka's properties.
    pub kafka: KafkaConfig,
    /// The namespace.
    pub namespace: String,
    /// What all topic names begin with.
    pub topic_prefix: String,
    /// The task queue of starts that name none.
    pub task_queue: Option<String>,
    /// Base URL of the HTTP API, where the one that the `cluster` topic names cannot be reached.
    pub http_url: Option<String>,
    /// Who this is, for people: `pid@host` by default.
    pub identity: String,
    /// How long a request may take, repeats included.
    pub request_timeout: Duration,
}

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The prefix or the namespace cannot name topics.
    #[error(transparent)]
    Topics(#[from] TopicNameError),
    /// The Kafka client cannot be made.
    #[error(transparent)]
    Kafka(#[from] LogError),
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made: {0}")]
    Http(String),
    /// A variable does not hold what it should.
    #[error("the environment variable {name} holds `{value}`, which is {problem}")]
    Variable {
        /// Which one.
        name: String,
        /// What it holds.
        value: String,
        /// What is wrong about it.
        problem: String,
    },
}

impl ClientConfig {
    /// The default namespace on these brokers.
    #[must_use]
    pub fn new(brokers: impl Into<String>) -> Self {
        Self::with_kafka(KafkaConfig::new(brokers))
    }

    fn with_kafka(kafka: KafkaConfig) -> Self {
        Self {
            kafka,
            namespace: Topics::DEFAULT_NAMESPACE.to_owned(),
            topic_prefix: Topics::DEFAULT_PREFIX.to_owned(),
            task_queue: None,
            http_url: None,
            identity: default_identity(),
            request_timeout: Duration::from_secs(30),
        }
    }

    /// Reads `TIDEWRIGHT_BROKERS`, `TIDEWRIGHT_KAFKA_*`, `TIDEWRIGHT_NAMESPACE`, `TIDEWRIGHT_TOPIC_PREFIX`,
    /// `TIDEWRIGHT_TASK_QUEUE`, `TIDEWRIGHT_HTTP_URL` and `TIDEWRIGHT_IDENTITY`.
    #[must_use]
    pub fn from_env() -> Self {
        let mut config = Self::with_kafka(KafkaConfig::from_env());
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(namespace) = variable("TIDEWRIGHT_NAMESPACE") {
            config.namespace = namespace;
        }
        if let Some(prefix) = variable("TIDEWRIGHT_TOPIC_PREFIX") {
            config.topic_prefix = prefix;
        }
        if let Some(identity) = variable("TIDEWRIGHT_IDENTITY") {
            config.identity = identity;
        }
        config.task_queue = variable("TIDEWRIGHT_TASK_QUEUE");
        config.http_url = variable("TIDEWRIGHT_HTTP_URL");
        config
    }

    /// Another namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Another topic prefix; it ends in a dot.
    #[must_use]
    pub fn topic_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.topic_prefix = prefix.into();
        self
    }

    /// The task queue of starts that name none.
    #[must_use]
    pub fn task_queue(mut self, task_queue: impl Into<String>) -> Self {
        self.task_queue = Some(task_queue.into());
        self
    }

    /// Base URL of the HTTP API.
    #[must_use]
    pub fn http_url(mut self, url: impl Into<String>) -> Self {
        self.http_url = Some(url.into());
        self
    }

    /// Who this is, for people.
    #[must_use]
    pub fn identity(mut self, identity: impl Into<String>) -> Self {
        self.identity = identity.into();
        self
    }

    /// How long a request may take, repeats included.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    pub(crate) fn topics(&self) -> Result<Topics, TopicNameError> {
        Topics::new(&self.topic_prefix, &self.namespace)
    }
}

/// `pid@host`.
fn default_identity() -> String {
    let from_file = || std::fs::read_to_string("/etc/hostname").ok();
    let host = std::env::var("HOSTNAME").ok().or_else(from_file).map(|host| host.trim().to_owned());
    format!("{}@{}", std::process::id(), host.filter(|host| !host.is_empty()).unwrap_or_else(|| "localhost".to_owned()))
}
