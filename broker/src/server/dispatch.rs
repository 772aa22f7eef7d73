//! From a frame to its answer: header, version, guard, decoding, handler, encoding.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, FetchRequest, ProduceRequest};
use kafka_protocol::protocol::{Decodable, Encodable};
use tokio::io::AsyncRead;

use super::budget::Reservation;
use super::cursor::{Cursor, Malformed, Width};
use super::frame::FrameReader;
use super::{guard, shapes};
use crate::api;
use crate::state::Shared;

pub(crate) enum Answer {
    /// With what it holds of the budget until it is sent.
    Send(BytesMut, Option<Reservation>),
    /// The client wants none.
    Nothing,
    /// There is no other way to tell the client that something went wrong, or nobody to tell.
    Close,
}

impl Answer {
    fn holding(self, reservation: Option<Reservation>) -> Self {
        match self {
            Self::Send(bytes, _) => Self::Send(bytes, reservation),
            other => other,
        }
    }
}

/// Why a connection ends instead of getting an answer, as it would with Kafka.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("request with API key {api_key} in version {version}, which this broker does not take")]
    Unsupported { api_key: i16, version: i16 },
    #[error("malformed {api:?} request in version {version}: {fault}")]
    Malformed { api: ApiKey, version: i16, fault: Malformed },
    #[error("malformed request header: {0}")]
    Header(#[from] Malformed),
    #[error("{api:?} request in version {version} cannot be decoded: {reason}")]
    Decode { api: ApiKey, version: i16, reason: String },
    #[error("the answer to {api:?} in version {version} cannot be encoded: {reason}")]
    Encode { api: ApiKey, version: i16, reason: String },
}

/// A request whose body is known to be sound.
pub(crate) struct Call {
    api: ApiKey,
    pub version: i16,
    correlation_id: i32,
    pub client_id: String,
    /// Where the client connects from, as Kafka writes it.
    pub client_host: String,
    body: Bytes,
}

impl Call {
    fn decode<R: Decodable>(&self) -> Result<R, Refusal> {
        let (api, version) = (self.api, self.version);
        let refuse = |error: &dyn std::fmt::Display| Refusal::Decode { api, version, reason: error.to_string() };
        R::decode(&mut self.body.clone(), version).map_err(|error| refuse(&error))
    }

    fn encode<R: Encodable>(&self, response: &R) -> Result<Answer, Refusal> {
        let (api, version) = (self.api, self.version);
        encode(api, version, self.correlation_id, response)
    }
}

fn encode<R: Encodable>(api: ApiKey, version: i16, correlation_id: i32, response: &R) -> Result<Answer, Refusal> {
    let refuse = |error: &dyn std::fmt::Display| Refusal::Encode { api, version, reason: error.to_string() };
    let body_bytes = response.compute_size(version).map_err(|error| refuse(&error))?;
    let mut bytes = BytesMut::with_capacity(body_bytes + 9);
    bytes.put_i32(0);
    bytes.put_i32(correlation_id);
    if api.response_header_version(version) >= 1 {
        bytes.put_u8(0); // no tagged fields
    }
    response.encode(&mut bytes, version).map_err(|error| refuse(&error))?;
    let length = i32::try_from(bytes.len() - 4).map_err(|error| refuse(&error))?;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(Answer::Send(bytes, None))
}

/// Answers one frame. Handlers that wait listen to `input` meanwhile.
pub(crate) async fn answer<R: AsyncRead + Unpin>(
    shared: &Arc<Shared>,
    frame: Bytes,
    peer: IpAddr,
    input: &mut FrameReader<R>,
) -> Result<Answer, Refusal> {
    match open(shared, frame, peer)? {
        Opened::Call(call) => handle(shared, call, input).await,
        Opened::UnknownVersions { correlation_id } => {
            encode(ApiKey::ApiVersions, 0, correlation_id, &api::versions::unsupported())
        }
    }
}

enum Opened {
    Call(Call),
    /// A client newer than this broker asks which versions there are, and learns it in the oldest one.
    UnknownVersions {
        correlation_id: i32,
    },
}

fn open(shared: &Shared, frame: Bytes, peer: IpAddr) -> Result<Opened, Refusal> {
    let mut cursor = Cursor(&frame);
    let (api_key, version, correlation_id) = (cursor.i16()?, cursor.i16()?, cursor.i32()?);
    let shape = shapes::find(api_key).ok_or(Refusal::Unsupported { api_key, version })?;
    if !(shape.versions.min..=shape.versions.max).contains(&version) {
        return match shape.api {
            ApiKey::ApiVersions => Ok(Opened::UnknownVersions { correlation_id }),
            _ => Err(Refusal::Unsupported { api_key, version }),
        };
    }
    let client_id = cursor.length(Width::Two)?.unwrap_or(0);
    let client_id = String::from_utf8_lossy(cursor.take(client_id)?).into_owned();
    if version >= shape.flexible_from {
        for _ in 0..cursor.unsigned_varint()? {
            cursor.unsigned_varint()?;
            let bytes = cursor.unsigned_varint()? as usize;
            cursor.take(bytes)?;
        }
    }
    let body = frame.slice(frame.len() - cursor.remaining()..);
    guard::check(shape, version, &body, shared.config.limits.request_elements_max)
        .map_err(|fault| Refusal::Malformed { api: shape.api, version, fault })?;
    let client_host = format!("/{}", peer.to_canonical());
    Ok(Opened::Call(Call { api: shape.api, version, correlation_id, client_id, client_host, body }))
}

