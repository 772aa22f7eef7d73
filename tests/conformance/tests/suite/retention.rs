//! What goes by age and size. Kafka looks at it every five minutes, and so does the embedded broker unless it is told
//! otherwise, so only that one is tested here.

use std::time::Duration;

use anyhow::{Context, Result};
use conformance::calls::{EARLIEST, LATEST, records};
use conformance::clients::PATIENCE;
use conformance::cluster::{Cluster, embedded_with};
use conformance::wire::Wire;
use tidewright_broker::{BrokerConfig, Storage};
use tokio::time::timeout;

/// Years ago, whenever this runs.
const LONG_AGO: i64 = 1_500_000_000_000;

/// Runs a test on brokers that look for what to delete all the time.
async fn on_tidy_brokers(test: impl AsyncFn(&Cluster) -> Result<()>) -> Result<()> {
    let directory = tempfile::tempdir()?;
    for storage in [Storage::Memory, Storage::Directory(directory.path().to_path_buf())] {
        let retention_check_interval = Duration::from_millis(20);
        let (broker, cluster) =
            embedded_with(BrokerConfig { storage, retention_check_interval, ..BrokerConfig::default() }).await?;
        test(&cluster).await?;
        broker.shutdown().await?;
    }
    Ok(())
}

async fn until_it_starts_at(wire: &mut Wire, topic: &str, offset: i64) -> Result<()> {
    let moved = async {
        while wire.list_offsets(topic, EARLIEST).await?.offset < offset {
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    timeout(PATIENCE, moved).await.context("the log's start did not move")?
}

#[tokio::test]
async fn old_records_go() -> Result<()> {
    on_tidy_brokers(async |cluster| {
        for policy in ["delete", "compact,delete"] {
            let settings = [("cleanup.policy", policy), ("retention.ms", "60000")];
            let topic = cluster.topic("old", 1, &settings).await?;
            let mut wire = Wire::connect(cluster).await?;
            for n in 0..3 {
                wire.produce(&topic, &records(&[(LONG_AGO + n, "old")])).await?;
            }
            until_it_starts_at(&mut wire, &topic, 3).await?;
            assert_eq!(wire.list_offsets(&topic, LATEST).await?.offset, 3);
            assert_eq!(wire.produce(&topic, &records(&[(LONG_AGO, "next")])).await?.base_offset, 3);
            until_it_starts_at(&mut wire, &topic, 4).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_too_much_goes_and_the_rest_stays() -> Result<()> {
    on_tidy_brokers(async |cluster| {
        let settings = [("retention.ms", "-1"), ("retention.bytes", "1000000"), ("segment.bytes", "1048576")];
        let topic = cluster.topic("large", 1, &settings).await?;
        let mut wire = Wire::connect(cluster).await?;
        let value = "x".repeat(400_000);
        for _ in 0..9 {
            wire.produce(&topic, &records(&[(LONG_AGO, &value)])).await?;
        }
        // Two fit into a segment, and the last three records are needed for as much as is to be kept.
        until_it_starts_at(&mut wire, &topic, 4).await?;
        let start = wire.list_offsets(&topic, EARLIEST).await?.offset;
        assert!((4..=6).contains(&start), "{start}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_to_be_kept_for_ever_stays() -> Result<()> {
    on_tidy_brokers(async |cluster| {
        let kept = cluster.topic("kept", 1, &[("retention.ms", "-1")]).await?;
        let compacted = cluster.topic("compacted", 1, &[("cleanup.policy", "compact"), ("retention.ms", "1")]).await?;
        let gone = cluster.topic("gone", 1, &[("retention.ms", "1")]).await?;
        let mut wire = Wire::connect(cluster).await?;
        for topic in [&kept, &compacted, &gone] {
            wire.produce(topic, &records(&[(LONG_AGO, "value")])).await?;
        }
        until_it_starts_at(&mut wire, &gone, 1).await?;
        for topic in [&kept, &compacted] {
            assert_eq!(wire.list_offsets(topic, EARLIEST).await?.offset, 0);
        }
        Ok(())
    })
    .await
}
