//! Requests of Kafka's protocol that no library here sends.

use anyhow::{Result, anyhow};
use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, DeleteGroupsRequest, GroupId, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable as _, Request, StrBytes, encode_request_header_into_buffer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A text as the protocol has it.
#[must_use]
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A connection to a broker.
pub struct Connection {
    stream: TcpStream,
    correlation_id: i32,
}

impl Connection {
    /// Connects.
    pub async fn to(broker: &str) -> Result<Self> {
        Ok(Self { stream: TcpStream::connect(broker).await?, correlation_id: 0 })
    }

    /// Sends a request and reads its answer.
    pub async fn call<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response> {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id);
        let mut bytes = BytesMut::new();
        bytes.put_i32(0);
        encode_request_header_into_buffer(&mut bytes, &header)?;
        request.encode(&mut bytes, version)?;
        let length = i32::try_from(bytes.len() - 4)?;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&bytes).await?;
        let length = usize::try_from(self.stream.read_i32().await?)?;
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await?;
        let mut bytes = Bytes::from(bytes);
        let api = ApiKey::try_from(R::KEY).map_err(|()| anyhow!("unknown API key"))?;
        ResponseHeader::decode(&mut bytes, api.response_header_version(version))?;
        R::Response::decode(&mut bytes, version)
    }

    /// Deletes a consumer group with its offsets, as their expiry does. False while it has members.
    pub async fn delete_group(&mut self, group: &str) -> Result<bool> {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text(group))]);
        let answer = self.call(&request, 1).await?;
        Ok(answer.results.iter().all(|each| each.error_code == 0))
    }
}
