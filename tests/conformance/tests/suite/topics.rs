//! Topics: creation, removal, metadata, settings.

use anyhow::{Context, Result};
use conformance::calls::{error, records};
use conformance::cluster::{Cluster, on_every_broker};
use conformance::wire::{Wire, text};
use kafka_protocol::error::ResponseError::{self, *};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResult;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest, MetadataRequest};
use uuid::Uuid;

fn topic(name: &str, partitions: i32, replication: i16) -> CreatableTopic {
    let topic = CreatableTopic::default().with_name(text(name).into());
    topic.with_num_partitions(partitions).with_replication_factor(replication)
}

fn with_config(topic: CreatableTopic, name: &str, value: &str) -> CreatableTopic {
    let config = CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)));
    topic.with_configs(vec![config])
}

async fn create_all(wire: &mut Wire, topics: Vec<CreatableTopic>, dry: bool) -> Result<Vec<CreatableTopicResult>> {
    let request = CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(10_000).with_validate_only(dry);
    Ok(wire.call(&request, 7).await?.topics)
}

async fn create(wire: &mut Wire, topic: CreatableTopic) -> Result<CreatableTopicResult> {
    create_all(wire, vec![topic], false).await?.into_iter().next().context("no topic in the response")
}

async fn delete(wire: &mut Wire, name: Option<&str>, id: Uuid) -> Result<Option<ResponseError>> {
    let state = DeleteTopicState::default().with_name(name.map(|name| text(name).into())).with_topic_id(id);
    let request = DeleteTopicsRequest::default().with_topics(vec![state]).with_timeout_ms(10_000);
    Ok(error(wire.call(&request, 6).await?.responses[0].error_code))
}

async fn metadata(wire: &mut Wire, name: Option<&str>, id: Uuid) -> Result<MetadataResponseTopic> {
    let wanted = MetadataRequestTopic::default().with_name(name.map(|name| text(name).into())).with_topic_id(id);
    let request = MetadataRequest::default().with_topics(Some(vec![wanted])).with_allow_auto_topic_creation(false);
    wire.call(&request, 12).await?.topics.into_iter().next().context("no topic in the response")
}

/// Kafka's brokers learn of a change a moment after the controller has answered.
async fn until_metadata(
    wire: &mut Wire,
    name: &str,
    wanted: impl Fn(&MetadataResponseTopic) -> bool,
) -> Result<MetadataResponseTopic> {
    loop {
        let topic = metadata(wire, Some(name), Uuid::nil()).await?;
        if wanted(&topic) {
            return Ok(topic);
        }
        tokio::task::yield_now().await;
    }
}

async fn describe(wire: &mut Wire, kind: i8, name: &str, keys: Option<Vec<&str>>) -> Result<DescribeConfigsResult> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(keys.map(|keys| keys.into_iter().map(text).collect()));
    let response = wire.call(&DescribeConfigsRequest::default().with_resources(vec![resource]), 4).await?;
    response.results.into_iter().next().context("no result in the response")
}

