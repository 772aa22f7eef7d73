//! Clients as applications use them, tuned so that nothing waits for a batch.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{BorrowedMessage, OwnedMessage};
use rdkafka::producer::FutureProducer;

use crate::calls::{LATEST, error};
use crate::cluster::Cluster;
use crate::wire::Wire;

/// How long a condition may take to come about before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub type Admin = AdminClient<DefaultClientContext>;

impl Cluster {
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address);
        config
    }

    pub fn producer(&self, settings: &[(&str, &str)]) -> Result<FutureProducer> {
        let mut config = self.config();
        config.set("linger.ms", "0").set("enable.idempotence", "true").set("message.timeout.ms", "20000");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        config.create().context("create a producer")
    }

    pub fn consumer(&self, group: &str, settings: &[(&str, &str)]) -> Result<StreamConsumer> {
        let mut config = self.config();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "200")
            .set("fetch.queue.backoff.ms", "0");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        config.create().context("create a consumer")
    }

    pub fn admin(&self) -> Result<Admin> {
        self.config().create().context("create an admin client")
    }

    /// Creates a topic of its own name and returns the name, once its partitions can be used.
    pub async fn topic(&self, what: &str, partitions: i32, settings: &[(&str, &str)]) -> Result<String> {
        let name = self.unique(what);
        let mut topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        topic.config = settings.to_vec();
        for result in self.admin()?.create_topics([&topic], &AdminOptions::new()).await? {
            if let Err((name, error)) = result {
                bail!("cannot create {name}: {error}");
            }
        }
        self.until_ready(&name, partitions).await?;
        Ok(name)
    }

    /// Kafka's brokers begin to serve a topic a moment after its creation was answered.
    pub async fn until_ready(&self, topic: &str, partitions: i32) -> Result<()> {
        let mut wire = Wire::connect(self).await?;
        for partition in 0..partitions {
            while error(wire.list_offsets_of(topic, partition, LATEST).await?.error_code).is_some() {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }
}

pub async fn receive(consumer: &StreamConsumer) -> Result<BorrowedMessage<'_>> {
    tokio::time::timeout(PATIENCE, consumer.recv()).await.context("no message came")?.context("receive")
}

/// The next `count` messages of a topic, from its start, in a group of one.
pub async fn receive_all(cluster: &Cluster, topic: &str, count: usize) -> Result<Vec<OwnedMessage>> {
    let consumer = cluster.consumer(&cluster.unique("reader"), &[])?;
    consumer.subscribe(&[topic])?;
    let mut messages = Vec::with_capacity(count);
    while messages.len() < count {
        messages.push(receive(&consumer).await?.detach());
    }
    Ok(messages)
}
