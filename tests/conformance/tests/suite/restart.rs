//! What survives the end of the embedded broker, whichever way it ends.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use conformance::calls::{EARLIEST, LATEST, error, records, sequenced, unbatch};
use conformance::clients::{PATIENCE, receive};
use conformance::cluster::{Cluster, embedded_at};
use conformance::groups::Member;
use conformance::wire::Wire;
use kafka_protocol::error::ResponseError;
use rdkafka::Message;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::producer::FutureRecord;
use tidewright_broker::{Broker, BrokerConfig, BrokerError, Storage};

use crate::process::BrokerProcess;

const NOW: i64 = 1_700_000_000_000;

#[tokio::test]
async fn a_killed_broker_goes_on_where_it_stopped() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let broker = BrokerProcess::start(directory.path(), None).await?;
    let topic = broker.cluster.topic("killed", 1, &[("retention.ms", "-1")]).await?;
    let mut wire = Wire::connect(&broker.cluster).await?;
    let id = wire.init_producer().await?;
    for n in 0..10 {
        let response = wire.produce(&topic, &sequenced(id, 0, n * 2, &[(NOW, "a"), (NOW, "b")])).await?;
        assert_eq!(error(response.error_code), None);
    }
    let mut lone = Member::of(&broker.cluster, "group").await?;
    assert_eq!(lone.commit(&topic, 7, "seven").await?, None);
    let address = broker.kill().await?;

    let broker = BrokerProcess::start(directory.path(), Some(&address)).await?;
    assert_eq!(broker.cluster.address, address);
    let mut wire = Wire::connect(&broker.cluster).await?;
    assert_eq!(wire.list_offsets(&topic, LATEST).await?.offset, 20);
    let fetched = wire.fetch(&topic, 0, 0).await?.records.unwrap_or_default();
    assert_eq!(unbatch(fetched)?.len(), 20);
    let duplicate = wire.produce(&topic, &sequenced(id, 0, 18, &[(NOW, "a"), (NOW, "b")])).await?;
    assert_eq!((error(duplicate.error_code), duplicate.base_offset), (None, 18));
    let gap = wire.produce(&topic, &sequenced(id, 0, 30, &[(NOW, "a")])).await?;
    assert_eq!(error(gap.error_code), Some(ResponseError::OutOfOrderSequenceNumber));
    assert!(wire.init_producer().await? > id);
    let mut lone = Member::of(&broker.cluster, "group").await?;
    assert_eq!(lone.committed(None).await?[&topic], (7, "seven".to_owned()));
    broker.kill().await?;
    Ok(())
}

#[tokio::test]
async fn clients_live_through_a_kill_and_lose_nothing_that_was_acknowledged() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut broker = BrokerProcess::start(directory.path(), None).await?;
    let topic = broker.cluster.topic("live", 1, &[]).await?;
    let settings = [("reconnect.backoff.ms", "10"), ("reconnect.backoff.max.ms", "100")];
    let producer = broker.cluster.producer(&settings)?;
    let consumer = broker.cluster.consumer("live", &settings)?;
    consumer.subscribe(&[&topic])?;
    for round in 0..3 {
        for n in 0..50 {
            let value = (round * 50 + n).to_string();
            let record = FutureRecord::<(), _>::to(&topic).payload(&value);
            producer.send(record, PATIENCE).await.map_err(|(error, _)| error)?;
        }
        let address = broker.kill().await?;
        broker = BrokerProcess::start(directory.path(), Some(&address)).await?;
    }
    let mut received = 0;
    while received < 150 {
        // Errors tell of lost connections; the client goes on.
        let Ok(message) = receive(&consumer).await else { continue };
        assert_eq!(message.offset(), received);
        assert_eq!(message.payload(), Some(received.to_string().as_bytes()));
        received += 1;
    }
    broker.kill().await?;
    Ok(())
}

async fn filled(directory: &Path) -> Result<(Broker, Cluster, String)> {
    let (broker, cluster) = embedded_at(directory, None).await?;
    let topic = cluster.topic("restart", 1, &[]).await?;
    let mut wire = Wire::connect(&cluster).await?;
    for _ in 0..5 {
        wire.produce(&topic, &records(&[(NOW, "value")])).await?;
    }
    Ok((broker, cluster, topic))
}

