//! Committed offsets.

use anyhow::Result;
use conformance::cluster::on_every_broker;
use conformance::groups::{Member, stable};
use conformance::wire::text;
use kafka_protocol::error::ResponseError::*;
use kafka_protocol::messages::DeleteTopicsRequest;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;

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