async fn handle<R: AsyncRead + Unpin>(
    shared: &Arc<Shared>,
    call: Call,
    input: &mut FrameReader<R>,
) -> Result<Answer, Refusal> {
    match call.api {
        ApiKey::Produce => produce(shared, call).await,
        ApiKey::Fetch => {
            let request: FetchRequest = call.decode()?;
            let (response, reservation) = api::fetch::handle(shared, request, call.version, input).await;
            call.encode(&response).map(|answer| answer.holding(reservation))
        }
        ApiKey::JoinGroup => {
            let request = call.decode()?;
            match api::groups::join(shared, request, &call, input).await {
                Some(response) => call.encode(&response),
                None => Ok(Answer::Close),
            }
        }
        ApiKey::SyncGroup => match api::groups::sync(shared, call.decode()?, input).await {
            Some(response) => call.encode(&response),
            None => Ok(Answer::Close),
        },
        ApiKey::OffsetCommit => call.encode(&api::offsets::commit(shared, call.decode()?).await),
        ApiKey::DeleteGroups => call.encode(&api::group_admin::delete(shared, call.decode()?).await),
        ApiKey::OffsetDelete => call.encode(&api::group_admin::delete_offsets(shared, call.decode()?).await),
        ApiKey::DeleteTopics => {
            let request = call.decode()?;
            call.encode(&api::delete_topics::handle(shared, request, call.version).await)
        }
        ApiKey::DeleteRecords => {
            let request = call.decode()?;
            call.encode(&api::delete_records::handle(shared, request).await)
        }
        ApiKey::CreatePartitions => {
            let request = call.decode()?;
            call.encode(&api::create_partitions::handle(shared, request).await)
        }
        ApiKey::AlterConfigs => {
            let request = call.decode()?;
            call.encode(&api::alter_configs::replace(shared, request).await)
        }
        ApiKey::IncrementalAlterConfigs => {
            let request = call.decode()?;
            call.encode(&api::alter_configs::edit(shared, request).await)
        }
        _ => handle_at_once(shared, call),
    }
}

async fn produce(shared: &Shared, call: Call) -> Result<Answer, Refusal> {
    let request: ProduceRequest = call.decode()?;
    let wants_answer = request.acks != 0;
    let (response, failed) = api::produce::handle(shared, request, call.version).await;
    match (wants_answer, failed) {
        (true, _) => call.encode(&response),
        (false, false) => Ok(Answer::Nothing),
        (false, true) => Ok(Answer::Close),
    }
}

fn handle_at_once(shared: &Shared, call: Call) -> Result<Answer, Refusal> {
    let version = call.version;
    match call.api {
        ApiKey::ApiVersions => call.encode(&api::versions::handle(call.decode()?)),
        ApiKey::Metadata => call.encode(&api::metadata::handle(shared, call.decode()?, version)),
        ApiKey::ListOffsets => call.encode(&api::list_offsets::handle(shared, call.decode()?, version)),
        ApiKey::FindCoordinator => call.encode(&api::find_coordinator::handle(shared, call.decode()?, version)),
        ApiKey::Heartbeat => call.encode(&api::groups::heartbeat(shared, call.decode()?)),
        ApiKey::LeaveGroup => call.encode(&api::groups::leave(shared, call.decode()?, version)),
        ApiKey::OffsetFetch => call.encode(&api::offsets::fetch(shared, call.decode()?, version)),
        ApiKey::CreateTopics => call.encode(&api::create_topics::handle(shared, call.decode()?, version)),
        ApiKey::DescribeConfigs => call.encode(&api::configs::handle(shared, call.decode()?)),
        ApiKey::OffsetForLeaderEpoch => call.encode(&api::leader_epochs::handle(shared, call.decode()?)),
        ApiKey::DescribeCluster => call.encode(&api::cluster::describe(shared, call.decode()?, version)),
        ApiKey::DescribeLogDirs => call.encode(&api::cluster::describe_log_dirs(shared, call.decode()?, version)),
        ApiKey::DescribeTopicPartitions => call.encode(&api::topic_partitions::handle(shared, call.decode()?)),
        ApiKey::ListPartitionReassignments => call.encode(&api::cluster::list_reassignments(call.decode()?)),
        ApiKey::DescribeAcls => call.encode(&api::acls::describe(call.decode()?)),
        ApiKey::CreateAcls => call.encode(&api::acls::create(call.decode()?)),
        ApiKey::DeleteAcls => call.encode(&api::acls::delete(call.decode()?)),
        ApiKey::ListGroups => call.encode(&api::group_admin::list(shared, call.decode()?, version)),
        ApiKey::DescribeGroups => call.encode(&api::group_admin::describe(shared, call.decode()?, version)),
        ApiKey::ConsumerGroupHeartbeat => call.encode(&api::consumer_protocol::heartbeat(call.decode()?)),
        ApiKey::ConsumerGroupDescribe => call.encode(&api::consumer_protocol::describe(call.decode()?)),
        ApiKey::InitProducerId => call.encode(&api::producer_id::handle(shared, call.decode()?)),
        api => Err(Refusal::Unsupported { api_key: api as i16, version }),
    }
}
