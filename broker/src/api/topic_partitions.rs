//! DescribeTopicPartitions: metadata in pages, as newer tools ask for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName};

use super::operations::TOPIC_OPERATIONS;
use super::{owned, text};
use crate::log::batch::LEADER_EPOCH;
use crate::state::{NODE_ID, Shared};
use crate::topics::name;
use crate::topics::registry::Topic;

/// As many partitions as Kafka puts into one answer.
const PARTITIONS_MAX: i32 = 2_000;

pub(crate) fn handle(shared: &Shared, request: DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let cursor = request.cursor.map(|cursor| (owned(&cursor.topic_name), cursor.partition_index));
    let names: BTreeSet<String> = match request.topics.is_empty() {
        true => shared.topics.all().iter().map(|topic| topic.name.clone()).collect(),
        false => request.topics.iter().map(|topic| owned(&topic.name)).collect(),
    };
    let mut room = request.response_partition_limit.clamp(1, PARTITIONS_MAX);
    let mut topics = Vec::new();
    let (from_name, from_partition) = cursor.unwrap_or_default();
    for name in names.into_iter().filter(|name| *name >= from_name) {
        let first = if name == from_name { from_partition.max(0) } else { 0 };
        let Some(topic) = shared.topics.by_name(&name) else {
            topics.push(absent(name));
            continue;
        };
        let last = (topic.partitions.len() as i32).min(first.saturating_add(room));
        if last > first {
            topics.push(describe(&topic, first..last));
            room -= last - first;
        }
        if last < topic.partitions.len() as i32 {
            let next = Cursor::default().with_topic_name(TopicName(text(name))).with_partition_index(last);
            return DescribeTopicPartitionsResponse::default().with_topics(topics).with_next_cursor(Some(next));
        }
    }
    DescribeTopicPartitionsResponse::default().with_topics(topics)
}

fn absent(name: String) -> DescribeTopicPartitionsResponseTopic {
    let error = match name::fault(&name) {
        Some(_) => ResponseError::InvalidTopicException,
        None => ResponseError::UnknownTopicOrPartition,
    };
    DescribeTopicPartitionsResponseTopic::default().with_error_code(error.code()).with_name(Some(TopicName(text(name))))
}

fn describe(topic: &Arc<Topic>, indexes: std::ops::Range<i32>) -> DescribeTopicPartitionsResponseTopic {
    let partition = |index| {
        DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(BrokerId(NODE_ID))
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![BrokerId(NODE_ID)])
            .with_isr_nodes(vec![BrokerId(NODE_ID)])
            .with_eligible_leader_replicas(Some(Vec::new()))
            .with_last_known_elr(Some(Vec::new()))
    };
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(TopicName(text(topic.name.as_str()))))
        .with_topic_id(topic.id)
        .with_partitions(indexes.map(partition).collect())
        .with_topic_authorized_operations(TOPIC_OPERATIONS)
}
