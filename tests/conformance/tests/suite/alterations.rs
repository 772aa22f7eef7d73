//! Settings that change and topics that grow.

use anyhow::{Context, Result};
use conformance::calls::{LATEST, error, records};
use conformance::cluster::{Cluster, embedded_at, on_every_broker};
use conformance::wire::{Wire, text};
use kafka_protocol::error::ResponseError::{self, *};
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::*;

const NOW: i64 = 1_700_000_000_000;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;
const TOPIC: i8 = 2;

type Edit<'a> = (&'a str, i8, Option<&'a str>);

fn resource(kind: i8, name: &str, edits: &[Edit<'_>]) -> AlterConfigsResource {
    let config = |(name, operation, value): &Edit<'_>| {
        AlterableConfig::default().with_name(text(name)).with_config_operation(*operation).with_value(value.map(text))
    };
    let configs = edits.iter().map(config).collect();
    AlterConfigsResource::default().with_resource_type(kind).with_resource_name(text(name)).with_configs(configs)
}

async fn edit(wire: &mut Wire, kind: i8, name: &str, edits: &[Edit<'_>]) -> Result<Option<ResponseError>> {
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource(kind, name, edits)]);
    Ok(error(wire.call(&request, 1).await?.responses[0].error_code))
}

/// What of a topic's settings was given; waits until it is as wanted, as Kafka's brokers learn of it a moment later.
async fn until_given(wire: &mut Wire, name: &str, wanted: &[(&str, &str)]) -> Result<()> {
    loop {
        let described = describe(wire, name).await?;
        let given = described.iter().filter(|config| config.config_source == 1);
        let given: Vec<_> = given.map(|config| (config.name.as_str(), config.value.as_deref().unwrap_or(""))).collect();
        if given == wanted {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

async fn describe(wire: &mut Wire, name: &str) -> Result<Vec<DescribeConfigsResourceResult>> {
    let resource = DescribeConfigsResource::default().with_resource_type(TOPIC).with_resource_name(text(name));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource.with_configuration_keys(None)]);
    let response = wire.call(&request.with_include_synonyms(true), 4).await?;
    let result = response.results.into_iter().next().context("no result")?;
    assert_eq!(error(result.error_code), None);
    let mut configs = result.configs;
    configs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(configs)
}

async fn altered(cluster: &Cluster) -> Result<(Wire, String)> {
    let name = cluster.topic("altered", 1, &[("retention.ms", "5000000")]).await?;
    Ok((Wire::connect(cluster).await?, name))
}

#[tokio::test]
async fn settings_are_set_and_deleted_one_by_one() -> Result<()> {
    on_every_broker(async |cluster| {
        let (mut wire, name) = altered(cluster).await?;
        assert_eq!(edit(&mut wire, TOPIC, &name, &[("segment.ms", SET, Some("60000"))]).await?, None);
        until_given(&mut wire, &name, &[("retention.ms", "5000000"), ("segment.ms", "60000")]).await?;
        let described = describe(&mut wire, &name).await?;
        let retention = described.into_iter().find(|config| config.name.as_str() == "retention.ms");
        let synonyms = retention.context("no retention.ms")?.synonyms;
        assert_eq!((synonyms[0].value.as_deref(), synonyms[0].source), (Some("5000000"), 1));
        let edits = [("retention.ms", DELETE, None), ("segment.ms", SET, Some("70000"))];
        assert_eq!(edit(&mut wire, TOPIC, &name, &edits).await?, None);
        until_given(&mut wire, &name, &[("segment.ms", "70000")]).await?;
        assert_eq!(edit(&mut wire, TOPIC, &name, &[("retention.ms", DELETE, None)]).await?, None);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn lists_are_added_to_and_taken_from() -> Result<()> {
    on_every_broker(async |cluster| {
        let (mut wire, name) = altered(cluster).await?;
        let policy = async |wire: &mut Wire, operation, value| {
            edit(wire, TOPIC, &name, &[("cleanup.policy", operation, Some(value)), ("retention.ms", DELETE, None)])
                .await
        };
        assert_eq!(policy(&mut wire, APPEND, "compact").await?, None);
        until_given(&mut wire, &name, &[("cleanup.policy", "delete,compact")]).await?;
        assert_eq!(policy(&mut wire, APPEND, "compact").await?, None);
        until_given(&mut wire, &name, &[("cleanup.policy", "delete,compact")]).await?;
        assert_eq!(policy(&mut wire, SUBTRACT, "delete").await?, None);
        until_given(&mut wire, &name, &[("cleanup.policy", "compact")]).await?;
        let number = edit(&mut wire, TOPIC, &name, &[("retention.ms", APPEND, Some("5"))]).await?;
        assert_eq!(number, Some(InvalidConfig));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_cannot_be_set_is_refused_and_changes_nothing() -> Result<()> {
    on_every_broker(async |cluster| {
        let (mut wire, name) = altered(cluster).await?;
        let cases: [(&[Edit<'_>], ResponseError); 6] = [
            (&[("no.such", SET, Some("1"))], InvalidConfig),
            (&[("segment.ms", SET, Some("soon"))], InvalidConfig),
            (&[("cleanup.policy", APPEND, Some("shred"))], InvalidConfig),
            (&[("segment.ms", SET, None)], InvalidRequest),
            (&[("segment.ms", SET, Some("60000")), ("segment.ms", DELETE, None)], InvalidRequest),
            (&[("segment.ms", SET, Some("60000")), ("no.such", SET, Some("1"))], InvalidConfig),
        ];
        for (edits, expected) in cases {
            assert_eq!(edit(&mut wire, TOPIC, &name, edits).await?, Some(expected), "{edits:?}");
        }
        let dry = IncrementalAlterConfigsRequest::default().with_validate_only(true);
        let dry = dry.with_resources(vec![resource(TOPIC, &name, &[("segment.ms", SET, Some("60000"))])]);
        assert_eq!(error(wire.call(&dry, 1).await?.responses[0].error_code), None);
        until_given(&mut wire, &name, &[("retention.ms", "5000000")]).await?;
        let unknown = edit(&mut wire, TOPIC, &cluster.unique("unknown"), &[("segment.ms", SET, Some("60000"))]).await?;
        assert_eq!(unknown, Some(UnknownTopicOrPartition));
        let twice = vec![resource(TOPIC, &name, &[]), resource(TOPIC, &name, &[])];
        let twice = wire.call(&IncrementalAlterConfigsRequest::default().with_resources(twice), 1).await?;
        for response in &twice.responses {
            assert_eq!(error(response.error_code), Some(InvalidRequest));
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_nodes_static_settings_cannot_be_altered() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut wire = Wire::connect(cluster).await?;
        let refused = edit(&mut wire, 4, "1", &[("num.partitions", SET, Some("3"))]).await?;
        assert_eq!(refused, Some(InvalidRequest));
        assert_eq!(edit(&mut wire, 4, "77", &[("num.partitions", SET, Some("3"))]).await?, Some(InvalidRequest));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn settings_are_replaced_as_a_whole() -> Result<()> {
    use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
    on_every_broker(async |cluster| {
        let (mut wire, name) = altered(cluster).await?;
        for version in 0..=2 {
            let value = i64::from(version + 1) * 60_000;
            let config = AlterableConfig::default().with_name(text("segment.ms"));
            let config = config.with_value(Some(text(&value.to_string())));
            let resource = AlterConfigsResource::default().with_resource_type(TOPIC).with_resource_name(text(&name));
            let request = AlterConfigsRequest::default().with_resources(vec![resource.with_configs(vec![config])]);
            assert_eq!(error(wire.call(&request, version).await?.responses[0].error_code), None);
            until_given(&mut wire, &name, &[("segment.ms", &value.to_string())]).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_setting_holds_at_once() -> Result<()> {
    on_every_broker(async |cluster| {
        let (mut wire, name) = altered(cluster).await?;
        assert_eq!(edit(&mut wire, TOPIC, &name, &[("max.message.bytes", SET, Some("100"))]).await?, None);
        until_given(&mut wire, &name, &[("max.message.bytes", "100"), ("retention.ms", "5000000")]).await?;
        let large = records(&[(NOW, &"x".repeat(200))]);
        while error(wire.produce(&name, &large).await?.error_code) != Some(MessageTooLarge) {
            tokio::task::yield_now().await;
        }
        Ok(())
    })
    .await
}

fn growth(name: &str, count: i32, assigned: Option<usize>) -> CreatePartitionsTopic {
    let assignment = CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(1)]);
    let assignments = assigned.map(|count| vec![assignment; count]);
    CreatePartitionsTopic::default().with_name(text(name).into()).with_count(count).with_assignments(assignments)
}

async fn grow(wire: &mut Wire, topic: CreatePartitionsTopic, dry: bool) -> Result<Option<ResponseError>> {
    let request = CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    Ok(error(wire.call(&request.with_validate_only(dry), 3).await?.results[0].error_code))
}

#[tokio::test]
async fn a_topic_grows_and_clients_find_its_new_partitions() -> Result<()> {
    on_every_broker(async |cluster| {
        let name = cluster.topic("grows", 2, &[]).await?;
        let mut wire = Wire::connect(cluster).await?;
        assert_eq!(grow(&mut wire, growth(&name, 4, None), true).await?, None);
        let absent = wire.list_offsets_of(&name, 2, LATEST).await?;
        assert_eq!(error(absent.error_code), Some(UnknownTopicOrPartition));
        assert_eq!(grow(&mut wire, growth(&name, 3, None), false).await?, None);
        assert_eq!(grow(&mut wire, growth(&name, 4, Some(1)), false).await?, None);
        cluster.until_ready(&name, 4).await?;
        let producer = cluster.producer(&[])?;
        for partition in 0..4 {
            let record = rdkafka::producer::FutureRecord::<(), _>::to(&name).payload("value").partition(partition);
            producer.send(record, conformance::clients::PATIENCE).await.map_err(|(error, _)| error)?;
        }
        assert_eq!(wire.list_offsets_of(&name, 3, LATEST).await?.offset, 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn growth_that_cannot_be_is_refused() -> Result<()> {
    on_every_broker(async |cluster| {
        let name = cluster.topic("stays", 2, &[]).await?;
        let mut wire = Wire::connect(cluster).await?;
        assert_eq!(grow(&mut wire, growth(&name, 2, None), false).await?, Some(InvalidPartitions));
        assert_eq!(grow(&mut wire, growth(&name, 1, None), false).await?, Some(InvalidPartitions));
        assert_eq!(grow(&mut wire, growth(&name, -1, None), false).await?, Some(InvalidPartitions));
        assert_eq!(grow(&mut wire, growth(&name, 4, Some(1)), false).await?, Some(InvalidReplicaAssignment));
        let unknown = grow(&mut wire, growth(&cluster.unique("unknown"), 2, None), false).await?;
        assert_eq!(unknown, Some(UnknownTopicOrPartition));
        let twice = vec![growth(&name, 3, None), growth(&name, 4, None)];
        let twice = CreatePartitionsRequest::default().with_topics(twice).with_timeout_ms(10_000);
        for result in wire.call(&twice, 3).await?.results {
            assert_eq!(error(result.error_code), Some(InvalidRequest));
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn alterations_survive_a_restart() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (broker, cluster) = embedded_at(directory.path(), None).await?;
    let (mut wire, name) = altered(&cluster).await?;
    assert_eq!(edit(&mut wire, TOPIC, &name, &[("segment.ms", SET, Some("60000"))]).await?, None);
    assert_eq!(grow(&mut wire, growth(&name, 3, None), false).await?, None);
    broker.shutdown().await?;
    let (broker, cluster) = embedded_at(directory.path(), None).await?;
    let mut wire = Wire::connect(&cluster).await?;
    until_given(&mut wire, &name, &[("retention.ms", "5000000"), ("segment.ms", "60000")]).await?;
    assert_eq!(wire.list_offsets_of(&name, 2, LATEST).await?.offset, 0);
    Ok(broker.shutdown().await?)
}
