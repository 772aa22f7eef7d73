//! What tools ask about groups and do to them.

use anyhow::{Context, Result};
use conformance::calls::error;
use conformance::cluster::{embedded_at, on_every_broker};
use conformance::groups::{Member, stable};
use conformance::wire::{Wire, text};
use kafka_protocol::error::ResponseError::*;
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kafka_protocol::messages::*;

async fn list(wire: &mut Wire, group: &str, states: &[&str], types: &[&str]) -> Result<Option<ListedGroup>> {
    let filter = |values: &[&str]| values.iter().map(|value| text(value)).collect();
    let request = ListGroupsRequest::default().with_states_filter(filter(states)).with_types_filter(filter(types));
    let response = wire.call(&request, 5).await?;
    assert_eq!(error(response.error_code), None);
    Ok(response.groups.into_iter().find(|listed| listed.group_id.as_str() == group))
}

async fn describe(wire: &mut Wire, group: &str, version: i16) -> Result<DescribedGroup> {
    let request = DescribeGroupsRequest::default().with_groups(vec![text(group).into()]);
    let request = request.with_include_authorized_operations(version >= 3);
    wire.call(&request, version).await?.groups.into_iter().next().context("no group in the response")
}

async fn delete(wire: &mut Wire, group: &str) -> Result<Option<kafka_protocol::error::ResponseError>> {
    let request = DeleteGroupsRequest::default().with_groups_names(vec![text(group).into()]);
    Ok(error(wire.call(&request, 2).await?.results[0].error_code))
}

