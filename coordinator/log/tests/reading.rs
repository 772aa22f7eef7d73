//! Producing and reading back.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::{Duration, Instant};

use common::{config, number, send_numbers, soon, topic};
use tidewright_log::{
    Admin, Entry, HistoryProducer, LogReader, PartitionReader, Producer, ReadError, ReaderOptions, Received, Record,
    StartAt, TopicKind,
};

const BYTES_MAX: usize = 1 << 20;

async fn read(partition: &mut PartitionReader, count: usize) -> Vec<Received> {
    let mut records = Vec::new();
    while records.len() < count {
        records.extend(soon("batch", partition.next_batch(count - records.len(), BYTES_MAX)).await.unwrap().records);
    }
    records
}

#[tokio::test]
async fn what_is_sent_is_read_back_in_order() {
    let config = config();
    let topic = topic(&config, "order", TopicKind::Commands, 2).await;
    let producer = Producer::new(&config).unwrap();
    send_numbers(&producer, &topic, 1, 0..99).await;
    let tombstone = Record::to(&topic).partition(1).key("k").header("h", "v");
    assert_eq!(producer.send(tombstone).await.await.unwrap().offset, 99);

    let reader = LogReader::new(&config, &ReaderOptions::default()).unwrap();
    let mut partition = soon("open", reader.open(&topic, 1, StartAt::Beginning)).await.unwrap();
    let records = read(&mut partition, 100).await;
    assert!(partition.caught_up());
    assert_eq!(partition.position(), 100);
    assert_eq!(records[..99].iter().map(number).collect::<Vec<_>>(), (0..99).collect::<Vec<_>>());
    let last = &records[99];
    assert_eq!((last.partition, last.offset, &*last.topic), (1, 99, topic.as_str()));
    assert_eq!((last.key.as_deref(), &last.value, last.header("h")), (Some(&b"k"[..]), &None, Some(&b"v"[..])));
    assert!(last.timestamp_ms > 1_700_000_000_000);
}

#[tokio::test]
async fn a_batch_respects_its_limits() {
    let config = config();
    let topic = topic(&config, "limits", TopicKind::Tasks, 1).await;
    let producer = Producer::new(&config).unwrap();
    for _ in 0..6 {
        producer.send(Record::to(&topic).value(vec![b'x'; 1_000])).await.await.unwrap();
    }
    let reader = LogReader::new(&config, &ReaderOptions::default()).unwrap();
    let mut partition = reader.open(&topic, 0, StartAt::Beginning).await.unwrap();
    let batch = soon("batch", partition.next_batch(2, BYTES_MAX)).await.unwrap();
    assert!(batch.records.len() <= 2 && batch.next_offset == batch.records.len() as u64);
    let batch = soon("batch", partition.next_batch(100, 10)).await.unwrap();
    assert_eq!(batch.records.len(), 1, "a record that is larger than the limit comes alone");
}

