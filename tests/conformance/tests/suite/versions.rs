//! Every version of every request that the broker claims to take is answered in that version.

use anyhow::{Context, Result};
use conformance::calls::{batch, error, fetch_request, produce_request, records};
use conformance::cluster::on_every_broker;
use conformance::wire::{Wire, text};
use kafka_protocol::error::ResponseError::*;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Message, Request, VersionRange};
use uuid::Uuid;

const NOW: i64 = 1_700_000_000_000;

struct Advertised(Vec<api_versions_response::ApiVersion>);

impl Advertised {
    async fn of(wire: &mut Wire) -> Result<Self> {
        Ok(Self(wire.call(&ApiVersionsRequest::default(), 0).await?.api_keys))
    }

    /// What both the broker and the codec know.
    fn versions<R: Request>(&self) -> Result<std::ops::RangeInclusive<i16>> {
        let found = self.0.iter().find(|api| api.api_key == R::KEY).context("an API is missing")?;
        let broker = VersionRange { min: found.min_version, max: found.max_version };
        let both = broker.intersect(&<R as Message>::VERSIONS);
        anyhow::ensure!(!both.is_empty(), "no version of API {} in common", R::KEY);
        Ok(both.min..=both.max)
    }
}

async fn every_version<R: Request>(
    wire: &mut Wire,
    advertised: &Advertised,
    request: impl Fn(i16) -> R,
    check: impl Fn(R::Response, i16),
) -> Result<()> {
    for version in advertised.versions::<R>()? {
        let response = wire.call(&request(version), version).await;
        check(response.with_context(|| format!("API {} version {version}", R::KEY))?, version);
    }
    Ok(())
}

#[tokio::test]
async fn reading_and_writing_in_every_version() -> Result<()> {
    on_every_broker(async |cluster| {
        let name = cluster.topic("versions", 1, &[]).await?;
        let mut wire = Wire::connect(cluster).await?;
        let advertised = Advertised::of(&mut wire).await?;
        let found = wire.call(&MetadataRequest::default().with_topics(None), 12).await?;
        let id = found.topics.iter().find(|topic| topic.name.as_ref().is_some_and(|found| found.as_str() == name));
        let id = id.context("the topic is missing")?.topic_id;
        let sound = batch(&records(&[(NOW, "value")]))?;
        let produce = |version| {
            let mut request = produce_request(&name, 0, -1, Some(sound.clone()));
            if version >= 13 {
                request.topic_data[0].name = TopicName::default();
                request.topic_data[0].topic_id = id;
            }
            request
        };
        every_version(&mut wire, &advertised, produce, |response, version| {
            let partition = &response.responses[0].partition_responses[0];
            assert_eq!(error(partition.error_code), None, "produce v{version}");
        })
        .await?;
        let fetch = |version| {
            let mut request = fetch_request(&name, 0, 0, 0);
            if version >= 13 {
                request.topics[0].topic = TopicName::default();
                request.topics[0].topic_id = id;
            }
            request
        };
        every_version(&mut wire, &advertised, fetch, |response, version| {
            let partition = &response.responses[0].partitions[0];
            assert_eq!(error(partition.error_code), None, "fetch v{version}");
            assert!(!partition.records.clone().unwrap_or_default().is_empty(), "fetch v{version}");
        })
        .await?;
        let list = |_| {
            let partition = list_offsets_request::ListOffsetsPartition::default().with_timestamp(-2);
            let topic = list_offsets_request::ListOffsetsTopic::default().with_name(text(&name).into());
            let topic = topic.with_partitions(vec![partition]);
            ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic])
        };
        every_version(&mut wire, &advertised, list, |response, version| {
            let partition = &response.topics[0].partitions[0];
            assert_eq!((error(partition.error_code), partition.offset), (None, 0), "list offsets v{version}");
        })
        .await?;
        let delete = |_| {
            let partition = delete_records_request::DeleteRecordsPartition::default().with_offset(1);
            let topic = delete_records_request::DeleteRecordsTopic::default().with_name(text(&name).into());
            let topic = topic.with_partitions(vec![partition]);
            DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000)
        };
        every_version(&mut wire, &advertised, delete, |response, version| {
            let partition = &response.topics[0].partitions[0];
            assert_eq!((error(partition.error_code), partition.low_watermark), (None, 1), "delete records v{version}");
        })
        .await?;
        let init = |_| InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(1_000);
        every_version(&mut wire, &advertised, init, |response, version| {
            assert_eq!((error(response.error_code), response.producer_epoch), (None, 0), "init producer v{version}");
        })
        .await
    })
    .await
}

