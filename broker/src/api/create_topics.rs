//! CreateTopics.

use std::collections::HashMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{BrokerId, CreateTopicsRequest, CreateTopicsResponse};
use uuid::Uuid;

use super::configs::source;
use super::text;
use crate::state::{NODE_ID, Shared};
use crate::topics::config::TopicConfig;
use crate::topics::registry::CreateError;

/// As many partitions as one request may create.
pub(crate) const PARTITIONS_PER_TOPIC_MAX: i32 = 10_000;

type Fault = (ResponseError, String);

struct Plan {
    partitions: u32,
    config: TopicConfig,
}

pub(crate) fn handle(shared: &Shared, request: CreateTopicsRequest, version: i16) -> CreateTopicsResponse {
    let mut named: HashMap<&str, usize> = HashMap::new();
    for topic in &request.topics {
        *named.entry(topic.name.as_str()).or_default() += 1;
    }
    let results = request.topics.iter().map(|topic| {
        let outcome = match named.get(topic.name.as_str()) {
            Some(1) => create(shared, topic, request.validate_only),
            _ => Err((ResponseError::InvalidRequest, "the request names this topic more than once".to_owned())),
        };
        result(topic, outcome, version)
    });
    CreateTopicsResponse::default().with_topics(results.collect())
}

fn create(shared: &Shared, topic: &CreatableTopic, validate_only: bool) -> Result<(Uuid, Plan), Fault> {
    let name = topic.name.as_str();
    let refuse = |error: CreateError| match &error {
        CreateError::Exists(_) => (ResponseError::TopicAlreadyExists, error.to_string()),
        CreateError::Name(_) => (ResponseError::InvalidTopicException, error.to_string()),
        CreateError::TooMany(..) => (ResponseError::PolicyViolation, error.to_string()),
        CreateError::Io(_) => (ResponseError::KafkaStorageError, error.to_string()),
    };
    // The name is looked at first, so that a topic that exists is said to exist whatever else is wrong.
    shared.topics.check(name, 0).map_err(refuse)?;
    let partitions = partitions(shared, topic)?;
    let given = topic.configs.iter().filter_map(|config| Some((config.name.as_str(), config.value.as_deref()?)));
    let config = TopicConfig::new(given).map_err(|fault| (ResponseError::InvalidConfig, fault))?;
    shared.topics.check(name, partitions).map_err(refuse)?;
    if validate_only {
        return Ok((Uuid::nil(), Plan { partitions, config }));
    }
    let created = shared.topics.create(name, partitions, config).map_err(refuse)?;
    Ok((created.id, Plan { partitions, config: created.config.clone() }))
}

fn partitions(shared: &Shared, topic: &CreatableTopic) -> Result<u32, Fault> {
    if !topic.assignments.is_empty() {
        return assigned_partitions(topic);
    }
    if topic.replication_factor != -1 && topic.replication_factor != 1 {
        let fault = format!(
            "replication factor {} cannot be had: this broker is alone, so it is 1 (or -1 for the default)",
            topic.replication_factor
        );
        return Err((ResponseError::InvalidReplicationFactor, fault));
    }
    match topic.num_partitions {
        -1 => Ok(u32::try_from(shared.config.default_partitions).unwrap_or(1).max(1)),
        partitions if partitions > PARTITIONS_PER_TOPIC_MAX => {
            let fault =
                format!("{partitions} partitions are too many for one request; at most {PARTITIONS_PER_TOPIC_MAX}");
            Err((ResponseError::PolicyViolation, fault))
        }
        partitions => u32::try_from(partitions)
            .ok()
            .filter(|&partitions| partitions > 0)
            .ok_or_else(|| (ResponseError::InvalidPartitions, format!("a topic cannot have {partitions} partitions"))),
    }
}

fn assigned_partitions(topic: &CreatableTopic) -> Result<u32, Fault> {
    if topic.num_partitions != -1 || topic.replication_factor != -1 {
        let fault = "with an assignment of replicas, partitions and replication factor must both be -1";
        return Err((ResponseError::InvalidRequest, fault.to_owned()));
    }
    let mut indexes: Vec<i32> = topic.assignments.iter().map(|assignment| assignment.partition_index).collect();
    indexes.sort_unstable();
    let numbered = indexes.iter().copied().eq(0..indexes.len() as i32);
    let ours = topic.assignments.iter().all(|assignment| assignment.broker_ids == [BrokerId(NODE_ID)]);
    if !numbered || !ours {
        let fault =
            format!("replicas can only be assigned to node {NODE_ID}, for partitions numbered from 0 without a gap");
        return Err((ResponseError::InvalidReplicaAssignment, fault));
    }
    Ok(indexes.len() as u32)
}

fn result(topic: &CreatableTopic, outcome: Result<(Uuid, Plan), Fault>, version: i16) -> CreatableTopicResult {
    let result = CreatableTopicResult::default().with_name(topic.name.clone());
    let (id, plan) = match outcome {
        Ok(created) => created,
        Err((error, fault)) => return result.with_error_code(error.code()).with_error_message(Some(text(fault))),
    };
    if version < 5 {
        return result;
    }
    let config = |(setting, value, given): (&crate::topics::config::Setting, &str, bool)| {
        CreatableTopicConfigs::default()
            .with_name(text(setting.name))
            .with_value(Some(text(value)))
            .with_config_source(source(given))
    };
    result
        .with_topic_id(id)
        .with_num_partitions(plan.partitions as i32)
        .with_replication_factor(1)
        .with_configs(Some(plan.config.describe().map(config).collect()))
}
