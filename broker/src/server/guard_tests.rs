use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, StrBytes, VersionRange};
use rand::{Rng, SeedableRng};

use super::super::shapes::{self, SHAPES};
use super::*;

const ELEMENTS_MAX: usize = 10_000;

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

/// Encodes a request in every version that its shape claims, walks it to its very end, and hands it to `also`.
fn in_all_versions<R: Encodable>(api: ApiKey, request: impl Fn(i16) -> R, mut also: impl FnMut(&Shape, i16, &[u8])) {
    let shape = shapes::find(api as i16).unwrap();
    for version in shape.versions.min..=shape.versions.max {
        let mut bytes = BytesMut::new();
        request(version).encode(&mut bytes, version).unwrap_or_else(|error| panic!("{api:?} v{version}: {error}"));
        check(shape, version, &bytes, ELEMENTS_MAX).unwrap_or_else(|error| panic!("{api:?} v{version}: {error}"));
        let shorter = &bytes[..bytes.len().saturating_sub(1)];
        assert!(bytes.is_empty() || check(shape, version, shorter, ELEMENTS_MAX).is_err(), "{api:?} v{version}");
        also(shape, version, &bytes);
    }
}

fn produce(version: i16) -> ProduceRequest {
    use produce_request::{PartitionProduceData, TopicProduceData};
    let partition = PartitionProduceData::default().with_index(1).with_records(Some(Bytes::from_static(b"records")));
    let mut topic = TopicProduceData::default().with_partition_data(vec![partition.clone(), partition]);
    match version {
        13.. => topic.topic_id = uuid::Uuid::new_v4(),
        _ => topic.name = text("topic").into(),
    }
    ProduceRequest::default().with_acks(-1).with_timeout_ms(5).with_topic_data(vec![topic])
}

fn fetch(version: i16) -> FetchRequest {
    use fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
    let partition = FetchPartition::default().with_partition(3).with_fetch_offset(9);
    let mut topic = FetchTopic::default().with_partitions(vec![partition.clone(), partition]);
    let mut forgotten = ForgottenTopic::default().with_partitions(vec![1, 2]);
    match version {
        13.. => topic.topic_id = uuid::Uuid::new_v4(),
        _ => {
            topic.topic = text("topic").into();
            forgotten.topic = text("topic").into();
        }
    }
    let forgotten = if version >= 7 { vec![forgotten] } else { Vec::new() };
    FetchRequest::default().with_topics(vec![topic]).with_forgotten_topics_data(forgotten)
}

fn metadata(version: i16) -> MetadataRequest {
    let mut topic = metadata_request::MetadataRequestTopic::default().with_name(Some(text("t").into()));
    if version >= 10 {
        topic.topic_id = uuid::Uuid::new_v4();
    }
    MetadataRequest::default().with_topics(Some(vec![topic.clone(), topic]))
}

fn offset_fetch(version: i16) -> OffsetFetchRequest {
    use offset_fetch_request::*;
    match version {
        8.. => {
            let topic = OffsetFetchRequestTopics::default().with_name(text("t").into()).with_partition_indexes(vec![1]);
            let group = OffsetFetchRequestGroup::default().with_group_id(text("g").into());
            OffsetFetchRequest::default().with_groups(vec![group.with_topics(Some(vec![topic]))])
        }
        _ => {
            let topic = OffsetFetchRequestTopic::default().with_name(text("t").into()).with_partition_indexes(vec![1]);
            OffsetFetchRequest::default().with_group_id(text("g").into()).with_topics(Some(vec![topic]))
        }
    }
}

fn leave(version: i16) -> LeaveGroupRequest {
    let request = LeaveGroupRequest::default().with_group_id(text("g").into());
    match version {
        3.. => {
            let member = leave_group_request::MemberIdentity::default().with_member_id(text("m"));
            request.with_members(vec![member])
        }
        _ => request.with_member_id(text("m")),
    }
}

fn delete_topics(version: i16) -> DeleteTopicsRequest {
    match version {
        6.. => {
            let topic = delete_topics_request::DeleteTopicState::default().with_name(Some(text("t").into()));
            DeleteTopicsRequest::default().with_topics(vec![topic])
        }
        _ => DeleteTopicsRequest::default().with_topic_names(vec![text("t").into()]),
    }
}

fn create_topics(_: i16) -> CreateTopicsRequest {
    use create_topics_request::*;
    let assignment = CreatableReplicaAssignment::default().with_broker_ids(vec![BrokerId(1)]);
    let config = CreatableTopicConfig::default().with_name(text("n")).with_value(Some(text("v")));
    let topic = CreatableTopic::default().with_name(text("t").into()).with_assignments(vec![assignment]);
    CreateTopicsRequest::default().with_topics(vec![topic.with_configs(vec![config])])
}