#[tokio::test]
async fn administration_in_every_version() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut wire = Wire::connect(cluster).await?;
        let advertised = Advertised::of(&mut wire).await?;
        let prefix = cluster.unique("versions");
        let name = |version: i16| text(&format!("{prefix}.{version}"));
        let create = |version| {
            let topic = create_topics_request::CreatableTopic::default().with_name(name(version).into());
            let topic = topic.with_num_partitions(1).with_replication_factor(1);
            CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000)
        };
        every_version(&mut wire, &advertised, create, |response, version| {
            assert_eq!(error(response.topics[0].error_code), None, "create topics v{version}");
        })
        .await?;
        let known = format!("{prefix}.7");
        cluster.until_ready(&known, 1).await?;
        let metadata = |_| {
            let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(text(&known).into()));
            MetadataRequest::default().with_topics(Some(vec![topic]))
        };
        every_version(&mut wire, &advertised, metadata, |response, version| {
            assert_eq!(response.topics[0].partitions.len(), 1, "metadata v{version}");
            assert_eq!(response.topics[0].topic_id == Uuid::nil(), version < 10, "metadata v{version}");
        })
        .await?;
        let describe = |_| {
            let resource = describe_configs_request::DescribeConfigsResource::default().with_resource_type(2);
            let resource = resource.with_resource_name(text(&known)).with_configuration_keys(None);
            DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true)
        };
        every_version(&mut wire, &advertised, describe, |response, version| {
            assert_eq!(error(response.results[0].error_code), None, "describe configs v{version}");
            let policy = response.results[0].configs.iter().find(|config| config.name.as_str() == "cleanup.policy");
            assert!(policy.is_some_and(|policy| !policy.synonyms.is_empty()), "describe configs v{version}");
        })
        .await?;
        let delete = |version| match version {
            6.. => {
                let topic = delete_topics_request::DeleteTopicState::default().with_name(Some(name(version).into()));
                DeleteTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000)
            }
            _ => {
                DeleteTopicsRequest::default().with_topic_names(vec![name(version + 1).into()]).with_timeout_ms(10_000)
            }
        };
        every_version(&mut wire, &advertised, delete, |response, version| {
            let expected = if version == 6 { Some(UnknownTopicOrPartition) } else { None };
            assert_eq!(error(response.responses[0].error_code), expected, "delete topics v{version}");
        })
        .await
    })
    .await
}

