//! The Kafka that a test runs on.

use anyhow::Context as _;
use tidewright_broker::{Broker, BrokerConfig, Storage};
use tidewright_log::KafkaConfig;

/// A Kafka: embedded, or given.
pub struct Kafka {
    brokers: String,
    embedded: Option<Broker>,
}

impl Kafka {
    /// The given Kafka, or an embedded one in memory.
    pub async fn start() -> anyhow::Result<Self> {
        if let Ok(brokers) = std::env::var("TIDEWRIGHT_TEST_BROKERS") {
            return Ok(Self { brokers, embedded: None });
        }
        let config = BrokerConfig { storage: Storage::Memory, ..BrokerConfig::default() };
        let broker = Broker::start(config).await.context("the embedded broker does not start")?;
        Ok(Self { brokers: broker.address().to_string(), embedded: Some(broker) })
    }

    /// Where it is.
    #[must_use]
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// How to reach it.
    #[must_use]
    pub fn config(&self) -> KafkaConfig {
        KafkaConfig::new(&self.brokers)
    }

    /// Whether it is the embedded broker.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }
}
