//! What is left of a compacted topic: the same as Kafka leaves, under load, and through kills.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use conformance::calls::{LATEST, batch, error, records};
use conformance::clients::{PATIENCE, receive_all};
use conformance::cluster::{Cluster, on_every_broker};
use conformance::wire::Wire;
use futures::future::try_join_all;
use kafka_protocol::error::ResponseError;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rdkafka::Message;
use rdkafka::message::{Header, Headers, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::time::timeout;

use crate::process::BrokerProcess;

const NOW: i64 = 1_700_000_000_000;
/// Kafka's cleaner looks every 15 seconds.
const CLEANING: Duration = Duration::from_secs(180);

const EAGER: [(&str, &str); 4] =
    [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0"), ("segment.ms", "500"), ("retention.ms", "1")];

/// A record as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    key: String,
    value: Option<String>,
    timestamp: i64,
    header: String,
}

impl Sent {
    async fn send(&self, producer: &FutureProducer, topic: &str) -> Result<i64> {
        let header = Header { key: "header", value: Some(&self.header) };
        let mut record = FutureRecord::to(topic)
            .partition(0)
            .key(&self.key)
            .timestamp(self.timestamp)
            .headers(OwnedHeaders::new().insert(header));
        if let Some(value) = &self.value {
            record = record.payload(value);
        }
        let delivery = producer.send(record, PATIENCE).await.map_err(|(error, _)| error)?;
        Ok(delivery.offset)
    }

    fn of(message: &OwnedMessage) -> Result<Self> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec());
        let header = message.headers().context("no headers")?.get(0);
        Ok(Self {
            key: text(message.key().context("no key")?)?,
            value: message.payload().map(text).transpose()?,
            timestamp: message.timestamp().to_millis().context("no timestamp")?,
            header: text(header.value.context("no header")?)?,
        })
    }
}

/// A record so late that everything before it is in complete segments.
async fn complete(cluster: &Cluster, topic: &str, sent: &mut BTreeMap<i64, Sent>) -> Result<()> {
    let (key, header) = ("last".to_owned(), String::new());
    let last = Sent { key, value: Some(String::new()), timestamp: NOW + 10_000_000, header };
    let offset = last.send(&cluster.producer(&[])?, topic).await?;
    sent.insert(offset, last);
    Ok(())
}

/// The last record of every key.
fn survivors(sent: &BTreeMap<i64, Sent>) -> Vec<(i64, Sent)> {
    let last: BTreeMap<&str, i64> = sent.iter().map(|(offset, sent)| (sent.key.as_str(), *offset)).collect();
    sent.iter().filter(|(offset, sent)| last[sent.key.as_str()] == **offset).map(|(o, s)| (*o, s.clone())).collect()
}

/// As many records as the batch headers of the whole log name.
async fn count(wire: &mut Wire, topic: &str) -> Result<usize> {
    let end = wire.list_offsets(topic, LATEST).await?.offset;
    let (mut count, mut at) = (0, 0);
    while at < end {
        let fetched = wire.fetch(topic, at, 1_000).await?;
        ensure!(error(fetched.error_code).is_none(), "{:?}", error(fetched.error_code));
        let bytes = fetched.records.unwrap_or_default();
        let mut rest = &bytes[..];
        while rest.len() >= 61 {
            let length = i32::from_be_bytes(rest[8..12].try_into()?) as usize + 12;
            if rest.len() < length {
                break;
            }
            count += i32::from_be_bytes(rest[57..61].try_into()?) as usize;
            at =
                i64::from_be_bytes(rest[..8].try_into()?) + i64::from(i32::from_be_bytes(rest[23..27].try_into()?)) + 1;
            rest = &rest[length..];
        }
    }
    Ok(count)
}

/// Waits until the topic is clean, and compares all that is left with what must be.
async fn check_cleaned(cluster: &Cluster, topic: &str, sent: &BTreeMap<i64, Sent>) -> Result<()> {
    let expected = survivors(sent);
    let mut wire = Wire::connect(cluster).await?;
    let cleaned = async {
        while count(&mut wire, topic).await? > expected.len() {
            // Nothing comes there, so this waits as long as it says.
            let end = wire.list_offsets(topic, LATEST).await?.offset;
            wire.fetch(topic, end, 50).await?;
        }
        anyhow::Ok(())
    };
    timeout(CLEANING, cleaned).await.context("the topic was not cleaned")??;
    let mut left = Vec::new();
    for message in receive_all(cluster, topic, expected.len()).await? {
        left.push((message.offset(), Sent::of(&message)?));
    }
    assert_eq!(left, expected);
    Ok(())
}