#[tokio::test]
async fn groups_in_every_version() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("versions", 1, &[]).await?;
        let group = cluster.unique("versions");
        // Waits until the coordinator is there.
        conformance::groups::Member::of(cluster, &group).await?;
        let mut wire = Wire::connect(cluster).await?;
        let advertised = Advertised::of(&mut wire).await?;
        let find = |version| match version {
            4.. => FindCoordinatorRequest::default().with_coordinator_keys(vec![text(&group)]),
            _ => FindCoordinatorRequest::default().with_key(text(&group)),
        };
        every_version(&mut wire, &advertised, find, |response, version| {
            let host = response.coordinators.first().map_or(&response.host, |coordinator| &coordinator.host);
            assert!(!host.is_empty(), "find coordinator v{version}");
        })
        .await?;
        for version in advertised.versions::<JoinGroupRequest>()? {
            membership(&mut wire, &cluster.unique("member"), version).await.with_context(|| format!("v{version}"))?;
        }
        let commit = |_| {
            let partition = offset_commit_request::OffsetCommitRequestPartition::default().with_committed_offset(4);
            let topic = offset_commit_request::OffsetCommitRequestTopic::default().with_name(text(&topic).into());
            let request = OffsetCommitRequest::default().with_group_id(text(&group).into());
            request.with_generation_id_or_member_epoch(-1).with_topics(vec![topic.with_partitions(vec![partition])])
        };
        every_version(&mut wire, &advertised, commit, |response, version| {
            assert_eq!(error(response.topics[0].partitions[0].error_code), None, "offset commit v{version}");
        })
        .await?;
        let fetch = |version| {
            if version >= 8 {
                let topic = offset_fetch_request::OffsetFetchRequestTopics::default().with_name(text(&topic).into());
                let group = offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(text(&group).into());
                let group = group.with_topics(Some(vec![topic.with_partition_indexes(vec![0])]));
                return OffsetFetchRequest::default().with_groups(vec![group]);
            }
            let topic = offset_fetch_request::OffsetFetchRequestTopic::default().with_name(text(&topic).into());
            let request = OffsetFetchRequest::default().with_group_id(text(&group).into());
            request.with_topics(Some(vec![topic.with_partition_indexes(vec![0])]))
        };
        every_version(&mut wire, &advertised, fetch, |response, version| {
            let offset = match version {
                8.. => response.groups[0].topics[0].partitions[0].committed_offset,
                _ => response.topics[0].partitions[0].committed_offset,
            };
            assert_eq!(offset, 4, "offset fetch v{version}");
        })
        .await
    })
    .await
}

/// Joins, syncs, beats and leaves in about the same version of each request.
async fn membership(wire: &mut Wire, group: &str, version: i16) -> Result<()> {
    let protocol = join_group_request::JoinGroupRequestProtocol::default().with_name(text("range"));
    let mut join = JoinGroupRequest::default()
        .with_group_id(text(group).into())
        .with_session_timeout_ms(10_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    if version >= 1 {
        join.rebalance_timeout_ms = 10_000;
    }
    let mut joined = wire.call(&join, version).await?;
    if version >= 4 {
        assert_eq!(error(joined.error_code), Some(MemberIdRequired));
        joined = wire.call(&join.clone().with_member_id(joined.member_id), version).await?;
    }
    assert_eq!((error(joined.error_code), joined.generation_id), (None, 1));
    let assignment = sync_group_request::SyncGroupRequestAssignment::default().with_member_id(joined.member_id.clone());
    let sync = SyncGroupRequest::default()
        .with_group_id(text(group).into())
        .with_generation_id(1)
        .with_member_id(joined.member_id.clone())
        .with_protocol_type(Some(text("consumer")))
        .with_protocol_name(Some(text("range")))
        .with_assignments(vec![assignment.with_assignment("mine".into())]);
    let synced = wire.call(&sync, version.min(5)).await?;
    assert_eq!((error(synced.error_code), &synced.assignment[..]), (None, &b"mine"[..]));
    let beat = HeartbeatRequest::default().with_group_id(text(group).into()).with_generation_id(1);
    let beat = beat.with_member_id(joined.member_id.clone());
    assert_eq!(error(wire.call(&beat, version.min(4)).await?.error_code), None);
    let leave = LeaveGroupRequest::default().with_group_id(text(group).into());
    let leave = match version {
        0..3 => leave.with_member_id(joined.member_id),
        _ => leave.with_members(vec![leave_group_request::MemberIdentity::default().with_member_id(joined.member_id)]),
    };
    assert_eq!(error(wire.call(&leave, version.min(5)).await?.error_code), None);
    Ok(())
}

#[tokio::test]
async fn a_client_of_the_future_learns_which_versions_there_are() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut wire = Wire::connect(cluster).await?;
        let advertised = Advertised::of(&mut wire).await?;
        every_version(
            &mut wire,
            &advertised,
            |version| {
                let request = ApiVersionsRequest::default();
                let named = request.clone().with_client_software_name(text("conformance"));
                if version >= 3 { named.with_client_software_version(text("1")) } else { request }
            },
            |response, version| {
                assert_eq!(error(response.error_code), None, "api versions v{version}");
                assert!(!response.api_keys.is_empty());
            },
        )
        .await?;
        // Version 99, whose body nobody knows; the answer comes in version 0.
        let mut frame = vec![0, 0, 0, 14, 0, 18, 0, 99, 0, 0, 0, 42, 0, 0];
        frame.extend_from_slice(&[0, 1, 2, 3]);
        wire.send_raw(&frame).await?;
        let answer = wire.receive_raw().await?;
        assert_eq!(&answer[..4], [0, 0, 0, 42]);
        assert_eq!(i16::from_be_bytes([answer[4], answer[5]]), UnsupportedVersion.code());
        Ok(())
    })
    .await
}

