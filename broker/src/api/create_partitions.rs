//! CreatePartitions: more partitions for topics that exist.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{BrokerId, CreatePartitionsRequest, CreatePartitionsResponse};

use super::create_topics::PARTITIONS_PER_TOPIC_MAX;
use super::{owned, text};
use crate::state::{NODE_ID, Shared};
use crate::topics::alteration::AlterError;
use crate::topics::registry::Topic;

type Fault = (ResponseError, String);

pub(crate) async fn handle(shared: &Arc<Shared>, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let shared = shared.clone();
    let creating = tokio::task::spawn_blocking(move || {
        let mut named: BTreeMap<String, usize> = BTreeMap::new();
        for topic in &request.topics {
            *named.entry(owned(&topic.name)).or_default() += 1;
        }
        let create = |topic: CreatePartitionsTopic| {
            let outcome = match named.get(topic.name.as_str()) {
                Some(1) => create(&shared, &topic, request.validate_only),
                _ => Err((ResponseError::InvalidRequest, "Duplicate topic name.".to_owned())),
            };
            let result = CreatePartitionsTopicResult::default().with_name(topic.name);
            match outcome {
                Ok(()) => result,
                Err((error, fault)) => result.with_error_code(error.code()).with_error_message(Some(text(fault))),
            }
        };
        request.topics.into_iter().map(create).collect::<Vec<_>>()
    });
    // Only a broker that is being dropped cancels its threads.
    CreatePartitionsResponse::default().with_results(creating.await.unwrap_or_default())
}

fn create(shared: &Shared, wanted: &CreatePartitionsTopic, validate_only: bool) -> Result<(), Fault> {
    let too_many = |would_exist, max| {
        let fault = format!("{would_exist} partitions would exist, where the broker's limit is {max}");
        (ResponseError::PolicyViolation, fault)
    };
    let name = wanted.name.as_str();
    shared.topics.grow(name, validate_only, |topic| check(topic, wanted), too_many).map_err(|error| match error {
        AlterError::Unknown => {
            (ResponseError::UnknownTopicOrPartition, format!("This server does not host the topic '{name}'."))
        }
        AlterError::Refused(fault) => fault,
        AlterError::Io(error) => {
            tracing::error!(topic = name, %error, "cannot create partitions");
            (ResponseError::KafkaStorageError, error.to_string())
        }
    })
}

/// How many partitions the topic is to have.
fn check(topic: &Topic, wanted: &CreatePartitionsTopic) -> Result<u32, Fault> {
    let (present, count) = (topic.partitions.len() as i32, wanted.count);
    let refuse = |fault| Err((ResponseError::InvalidPartitions, fault));
    if count == present {
        return refuse(format!("Topic already has {present} partition(s)."));
    }
    if count < present {
        return refuse(format!(
            "The topic {} currently has {present} partition(s); {count} would not be an increase.",
            topic.name
        ));
    }
    if count - present > PARTITIONS_PER_TOPIC_MAX {
        let fault = format!("at most {PARTITIONS_PER_TOPIC_MAX} partitions can be added by one request");
        return Err((ResponseError::PolicyViolation, fault));
    }
    if let Some(assignments) = &wanted.assignments {
        let is_ours = assignments.iter().all(|assignment| assignment.broker_ids == [BrokerId(NODE_ID)]);
        if !is_ours || assignments.len() as i32 != count - present {
            let fault = format!(
                "Attempted to add {} additional partition(s), but only {} assignment(s) were specified, or not all of \
                 them name node {NODE_ID} alone.",
                count - present,
                assignments.len()
            );
            return Err((ResponseError::InvalidReplicaAssignment, fault));
        }
    }
    Ok(count as u32)
}
