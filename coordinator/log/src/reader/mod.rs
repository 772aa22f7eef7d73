//! Reading partitions from exact offsets, without a group.
//!
//! One librdkafka client serves all partitions of a [`LogReader`]. Each [`PartitionReader`] polls its own queue, so what
//! it reads is never mixed up with another partition's, errors included; librdkafka stops fetching for a queue that is
//! full, and that is the backpressure. Nothing is skipped silently: an offset that the log does not hold is an error.

mod partition;
mod service;

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use tokio::sync::{Notify, oneshot};

pub use partition::{Batch, PartitionReader};
use service::{OpenQueue, Order};

use crate::config::{KafkaConfig, property};
use crate::context::{trace_error, trace_line};
use crate::error::{Class, LogError, ReadError, classify, client_error};
use crate::record::{kafka_partition, unsigned_offset};

/// librdkafka wants a group id even where no group is used: nothing is ever joined or committed under it.
const UNUSED_GROUP: &str = "tidewright.reader";
/// How long the broker has for telling where a partition begins and ends.
const WATERMARKS_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two such questions.
const WATERMARKS_PAUSE: Duration = Duration::from_millis(50);

/// Whether records of transactions that are not committed are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Only what is committed (R15: commands).
    #[default]
    ReadCommitted,
    /// Everything.
    ReadUncommitted,
}

/// How a [`LogReader`] reads.
#[derive(Debug, Clone)]
pub struct ReaderOptions {
    /// Whether records of open transactions are read.
    pub isolation: Isolation,
    /// How much is fetched ahead for each partition.
    pub prefetch_bytes: usize,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self { isolation: Isolation::default(), prefetch_bytes: 2 * 1024 * 1024 }
    }
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// Exactly here; an error if the log does not hold this offset (its end is fine).
    Offset(u64),
    /// At the first record that the log holds.
    Beginning,
    /// Behind the last record.
    End,
}

pub(crate) struct ReaderContext;

impl ClientContext for ReaderContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        trace_line("reader", level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        trace_error("reader", &error, reason);
    }
}

impl ConsumerContext for ReaderContext {}

pub(crate) type ReaderClient = BaseConsumer<ReaderContext>;

/// One Kafka client for reading any number of partitions. Cheap to clone; the client lives as long as a clone or a
/// [`PartitionReader`] does.
#[derive(Clone)]
pub struct LogReader {
    inner: Arc<Inner>,
}

struct Inner {
    /// Always there until the drop, which hands it to the thread that destroys it.
    client: Option<Arc<ReaderClient>>,
    orders: mpsc::Sender<Order>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            // The thread ends only with this order, so it is there to take it.
            let _ = self.orders.send(Order::Shutdown(client));
        }
    }
}

/// Where a partition begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    low: u64,
    high: u64,
}

impl LogReader {
    /// Makes the client; it connects in the background.
    pub fn new(config: &KafkaConfig, options: &ReaderOptions) -> Result<Self, LogError> {
        let defaults = [
            property("group.id", UNUSED_GROUP),
            // librdkafka has one fetch on its way to a broker: a partition that is opened waits for it to come back.
            property("fetch.wait.max.ms", 100),
            property("fetch.error.backoff.ms", 50),
            property("fetch.message.max.bytes", 1024 * 1024),
            // A queue that was full is filled again this soon after it has room.
            property("fetch.queue.backoff.ms", 5),
            property("queued.min.messages", 10_000),
        ];
        let isolation = match options.isolation {
            Isolation::ReadCommitted => "read_committed",
            Isolation::ReadUncommitted => "read_uncommitted",
        };
        let required = [
            property("enable.auto.commit", false),
            property("enable.auto.offset.store", false),
            property("auto.offset.reset", "error"),
            property("enable.partition.eof", true),
            property("isolation.level", isolation),
            property("fetch.min.bytes", 1),
            property("allow.auto.create.topics", false),
            property("queued.max.messages.kbytes", (options.prefetch_bytes / 1024).max(1)),
        ];
        let client: ReaderClient = config
            .client(&defaults, &required)?
            .create_with_context(ReaderContext)
            .map_err(|error| client_error(&error))?;
        let (client, orders) = service::start(client)?;
        Ok(Self { inner: Arc::new(Inner { client: Some(client), orders }) })
    }