fn list_offsets(_: i16) -> ListOffsetsRequest {
    use list_offsets_request::*;
    let partition = ListOffsetsPartition::default().with_timestamp(-1);
    let topic = ListOffsetsTopic::default().with_name(text("t").into()).with_partitions(vec![partition]);
    ListOffsetsRequest::default().with_topics(vec![topic])
}

fn offset_commit(_: i16) -> OffsetCommitRequest {
    use offset_commit_request::*;
    let partition = OffsetCommitRequestPartition::default().with_committed_metadata(Some(text("m")));
    let topic = OffsetCommitRequestTopic::default().with_name(text("t").into()).with_partitions(vec![partition]);
    OffsetCommitRequest::default().with_group_id(text("g").into()).with_topics(vec![topic])
}

fn join(_: i16) -> JoinGroupRequest {
    let protocol = join_group_request::JoinGroupRequestProtocol::default().with_name(text("range"));
    JoinGroupRequest::default().with_group_id(text("g").into()).with_protocols(vec![protocol])
}

fn sync(version: i16) -> SyncGroupRequest {
    let assignment = sync_group_request::SyncGroupRequestAssignment::default().with_member_id(text("m"));
    let protocol = (version >= 5).then_some(text("range"));
    SyncGroupRequest::default().with_assignments(vec![assignment]).with_protocol_name(protocol)
}

fn delete_records(_: i16) -> DeleteRecordsRequest {
    use delete_records_request::*;
    let topic = DeleteRecordsTopic::default().with_partitions(vec![DeleteRecordsPartition::default()]);
    DeleteRecordsRequest::default().with_topics(vec![topic])
}

fn describe_configs(_: i16) -> DescribeConfigsRequest {
    let resource = describe_configs_request::DescribeConfigsResource::default().with_resource_name(text("t"));
    DescribeConfigsRequest::default().with_resources(vec![resource.with_configuration_keys(Some(vec![text("k")]))])
}

fn alter_configs(_: i16) -> AlterConfigsRequest {
    use alter_configs_request::*;
    let config = AlterableConfig::default().with_name(text("n")).with_value(Some(text("v")));
    let resource = AlterConfigsResource::default().with_resource_name(text("t")).with_configs(vec![config]);
    AlterConfigsRequest::default().with_resources(vec![resource])
}

fn edit_configs(_: i16) -> IncrementalAlterConfigsRequest {
    use incremental_alter_configs_request::*;
    let config = AlterableConfig::default().with_name(text("n")).with_config_operation(2).with_value(Some(text("v")));
    let resource = AlterConfigsResource::default().with_resource_name(text("t")).with_configs(vec![config]);
    IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
}

fn create_partitions(_: i16) -> CreatePartitionsRequest {
    use create_partitions_request::*;
    let assignment = CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(1), BrokerId(2)]);
    let topic = CreatePartitionsTopic::default().with_name(text("t").into()).with_assignments(Some(vec![assignment]));
    CreatePartitionsRequest::default().with_topics(vec![topic])
}

fn leader_epochs(_: i16) -> OffsetForLeaderEpochRequest {
    use offset_for_leader_epoch_request::*;
    let topic = OffsetForLeaderTopic::default().with_topic(text("t").into());
    let topic = topic.with_partitions(vec![OffsetForLeaderPartition::default()]);
    OffsetForLeaderEpochRequest::default().with_topics(vec![topic])
}

fn describe_groups(version: i16) -> DescribeGroupsRequest {
    let request = DescribeGroupsRequest::default().with_groups(vec![text("g").into()]);
    request.with_include_authorized_operations(version >= 3)
}

fn list_groups(version: i16) -> ListGroupsRequest {
    let filter = |since| if version >= since { vec![text("x")] } else { Vec::new() };
    ListGroupsRequest::default().with_states_filter(filter(4)).with_types_filter(filter(5))
}

fn describe_acls(_: i16) -> DescribeAclsRequest {
    DescribeAclsRequest::default().with_resource_name_filter(Some(text("t"))).with_pattern_type_filter(3)
}

fn create_acls(_: i16) -> CreateAclsRequest {
    let creation = create_acls_request::AclCreation::default().with_principal(text("p")).with_host(text("h"));
    CreateAclsRequest::default().with_creations(vec![creation])
}

