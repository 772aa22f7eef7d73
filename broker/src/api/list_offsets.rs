//! ListOffsets: the ends of a log, and offsets by time.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use uuid::Uuid;

use super::lookup;
use crate::log::batch::LEADER_EPOCH;
use crate::log::timestamps::{self, TimedOffset};
use crate::state::Shared;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// The first version that has leader epochs.
const EPOCH_VERSION: i16 = 4;

const NONE: TimedOffset = TimedOffset { offset: -1, timestamp: -1 };

pub(crate) fn handle(shared: &Shared, request: ListOffsetsRequest, version: i16) -> ListOffsetsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let list = |wanted: &ListOffsetsPartition| {
            let response = ListOffsetsPartitionResponse::default().with_partition_index(wanted.partition_index);
            match list(shared, topic.name.as_str(), wanted) {
                Ok(found) => {
                    let response = response.with_offset(found.offset).with_timestamp(found.timestamp);
                    let has_epoch = found.offset >= 0 && version >= EPOCH_VERSION;
                    if has_epoch { response.with_leader_epoch(LEADER_EPOCH) } else { response }
                }
                Err(error) => response.with_error_code(error.code()).with_offset(-1).with_timestamp(-1),
            }
        };
        let partitions = topic.partitions.iter().map(list).collect();
        ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn list(shared: &Shared, name: &str, wanted: &ListOffsetsPartition) -> Result<TimedOffset, ResponseError> {
    let topic = lookup::topic(shared, name, Uuid::nil())?;
    let partition = lookup::partition(&topic, wanted.partition_index)?;
    lookup::check_epoch(wanted.current_leader_epoch)?;
    let untimed = |offset| TimedOffset { offset, timestamp: -1 };
    let found = match wanted.timestamp {
        LATEST => return Ok(untimed(partition.end())),
        EARLIEST | EARLIEST_LOCAL => return Ok(untimed(partition.start())),
        LATEST_TIERED => return Ok(NONE),
        MAX_TIMESTAMP => timestamps::latest(&partition),
        timestamp if timestamp < 0 => return Err(ResponseError::UnsupportedVersion),
        timestamp => timestamps::first_since(&partition, timestamp),
    };
    found.map(|found| found.unwrap_or(NONE)).map_err(|error| {
        tracing::error!(topic = name, partition = wanted.partition_index, %error, "cannot look for a timestamp");
        ResponseError::KafkaStorageError
    })
}
