//! The brokers that a test runs against.

use std::env;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use tidewright_broker::{Broker, BrokerConfig, Storage};
use uuid::Uuid;

/// Names a broker to test besides the embedded one.
pub const BROKERS: &str = "TIDEWRIGHT_TEST_BROKERS";

/// A broker under test.
pub struct Cluster {
    /// For `bootstrap.servers`.
    pub address: String,
    pub is_embedded: bool,
}

impl Cluster {
    /// A name that no other test uses.
    pub fn unique(&self, what: &str) -> String {
        format!("conformance.{what}.{}", Uuid::new_v4().simple())
    }
}

/// Runs a test against every broker there is.
pub async fn on_every_broker(test: impl AsyncFn(&Cluster) -> Result<()>) -> Result<()> {
    on_embedded(Storage::Memory, &test).await.context("on the embedded broker in memory")?;
    let directory = tempfile::tempdir()?;
    let storage = Storage::Directory(directory.path().to_path_buf());
    on_embedded(storage, &test).await.context("on the embedded broker in a directory")?;
    if let Ok(address) = env::var(BROKERS) {
        let cluster = Cluster { address, is_embedded: false };
        test(&cluster).await.with_context(|| format!("on the broker at {}", cluster.address))?;
    }
    Ok(())
}

async fn on_embedded(storage: Storage, test: &impl AsyncFn(&Cluster) -> Result<()>) -> Result<()> {
    // The broker's warnings go to the output of the test that fails; another test's may be among them.
    let _ = tracing_subscriber::fmt().with_test_writer().try_init();
    let broker = Broker::start(BrokerConfig { storage, ..BrokerConfig::default() }).await?;
    test(&Cluster { address: broker.address().to_string(), is_embedded: true }).await?;
    Ok(broker.shutdown().await?)
}

/// An embedded broker that is told more than where it stores.
pub async fn embedded_with(config: BrokerConfig) -> Result<(Broker, Cluster)> {
    let broker = Broker::start(config).await?;
    let cluster = Cluster { address: broker.address().to_string(), is_embedded: true };
    Ok((broker, cluster))
}

/// An embedded broker on a directory, on a fixed port if one is given, for tests that restart it.
pub async fn embedded_at(directory: &Path, listen: Option<SocketAddr>) -> Result<(Broker, Cluster)> {
    let default = BrokerConfig::default();
    let storage = Storage::Directory(directory.to_path_buf());
    embedded_with(BrokerConfig { storage, listen: listen.unwrap_or(default.listen), ..default }).await
}

/// An embedded broker in memory.
pub async fn embedded() -> Result<(Broker, Cluster)> {
    embedded_with(BrokerConfig::default()).await
}
