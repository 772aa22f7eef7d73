//! Produce: checks what is sent, appends it, and answers when it is committed.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use tokio::time::Instant;

use super::{lookup, text};
use crate::log::batch::{Batch, BatchFault};
use crate::log::partition::{AppendError, Partition};
use crate::log::producers::SequenceFault;
use crate::log::records;
use crate::state::{Shared, now_ms};
use crate::topics::config::TopicConfig;
use crate::topics::registry::Topic;

const ZSTD: i16 = 4;
/// The first version whose clients know zstd.
const ZSTD_VERSION: i16 = 7;

type Fault = (ResponseError, Option<String>);

struct Written {
    partition: Arc<Partition>,
    next_offset: i64,
    base_offset: i64,
    log_append_time_ms: i64,
}

/// What became of the records for one partition.
type Outcome = (i32, Result<Written, Fault>);

/// Also says whether anything failed, for clients that want no answer.
pub(crate) async fn handle(shared: &Shared, request: ProduceRequest, version: i16) -> (ProduceResponse, bool) {
    let acks = request.acks;
    let patience = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let deadline = Instant::now() + patience;
    // Everything is written before anything is waited for, so that one sync can cover more.
    let mut topics: Vec<_> =
        request.topic_data.into_iter().map(|data| append_to(shared, data, acks, version)).collect();
    let mut failed = false;
    for (_, outcomes) in &mut topics {
        for (_, outcome) in outcomes {
            if acks != 0 {
                commit(outcome, deadline).await;
            }
            failed |= outcome.is_err();
        }
    }
    let topics = topics.into_iter().map(|(data, outcomes)| {
        let partitions = outcomes.into_iter().map(|(index, outcome)| respond(index, outcome)).collect();
        let response = TopicProduceResponse::default().with_partition_responses(partitions);
        if version >= 13 { response.with_topic_id(data.topic_id) } else { response.with_name(data.name) }
    });
    (ProduceResponse::default().with_responses(topics.collect()), failed)
}

/// Appends what is for one topic. The records themselves are let go of before anything waits.
fn append_to(shared: &Shared, data: TopicProduceData, acks: i16, version: i16) -> (TopicProduceData, Vec<Outcome>) {
    let topic = lookup::topic(shared, data.name.as_str(), data.topic_id).map_err(|error| (error, None));
    let produce = |partition: &PartitionProduceData| {
        let written = match &topic {
            Ok(topic) => append(topic, partition, acks, version),
            Err(fault) => Err(fault.clone()),
        };
        (partition.index, written)
    };
    let outcomes = data.partition_data.iter().map(produce).collect();
    (data.with_partition_data(Vec::new()), outcomes)
}

/// Waits until what was appended is committed, which it is at once unless it must be synced first.
async fn commit(outcome: &mut Result<Written, Fault>, deadline: Instant) {
    let Ok(written) = outcome else { return };
    if written.partition.end() >= written.next_offset {
        return;
    }
    let committed = written.partition.committed(written.next_offset);
    match tokio::time::timeout_at(deadline, committed).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => *outcome = Err(fault(&error)),
        Err(_) => {
            let reason = "the records were written, but not synced in time".to_owned();
            *outcome = Err((ResponseError::RequestTimedOut, Some(reason)));
        }
    }
}

fn respond(index: i32, written: Result<Written, Fault>) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index);
    match written {
        Ok(written) => response
            .with_base_offset(written.base_offset)
            .with_log_append_time_ms(written.log_append_time_ms)
            .with_log_start_offset(written.partition.start()),
        Err((error, message)) => response
            .with_error_code(error.code())
            .with_base_offset(-1)
            .with_log_append_time_ms(-1)
            .with_log_start_offset(-1)
            .with_error_message(message.map(text)),
    }
}

