//! Requests as bytes, for what no client library sends.

use std::io;

use anyhow::{Context, Result, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Request, StrBytes, encode_request_header_into_buffer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cluster::Cluster;

/// One connection, on which requests are answered in order.
pub struct Wire {
    stream: TcpStream,
    correlation_id: i32,
}

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

impl Wire {
    pub async fn connect(cluster: &Cluster) -> Result<Self> {
        let stream = TcpStream::connect(&cluster.address).await.context("connect")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, correlation_id: 0 })
    }

    /// Sends a request and waits for its response.
    pub async fn call<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response> {
        self.send(request, version).await?;
        self.receive::<R>(version).await
    }

    pub async fn send<R: Request>(&mut self, request: &R, version: i16) -> Result<()> {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(text("conformance")));
        let mut bytes = BytesMut::new();
        bytes.put_i32(0);
        encode_request_header_into_buffer(&mut bytes, &header)?;
        request.encode(&mut bytes, version)?;
        let length = i32::try_from(bytes.len() - 4)?;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        self.send_raw(&bytes).await
    }

    /// The response to the oldest request that has none yet; checks its correlation id only where one request is out.
    pub async fn receive<R: Request>(&mut self, version: i16) -> Result<R::Response> {
        let mut bytes = self.receive_raw().await?;
        let api = ApiKey::try_from(R::KEY).map_err(|()| anyhow::anyhow!("unknown API key"))?;
        ResponseHeader::decode(&mut bytes, api.response_header_version(version))?;
        let response = R::Response::decode(&mut bytes, version)?;
        ensure!(!bytes.has_remaining(), "{} bytes follow the response", bytes.remaining());
        Ok(response)
    }

    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    pub async fn receive_raw(&mut self) -> Result<Bytes> {
        let length = self.stream.read_i32().await?;
        let mut bytes = vec![0; usize::try_from(length)?];
        self.stream.read_exact(&mut bytes).await?;
        Ok(bytes.into())
    }

    /// Says that nothing more will be sent, and goes on listening.
    pub async fn half_close(&mut self) -> Result<()> {
        Ok(self.stream.shutdown().await?)
    }

    /// Waits until the broker has closed the connection, and returns what it sent before.
    pub async fn rest(&mut self) -> Result<Vec<u8>> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(rest),
            result => result.map(|_| rest).context("wait for the end of the connection"),
        }
    }
}