#[tokio::test]
async fn a_topic_is_created_described_and_deleted() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut wire = Wire::connect(cluster).await?;
        let name = cluster.unique("life");
        let created = create(&mut wire, topic(&name, 3, 1)).await?;
        assert_eq!((error(created.error_code), created.num_partitions, created.replication_factor), (None, 3, 1));
        let found = until_metadata(&mut wire, &name, |topic| topic.error_code == 0).await?;
        assert_eq!((found.topic_id, found.partitions.len(), found.is_internal), (created.topic_id, 3, false));
        for partition in &found.partitions {
            assert_eq!(error(partition.error_code), None);
            assert_eq!(partition.replica_nodes, [partition.leader_id]);
            assert_eq!(partition.isr_nodes, [partition.leader_id]);
        }
        let by_id = metadata(&mut wire, None, created.topic_id).await?;
        assert_eq!(by_id.name.as_ref().map(|name| name.as_str()), Some(name.as_str()));
        assert_eq!(delete(&mut wire, Some(&name), Uuid::nil()).await?, None);
        let gone = until_metadata(&mut wire, &name, |topic| topic.error_code != 0).await?;
        assert_eq!(error(gone.error_code), Some(UnknownTopicOrPartition));
        assert_eq!(delete(&mut wire, Some(&name), Uuid::nil()).await?, Some(UnknownTopicOrPartition));
        assert_eq!(delete(&mut wire, None, created.topic_id).await?, Some(UnknownTopicId));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_topic_that_is_created_again_is_another_one() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut wire = Wire::connect(cluster).await?;
        let name = cluster.topic("again", 1, &[]).await?;
        let first = until_metadata(&mut wire, &name, |topic| topic.error_code == 0).await?;
        assert_eq!(wire.produce(&name, &records(&[(1_000, "a")])).await?.base_offset, 0);
        assert_eq!(delete(&mut wire, None, first.topic_id).await?, None);
        until_metadata(&mut wire, &name, |topic| topic.error_code != 0).await?;
        assert_eq!(error(create(&mut wire, topic(&name, 1, 1)).await?.error_code), None);
        cluster.until_ready(&name, 1).await?;
        let second = metadata(&mut wire, Some(&name), Uuid::nil()).await?;
        assert_ne!(first.topic_id, second.topic_id);
        assert_eq!(error(metadata(&mut wire, None, first.topic_id).await?.error_code), Some(UnknownTopicId));
        assert_eq!(wire.produce(&name, &records(&[(1_000, "a")])).await?.base_offset, 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_cannot_be_created_is_refused() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut wire = Wire::connect(cluster).await?;
        let exists = cluster.topic("exists", 1, &[]).await?;
        until_metadata(&mut wire, &exists, |topic| topic.error_code == 0).await?;
        let new = || cluster.unique("new");
        let long = "x".repeat(250);
        let cases = [
            (topic(&exists, 1, 1), TopicAlreadyExists),
            (topic(&exists, 1, 3), TopicAlreadyExists),
            (topic(&exists.replace('.', "_"), 1, 1), InvalidTopicException),
            (topic("with space", 1, 1), InvalidTopicException),
            (topic("", 1, 1), InvalidTopicException),
            (topic("..", 1, 1), InvalidTopicException),
            (topic(&long, 1, 1), InvalidTopicException),
            (topic(&new(), 0, 1), InvalidPartitions),
            (topic(&new(), -2, 1), InvalidPartitions),
            (topic(&new(), 1, 3), InvalidReplicationFactor),
            (topic(&new(), 1, 0), InvalidReplicationFactor),
            (with_config(topic(&new(), 1, 1), "no.such.setting", "1"), InvalidConfig),
            (with_config(topic(&new(), 1, 1), "retention.ms", "soon"), InvalidConfig),
            (with_config(topic(&new(), 1, 1), "cleanup.policy", "shred"), InvalidConfig),
            (with_config(topic(&new(), 1, 1), "max.message.bytes", "-1"), InvalidConfig),
        ];
        for (wanted, expected) in cases {
            let what = format!("{wanted:?}");
            let result = create(&mut wire, wanted).await?;
            assert_eq!(error(result.error_code), Some(expected), "{what}: {:?}", result.error_message);
            assert!(result.error_message.is_some_and(|message| !message.is_empty()), "{what}");
        }
        let twice = new();
        let results = create_all(&mut wire, vec![topic(&twice, 1, 1), topic(&twice, 2, 1)], false).await?;
        assert!(results.iter().all(|result| error(result.error_code) == Some(InvalidRequest)), "{results:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn defaults_are_filled_in_and_a_dry_run_creates_nothing() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut wire = Wire::connect(cluster).await?;
        let name = cluster.unique("dry");
        let planned = create_all(&mut wire, vec![topic(&name, -1, -1)], true).await?;
        assert_eq!((error(planned[0].error_code), planned[0].num_partitions), (None, 1));
        let absent = metadata(&mut wire, Some(&name), Uuid::nil()).await?;
        assert_eq!(error(absent.error_code), Some(UnknownTopicOrPartition));
        let created = create(&mut wire, topic(&name, -1, -1)).await?;
        assert_eq!((created.num_partitions, created.replication_factor), (1, 1));
        let policy = created.configs.unwrap_or_default().into_iter().find(|c| c.name.as_str() == "cleanup.policy");
        assert_eq!(policy.and_then(|policy| policy.value), Some(text("delete")));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn metadata_of_unknown_and_impossible_topics() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut wire = Wire::connect(cluster).await?;
        let unknown = metadata(&mut wire, Some(&cluster.unique("unknown")), Uuid::nil()).await?;
        assert_eq!(error(unknown.error_code), Some(UnknownTopicOrPartition));
        assert!(unknown.partitions.is_empty());
        let impossible = metadata(&mut wire, Some("no spaces"), Uuid::nil()).await?;
        assert_eq!(error(impossible.error_code), Some(InvalidTopicException));
        assert_eq!(error(metadata(&mut wire, None, Uuid::new_v4()).await?.error_code), Some(UnknownTopicId));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn metadata_names_all_topics_or_none() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut wire = Wire::connect(cluster).await?;
        let name = cluster.topic("all", 1, &[]).await?;
        until_metadata(&mut wire, &name, |topic| topic.error_code == 0).await?;
        let all = wire.call(&MetadataRequest::default().with_topics(None), 12).await?;
        let names = |topics: &[MetadataResponseTopic]| {
            topics.iter().any(|topic| topic.name.as_ref().is_some_and(|found| found.as_str() == name))
        };
        assert!(names(&all.topics));
        let none = wire.call(&MetadataRequest::default().with_topics(Some(Vec::new())), 12).await?;
        assert!(none.topics.is_empty());
        assert!(none.cluster_id.is_some());
        let oldest = wire.call(&MetadataRequest::default().with_topics(Some(Vec::new())), 0).await?;
        assert!(names(&oldest.topics));
        let broker = &none.brokers[0];
        assert_eq!(format!("{}:{}", broker.host.as_str(), broker.port), cluster.address);
        assert_eq!(none.controller_id, broker.node_id);
        Ok(())
    })
    .await
}

