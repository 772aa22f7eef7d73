//! Raw requests for one partition or one group at a time.

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use kafka_protocol::error::{ParseResponseErrorCode, ResponseError};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{BrokerId, FetchRequest, InitProducerIdRequest, ListOffsetsRequest, ProduceRequest};
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use crate::wire::{Wire, text};

/// The last version of each that names topics.
pub const PRODUCE_VERSION: i16 = 12;
pub const FETCH_VERSION: i16 = 12;

/// Instead of a timestamp in ListOffsets.
pub const LATEST: i64 = -1;
pub const EARLIEST: i64 = -2;
pub const MAX_TIMESTAMP: i64 = -3;

/// A response's error code as an error, or `None`.
pub fn error(code: i16) -> Option<ResponseError> {
    code.err()
}

/// Whether a broker says only that it has just started: a client asks again.
pub fn is_warming_up(error: ResponseError) -> bool {
    use ResponseError::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    matches!(error, CoordinatorLoadInProgress | CoordinatorNotAvailable | NotCoordinator)
}

/// Records of one batch with these timestamps and values.
pub fn records(timed: &[(i64, &str)]) -> Vec<Record> {
    let record = |(n, (timestamp, value)): (usize, &(i64, &str))| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: n as i64,
        // The encoder makes one batch of what is numbered on; the broker only looks at the first, which says "none".
        sequence: n as i32 - 1,
        timestamp: *timestamp,
        key: Some(Bytes::from_static(b"key")),
        value: Some(Bytes::from(value.to_string())),
        headers: IndexMap::new(),
    };
    timed.iter().enumerate().map(record).collect()
}

/// The same as an idempotent producer would send them.
pub fn sequenced(producer_id: i64, epoch: i16, first: i32, timed: &[(i64, &str)]) -> Vec<Record> {
    let mut records = records(timed);
    for record in &mut records {
        (record.producer_id, record.producer_epoch) = (producer_id, epoch);
        record.sequence = first.wrapping_add(record.offset as i32);
    }
    records
}

pub fn batch(records: &[Record]) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, records, &options)?;
    Ok(bytes.freeze())
}

/// The records of a fetched, uncompressed partition.
pub fn unbatch(mut bytes: Bytes) -> Result<Vec<Record>> {
    let batches = RecordBatchDecoder::decode_all(&mut bytes)?;
    Ok(batches.into_iter().flat_map(|batch| batch.records).collect())
}

pub fn produce_request(topic: &str, partition: i32, acks: i16, records: Option<Bytes>) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(records);
    let topic = TopicProduceData::default().with_name(text(topic).into()).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(10_000).with_topic_data(vec![topic])
}

pub fn fetch_request(topic: &str, partition: i32, offset: i64, max_wait_ms: i32) -> FetchRequest {
    let wanted =
        FetchPartition::default().with_partition(partition).with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(text(topic).into()).with_partitions(vec![wanted]);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(50 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

impl Wire {
    pub async fn produce(&mut self, topic: &str, records: &[Record]) -> Result<PartitionProduceResponse> {
        self.produce_to(topic, 0, -1, Some(batch(records)?)).await
    }

    pub async fn produce_to(
        &mut self,
        topic: &str,
        partition: i32,
        acks: i16,
        records: Option<Bytes>,
    ) -> Result<PartitionProduceResponse> {
        let response = self.call(&produce_request(topic, partition, acks, records), PRODUCE_VERSION).await?;
        let topic = response.responses.into_iter().next().context("no topic in the response")?;
        topic.partition_responses.into_iter().next().context("no partition in the response")
    }

    pub async fn fetch(&mut self, topic: &str, offset: i64, max_wait_ms: i32) -> Result<PartitionData> {
        self.fetch_as(&fetch_request(topic, 0, offset, max_wait_ms)).await
    }

    pub async fn fetch_as(&mut self, request: &FetchRequest) -> Result<PartitionData> {
        self.send(request, FETCH_VERSION).await?;
        self.fetched().await
    }

    /// The answer to a fetch of one partition that was sent before.
    pub async fn fetched(&mut self) -> Result<PartitionData> {
        let response = self.receive::<FetchRequest>(FETCH_VERSION).await?;
        let topic = response.responses.into_iter().next().context("no topic in the response")?;
        topic.partitions.into_iter().next().context("no partition in the response")
    }

    pub async fn list_offsets(&mut self, topic: &str, timestamp: i64) -> Result<ListOffsetsPartitionResponse> {
        self.list_offsets_of(topic, 0, timestamp).await
    }

    pub async fn list_offsets_of(
        &mut self,
        topic: &str,
        partition: i32,
        timestamp: i64,
    ) -> Result<ListOffsetsPartitionResponse> {
        let partition = ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default().with_name(text(topic).into()).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
        let response = self.call(&request, 7).await?;
        let topic = response.topics.into_iter().next().context("no topic in the response")?;
        topic.partitions.into_iter().next().context("no partition in the response")
    }

    pub async fn init_producer(&mut self) -> Result<i64> {
        let request = InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(1_000);
        loop {
            let response = self.call(&request, 4).await?;
            match error(response.error_code) {
                None => return Ok(*response.producer_id),
                Some(problem) if is_warming_up(problem) => tokio::task::yield_now().await,
                Some(problem) => anyhow::bail!("no producer id: {problem}"),
            }
        }
    }
}
