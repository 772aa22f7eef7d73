//! Committed offsets.

use std::time::Duration;

use anyhow::Result;
use conformance::calls::error;
use conformance::cluster::{Cluster, embedded_at, on_every_broker};
use conformance::groups::{Member, stable};
use conformance::wire::text;
use kafka_protocol::error::ResponseError::*;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::{DeleteTopicsRequest, OffsetCommitRequest};
use tidewright_broker::{Broker, BrokerConfig};

#[tokio::test]
async fn offsets_are_committed_and_fetched() -> Result<()> {
    on_every_broker(async |cluster| {
        let (one, other) = (cluster.topic("one", 1, &[]).await?, cluster.topic("other", 1, &[]).await?);
        let mut members = stable(cluster, &cluster.unique("commits"), 1).await?;
        let member = &mut members[0];
        let nothing = member.committed(Some(&[&one])).await?;
        assert_eq!(nothing[&one], (-1, String::new()));
        assert!(member.committed(None).await?.is_empty());
        assert_eq!(member.commit(&one, 5, "why").await?, None);
        assert_eq!(member.commit(&other, 6, "").await?, None);
        assert_eq!(member.commit(&one, 3, "back").await?, None);
        let committed = member.committed(Some(&[&one, &other])).await?;
        assert_eq!((&committed[&one], &committed[&other]), (&(3, "back".to_owned()), &(6, String::new())));
        assert_eq!(member.committed(None).await?, committed);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn only_members_of_this_generation_commit() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("fenced", 1, &[]).await?;
        let group = cluster.unique("fenced");
        let mut lone = Member::of(cluster, &group).await?;
        assert_eq!(lone.commit(&topic, 1, "").await?, None);
        lone.generation = 3;
        lone.id = "nobody".to_owned();
        let refused = lone.commit(&topic, 2, "").await?;
        assert!(matches!(refused, Some(UnknownMemberId | IllegalGeneration)), "{refused:?}");
        let mut members = stable(cluster, &group, 1).await?;
        let mut simple = Member::of(cluster, &group).await?;
        assert_eq!(simple.commit(&topic, 2, "").await?, Some(UnknownMemberId));
        members[0].generation += 1;
        assert_eq!(members[0].commit(&topic, 2, "").await?, Some(IllegalGeneration));
        members[0].generation -= 1;
        assert_eq!(members[0].commit(&topic, 2, "").await?, None);
        assert_eq!(members[0].committed(None).await?[&topic].0, 2);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_cannot_be_committed_is_refused() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("refused", 1, &[]).await?;
        let mut lone = Member::of(cluster, &cluster.unique("refused")).await?;
        assert_eq!(lone.commit(&topic, 1, &"x".repeat(4_097)).await?, Some(OffsetMetadataTooLarge));
        assert_eq!(lone.commit(&cluster.unique("unknown"), 1, "").await?, Some(UnknownTopicOrPartition));
        assert!(lone.committed(None).await?.is_empty());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_deleted_topics_offsets_are_forgotten() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("forgotten", 1, &[]).await?;
        let mut lone = Member::of(cluster, &cluster.unique("forgotten")).await?;
        assert_eq!(lone.commit(&topic, 1, "").await?, None);
        let state = DeleteTopicState::default().with_name(Some(text(&topic).into()));
        let request = DeleteTopicsRequest::default().with_topics(vec![state]).with_timeout_ms(10_000);
        lone.wire.call(&request, 6).await?;
        while !lone.committed(None).await?.is_empty() {
            tokio::task::yield_now().await;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn offsets_expire_unless_their_group_has_members() -> Result<()> {
    let config = BrokerConfig { offsets_retention: Duration::from_millis(50), ..BrokerConfig::default() };
    let broker = Broker::start(config).await?;
    let cluster = Cluster { address: broker.address().to_string(), is_embedded: true };
    let topic = cluster.topic("expire", 1, &[]).await?;
    let mut members = stable(&cluster, "used", 1).await?;
    let member = &mut members[0];
    assert_eq!(member.commit(&topic, 1, "").await?, None);
    let mut lone = Member::of(&cluster, "simple").await?;
    assert_eq!(lone.commit(&topic, 2, "").await?, None);
    while !lone.committed(None).await?.is_empty() {
        assert_eq!(member.heartbeat().await?, None);
    }
    assert_eq!(member.committed(None).await?[&topic].0, 1);
    assert_eq!(member.leave().await?, None);
    while !member.committed(None).await?.is_empty() {
        tokio::task::yield_now().await;
    }
    Ok(broker.shutdown().await?)
}

#[tokio::test]
async fn what_is_kept_of_commits_does_not_grow_with_their_number() -> Result<()> {
    const PARTITIONS: i32 = 100;
    const ROUNDS: i64 = 120;
    let directory = tempfile::tempdir()?;
    let journal = directory.path().join("offsets.journal");
    let (broker, cluster) = embedded_at(directory.path(), None).await?;
    let topic = cluster.topic("bounded", PARTITIONS, &[]).await?;
    let mut lone = Member::of(&cluster, "bounded").await?;
    let mut longest = 0;
    for offset in 0..ROUNDS {
        let partition =
            |index| OffsetCommitRequestPartition::default().with_partition_index(index).with_committed_offset(offset);
        let wanted = OffsetCommitRequestTopic::default().with_name(text(&topic).into());
        let wanted = wanted.with_partitions((0..PARTITIONS).map(partition).collect());
        let request = OffsetCommitRequest::default().with_group_id(text("bounded").into());
        let request = request.with_generation_id_or_member_epoch(-1).with_topics(vec![wanted]);
        let response = lone.wire.call(&request, 8).await?;
        assert!(response.topics[0].partitions.iter().all(|partition| error(partition.error_code).is_none()));
        longest = longest.max(std::fs::metadata(&journal)?.len());
    }
    while std::fs::metadata(&journal)?.len() > longest / 2 {
        tokio::task::yield_now().await;
    }
    broker.shutdown().await?;
    let (broker, cluster) = embedded_at(directory.path(), None).await?;
    let mut lone = Member::of(&cluster, "bounded").await?;
    assert_eq!(lone.committed(Some(&[&topic])).await?[&topic].0, ROUNDS - 1);
    Ok(broker.shutdown().await?)
}
