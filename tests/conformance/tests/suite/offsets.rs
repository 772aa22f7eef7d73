//! Where logs start and end: ListOffsets and DeleteRecords.

use anyhow::{Context, Result};
use conformance::calls::{EARLIEST, LATEST, MAX_TIMESTAMP, error, records};
use conformance::cluster::on_every_broker;
use conformance::wire::{Wire, text};
use kafka_protocol::error::ResponseError::*;
use kafka_protocol::messages::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_records_response::DeleteRecordsPartitionResult;

const NOW: i64 = 1_700_000_000_000;

async fn delete_records(wire: &mut Wire, topic: &str, offset: i64) -> Result<DeleteRecordsPartitionResult> {
    let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(offset);
    let topic = DeleteRecordsTopic::default().with_name(text(topic).into()).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let response = wire.call(&request, 2).await?;
    let topic = response.topics.into_iter().next().context("no topic in the response")?;
    topic.partitions.into_iter().next().context("no partition in the response")
}

#[tokio::test]
async fn offsets_are_listed_by_kind_and_by_time() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("list", 1, &[]).await?;
        let mut wire = Wire::connect(cluster).await?;
        let mut list = async |timestamp: i64| {
            let found = wire.list_offsets(&topic, timestamp).await?;
            anyhow::Ok((error(found.error_code), found.offset, found.timestamp))
        };
        assert_eq!(list(EARLIEST).await?, (None, 0, -1));
        assert_eq!(list(LATEST).await?, (None, 0, -1));
        assert_eq!(list(NOW).await?, (None, -1, -1));
        assert_eq!(list(MAX_TIMESTAMP).await?, (None, -1, -1));
        let mut writer = Wire::connect(cluster).await?;
        writer.produce(&topic, &records(&[(NOW, "0"), (NOW + 10, "1"), (NOW + 20, "2")])).await?;
        writer.produce(&topic, &records(&[(NOW + 15, "3"), (NOW + 30, "4")])).await?;
        writer.produce(&topic, &records(&[(NOW + 25, "5")])).await?;
        assert_eq!(list(EARLIEST).await?, (None, 0, -1));
        assert_eq!(list(LATEST).await?, (None, 6, -1));
        assert_eq!(list(0).await?, (None, 0, NOW));
        assert_eq!(list(NOW + 1).await?, (None, 1, NOW + 10));
        assert_eq!(list(NOW + 10).await?, (None, 1, NOW + 10));
        assert_eq!(list(NOW + 21).await?, (None, 4, NOW + 30));
        assert_eq!(list(NOW + 31).await?, (None, -1, -1));
        assert_eq!(list(MAX_TIMESTAMP).await?, (None, 4, NOW + 30));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn time_is_looked_up_in_long_logs() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("long", 1, &[]).await?;
        let mut wire = Wire::connect(cluster).await?;
        let value = "x".repeat(400);
        for n in 0..150 {
            wire.produce(&topic, &records(&[(NOW + n * 10, &value), (NOW + n * 10 + 5, &value)])).await?;
        }
        for n in [0, 1, 77, 149] {
            let found = wire.list_offsets(&topic, NOW + n * 10 + 1).await?;
            assert_eq!((found.offset, found.timestamp), (n * 2 + 1, NOW + n * 10 + 5));
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn offsets_of_unknown_partitions_are_refused() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut wire = Wire::connect(cluster).await?;
        let found = wire.list_offsets(&cluster.unique("unknown"), LATEST).await?;
        assert_eq!(error(found.error_code), Some(UnknownTopicOrPartition));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn deleted_records_are_out_of_range() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("delete", 1, &[]).await?;
        let mut wire = Wire::connect(cluster).await?;
        for _ in 0..5 {
            wire.produce(&topic, &records(&[(NOW, "a"), (NOW, "b")])).await?;
        }
        let mut delete = async |offset: i64| {
            let result = delete_records(&mut wire, &topic, offset).await?;
            anyhow::Ok((error(result.error_code), result.low_watermark))
        };
        assert_eq!(delete(3).await?, (None, 3));
        assert_eq!(delete(1).await?, (None, 3));
        assert_eq!(delete(11).await?, (Some(OffsetOutOfRange), -1));
        assert_eq!(delete(-2).await?, (Some(OffsetOutOfRange), -1));
        let mut reader = Wire::connect(cluster).await?;
        assert_eq!(reader.list_offsets(&topic, EARLIEST).await?.offset, 3);
        assert_eq!(error(reader.fetch(&topic, 2, 0).await?.error_code), Some(OffsetOutOfRange));
        let partition = reader.fetch(&topic, 3, 0).await?;
        assert_eq!((error(partition.error_code), partition.log_start_offset), (None, 3));
        assert_eq!(reader.list_offsets(&topic, 0).await?.offset, 3);
        assert_eq!(delete(-1).await?, (None, 10));
        assert_eq!(reader.list_offsets(&topic, EARLIEST).await?.offset, 10);
        assert_eq!(reader.produce(&topic, &records(&[(NOW, "c")])).await?.base_offset, 10);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn records_are_deleted_only_where_the_topic_and_its_policy_allow() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut wire = Wire::connect(cluster).await?;
        let compacted = cluster.topic("compacted", 1, &[("cleanup.policy", "compact")]).await?;
        wire.produce(&compacted, &records(&[(NOW, "a")])).await?;
        assert_eq!(error(delete_records(&mut wire, &compacted, 1).await?.error_code), Some(PolicyViolation));
        let both = cluster.topic("both", 1, &[("cleanup.policy", "compact,delete")]).await?;
        wire.produce(&both, &records(&[(NOW, "a")])).await?;
        assert_eq!(delete_records(&mut wire, &both, 1).await?.low_watermark, 1);
        let unknown = delete_records(&mut wire, &cluster.unique("unknown"), 1).await?;
        assert_eq!(error(unknown.error_code), Some(UnknownTopicOrPartition));
        Ok(())
    })
    .await
}