async fn described(cluster: &Cluster) -> Result<(Wire, String)> {
    let settings = [("cleanup.policy", "compact"), ("min.compaction.lag.ms", "3600000")];
    let name = cluster.topic("configs", 1, &settings).await?;
    let mut wire = Wire::connect(cluster).await?;
    until_metadata(&mut wire, &name, |topic| topic.error_code == 0).await?;
    Ok((wire, name))
}

#[tokio::test]
async fn settings_are_described_with_where_they_come_from() -> Result<()> {
    on_every_broker(async |cluster| {
        let (mut wire, name) = described(cluster).await?;
        let result = describe(&mut wire, 2, &name, None).await?;
        assert_eq!(error(result.error_code), None);
        let cases = [
            ("cleanup.policy", "compact", 1, 7),
            ("compression.type", "producer", 5, 2),
            ("delete.retention.ms", "86400000", 5, 5),
            ("max.message.bytes", "1048588", 5, 3),
            ("message.timestamp.type", "CreateTime", 5, 2),
            ("min.cleanable.dirty.ratio", "0.5", 5, 6),
            ("min.compaction.lag.ms", "3600000", 1, 5),
            ("retention.bytes", "-1", 5, 5),
            ("retention.ms", "604800000", 5, 5),
            ("segment.bytes", "1073741824", 5, 3),
            ("unclean.leader.election.enable", "false", 5, 1),
        ];
        for (setting, value, source, kind) in cases {
            let found = result.configs.iter().find(|config| config.name.as_str() == setting).context(setting)?;
            assert_eq!(found.value, Some(text(value)), "{setting}");
            assert_eq!((found.config_source, found.config_type), (source, kind), "{setting}");
            assert!(!found.read_only && !found.is_sensitive);
        }
        let some = describe(&mut wire, 2, &name, Some(vec!["retention.ms"])).await?;
        assert_eq!(some.configs.len(), 1);
        Ok(())
    })
    .await
}

/// Kafka describes a few settings more (tiered storage, throttling), which have no meaning for one node; those that both
/// describe have the same values.
#[tokio::test]
async fn every_default_is_kafkas() -> Result<()> {
    let Ok(address) = std::env::var(conformance::cluster::BROKERS) else { return Ok(()) };
    let (broker, embedded) = conformance::cluster::embedded().await?;
    let kafka = Cluster { address, is_embedded: false };
    let mut settings = Vec::new();
    for cluster in [&embedded, &kafka] {
        let (mut wire, name) = described(cluster).await?;
        settings.push(describe(&mut wire, 2, &name, None).await?.configs);
    }
    for ours in &settings[0] {
        let theirs = settings[1].iter().find(|theirs| theirs.name == ours.name).context(ours.name.to_string())?;
        assert_eq!((&ours.value, ours.config_type), (&theirs.value, theirs.config_type), "{}", ours.name.as_str());
    }
    Ok(broker.shutdown().await?)
}

#[tokio::test]
async fn what_has_no_settings_is_refused() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut wire = Wire::connect(cluster).await?;
        let unknown = describe(&mut wire, 2, &cluster.unique("unknown"), None).await?;
        assert_eq!(error(unknown.error_code), Some(UnknownTopicOrPartition));
        let impossible = describe(&mut wire, 2, "no spaces", None).await?;
        assert_eq!(error(impossible.error_code), Some(InvalidTopicException));
        let node = describe(&mut wire, 4, "1", Some(vec!["auto.create.topics.enable"])).await?;
        assert_eq!(node.configs[0].value, Some(text("false")));
        let elsewhere = describe(&mut wire, 4, "77", None).await?;
        assert_eq!(error(elsewhere.error_code), Some(InvalidRequest));
        Ok(())
    })
    .await
}