#[tokio::test]
async fn the_last_record_of_every_key_is_left() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut topics = Vec::new();
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            let topic = cluster.topic("compacted", 1, &EAGER).await?;
            let producer = cluster.producer(&[("compression.codec", codec), ("linger.ms", "5")])?;
            let records: Vec<Sent> = (0..400)
                .map(|n| Sent {
                    key: format!("key {}", n % 13),
                    value: (n % 17 != 0).then(|| format!("a value, more or less the same: {n}").repeat(4)),
                    timestamp: NOW + 20 * n,
                    header: format!("header {n}"),
                })
                .collect();
            let mut sent = BTreeMap::new();
            for some in records.chunks(20) {
                let offsets = try_join_all(some.iter().map(|record| record.send(&producer, &topic))).await?;
                sent.extend(offsets.into_iter().zip(some.iter().cloned()));
            }
            complete(cluster, &topic, &mut sent).await?;
            topics.push((topic, sent));
        }
        for (topic, sent) in &topics {
            check_cleaned(cluster, topic, sent).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_compacted_topic_takes_no_record_without_a_key() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("keyless", 1, &EAGER).await?;
        let mut wire = Wire::connect(cluster).await?;
        let mut keyless = records(&[(NOW, "value"), (NOW, "value")]);
        keyless[1].key = None;
        let refused = wire.produce_to(&topic, 0, -1, Some(batch(&keyless)?)).await?;
        assert_eq!(error(refused.error_code), Some(ResponseError::InvalidRecord));
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            let producer = cluster.producer(&[("compression.codec", codec)])?;
            let value = "compressible ".repeat(50);
            let sent = producer.send(FutureRecord::<(), _>::to(&topic).payload(&value), PATIENCE).await;
            assert!(sent.is_err(), "{codec}");
        }
        assert_eq!(wire.list_offsets(&topic, LATEST).await?.offset, 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn compaction_under_load_and_kills_keeps_the_last_record_of_every_key() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut broker = BrokerProcess::start(directory.path(), None).await?;
    let topic = broker.cluster.topic("load", 1, &EAGER).await?;
    let settings = [
        ("linger.ms", "2"),
        ("reconnect.backoff.ms", "10"),
        ("reconnect.backoff.max.ms", "100"),
        ("message.timeout.ms", "300000"),
    ];
    let producer = broker.cluster.producer(&settings)?;
    let mut random = ChaCha8Rng::seed_from_u64(4_711);
    let mut sent = BTreeMap::new();
    let mut n = 0;
    for _ in 0..10 {
        let records: Vec<Sent> = (n..n + 1_000)
            .map(|n| Sent {
                key: format!("key {}", random.random_range(0..200)),
                value: random.random_bool(0.9).then(|| format!("value {n}")),
                timestamp: NOW + 10 * n,
                header: format!("header {n}"),
            })
            .collect();
        n += 1_000;
        let kill_after = random.random_range(0..1_000);
        let sending = records.iter().map(|record| record.send(&producer, &topic));
        let (before, after): (Vec<_>, Vec<_>) = sending.enumerate().partition(|(at, _)| *at < kill_after);
        let offsets = try_join_all(before.into_iter().map(|(_, sending)| sending)).await?;
        let address = broker.kill().await?;
        let restarted = BrokerProcess::start(directory.path(), Some(&address));
        let (more, restarted) =
            futures::future::join(try_join_all(after.into_iter().map(|(_, sending)| sending)), restarted).await;
        broker = restarted?;
        sent.extend(offsets.into_iter().chain(more?).zip(records));
    }
    ensure!(sent.len() == n as usize, "a record was written twice, or two have one offset");
    ensure!(sent.keys().copied().eq(0..n), "offsets are missing");
    ensure!(sent.values().is_sorted_by_key(|sent| sent.timestamp), "the order was not kept");
    complete(&broker.cluster, &topic, &mut sent).await?;
    check_cleaned(&broker.cluster, &topic, &sent).await?;
    let address = broker.kill().await?;
    let broker = BrokerProcess::start(directory.path(), Some(&address)).await?;
    check_cleaned(&broker.cluster, &topic, &sent).await?;
    broker.kill().await?;
    Ok(())
}
