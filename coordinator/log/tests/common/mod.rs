//! What the tests share: a broker, topics of their own, and waiting for conditions.
//!
//! `TIDEWRIGHT_TEST_BROKERS` names brokers to test against; without it an embedded broker is started in this process.
#![allow(dead_code, clippy::unwrap_used, reason = "tests; each file uses a part")]

use std::sync::OnceLock;
use std::time::Duration;

use tidewright_broker::{Broker, BrokerConfig};
use tidewright_log::{Admin, KafkaConfig, Producer, Received, Record, TopicKind, TopicSpec};

/// Longest wait for anything that should happen soon.
pub const SOON: Duration = Duration::from_secs(30);

pub fn config() -> KafkaConfig {
    KafkaConfig::new(brokers()).with_client_id("log-tests")
}

fn brokers() -> String {
    static BROKERS: OnceLock<String> = OnceLock::new();
    let brokers = BROKERS.get_or_init(|| {
        let _ = tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).try_init();
        std::env::var("TIDEWRIGHT_TEST_BROKERS").unwrap_or_else(|_| embedded())
    });
    brokers.clone()
}

/// A broker with a runtime of its own, since a test's runtime ends with the test.
fn embedded() -> String {
    let (address, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let broker = Broker::start(BrokerConfig::default()).await.unwrap();
            address.send(broker.address().to_string()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    started.recv().unwrap()
}

/// A name that no other test uses.
pub fn unique(what: &str) -> String {
    format!("log-tests.{what}.{}", uuid::Uuid::new_v4().simple())
}

/// Creates a topic and returns its name.
pub async fn topic(config: &KafkaConfig, what: &str, kind: TopicKind, partitions: u32) -> String {
    let name = unique(what);
    create(config, &name, kind, partitions).await;
    name
}

pub async fn create(config: &KafkaConfig, name: &str, kind: TopicKind, partitions: u32) {
    let report = Admin::new(config).unwrap().ensure_topics(&[TopicSpec::new(name, kind, partitions)]).await.unwrap();
    assert_eq!(report.created, [name], "{report:?}");
}

/// Sends numbers from a range to a partition and waits until they are in the log.
pub async fn send_numbers(producer: &Producer, topic: &str, partition: u32, numbers: std::ops::Range<u32>) {
    let mut deliveries = Vec::new();
    for number in numbers {
        let record = Record::to(topic).partition(partition).key("k").value(number.to_string());
        deliveries.push(producer.send(record).await);
    }
    for delivery in deliveries {
        soon("delivery", delivery).await.unwrap();
    }
}

pub fn number(record: &Received) -> u32 {
    std::str::from_utf8(record.value.as_ref().unwrap()).unwrap().parse().unwrap()
}

/// Fails the test if `future` takes longer than [`SOON`].
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.unwrap_or_else(|_| panic!("{what} did not happen within {SOON:?}"))
}