#[tokio::test]
async fn groups_are_listed_by_state_and_type() -> Result<()> {
    on_every_broker(async |cluster| {
        let group = cluster.unique("listed");
        let mut members = stable(cluster, &group, 1).await?;
        let mut wire = Wire::connect(cluster).await?;
        let listed = list(&mut wire, &group, &[], &[]).await?.context("not listed")?;
        assert_eq!((listed.protocol_type.as_str(), listed.group_state.as_str()), ("consumer", "Stable"));
        assert_eq!(listed.group_type.to_lowercase(), "classic");
        assert!(list(&mut wire, &group, &["stable", "Empty"], &["Classic"]).await?.is_some());
        assert!(list(&mut wire, &group, &["Empty"], &[]).await?.is_none());
        assert!(list(&mut wire, &group, &[], &["consumer"]).await?.is_none());
        members[0].leave().await?;
        let listed = list(&mut wire, &group, &["Empty"], &[]).await?.context("not listed")?;
        assert_eq!((listed.protocol_type.as_str(), listed.group_state.as_str()), ("consumer", "Empty"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn groups_are_described_with_their_members() -> Result<()> {
    on_every_broker(async |cluster| {
        let group = cluster.unique("described");
        let mut member = Member::of(cluster, &group).await?;
        member.instance_id = Some("instance".to_owned());
        member.join().await?;
        let mut wire = Wire::connect(cluster).await?;
        let waiting = describe(&mut wire, &group, 6).await?;
        assert_eq!((waiting.group_state.as_str(), waiting.protocol_data.as_str()), ("CompletingRebalance", ""));
        assert!(waiting.members[0].member_metadata.is_empty());
        let id = member.id.clone();
        member.sync(&[(&id, "mine")]).await?;
        let found = describe(&mut wire, &group, 6).await?;
        assert_eq!((error(found.error_code), found.group_state.as_str()), (None, "Stable"));
        assert_eq!((found.protocol_type.as_str(), found.protocol_data.as_str()), ("consumer", "range"));
        let described = &found.members[0];
        assert_eq!((described.member_id.as_str(), described.group_instance_id.as_deref()), (&id[..], Some("instance")));
        assert_eq!((described.client_id.as_str(), described.client_host.as_str()), ("conformance", "/127.0.0.1"));
        assert_eq!(
            (&described.member_metadata[..], &described.member_assignment[..]),
            (&b"metadata"[..], &b"mine"[..])
        );
        assert_eq!(found.authorized_operations, 3400);
        for version in 0..=5 {
            assert_eq!(describe(&mut wire, &group, version).await?.members.len(), 1, "v{version}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_group_that_is_not_there_is_dead() -> Result<()> {
    on_every_broker(async |cluster| {
        let group = cluster.unique("dead");
        Member::of(cluster, &group).await?;
        let mut wire = Wire::connect(cluster).await?;
        let dead = describe(&mut wire, &group, 5).await?;
        assert_eq!((error(dead.error_code), dead.group_state.as_str()), (None, "Dead"));
        let dead = describe(&mut wire, &group, 6).await?;
        assert_eq!((error(dead.error_code), dead.group_state.as_str()), (Some(GroupIdNotFound), "Dead"));
        assert!(dead.error_message.is_some());
        assert_eq!(delete(&mut wire, &group).await?, Some(GroupIdNotFound));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn only_a_group_without_members_is_deleted_with_its_offsets() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("deleted", 1, &[]).await?;
        let group = cluster.unique("deleted");
        let mut members = stable(cluster, &group, 1).await?;
        assert_eq!(members[0].commit(&topic, 4, "").await?, None);
        let mut wire = Wire::connect(cluster).await?;
        assert_eq!(delete(&mut wire, &group).await?, Some(NonEmptyGroup));
        members[0].leave().await?;
        assert_eq!(members[0].committed(None).await?[&topic].0, 4);
        assert_eq!(delete(&mut wire, &group).await?, None);
        assert!(members[0].committed(None).await?.is_empty());
        assert!(list(&mut wire, &group, &[], &[]).await?.is_none());
        assert_eq!(delete(&mut wire, &group).await?, Some(GroupIdNotFound));
        Ok(())
    })
    .await
}

async fn delete_offset(
    wire: &mut Wire,
    group: &str,
    topic: &str,
) -> Result<(Option<kafka_protocol::error::ResponseError>, Option<kafka_protocol::error::ResponseError>)> {
    let partition = OffsetDeleteRequestPartition::default();
    let topic = OffsetDeleteRequestTopic::default().with_name(text(topic).into()).with_partitions(vec![partition]);
    let request = OffsetDeleteRequest::default().with_group_id(text(group).into()).with_topics(vec![topic]);
    let response = wire.call(&request, 0).await?;
    let partition = response.topics.first().and_then(|topic| topic.partitions.first());
    Ok((error(response.error_code), partition.and_then(|partition| error(partition.error_code))))
}

#[tokio::test]
async fn single_offsets_are_deleted() -> Result<()> {
    on_every_broker(async |cluster| {
        let (one, other) = (cluster.topic("one", 1, &[]).await?, cluster.topic("other", 1, &[]).await?);
        let group = cluster.unique("offsets");
        let mut lone = Member::of(cluster, &group).await?;
        let mut wire = Wire::connect(cluster).await?;
        assert_eq!(delete_offset(&mut wire, &group, &one).await?.0, Some(GroupIdNotFound));
        for topic in [&one, &other] {
            assert_eq!(lone.commit(topic, 1, "").await?, None);
        }
        let listed = list(&mut wire, &group, &[], &[]).await?.context("not listed")?;
        assert_eq!((listed.protocol_type.as_str(), listed.group_state.as_str()), ("", "Empty"));
        assert_eq!(delete_offset(&mut wire, &group, &one).await?, (None, None));
        assert_eq!(lone.committed(None).await?.into_keys().collect::<Vec<_>>(), [other]);
        let unknown = delete_offset(&mut wire, &group, &cluster.unique("unknown")).await?;
        assert_eq!(unknown, (None, Some(UnknownTopicOrPartition)));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn offsets_of_topics_that_members_read_are_not_deleted() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("read", 1, &[]).await?;
        let group = cluster.unique("read");
        let consumer = cluster.consumer(&group, &[])?;
        rdkafka::consumer::Consumer::subscribe(&consumer, &[&topic])?;
        let producer = cluster.producer(&[])?;
        let record = rdkafka::producer::FutureRecord::<(), _>::to(&topic).payload("value");
        producer.send(record, conformance::clients::PATIENCE).await.map_err(|(error, _)| error)?;
        let message = conformance::clients::receive(&consumer).await?;
        rdkafka::consumer::Consumer::commit_message(&consumer, &message, rdkafka::consumer::CommitMode::Sync)?;
        let mut wire = Wire::connect(cluster).await?;
        assert_eq!(delete_offset(&mut wire, &group, &topic).await?, (None, Some(GroupSubscribedToTopic)));
        Ok(())
    })
    .await
}

/// As a Kafka node answers that is configured without it.
#[tokio::test]
async fn the_newer_group_protocol_is_refused_and_not_left_unanswered() -> Result<()> {
    let (broker, cluster) = conformance::cluster::embedded().await?;
    let mut wire = Wire::connect(&cluster).await?;
    for version in 0..=1 {
        let beat = ConsumerGroupHeartbeatRequest::default().with_group_id(text("g").into());
        assert_eq!(error(wire.call(&beat, version).await?.error_code), Some(UnsupportedVersion));
        let describe = ConsumerGroupDescribeRequest::default().with_group_ids(vec![text("g").into()]);
        assert_eq!(error(wire.call(&describe, version).await?.groups[0].error_code), Some(UnsupportedVersion));
    }
    Ok(broker.shutdown().await?)
}

#[tokio::test]
async fn a_group_is_known_after_a_restart_and_a_deleted_one_is_not() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (broker, cluster) = embedded_at(directory.path(), None).await?;
    let topic = cluster.topic("kept", 1, &[]).await?;
    for group in ["kept", "gone"] {
        let mut members = stable(&cluster, group, 1).await?;
        members[0].commit(&topic, 1, "").await?;
        members[0].leave().await?;
    }
    let mut wire = Wire::connect(&cluster).await?;
    assert_eq!(delete(&mut wire, "gone").await?, None);
    broker.shutdown().await?;
    let (broker, cluster) = embedded_at(directory.path(), None).await?;
    let mut wire = Wire::connect(&cluster).await?;
    let kept = list(&mut wire, "kept", &[], &[]).await?.context("not listed")?;
    assert_eq!((kept.protocol_type.as_str(), kept.group_state.as_str()), ("consumer", "Empty"));
    assert!(list(&mut wire, "gone", &[], &[]).await?.is_none());
    Ok(broker.shutdown().await?)
}
