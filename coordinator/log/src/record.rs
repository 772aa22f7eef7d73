//! Records as they go in and come out.

use std::sync::Arc;

use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Header, Headers as _, OwnedHeaders};

/// A record to send.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Where to.
    pub topic: String,
    /// Which partition; without one, a keyed record goes where the Java client would send it
    /// ([`tidewright_schemas::topics::partition_of`] of all partitions), and one without a key goes anywhere.
    pub partition: Option<u32>,
    /// What it is about.
    pub key: Option<Vec<u8>>,
    /// The content; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Names and values.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// An empty record for `topic`.
    #[must_use]
    pub fn to(topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), ..Self::default() }
    }

    /// With a partition.
    #[must_use]
    pub fn partition(mut self, partition: u32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// With a key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// With a value.
    #[must_use]
    pub fn value(mut self, value: impl Into<Vec<u8>>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn size_bytes(&self) -> usize {
        content_bytes(self.key.as_deref(), self.value.as_deref(), &self.headers)
    }
}

/// A record for a partition that is named beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// What it is about.
    pub key: Option<Vec<u8>>,
    /// The content; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Names and values.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Entry {
    pub(crate) fn into_record(self, topic: &str, partition: u32) -> Record {
        Record {
            topic: topic.to_owned(),
            partition: Some(partition),
            key: self.key,
            value: self.value,
            headers: self.headers,
        }
    }
}

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
    /// The broker's time (or the sender's, on a topic with `CreateTime`), in milliseconds since 1970; 0 if it has none.
    pub timestamp_ms: u64,
    /// What it is about.
    pub key: Option<Vec<u8>>,
    /// The content; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Names and values.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Received {
    pub(crate) fn copy(topic: &Arc<str>, message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|h| (h.key.to_owned(), h.value.unwrap_or_default().to_vec())).collect()
        });
        Self {
            topic: Arc::clone(topic),
            partition: unsigned_partition(message.partition()),
            offset: unsigned_offset(message.offset()),
            timestamp_ms: message.timestamp().to_millis().and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers,
        }
    }

    /// The first header of a name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice())
    }

    /// Bytes of key, value and headers.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        content_bytes(self.key.as_deref(), self.value.as_deref(), &self.headers)
    }
}

fn content_bytes(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(String, Vec<u8>)]) -> usize {
    key.map_or(0, <[u8]>::len)
        + value.map_or(0, <[u8]>::len)
        + headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
}

pub(crate) fn to_kafka_headers(headers: &[(String, Vec<u8>)]) -> Option<OwnedHeaders> {
    (!headers.is_empty()).then(|| {
        headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |all, (key, value)| {
            all.insert(Header { key, value: Some(value) })
        })
    })
}

/// Kafka's partitions are never negative on a record that it acknowledged or delivered.
pub(crate) fn unsigned_partition(partition: i32) -> u32 {
    u32::try_from(partition).unwrap_or(0)
}

/// Kafka's offsets are never negative on a record that it acknowledged or delivered.
pub(crate) fn unsigned_offset(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}

/// A partition beyond what Kafka can count exists nowhere, and the broker says so of this one.
pub(crate) fn kafka_partition(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// An offset beyond what Kafka can count is out of every range, and the broker says so of this one.
pub(crate) fn kafka_offset(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