#[tokio::test]
async fn a_torn_end_is_cut_off() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (broker, _, topic) = filled(directory.path()).await?;
    broker.shutdown().await?;
    let partition = directory.path().join(format!("{topic}-0"));
    let mut files = fs::read_dir(&partition)?.filter_map(|entry| Some(entry.ok()?.path()));
    let segment = files.find(|path| path.extension().is_some_and(|extension| extension == "log"));
    let segment = segment.context("no segment")?;
    let whole = fs::metadata(&segment)?.len();
    for torn in [&[0u8; 3][..], &[0xff; 100], &[0; 5_000]] {
        OpenOptions::new().append(true).open(&segment)?.write_all(torn)?;
        let (broker, cluster) = embedded_at(directory.path(), None).await?;
        let mut wire = Wire::connect(&cluster).await?;
        assert_eq!(wire.list_offsets(&topic, LATEST).await?.offset, 5);
        broker.shutdown().await?;
        assert_eq!(fs::metadata(&segment)?.len(), whole);
    }
    // The last record itself is torn: it was not acknowledged by a broker that still lived.
    OpenOptions::new().write(true).open(&segment)?.set_len(whole - 1)?;
    let (broker, cluster) = embedded_at(directory.path(), None).await?;
    let mut wire = Wire::connect(&cluster).await?;
    assert_eq!(wire.produce(&topic, &records(&[(NOW, "again")])).await?.base_offset, 4);
    broker.shutdown().await?;
    Ok(())
}

#[tokio::test]
async fn deleted_records_and_topics_stay_deleted() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (broker, cluster, topic) = filled(directory.path()).await?;
    let gone = cluster.topic("gone", 2, &[]).await?;
    let admin = cluster.admin()?;
    let options = rdkafka::admin::AdminOptions::new();
    admin.delete_topics(&[&gone], &options).await?;
    let mut offsets = rdkafka::TopicPartitionList::new();
    offsets.add_partition_offset(&topic, 0, rdkafka::Offset::Offset(3))?;
    admin.delete_records(&offsets, &options).await?;
    broker.shutdown().await?;
    let (broker, cluster) = embedded_at(directory.path(), None).await?;
    let mut wire = Wire::connect(&cluster).await?;
    assert_eq!(wire.list_offsets(&topic, EARLIEST).await?.offset, 3);
    let unknown = wire.list_offsets(&gone, EARLIEST).await?;
    assert_eq!(error(unknown.error_code), Some(ResponseError::UnknownTopicOrPartition));
    broker.shutdown().await?;
    Ok(())
}

#[tokio::test]
async fn a_group_resumes_after_a_restart() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (broker, cluster, topic) = filled(directory.path()).await?;
    let consumer = cluster.consumer("resumes", &[])?;
    consumer.subscribe(&[&topic])?;
    for _ in 0..3 {
        let message = receive(&consumer).await?;
        consumer.commit_message(&message, CommitMode::Sync)?;
    }
    drop(consumer);
    broker.shutdown().await?;
    let (broker, cluster) = embedded_at(directory.path(), None).await?;
    let consumer = cluster.consumer("resumes", &[])?;
    consumer.subscribe(&[&topic])?;
    assert_eq!(receive(&consumer).await?.offset(), 3);
    drop(consumer);
    broker.shutdown().await?;
    Ok(())
}

#[tokio::test]
async fn one_broker_at_a_time_uses_a_directory() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (first, _) = embedded_at(directory.path(), None).await?;
    let refused = embedded_at(directory.path(), None).await.err().context("a second broker started")?;
    assert!(matches!(refused.downcast_ref(), Some(BrokerError::DirectoryInUse { .. })), "{refused}");
    let taken = BrokerConfig { listen: first.address(), storage: Storage::Memory, ..BrokerConfig::default() };
    let refused = Broker::start(taken).await.err().context("a second broker listens")?;
    assert!(matches!(refused, BrokerError::Listen { .. }), "{refused}");
    first.shutdown().await?;
    embedded_at(directory.path(), None).await?.0.shutdown().await?;
    Ok(())
}