fn append(topic: &Topic, data: &PartitionProduceData, acks: i16, version: i16) -> Result<Written, Fault> {
    if !(-1..=1).contains(&acks) {
        return Err((ResponseError::InvalidRequiredAcks, None));
    }
    let partition = lookup::partition(topic, data.index).map_err(|error| (error, None))?;
    let now_ms = now_ms();
    let bytes = data.records.as_deref().unwrap_or_default();
    let batch = check(bytes, &topic.config, version, now_ms)?;
    let appended = partition.append(batch, bytes, topic.config.append_rules(), now_ms).map_err(|error| {
        if let AppendError::Io(error) = &error {
            tracing::error!(topic = topic.name, partition = data.index, %error, "cannot append");
        }
        fault(&error)
    })?;
    Ok(Written {
        partition,
        next_offset: appended.next_offset,
        base_offset: appended.base_offset,
        log_append_time_ms: appended.log_append_time_ms.unwrap_or(-1),
    })
}

fn fault(error: &AppendError) -> Fault {
    let code = match error {
        AppendError::Removed => ResponseError::UnknownTopicOrPartition,
        AppendError::Sequence(SequenceFault::Fenced { .. }) => ResponseError::InvalidProducerEpoch,
        AppendError::Sequence(SequenceFault::OutOfOrder { .. }) => ResponseError::OutOfOrderSequenceNumber,
        AppendError::Offline | AppendError::Io(_) => ResponseError::KafkaStorageError,
    };
    (code, Some(error.to_string()))
}

/// What Kafka checks of a batch, as far as that needs no decompression.
fn check(bytes: &[u8], config: &TopicConfig, version: i16, now_ms: i64) -> Result<Batch, Fault> {
    let invalid = |reason: &str| (ResponseError::InvalidRecord, Some(reason.to_owned()));
    let refuse = |fault: BatchFault| match &fault {
        BatchFault::Torn | BatchFault::Checksum { .. } => (ResponseError::CorruptMessage, Some(fault.to_string())),
        BatchFault::Format(_) | BatchFault::Invalid(_) => (ResponseError::InvalidRecord, Some(fault.to_string())),
    };
    if bytes.is_empty() {
        return Err(invalid("a produce request must have exactly one record batch for each partition"));
    }
    let batch = Batch::verify(bytes).map_err(refuse)?;
    if batch.bytes != bytes.len() {
        return Err(invalid("a produce request must have exactly one record batch for each partition"));
    }
    if batch.bytes > config.max_message_bytes {
        let reason =
            format!("the batch has {} bytes, where the topic allows {}", batch.bytes, config.max_message_bytes);
        return Err((ResponseError::MessageTooLarge, Some(reason)));
    }
    if batch.is_control() || batch.is_transactional() {
        return Err(invalid("clients write neither control batches nor, as there are none here, in transactions"));
    }
    if batch.record_count <= 0 || batch.last_offset_delta != batch.record_count - 1 || batch.base_offset != 0 {
        return Err(invalid("the batch's offsets do not fit its number of records"));
    }
    if batch.is_idempotent() && (batch.producer_epoch < 0 || batch.base_sequence < 0) {
        return Err(invalid("an idempotent producer's batch needs an epoch and a sequence number"));
    }
    match batch.compression() {
        0 => records::check(&batch, bytes, config.compaction.is_some()).map_err(refuse)?,
        ZSTD if version < ZSTD_VERSION => return Err((ResponseError::UnsupportedCompressionType, None)),
        1..=ZSTD if config.compaction.is_some() => records::check(&batch, bytes, true).map_err(refuse)?,
        1..=ZSTD => {}
        _ => return Err(invalid("the batch's compression is not known")),
    }
    check_timestamps(&batch, config, now_ms)?;
    Ok(batch)
}

fn check_timestamps(batch: &Batch, config: &TopicConfig, now_ms: i64) -> Result<(), Fault> {
    if batch.is_log_append_time() {
        let reason = "only the broker stamps records with the time of their append";
        return Err((ResponseError::InvalidTimestamp, Some(reason.to_owned())));
    }
    if config.log_append_time {
        return Ok(());
    }
    let ahead = batch.max_timestamp.saturating_sub(now_ms);
    let behind = now_ms.saturating_sub(batch.max_timestamp);
    if ahead > config.timestamp_after_max_ms || batch.max_timestamp >= 0 && behind > config.timestamp_before_max_ms {
        let reason = format!("timestamp {} is too far from the broker's, {now_ms}", batch.max_timestamp);
        return Err((ResponseError::InvalidTimestamp, Some(reason)));
    }
    Ok(())
}
