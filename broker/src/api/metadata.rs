//! Metadata: the one node, the topics and their partitions.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse};

use super::{code, lookup, owned, text};
use crate::log::batch::LEADER_EPOCH;
use crate::state::{NODE_ID, Shared};
use crate::topics::config::TopicConfig;
use crate::topics::name;
use crate::topics::registry::{CreateError, Topic};

pub(crate) fn handle(shared: &Shared, request: MetadataRequest, version: i16) -> MetadataResponse {
    let may_create = shared.config.auto_create_topics && request.allow_auto_topic_creation;
    let topics = match request.topics {
        // An empty list meant all topics before a missing one could.
        Some(topics) if version > 0 || !topics.is_empty() => {
            topics.iter().map(|wanted| find(shared, wanted, may_create)).collect()
        }
        _ => shared.topics.all().iter().map(describe).collect(),
    };
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(NODE_ID))
        .with_host(text(shared.host.as_str()))
        .with_port(shared.address.port().into());
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(text(shared.cluster.id.as_str())))
        .with_controller_id(BrokerId(NODE_ID))
        .with_topics(topics)
}

fn find(shared: &Shared, wanted: &MetadataRequestTopic, may_create: bool) -> MetadataResponseTopic {
    let name = wanted.name.as_ref().map(|name| owned(name)).unwrap_or_default();
    let found = match lookup::topic(shared, &name, wanted.topic_id) {
        Err(ResponseError::UnknownTopicOrPartition) if name::fault(&name).is_some() => {
            Err(ResponseError::InvalidTopicException)
        }
        Err(ResponseError::UnknownTopicOrPartition) if may_create => create(shared, &name),
        found => found,
    };
    match found {
        Ok(topic) => describe(&topic),
        Err(error) => MetadataResponseTopic::default()
            .with_error_code(error.code())
            .with_name(wanted.name.clone())
            .with_topic_id(wanted.topic_id),
    }
}

fn create(shared: &Shared, name: &str) -> Result<Arc<Topic>, ResponseError> {
    let config = TopicConfig::new([]).map_err(|_| ResponseError::InvalidConfig)?;
    let partitions = u32::try_from(shared.config.default_partitions).unwrap_or(1).max(1);
    match shared.topics.create(name, partitions, config) {
        Ok(topic) => Ok(topic),
        Err(CreateError::Exists(_)) => shared.topics.by_name(name).ok_or(ResponseError::UnknownTopicOrPartition),
        Err(error) => {
            tracing::warn!(topic = name, %error, "cannot create the topic that a client asked for");
            Err(ResponseError::UnknownTopicOrPartition)
        }
    }
}

fn describe(topic: &Arc<Topic>) -> MetadataResponseTopic {
    let partition = |index| {
        MetadataResponsePartition::default()
            .with_error_code(code(None))
            .with_partition_index(index)
            .with_leader_id(BrokerId(NODE_ID))
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![BrokerId(NODE_ID)])
            .with_isr_nodes(vec![BrokerId(NODE_ID)])
    };
    MetadataResponseTopic::default()
        .with_name(Some(text(topic.name.as_str()).into()))
        .with_topic_id(topic.id)
        .with_partitions((0..topic.partitions.len() as i32).map(partition).collect())
}