/// What `docs/broker.md` says of the embedded broker is what it says of itself.
#[tokio::test]
async fn the_documented_versions_are_those_that_are_taken() -> Result<()> {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/broker.md"))?;
    let (_, section) = document.split_once("## APIs").context("no section on APIs")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut documented = Vec::new();
    for row in section.lines().filter_map(|line| line.strip_prefix("| ")) {
        let mut cells = row.split('|').map(str::trim);
        if let (Some(name), Some((min, max))) = (cells.next(), cells.next().and_then(|cell| cell.split_once('–'))) {
            documented.push((name.to_owned(), min.parse::<i16>()?, max.parse::<i16>()?));
        }
    }
    let (broker, cluster) = conformance::cluster::embedded().await?;
    let advertised = Advertised::of(&mut Wire::connect(&cluster).await?).await?;
    let named = |api: &api_versions_response::ApiVersion| {
        let key = ApiKey::try_from(api.api_key).map_err(|()| anyhow::anyhow!("API {} is unknown", api.api_key))?;
        Ok((format!("{key:?}"), api.min_version, api.max_version))
    };
    let taken = advertised.0.iter().map(named).collect::<Result<Vec<_>>>()?;
    assert_eq!(documented, taken);
    Ok(broker.shutdown().await?)
}

#[tokio::test]
async fn the_requests_of_tools_in_every_version() -> Result<()> {
    on_every_broker(async |cluster| {
        let name = cluster.topic("versions", 1, &[]).await?;
        let mut wire = Wire::connect(cluster).await?;
        let advertised = Advertised::of(&mut wire).await?;
        let list = |_| ListGroupsRequest::default();
        every_version(&mut wire, &advertised, list, |response, version| {
            assert_eq!(error(response.error_code), None, "list groups v{version}");
        })
        .await?;
        let delete = |_| DeleteGroupsRequest::default().with_groups_names(vec![text(&name).into()]);
        every_version(&mut wire, &advertised, delete, |response, version| {
            assert_eq!(error(response.results[0].error_code), Some(GroupIdNotFound), "delete groups v{version}");
        })
        .await?;
        let grow = |version: i16| {
            let topic = create_partitions_request::CreatePartitionsTopic::default().with_name(text(&name).into());
            let topic = topic.with_count(i32::from(version) + 2).with_assignments(None);
            CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000)
        };
        every_version(&mut wire, &advertised, grow, |response, version| {
            assert_eq!(error(response.results[0].error_code), None, "create partitions v{version}");
        })
        .await?;
        let edit = |_| {
            use incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
            let config = AlterableConfig::default().with_name(text("retention.ms")).with_value(Some(text("60000")));
            let resource = AlterConfigsResource::default().with_resource_type(2).with_resource_name(text(&name));
            IncrementalAlterConfigsRequest::default().with_resources(vec![resource.with_configs(vec![config])])
        };
        every_version(&mut wire, &advertised, edit, |response, version| {
            assert_eq!(error(response.responses[0].error_code), None, "alter configs v{version}");
        })
        .await?;
        let acls = |_| {
            let request = DescribeAclsRequest::default().with_resource_type_filter(1).with_pattern_type_filter(1);
            request.with_operation(1).with_permission_type(1)
        };
        every_version(&mut wire, &advertised, acls, |response, version| {
            assert_eq!(error(response.error_code), Some(SecurityDisabled), "describe ACLs v{version}");
        })
        .await
    })
    .await
}