#[tokio::test]
async fn opening_again_never_yields_what_was_fetched_before() {
    let config = config();
    let topic = topic(&config, "reopen", TopicKind::Tasks, 1).await;
    let producer = Producer::new(&config).unwrap();
    send_numbers(&producer, &topic, 0, 0..5_000).await;
    let reader = LogReader::new(&config, &ReaderOptions::default()).unwrap();
    let mut partition = reader.open(&topic, 0, StartAt::Beginning).await.unwrap();
    for round in 0..100_u64 {
        let start = (round * 2_477) % 4_900;
        partition.reopen(StartAt::Offset(start)).await.unwrap();
        let records = read(&mut partition, 20).await;
        let offsets: Vec<_> = records.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, (start..start + 20).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_dropped_reader_makes_way_for_another() {
    let config = config();
    let topic = topic(&config, "drop", TopicKind::Tasks, 1).await;
    let producer = Producer::new(&config).unwrap();
    send_numbers(&producer, &topic, 0, 0..100).await;
    let reader = LogReader::new(&config, &ReaderOptions::default()).unwrap();
    for start in 0..20 {
        let mut partition = reader.open(&topic, 0, StartAt::Offset(start)).await.unwrap();
        assert_eq!(read(&mut partition, 1).await[0].offset, start);
        let twice = reader.open(&topic, 0, StartAt::Beginning).await.err();
        assert!(matches!(twice, Some(ReadError::AlreadyOpen { .. })), "{twice:?}");
    }
}

#[tokio::test]
async fn one_client_reads_many_partitions() {
    let config = config();
    let topic = topic(&config, "many", TopicKind::Tasks, 16).await;
    let producer = Producer::new(&config).unwrap();
    let reader = LogReader::new(&config, &ReaderOptions::default()).unwrap();
    let mut readers = Vec::new();
    for partition in 0..16 {
        send_numbers(&producer, &topic, partition, 0..10 + partition).await;
        readers.push(reader.open(&topic, partition, StartAt::Beginning).await.unwrap());
    }
    for (partition, reader) in (0..).zip(&mut readers) {
        let records = read(reader, 10 + partition as usize).await;
        assert!(records.iter().all(|record| record.partition == partition));
        assert_eq!(records.iter().map(number).collect::<Vec<_>>(), (0..10 + partition).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn an_empty_partition_is_caught_up_at_once() {
    let config = config();
    let topic = topic(&config, "empty", TopicKind::History, 1).await;
    let reader = LogReader::new(&config, &ReaderOptions::default()).unwrap();
    let mut partition = reader.open(&topic, 0, StartAt::Beginning).await.unwrap();
    let batch = soon("end", partition.next_batch(1, BYTES_MAX)).await.unwrap();
    assert!(batch.caught_up && batch.records.is_empty());
    let waits = tokio::time::timeout(Duration::from_millis(300), partition.next_batch(1, BYTES_MAX)).await;
    assert!(waits.is_err(), "the end is told once: {waits:?}");
}

#[tokio::test]
async fn an_offset_outside_the_log_is_an_error() {
    let config = config();
    let topic = topic(&config, "range", TopicKind::Commands, 1).await;
    let producer = Producer::new(&config).unwrap();
    send_numbers(&producer, &topic, 0, 0..10).await;
    let admin = Admin::new(&config).unwrap();
    admin.delete_records(&topic, 0, 4).await.unwrap();
    let reader = LogReader::new(&config, &ReaderOptions::default()).unwrap();
    for offset in [3, 11] {
        let error = reader.open(&topic, 0, StartAt::Offset(offset)).await.err();
        let expected = ReadError::OutOfRange { topic: topic.clone(), partition: 0, offset, low: 4, high: 10 };
        assert_eq!(error, Some(expected));
    }
    let mut partition = reader.open(&topic, 0, StartAt::Offset(10)).await.unwrap();
    assert!(soon("end", partition.next_batch(1, BYTES_MAX)).await.unwrap().caught_up);
}

#[tokio::test]
async fn a_log_that_loses_its_beginning_while_it_is_read_is_an_error() {
    let config = config();
    let topic = topic(&config, "lost", TopicKind::Commands, 1).await;
    let producer = Producer::new(&config).unwrap();
    send_numbers(&producer, &topic, 0, 0..10).await;
    let reader = LogReader::new(&config, &ReaderOptions::default()).unwrap();
    let mut partition = reader.open(&topic, 0, StartAt::End).await.unwrap();
    assert!(soon("end", partition.next_batch(1, BYTES_MAX)).await.unwrap().caught_up);
    let admin = Admin::new(&config).unwrap();
    // The records and their deletion must both come between two fetches: tried until they do.
    for round in 1..=20_u64 {
        send_numbers(&producer, &topic, 0, 0..50).await;
        let end = admin.watermarks(&topic, 0).await.unwrap().high;
        admin.delete_records(&topic, 0, end).await.unwrap();
        let mut seen = 10 + (round - 1) * 50;
        let outcome = loop {
            match soon("records or an error", partition.next_batch(1_000, BYTES_MAX)).await {
                Ok(batch) => {
                    for record in &batch.records {
                        assert_eq!(record.offset, seen, "nothing is skipped");
                        seen += 1;
                    }
                    if seen == end {
                        break None;
                    }
                }
                Err(error) => break Some(error),
            }
        };
        if let Some(error) = outcome {
            assert!(matches!(error, ReadError::OutOfRange { low, .. } if low == end), "{error:?}");
            partition.reopen(StartAt::Beginning).await.unwrap();
            return;
        }
    }
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_an_error() {
    let config = config();
    let reader = LogReader::new(&config, &ReaderOptions::default()).unwrap();
    let error = soon("answer", reader.open("log-tests.nowhere", 0, StartAt::End)).await.err();
    assert!(matches!(error, Some(ReadError::TopicMissing { .. })), "{error:?}");
    let topic = topic(&config, "narrow", TopicKind::Tasks, 1).await;
    let error = soon("answer", reader.open(&topic, 7, StartAt::End)).await.err();
    assert!(matches!(error, Some(ReadError::TopicMissing { partition: 7, .. })), "{error:?}");
}

#[tokio::test]
async fn a_full_reader_neither_grows_nor_loses_anything() {
    let config = config();
    let topic = topic(&config, "full", TopicKind::Tasks, 1).await;
    let producer = Producer::new(&config).unwrap();
    let mut deliveries = Vec::new();
    for number in 0..2_000_u32 {
        let mut value = number.to_string().into_bytes();
        value.resize(10_000, b' ');
        deliveries.push(producer.send(Record::to(&topic).partition(0).value(value)).await);
    }
    for delivery in deliveries {
        soon("delivery", delivery).await.unwrap();
    }
    let options = ReaderOptions { prefetch_bytes: 256 * 1024, ..ReaderOptions::default() };
    let reader = LogReader::new(&config, &options).unwrap();
    let mut partition = reader.open(&topic, 0, StartAt::Beginning).await.unwrap();
    let records = read(&mut partition, 2_000).await;
    assert!(records.iter().zip(0..).all(|(record, offset)| record.offset == offset));
}

#[tokio::test]
async fn one_hop_is_short() {
    let config = config();
    let topic = topic(&config, "hop", TopicKind::History, 1).await;
    let producer = HistoryProducer::new(&config).unwrap();
    let reader = LogReader::new(&config, &ReaderOptions::default()).unwrap();
    let mut partition = reader.open(&topic, 0, StartAt::End).await.unwrap();
    let mut hops = Vec::new();
    for _ in 0..500 {
        let start = Instant::now();
        let entry = Entry { key: Some(b"k".to_vec()), value: Some(vec![b'x'; 200]), headers: Vec::new() };
        let append = producer.append(&topic, 0, vec![entry]).await;
        read(&mut partition, 1).await;
        hops.push(start.elapsed());
        append.await.unwrap();
    }
    hops.sort();
    println!("one hop: p50 {:?}, p90 {:?}, p99 {:?}", hops[250], hops[450], hops[495]);
    // Far above what it takes, far below what librdkafka's waits would add.
    assert!(hops[250] < Duration::from_millis(100), "p50 {:?}", hops[250]);
}

#[tokio::test]
async fn a_topic_made_anew_while_it_is_read_is_an_error() {
    let config = config();
    let topic = topic(&config, "anew", TopicKind::Tasks, 1).await;
    let producer = Producer::new(&config).unwrap();
    send_numbers(&producer, &topic, 0, 0..10).await;
    let reader = LogReader::new(&config, &ReaderOptions::default()).unwrap();
    let mut partition = reader.open(&topic, 0, StartAt::Beginning).await.unwrap();
    read(&mut partition, 10).await;
    let admin = Admin::new(&config).unwrap();
    admin.delete_topics(&[&topic]).await.unwrap();
    soon("deletion", async {
        while admin.partition_count(&topic).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    common::create(&config, &topic, TopicKind::Tasks, 1).await;
    send_numbers(&Producer::new(&config).unwrap(), &topic, 0, 0..3).await;
    let error = soon("error", async {
        loop {
            match partition.next_batch(100, BYTES_MAX).await {
                Ok(batch) => assert!(batch.records.is_empty(), "{batch:?}"),
                Err(ReadError::TopicMissing { .. }) => {}
                Err(error) => return error,
            }
        }
    });
    let expected = ReadError::OutOfRange { topic: topic.clone(), partition: 0, offset: 10, low: 0, high: 3 };
    assert_eq!(error.await, expected);
    assert!(matches!(partition.next_batch(1, BYTES_MAX).await, Err(ReadError::Closed { .. })));
    partition.reopen(StartAt::Beginning).await.unwrap();
    assert_eq!(read(&mut partition, 3).await.len(), 3);
}
