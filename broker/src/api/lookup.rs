//! From what a request names to the partition it means.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use uuid::Uuid;

use crate::log::batch::LEADER_EPOCH;
use crate::log::partition::{Partition, Status};
use crate::state::Shared;
use crate::topics::registry::Topic;

/// By id where the request has one (newer versions), else by name.
pub(crate) fn topic(shared: &Shared, name: &str, id: Uuid) -> Result<Arc<Topic>, ResponseError> {
    match id.is_nil() {
        true => shared.topics.by_name(name).ok_or(ResponseError::UnknownTopicOrPartition),
        false => shared.topics.by_id(id).ok_or(ResponseError::UnknownTopicId),
    }
}

pub(crate) fn partition(topic: &Topic, index: i32) -> Result<Arc<Partition>, ResponseError> {
    let partition = topic.partition(index).ok_or(ResponseError::UnknownTopicOrPartition)?;
    check_status(partition)?;
    Ok(partition.clone())
}

/// A partition may have been removed, or its storage may have failed, since it was looked up.
pub(crate) fn check_status(partition: &Partition) -> Result<(), ResponseError> {
    match partition.status() {
        Status::Online => Ok(()),
        Status::Offline => Err(ResponseError::KafkaStorageError),
        Status::Removed => Err(ResponseError::UnknownTopicOrPartition),
    }
}

/// A client that heard of a later epoch than ours has heard of another cluster.
pub(crate) fn check_epoch(epoch: i32) -> Result<(), ResponseError> {
    match epoch > LEADER_EPOCH {
        true => Err(ResponseError::UnknownLeaderEpoch),
        false => Ok(()),
    }
}
