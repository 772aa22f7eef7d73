//! DeleteRecords: moves the start of a log. Files are removed on a thread of their own.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_records_request::DeleteRecordsTopic;
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use uuid::Uuid;

use super::lookup;
use crate::log::partition::TrimError;
use crate::state::Shared;

/// Stands for the end of the log.
const HIGH_WATERMARK: i64 = -1;

pub(crate) async fn handle(shared: &Arc<Shared>, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let shared = shared.clone();
    let deleting = tokio::task::spawn_blocking(move || {
        request.topics.into_iter().map(|topic| delete_in(&shared, topic)).collect::<Vec<_>>()
    });
    match deleting.await {
        Ok(topics) => DeleteRecordsResponse::default().with_topics(topics),
        // Only a broker that is being dropped cancels its threads.
        Err(_) => DeleteRecordsResponse::default(),
    }
}

fn delete_in(shared: &Shared, topic: DeleteRecordsTopic) -> DeleteRecordsTopicResult {
    let delete = |wanted: &kafka_protocol::messages::delete_records_request::DeleteRecordsPartition| {
        let result = DeleteRecordsPartitionResult::default().with_partition_index(wanted.partition_index);
        match delete(shared, topic.name.as_str(), wanted.partition_index, wanted.offset) {
            Ok(start) => result.with_low_watermark(start),
            Err(error) => result.with_low_watermark(-1).with_error_code(error.code()),
        }
    };
    let partitions = topic.partitions.iter().map(delete).collect();
    DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions)
}

fn delete(shared: &Shared, name: &str, index: i32, offset: i64) -> Result<i64, ResponseError> {
    let topic = lookup::topic(shared, name, Uuid::nil())?;
    let partition = lookup::partition(&topic, index)?;
    if !topic.config.is_deletable {
        return Err(ResponseError::PolicyViolation);
    }
    let trimmed = partition.trim((offset != HIGH_WATERMARK).then_some(offset));
    trimmed.map_err(|error| match error {
        TrimError::OutOfRange { .. } => ResponseError::OffsetOutOfRange,
        TrimError::Io(error) => {
            tracing::error!(topic = name, partition = index, %error, "cannot delete records");
            ResponseError::KafkaStorageError
        }
    })
}
