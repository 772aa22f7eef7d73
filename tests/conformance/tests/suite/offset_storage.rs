//! Committed offsets on the disk of the embedded broker.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use conformance::calls::{error, records};
use conformance::cluster::{Cluster, embedded_with};
use conformance::groups::{Member, stable};
use conformance::wire::Wire;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::DeleteGroupsRequest;
use tidewright_broker::{Broker, BrokerConfig, Fsync, Storage};

async fn broker(directory: &Path, fsync: Fsync) -> Result<(Broker, Cluster)> {
    let storage = Storage::Directory(directory.to_path_buf());
    embedded_with(BrokerConfig { storage, fsync, ..BrokerConfig::default() }).await
}

async fn delete_group(member: &mut Member, group: &str) -> Result<Option<ResponseError>> {
    let request = DeleteGroupsRequest::default().with_groups_names(vec![conformance::wire::text(group).into()]);
    Ok(error(member.wire.call(&request, 2).await?.results[0].error_code))
}

#[tokio::test]
async fn whatever_the_policy_a_stop_keeps_offsets_and_deletions() -> Result<()> {
    for fsync in [Fsync::Every, Fsync::Interval(Duration::from_millis(1)), Fsync::Os] {
        let directory = tempfile::tempdir()?;
        let (running, cluster) = broker(directory.path(), fsync).await?;
        let topic = cluster.topic("kept", 1, &[]).await?;
        let mut kept = Member::of(&cluster, "kept").await?;
        let mut deleted = Member::of(&cluster, "deleted").await?;
        for offset in 1..=20 {
            assert_eq!(kept.commit(&topic, offset, "").await?, None);
            assert_eq!(deleted.commit(&topic, offset, "").await?, None);
        }
        assert_eq!(delete_group(&mut deleted, "deleted").await?, None);
        running.shutdown().await?;
        let (running, cluster) = broker(directory.path(), fsync).await?;
        assert_eq!(Member::of(&cluster, "kept").await?.committed(None).await?[&topic].0, 20, "{fsync:?}");
        assert!(Member::of(&cluster, "deleted").await?.committed(None).await?.is_empty(), "{fsync:?}");
        running.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_journal_that_cannot_be_synced_fails_commits_and_nothing_else() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (running, cluster) = broker(directory.path(), Fsync::Every).await?;
    let (topic, untouched) = (cluster.topic("a", 1, &[]).await?, cluster.topic("b", 1, &[]).await?);
    let mut member = Member::of(&cluster, "group").await?;
    assert_eq!(member.commit(&topic, 1, "").await?, None);
    // What is written to a file without a name is lost with the process, which a sync notices.
    std::fs::remove_file(directory.path().join("offsets.journal"))?;
    for _ in 0..2 {
        assert_eq!(member.commit(&topic, 2, "").await?, Some(ResponseError::CoordinatorNotAvailable));
    }
    assert_eq!(delete_group(&mut member, "group").await?, Some(ResponseError::CoordinatorNotAvailable));
    let mut wire = Wire::connect(&cluster).await?;
    assert_eq!(error(wire.produce(&topic, &records(&[(1_700_000_000_000, "v")])).await?.error_code), None);
    assert_eq!(stable(&cluster, "others", 2).await?.len(), 2);
    cluster.admin()?.delete_topics(&[&untouched], &rdkafka::admin::AdminOptions::new()).await?;
    running.shutdown().await?;

    let (running, cluster) = broker(directory.path(), Fsync::Every).await?;
    let mut member = Member::of(&cluster, "group").await?;
    assert!(member.committed(None).await?.is_empty());
    assert_eq!(member.commit(&topic, 3, "").await?, None);
    running.shutdown().await?;
    Ok(())
}
