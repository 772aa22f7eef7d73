//! What producers promise, and what they say when it cannot be kept.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{config, soon, topic, unique};
use tidewright_log::{Admin, Entry, HistoryProducer, Producer, Record, SendErrorKind, TopicKind};
use tidewright_schemas::topics::partition_of;

fn entry(value: impl Into<Vec<u8>>) -> Entry {
    Entry { key: Some(b"k".to_vec()), value: Some(value.into()), headers: Vec::new() }
}

#[tokio::test]
async fn a_key_goes_where_the_java_client_sends_it() {
    let config = config();
    let topic = topic(&config, "keys", TopicKind::Commands, 7).await;
    let producer = Producer::new(&config).unwrap();
    for key in ["order-1", "order-2", "", "ä", "a-little-bit-long-string"] {
        let acked = soon("delivery", producer.send(Record::to(&topic).key(key).value("x")).await).await.unwrap();
        assert_eq!(acked.partition, partition_of(key.as_bytes(), 7), "{key}");
    }
}

#[tokio::test]
async fn records_without_a_key_are_spread() {
    let config = config();
    let topic = topic(&config, "spread", TopicKind::Tasks, 4).await;
    let producer = Producer::new(&config).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        seen.insert(producer.send(Record::to(&topic).value("x")).await.await.unwrap().partition);
    }
    assert_eq!(seen.len(), 4);
}

#[tokio::test]
async fn a_missing_topic_is_told_soon() {
    let config = config();
    let producer = Producer::new(&config).unwrap();
    let error = soon("error", producer.send(Record::to(unique("nowhere")).value("x")).await).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::TopicMissing, "{error}");
}

#[tokio::test]
async fn a_topic_that_appears_later_is_found() {
    let config = config();
    let producer = Producer::new(&config).unwrap();
    let name = unique("later");
    soon("error", producer.send(Record::to(&name).value("x")).await).await.unwrap_err();
    common::create(&config, &name, TopicKind::Tasks, 1).await;
    let found = async {
        while let Err(error) = producer.send(Record::to(&name).value("x")).await.await {
            assert_eq!(error.kind, SendErrorKind::TopicMissing, "{error}");
        }
    };
    soon("delivery", found).await;
}

#[tokio::test]
async fn a_record_that_is_too_large_is_told_and_harms_no_other() {
    let config = config();
    let topic = topic(&config, "large", TopicKind::Commands, 1).await;
    let producer = Producer::new(&config).unwrap();
    let beyond_the_topic = producer.send(Record::to(&topic).value(vec![b'x'; 2 << 20])).await;
    let error = soon("error", beyond_the_topic).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::TooLarge, "{error}");
    let beyond_the_client = producer.send(Record::to(&topic).value(vec![b'x'; 20 << 20])).await;
    let error = soon("error", beyond_the_client).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::TooLarge, "{error}");
    soon("delivery", producer.send(Record::to(&topic).value("fine")).await).await.unwrap();
}

#[tokio::test]
async fn an_append_tells_each_offset() {
    let config = config();
    let topic = topic(&config, "append", TopicKind::History, 2).await;
    let producer = HistoryProducer::new(&config).unwrap();
    let first = producer.append(&topic, 1, (0..10).map(|_| entry("x")).collect()).await;
    let second = producer.append(&topic, 1, vec![entry("y")]).await;
    assert_eq!(soon("append", second).await.unwrap(), [10]);
    assert_eq!(soon("append", first).await.unwrap(), (0..10).collect::<Vec<u64>>());
    assert_eq!(producer.failure(), None);
    assert_eq!(producer.oldest_unconfirmed(), None);
}

#[tokio::test]
async fn a_history_producer_ends_with_its_first_error() {
    let config = config();
    let topic = topic(&config, "fatal", TopicKind::History, 1).await;
    let producer = HistoryProducer::new(&config).unwrap();
    let too_large = producer.append(&topic, 0, vec![entry("x"), entry(vec![b'x'; 10 << 20]), entry("z")]).await;
    let error = soon("error", too_large).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::TooLarge, "{error}");
    assert_eq!(soon("failure", producer.failed()).await.kind, SendErrorKind::TooLarge);
    let refused = producer.append(&topic, 0, vec![entry("later")]).await;
    soon("refusal", refused).await.unwrap_err();
    drop(producer);

    let next = HistoryProducer::new(&config).unwrap();
    soon("append", next.append(&topic, 0, vec![entry("again")]).await).await.unwrap();
}

#[tokio::test]
async fn a_dropped_producer_still_delivers_what_it_holds() {
    let config = config();
    let topic = topic(&config, "drain", TopicKind::Tasks, 1).await;
    let producer = Producer::new(&config).unwrap();
    let mut deliveries = Vec::new();
    for _ in 0..100 {
        deliveries.push(producer.send(Record::to(&topic).value("x")).await);
    }
    drop(producer);
    for delivery in deliveries {
        soon("delivery", delivery).await.unwrap();
    }
}

#[tokio::test]
async fn a_full_buffer_makes_senders_wait() {
    let config = config();
    let topic = topic(&config, "buffer", TopicKind::Tasks, 1).await;
    let producer = Producer::new(&config).unwrap();
    let record = || Record::to(&topic).partition(0).value(vec![b'x'; 1 << 20]);
    let mut deliveries = Vec::new();
    while let Ok(delivery) = producer.try_send(record()) {
        deliveries.push(delivery);
        assert!(deliveries.len() < 1_000, "the buffer is bounded");
    }
    soon("room", producer.send(record())).await.await.unwrap();
    soon("flush", producer.flush()).await;
    let end = Admin::new(&config).unwrap().watermarks(&topic, 0).await.unwrap().high;
    assert_eq!(end, deliveries.len() as u64 + 1);
}

#[tokio::test]
async fn a_busy_topic_keeps_the_order_of_each_partition() {
    let config = config();
    let topic = topic(&config, "busy", TopicKind::Commands, 3).await;
    let producer = Producer::new(&config).unwrap();
    let mut deliveries = Vec::new();
    for number in 0..3_000 {
        // Some name their partition, some leave it to their key.
        let record = Record::to(&topic).value("x");
        let record =
            if number % 5 == 0 { record.partition(number % 3) } else { record.key(format!("k{}", number % 7)) };
        deliveries.push(producer.send(record).await);
    }
    let mut last = std::collections::BTreeMap::new();
    for delivery in deliveries {
        let acked = soon("delivery", delivery).await.unwrap();
        let before = last.insert(acked.partition, acked.offset);
        assert!(before.is_none_or(|before| before < acked.offset), "{before:?} stands before {acked:?}");
    }
}
