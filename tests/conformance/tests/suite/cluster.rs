//! What tools ask about the cluster itself.

use anyhow::{Context, Result};
use conformance::calls::{error, records};
use conformance::cluster::on_every_broker;
use conformance::wire::{Wire, text};
use kafka_protocol::error::ResponseError::*;
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::*;

const NOW: i64 = 1_700_000_000_000;

#[tokio::test]
async fn the_cluster_is_one_node() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut wire = Wire::connect(cluster).await?;
        for version in 0..=2 {
            let mut request = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
            if version >= 1 {
                request.endpoint_type = 1;
            }
            let response = wire.call(&request, version).await?;
            assert_eq!((error(response.error_code), response.brokers.len()), (None, 1), "v{version}");
            let broker = &response.brokers[0];
            assert_eq!(format!("{}:{}", broker.host.as_str(), broker.port), cluster.address);
            assert_eq!(response.controller_id, broker.broker_id);
            assert_eq!(response.cluster_authorized_operations, 8096);
        }
        let controllers = wire.call(&DescribeClusterRequest::default().with_endpoint_type(2), 1).await?;
        assert_eq!(error(controllers.error_code), Some(MismatchedEndpointType));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn nothing_is_secured() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut wire = Wire::connect(cluster).await?;
        let any = |request: DescribeAclsRequest| {
            request.with_resource_type_filter(1).with_pattern_type_filter(1).with_operation(1).with_permission_type(1)
        };
        let described = wire.call(&any(DescribeAclsRequest::default()), 3).await?;
        assert_eq!(error(described.error_code), Some(SecurityDisabled));
        let creation = create_acls_request::AclCreation::default()
            .with_resource_type(2)
            .with_resource_name(text("t"))
            .with_resource_pattern_type(3)
            .with_principal(text("User:a"))
            .with_host(text("*"))
            .with_operation(3)
            .with_permission_type(3);
        let created = wire.call(&CreateAclsRequest::default().with_creations(vec![creation]), 3).await?;
        assert_eq!(error(created.results[0].error_code), Some(SecurityDisabled));
        let filter = delete_acls_request::DeleteAclsFilter::default().with_resource_type_filter(1);
        let filter = filter.with_pattern_type_filter(1).with_operation(1).with_permission_type(1);
        let deleted = wire.call(&DeleteAclsRequest::default().with_filters(vec![filter]), 3).await?;
        assert_eq!(error(deleted.filter_results[0].error_code), Some(SecurityDisabled));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn directories_tell_the_sizes_of_partitions() -> Result<()> {
    on_every_broker(async |cluster| {
        let name = cluster.topic("sizes", 2, &[]).await?;
        let mut wire = Wire::connect(cluster).await?;
        assert_eq!(wire.produce(&name, &records(&[(NOW, "value")])).await?.error_code, 0);
        for version in 1..=4 {
            let wanted = describe_log_dirs_request::DescribableLogDirTopic::default().with_topic(text(&name).into());
            let wanted = wanted.with_partitions(vec![0, 1]);
            for topics in [None, Some(vec![wanted])] {
                let request = DescribeLogDirsRequest::default().with_topics(topics);
                let response = wire.call(&request, version).await?;
                let directory = &response.results[0];
                assert_eq!(error(directory.error_code), None);
                assert!(!directory.log_dir.is_empty());
                let topic = directory.topics.iter().find(|topic| topic.name.as_str() == name).context("no topic")?;
                let size = |index| {
                    let partition = topic.partitions.iter().find(|partition| partition.partition_index == index);
                    partition.map(|partition| partition.partition_size)
                };
                assert!(size(0) > Some(60), "{:?}", size(0));
                assert_eq!(size(1), Some(0));
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn partitions_are_described_in_pages() -> Result<()> {
    on_every_broker(async |cluster| {
        let first = cluster.topic("a", 3, &[]).await?;
        let second = cluster.topic("b", 2, &[]).await?;
        let unknown = cluster.unique("c");
        let mut wire = Wire::connect(cluster).await?;
        let topic = |name: &String| TopicRequest::default().with_name(text(name).into());
        let all = vec![topic(&first), topic(&second), topic(&unknown)];
        let ask = |cursor: Option<Cursor>, limit| {
            DescribeTopicPartitionsRequest::default()
                .with_topics(all.clone())
                .with_response_partition_limit(limit)
                .with_cursor(cursor)
        };
        let whole = wire.call(&ask(None, 2_000), 0).await?;
        let found: Vec<_> =
            whole.topics.iter().map(|topic| (topic.partitions.len(), error(topic.error_code))).collect();
        assert_eq!(found, [(3, None), (2, None), (0, Some(UnknownTopicOrPartition))]);
        assert_eq!(whole.next_cursor, None);
        assert_eq!(whole.topics[0].topic_authorized_operations, 3576);
        let (mut cursor, mut pages, mut seen) = (None, 0, Vec::new());
        loop {
            let page = wire.call(&ask(cursor, 2), 0).await?;
            for topic in &page.topics {
                let name = topic.name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default();
                seen.extend(topic.partitions.iter().map(|partition| (name.clone(), partition.partition_index)));
            }
            pages += 1;
            let Some(next) = page.next_cursor else { break };
            cursor =
                Some(Cursor::default().with_topic_name(next.topic_name).with_partition_index(next.partition_index));
        }
        let mut expected: Vec<_> = (0..3).map(|index| (first.clone(), index)).collect();
        expected.extend((0..2).map(|index| (second.clone(), index)));
        assert_eq!((seen, pages), (expected, 3));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_epoch_ends_where_the_log_does() -> Result<()> {
    on_every_broker(async |cluster| {
        let name = cluster.topic("epochs", 1, &[]).await?;
        let mut wire = Wire::connect(cluster).await?;
        wire.produce(&name, &records(&[(NOW, "a"), (NOW, "b")])).await?;
        let ask = |partition, current, epoch| {
            let wanted = OffsetForLeaderPartition::default().with_partition(partition);
            let wanted = wanted.with_current_leader_epoch(current).with_leader_epoch(epoch);
            let topic = OffsetForLeaderTopic::default().with_topic(text(&name).into()).with_partitions(vec![wanted]);
            OffsetForLeaderEpochRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic])
        };
        for version in 2..=4 {
            let cases = [((0, -1, 0), (None, 0, 2)), ((0, 9, 0), (Some(UnknownLeaderEpoch), -1, -1))];
            for ((partition, current, epoch), expected) in cases {
                let response = wire.call(&ask(partition, current, epoch), version).await?;
                let found = &response.topics[0].partitions[0];
                assert_eq!((error(found.error_code), found.leader_epoch, found.end_offset), expected, "v{version}");
            }
            let later = wire.call(&ask(0, -1, 5), version).await?;
            assert_eq!(
                (later.topics[0].partitions[0].leader_epoch, later.topics[0].partitions[0].end_offset),
                (-1, -1)
            );
            let unknown = wire.call(&ask(7, -1, 0), version).await?;
            assert_eq!(error(unknown.topics[0].partitions[0].error_code), Some(UnknownTopicOrPartition));
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn nothing_is_being_moved() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut wire = Wire::connect(cluster).await?;
        let request = ListPartitionReassignmentsRequest::default().with_timeout_ms(10_000).with_topics(None);
        let response = wire.call(&request, 0).await?;
        assert_eq!((error(response.error_code), response.topics.len()), (None, 0));
        Ok(())
    })
    .await
}