fn delete_acls(_: i16) -> DeleteAclsRequest {
    let filter = delete_acls_request::DeleteAclsFilter::default().with_host_filter(Some(text("h")));
    DeleteAclsRequest::default().with_filters(vec![filter])
}

fn describe_log_dirs(_: i16) -> DescribeLogDirsRequest {
    use describe_log_dirs_request::*;
    let topic = DescribableLogDirTopic::default().with_topic(text("t").into()).with_partitions(vec![0, 1]);
    DescribeLogDirsRequest::default().with_topics(Some(vec![topic]))
}

fn list_reassignments(_: i16) -> ListPartitionReassignmentsRequest {
    use list_partition_reassignments_request::*;
    let topic = ListPartitionReassignmentsTopics::default().with_name(text("t").into()).with_partition_indexes(vec![0]);
    ListPartitionReassignmentsRequest::default().with_topics(Some(vec![topic]))
}

fn offset_delete(_: i16) -> OffsetDeleteRequest {
    use offset_delete_request::*;
    let topic = OffsetDeleteRequestTopic::default().with_name(text("t").into());
    let topic = topic.with_partitions(vec![OffsetDeleteRequestPartition::default()]);
    OffsetDeleteRequest::default().with_group_id(text("g").into()).with_topics(vec![topic])
}

fn consumer_heartbeat(version: i16) -> ConsumerGroupHeartbeatRequest {
    use consumer_group_heartbeat_request::*;
    let owned = TopicPartitions::default().with_topic_id(uuid::Uuid::new_v4()).with_partitions(vec![1]);
    ConsumerGroupHeartbeatRequest::default()
        .with_subscribed_topic_names(Some(vec![text("t").into()]))
        .with_subscribed_topic_regex((version >= 1).then_some(text("r")))
        .with_topic_partitions(Some(vec![owned]))
}

fn consumer_describe(_: i16) -> ConsumerGroupDescribeRequest {
    ConsumerGroupDescribeRequest::default().with_group_ids(vec![text("g").into()])
}

fn delete_groups(_: i16) -> DeleteGroupsRequest {
    DeleteGroupsRequest::default().with_groups_names(vec![text("g").into()])
}

fn describe_cluster(version: i16) -> DescribeClusterRequest {
    DescribeClusterRequest::default().with_include_fenced_brokers(version >= 2)
}

fn topic_partitions(cursor: bool) -> impl Fn(i16) -> DescribeTopicPartitionsRequest {
    use describe_topic_partitions_request::*;
    move |_| {
        let topic = TopicRequest::default().with_name(text("t").into());
        let cursor = cursor.then(|| Cursor::default().with_topic_name(text("t").into()));
        DescribeTopicPartitionsRequest::default().with_topics(vec![topic]).with_cursor(cursor)
    }
}

fn find_coordinator(version: i16) -> FindCoordinatorRequest {
    match version {
        4.. => FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g"), text("h")]),
        _ => FindCoordinatorRequest::default().with_key(text("g")),
    }
}

