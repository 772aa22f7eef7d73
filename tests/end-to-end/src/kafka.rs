//! The Kafka that a test runs on.

use anyhow::Context as _;
use tidewright_broker::{Broker, BrokerConfig, Storage};
use tidewright_log::KafkaConfig;
use tokio::sync::OnceCell;

/// The embedded broker of this process. It outlives every test, so that workers and nodes that a test lets go find a
/// broker to take their leave from: without one each waits some seconds.
static EMBEDDED: OnceCell<Broker> = OnceCell::const_new();

/// A Kafka: embedded, or given.
pub struct Kafka {
    brokers: String,
}

impl Kafka {
    /// The given Kafka, or an embedded one in memory.
    pub async fn start() -> anyhow::Result<Self> {
        if let Ok(brokers) = std::env::var("TIDEWRIGHT_TEST_BROKERS") {
            return Ok(Self { brokers });
        }
        let config = BrokerConfig { storage: Storage::Memory, ..BrokerConfig::default() };
        let broker = EMBEDDED.get_or_try_init(|| Broker::start(config)).await;
        Ok(Self { brokers: broker.context("the embedded broker does not start")?.address().to_string() })
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
}
