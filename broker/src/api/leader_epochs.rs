//! OffsetForLeaderEpoch: where an epoch's records end. There is one epoch, so they end where the log does.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use uuid::Uuid;

use super::lookup;
use crate::log::batch::LEADER_EPOCH;
use crate::state::Shared;

pub(crate) fn handle(shared: &Shared, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let end = |wanted: &OffsetForLeaderPartition| {
            let result = EpochEndOffset::default().with_partition(wanted.partition);
            match end(shared, topic.topic.as_str(), wanted) {
                Ok(Some(offset)) => result.with_leader_epoch(LEADER_EPOCH).with_end_offset(offset),
                Ok(None) => result.with_leader_epoch(-1).with_end_offset(-1),
                Err(error) => result.with_error_code(error.code()).with_leader_epoch(-1).with_end_offset(-1),
            }
        };
        let partitions = topic.partitions.iter().map(end).collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic.clone()).with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

/// `None` for an epoch that never was.
fn end(shared: &Shared, name: &str, wanted: &OffsetForLeaderPartition) -> Result<Option<i64>, ResponseError> {
    let topic = lookup::topic(shared, name, Uuid::nil())?;
    let partition = lookup::partition(&topic, wanted.partition)?;
    lookup::check_epoch(wanted.current_leader_epoch)?;
    Ok((wanted.leader_epoch == LEADER_EPOCH).then(|| partition.end()))
}
