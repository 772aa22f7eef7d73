//! Reading: limits, waiting, ranges.

use std::time::Duration;

use anyhow::{Context, Result};
use conformance::calls::{FETCH_VERSION, error, fetch_request, records, unbatch};
use conformance::clients::PATIENCE;
use conformance::cluster::{Cluster, on_every_broker};
use conformance::wire::{Wire, text};
use kafka_protocol::error::ResponseError::*;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{DeleteTopicsRequest, FetchRequest, MetadataRequest};
use tokio::time::timeout;
use uuid::Uuid;

const NOW: i64 = 1_700_000_000_000;
/// Longer than any test may take: a fetch that waits so long was woken if it answers at all.
const FOREVER_MS: i32 = 600_000;

async fn filled(cluster: &Cluster, batches: usize, value: &str) -> Result<(Wire, String)> {
    let topic = cluster.topic("fetch", 1, &[]).await?;
    let mut wire = Wire::connect(cluster).await?;
    for _ in 0..batches {
        let response = wire.produce(&topic, &records(&[(NOW, value), (NOW, value)])).await?;
        assert_eq!(error(response.error_code), None);
    }
    Ok((wire, topic))
}

#[tokio::test]
async fn a_waiting_fetch_is_woken_by_an_append() -> Result<()> {
    on_every_broker(async |cluster| {
        let (mut producer, topic) = filled(cluster, 1, "first").await?;
        let mut waiting = Wire::connect(cluster).await?;
        waiting.send(&fetch_request(&topic, 0, 2, FOREVER_MS), FETCH_VERSION).await?;
        let mut other = Wire::connect(cluster).await?;
        other.send(&fetch_request(&topic, 0, 2, FOREVER_MS), FETCH_VERSION).await?;
        producer.produce(&topic, &records(&[(NOW, "second")])).await?;
        for wire in [&mut waiting, &mut other] {
            let partition = timeout(PATIENCE, wire.fetched()).await.context("the fetch was not woken")??;
            assert_eq!(partition.high_watermark, 3);
            let records = unbatch(partition.records.unwrap_or_default())?;
            assert_eq!(records[0].value.as_deref(), Some(&b"second"[..]));
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_fetch_waits_for_as_much_as_it_wants() -> Result<()> {
    on_every_broker(async |cluster| {
        let (mut producer, topic) = filled(cluster, 0, "").await?;
        let mut waiting = Wire::connect(cluster).await?;
        let wanted = fetch_request(&topic, 0, 0, FOREVER_MS).with_min_bytes(1_000);
        waiting.send(&wanted, FETCH_VERSION).await?;
        let value = "x".repeat(200);
        for _ in 0..6 {
            producer.produce(&topic, &records(&[(NOW, &value)])).await?;
        }
        let partition = timeout(PATIENCE, waiting.fetched()).await.context("the fetch was not woken")??;
        assert!(partition.records.unwrap_or_default().len() >= 1_000);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_fetch_with_nothing_to_read_answers_when_its_time_is_up() -> Result<()> {
    on_every_broker(async |cluster| {
        let (mut wire, topic) = filled(cluster, 1, "value").await?;
        for max_wait_ms in [0, 20] {
            let partition = timeout(PATIENCE, wire.fetch(&topic, 2, max_wait_ms)).await??;
            assert_eq!((error(partition.error_code), partition.high_watermark), (None, 2));
            assert!(partition.records.unwrap_or_default().is_empty());
        }
        Ok(())
    })
    .await
}

/// Kafka reads no further request before it has answered; the embedded broker does better, as its clients share connections
/// between what they fetch and what they ask.
#[tokio::test]
async fn a_waiting_fetch_gives_way_to_the_next_request_on_its_connection() -> Result<()> {
    on_every_broker(async |cluster| {
        if !cluster.is_embedded {
            return Ok(());
        }
        let (_, topic) = filled(cluster, 0, "").await?;
        let mut wire = Wire::connect(cluster).await?;
        wire.send(&fetch_request(&topic, 0, 0, FOREVER_MS), FETCH_VERSION).await?;
        wire.send(&MetadataRequest::default().with_topics(Some(Vec::new())), 9).await?;
        let partition = timeout(PATIENCE, wire.fetched()).await.context("the fetch went on waiting")??;
        assert!(partition.records.unwrap_or_default().is_empty());
        timeout(PATIENCE, wire.receive::<MetadataRequest>(9)).await??;

        wire.send(&fetch_request(&topic, 0, 0, FOREVER_MS), FETCH_VERSION).await?;
        wire.half_close().await?;
        timeout(PATIENCE, wire.fetched()).await.context("the fetch went on waiting")??;
        assert!(timeout(PATIENCE, wire.rest()).await??.is_empty());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn offsets_outside_the_log_are_out_of_range() -> Result<()> {
    on_every_broker(async |cluster| {
        let (mut wire, topic) = filled(cluster, 1, "value").await?;
        for offset in [3, 99, -5] {
            let partition = wire.fetch(&topic, offset, FOREVER_MS).await?;
            assert_eq!(error(partition.error_code), Some(OffsetOutOfRange), "{offset}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_batch_is_found_by_any_of_its_offsets() -> Result<()> {
    on_every_broker(async |cluster| {
        let (mut wire, topic) = filled(cluster, 100, &"x".repeat(300)).await?;
        for offset in [0, 1, 57, 100, 131, 199] {
            let mut request = fetch_request(&topic, 0, offset, 0);
            request.topics[0].partitions[0].partition_max_bytes = 2_000;
            let partition = wire.fetch_as(&request).await?;
            let bytes = partition.records.unwrap_or_default();
            assert!(bytes.len() <= 2_000);
            let first = i64::from_be_bytes(bytes[..8].try_into()?);
            assert_eq!(first, offset - offset % 2);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_batch_larger_than_the_limits_still_comes() -> Result<()> {
    on_every_broker(async |cluster| {
        let (mut wire, topic) = filled(cluster, 3, &"x".repeat(5_000)).await?;
        let mut request = fetch_request(&topic, 0, 0, 0).with_max_bytes(10);
        request.topics[0].partitions[0].partition_max_bytes = 10;
        let partition = wire.fetch_as(&request).await?;
        assert_eq!(unbatch(partition.records.unwrap_or_default())?.len(), 2);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn committed_records_are_all_there_are() -> Result<()> {
    on_every_broker(async |cluster| {
        let (mut wire, topic) = filled(cluster, 2, "value").await?;
        let partition = wire.fetch_as(&fetch_request(&topic, 0, 0, 0).with_isolation_level(1)).await?;
        assert_eq!((partition.last_stable_offset, partition.high_watermark), (4, 4));
        assert_eq!(unbatch(partition.records.unwrap_or_default())?.len(), 4);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn topics_are_fetched_by_id_and_unknown_ones_refused() -> Result<()> {
    on_every_broker(async |cluster| {
        let (mut wire, topic) = filled(cluster, 1, "value").await?;
        let wanted = kafka_protocol::messages::metadata_request::MetadataRequestTopic::default();
        let wanted = wanted.with_name(Some(text(&topic).into()));
        let metadata = wire.call(&MetadataRequest::default().with_topics(Some(vec![wanted])), 12).await?;
        let by_id = async |wire: &mut Wire, id: Uuid| {
            let mut request = fetch_request("", 0, 0, 0);
            request.topics[0].topic_id = id;
            let mut response = wire.call(&request, 13).await?;
            anyhow::Ok(response.responses.remove(0).partitions.remove(0))
        };
        let partition = by_id(&mut wire, metadata.topics[0].topic_id).await?;
        assert_eq!(unbatch(partition.records.unwrap_or_default())?.len(), 2);
        assert_eq!(error(by_id(&mut wire, Uuid::new_v4()).await?.error_code), Some(UnknownTopicId));
        let unknown = wire.fetch(&cluster.unique("unknown"), 0, FOREVER_MS).await?;
        assert_eq!(error(unknown.error_code), Some(UnknownTopicOrPartition));
        let mut request = fetch_request(&topic, 7, 0, FOREVER_MS);
        request.topics[0].partitions[0].partition = 7;
        assert_eq!(error(wire.fetch_as(&request).await?.error_code), Some(UnknownTopicOrPartition));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_fetch_session_that_was_never_opened_is_not_found() -> Result<()> {
    on_every_broker(async |cluster| {
        let (mut wire, topic) = filled(cluster, 1, "value").await?;
        let request = fetch_request(&topic, 0, 0, 0).with_session_id(987_654_321).with_session_epoch(1);
        let response = wire.call(&request, FETCH_VERSION).await?;
        assert_eq!(error(response.error_code), Some(FetchSessionIdNotFound));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_waiting_fetch_learns_that_its_topic_is_gone() -> Result<()> {
    on_every_broker(async |cluster| {
        let (mut wire, topic) = filled(cluster, 1, "value").await?;
        let mut waiting = Wire::connect(cluster).await?;
        // Kafka looks again when the fetch's time is up.
        waiting.send(&fetch_request(&topic, 0, 2, 3_000), FETCH_VERSION).await?;
        let deleted = DeleteTopicState::default().with_name(Some(text(&topic).into()));
        wire.call(&DeleteTopicsRequest::default().with_topics(vec![deleted]).with_timeout_ms(10_000), 6).await?;
        let response = timeout(PATIENCE, waiting.receive::<FetchRequest>(FETCH_VERSION)).await??;
        let code = response.responses[0].partitions[0].error_code;
        assert!(matches!(error(code), Some(UnknownTopicOrPartition | NotLeaderOrFollower)), "{code}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_client_reads_on_across_many_fetches() -> Result<()> {
    on_every_broker(async |cluster| {
        let (_, topic) = filled(cluster, 200, &"x".repeat(500)).await?;
        let consumer = cluster.consumer(&cluster.unique("reader"), &[("fetch.message.max.bytes", "3000")])?;
        rdkafka::consumer::Consumer::subscribe(&consumer, &[&topic])?;
        for expected in 0..400 {
            let message = conformance::clients::receive(&consumer).await?;
            assert_eq!(rdkafka::Message::offset(&message), expected);
        }
        assert!(timeout(Duration::from_millis(1), consumer.recv()).await.is_err());
        Ok(())
    })
    .await
}