    /// Starts reading a partition, which no other reader of this client may be reading.
    ///
    /// `Offset(n)` is checked against what the log holds now, so that a truncated or recreated log is seen here.
    pub async fn open(&self, topic: &str, partition: u32, start: StartAt) -> Result<PartitionReader, ReadError> {
        let range = self.range(topic, partition).await?;
        let position = position_in(topic, partition, start, range)?;
        let opened = self.open_queue(topic, partition, position).await?;
        Ok(PartitionReader::new(self.clone(), Arc::from(topic), partition, opened, position, range))
    }

    async fn open_queue(&self, topic: &str, partition: u32, position: u64) -> Result<OpenQueue, ReadError> {
        let (reply, answer) = oneshot::channel();
        let order = Order::Open { topic: topic.to_owned(), partition, position, ready: Arc::new(Notify::new()), reply };
        let closed = || ReadError::Closed { topic: topic.to_owned(), partition };
        self.inner.orders.send(order).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    fn close_queue(&self, topic: &str, partition: u32, opened: OpenQueue) {
        // The thread lives as long as `inner`, so it is there to take it.
        let _ = self.inner.orders.send(Order::Close { topic: topic.to_owned(), partition, opened });
    }

    /// Where a partition begins and ends. What passes, such as a new partition whose leader has not taken over yet, is
    /// waited for.
    async fn range(&self, topic: &str, partition: u32) -> Result<Range, ReadError> {
        let deadline = Instant::now() + WATERMARKS_TIMEOUT;
        loop {
            match self.range_now(topic, partition).await {
                Err(ReadError::Unavailable { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(WATERMARKS_PAUSE).await;
                }
                found => return found,
            }
        }
    }

    async fn range_now(&self, topic: &str, partition: u32) -> Result<Range, ReadError> {
        let owned_topic = topic.to_owned();
        let Some(client) = self.inner.client.clone() else {
            return Err(ReadError::Closed { topic: owned_topic, partition });
        };
        let number = kafka_partition(partition);
        let asked = tokio::task::spawn_blocking(move || {
            let ends = client.fetch_watermarks(&owned_topic, number, WATERMARKS_TIMEOUT);
            ends.map_err(|error| topic_error(&client, &owned_topic).unwrap_or(error))
        });
        let unavailable = |message: String| ReadError::Unavailable { topic: topic.to_owned(), partition, message };
        match asked.await {
            Ok(Ok((low, high))) => Ok(Range { low: unsigned_offset(low), high: unsigned_offset(high) }),
            Ok(Err(error)) => Err(read_error(topic, partition, &error)),
            Err(gone) => Err(unavailable(gone.to_string())),
        }
    }
}

/// What the broker says of the topic itself: librdkafka calls a partition unknown that may not be seen.
fn topic_error(client: &ReaderClient, topic: &str) -> Option<KafkaError> {
    let metadata = client.fetch_metadata(Some(topic), WATERMARKS_TIMEOUT).ok()?;
    let error = metadata.topics().iter().find(|found| found.name() == topic)?.error()?;
    Some(KafkaError::MetadataFetch(error.into()))
}

fn position_in(topic: &str, partition: u32, start: StartAt, range: Range) -> Result<u64, ReadError> {
    let Range { low, high } = range;
    match start {
        StartAt::Beginning => Ok(low),
        StartAt::End => Ok(high),
        StartAt::Offset(offset) if (low..=high).contains(&offset) => Ok(offset),
        StartAt::Offset(offset) => Err(ReadError::OutOfRange { topic: topic.to_owned(), partition, offset, low, high }),
    }
}

fn read_error(topic: &str, partition: u32, error: &KafkaError) -> ReadError {
    let topic = topic.to_owned();
    match error.rdkafka_error_code().map_or(Class::Passing, classify) {
        Class::Missing => ReadError::TopicMissing { topic, partition },
        Class::Denied => ReadError::Denied { topic },
        Class::TooLarge | Class::Refused | Class::Passing => {
            ReadError::Unavailable { topic, partition, message: error.to_string() }
        }
    }
}