/// Every request that the broker takes, in every version.
fn every_request(mut also: impl FnMut(&Shape, i16, &[u8])) {
    in_all_versions(ApiKey::Produce, produce, &mut also);
    in_all_versions(ApiKey::Fetch, fetch, &mut also);
    in_all_versions(ApiKey::ListOffsets, list_offsets, &mut also);
    in_all_versions(ApiKey::Metadata, metadata, &mut also);
    in_all_versions(ApiKey::OffsetCommit, offset_commit, &mut also);
    in_all_versions(ApiKey::OffsetFetch, offset_fetch, &mut also);
    in_all_versions(ApiKey::FindCoordinator, find_coordinator, &mut also);
    in_all_versions(ApiKey::JoinGroup, join, &mut also);
    in_all_versions(ApiKey::Heartbeat, |_| HeartbeatRequest::default(), &mut also);
    in_all_versions(ApiKey::LeaveGroup, leave, &mut also);
    in_all_versions(ApiKey::SyncGroup, sync, &mut also);
    in_all_versions(ApiKey::DescribeGroups, describe_groups, &mut also);
    in_all_versions(ApiKey::ListGroups, list_groups, &mut also);
    in_all_versions(ApiKey::ApiVersions, |_| ApiVersionsRequest::default(), &mut also);
    in_all_versions(ApiKey::CreateTopics, create_topics, &mut also);
    in_all_versions(ApiKey::DeleteTopics, delete_topics, &mut also);
    in_all_versions(ApiKey::DeleteRecords, delete_records, &mut also);
    in_all_versions(ApiKey::InitProducerId, |_| InitProducerIdRequest::default(), &mut also);
    in_all_versions(ApiKey::OffsetForLeaderEpoch, leader_epochs, &mut also);
    in_all_versions(ApiKey::DescribeAcls, describe_acls, &mut also);
    in_all_versions(ApiKey::CreateAcls, create_acls, &mut also);
    in_all_versions(ApiKey::DeleteAcls, delete_acls, &mut also);
    in_all_versions(ApiKey::DescribeConfigs, describe_configs, &mut also);
    in_all_versions(ApiKey::AlterConfigs, alter_configs, &mut also);
    in_all_versions(ApiKey::DescribeLogDirs, describe_log_dirs, &mut also);
    in_all_versions(ApiKey::CreatePartitions, create_partitions, &mut also);
    in_all_versions(ApiKey::DeleteGroups, delete_groups, &mut also);
    in_all_versions(ApiKey::IncrementalAlterConfigs, edit_configs, &mut also);
    in_all_versions(ApiKey::ListPartitionReassignments, list_reassignments, &mut also);
    in_all_versions(ApiKey::OffsetDelete, offset_delete, &mut also);
    in_all_versions(ApiKey::DescribeCluster, describe_cluster, &mut also);
    in_all_versions(ApiKey::ConsumerGroupHeartbeat, consumer_heartbeat, &mut also);
    in_all_versions(ApiKey::ConsumerGroupDescribe, consumer_describe, &mut also);
    in_all_versions(ApiKey::DescribeTopicPartitions, topic_partitions(false), &mut also);
    in_all_versions(ApiKey::DescribeTopicPartitions, topic_partitions(true), &mut also);
}

#[test]
fn shapes_agree_with_the_codec_in_every_version() {
    let mut seen = Vec::new();
    every_request(|shape, _, _| seen.push(shape.api as i16));
    seen.dedup();
    assert_eq!(seen, SHAPES.iter().map(|shape| shape.api as i16).collect::<Vec<_>>());
    for shape in SHAPES {
        let codec: VersionRange = shape.api.valid_versions();
        assert!(shape.versions.min >= codec.min && shape.versions.max <= codec.max, "{:?}", shape.api);
        for version in shape.versions.min..=shape.versions.max {
            let flexible = shape.api.request_header_version(version) == 2;
            assert_eq!(version >= shape.flexible_from, flexible, "{:?} v{version}", shape.api);
        }
    }
}

#[test]
fn every_cut_is_refused_and_trailing_bytes_are_let_pass() {
    every_request(|shape, version, bytes| {
        for cut in 0..bytes.len() {
            assert!(check(shape, version, &bytes[..cut], ELEMENTS_MAX).is_err(), "{:?} v{version}", shape.api);
        }
        let longer = [bytes, &[0; 3]].concat();
        assert!(check(shape, version, &longer, ELEMENTS_MAX).is_ok());
    });
}

/// What passes the walk can be decoded without an allocation that its bytes do not back: every mutant of every request
/// is walked, and what passes is decoded.
#[test]
fn mutants_are_refused_or_harmless() {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(4);
    every_request(|shape, version, bytes| {
        for _ in 0..300 {
            let mut mutant = bytes.to_vec();
            for _ in 0..random.random_range(1..4) {
                if mutant.is_empty() {
                    continue;
                }
                let at = random.random_range(0..mutant.len());
                mutant[at] = *[0, 1, 0x7f, 0x80, 0xff, random.random()].get(random.random_range(0..6)).unwrap();
            }
            if check(shape, version, &mutant, ELEMENTS_MAX).is_ok() {
                let _ = RequestKind::decode(shape.api, &mut Bytes::from(mutant), version);
            }
        }
    });
}

#[test]
fn claims_without_bytes_and_floods_of_elements_are_refused() {
    let shape = shapes::find(ApiKey::Metadata as i16).unwrap();
    let claim = |count: i32| [&count.to_be_bytes()[..], &[0, 0, 0, 0]].concat();
    assert!(matches!(check(shape, 1, &claim(i32::MAX), ELEMENTS_MAX), Err(Malformed::ArrayTooLong(..))));
    assert_eq!(check(shape, 1, &claim(-2), ELEMENTS_MAX), Err(Malformed::NegativeLength));
    let mut flood = 20_000i32.to_be_bytes().to_vec();
    flood.extend(std::iter::repeat_n([0u8, 0], 20_000).flatten());
    assert_eq!(check(shape, 1, &flood, ELEMENTS_MAX), Err(Malformed::TooManyElements(ELEMENTS_MAX)));
}
