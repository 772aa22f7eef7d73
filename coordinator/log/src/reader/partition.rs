//! One partition that is being read.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::service::OpenQueue;
use super::{LogReader, Range, StartAt, position_in, read_error};
use crate::error::{Class, ReadError, classify};
use crate::record::{Received, unsigned_offset};

/// What was read in one go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// In order. Empty in the one batch that only says that the end was reached.
    pub records: Vec<Received>,
    /// Where to go on: behind the last record, and behind a gap at the end if there is one (see
    /// [`PartitionReader::caught_up`]).
    pub next_offset: u64,
    /// Whether everything was read that was in the log when the partition was opened.
    pub caught_up: bool,
}

/// Reads one partition in order. Dropping it stops reading.
pub struct PartitionReader {
    reader: LogReader,
    topic: Arc<str>,
    partition: u32,
    /// None after an open that failed.
    opened: Option<OpenQueue>,
    position: u64,
    /// Records below it were yielded already.
    floor: u64,
    range: Range,
    caught_up: bool,
    /// An error that is not settled: it came behind records that had to go out first, or could not be looked into yet.
    stashed: Option<KafkaError>,
}

impl Drop for PartitionReader {
    fn drop(&mut self) {
        self.close();
    }
}

impl PartitionReader {
    pub(super) fn new(
        reader: LogReader,
        topic: Arc<str>,
        partition: u32,
        opened: OpenQueue,
        position: u64,
        range: Range,
    ) -> Self {
        let opened = Some(opened);
        // Being at the end is reported by the first batch, too, so that a caller has one place to look.
        Self { reader, topic, partition, opened, position, floor: position, range, caught_up: false, stashed: None }
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// The next offset that will be read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The first offset that the log held when the partition was opened.
    #[must_use]
    pub fn low_at_open(&self) -> u64 {
        self.range.low
    }

    /// The offset after the last one that the log held when the partition was opened; with
    /// [`super::Isolation::ReadCommitted`], the first one of an open transaction.
    #[must_use]
    pub fn end_at_open(&self) -> u64 {
        self.range.high
    }

    /// Whether everything was read that was in the log when the partition was opened, even if its last records are
    /// gone by compaction or were not records but a transaction's marks.
    #[must_use]
    pub fn caught_up(&self) -> bool {
        self.caught_up
    }

    /// Waits for records and takes at most `count_max` of them, and no more than `bytes_max` bytes unless the first one
    /// alone is larger. When the end as of the open is reached without a record, the batch is empty, once.
    ///
    /// Cancelling it loses nothing. [`ReadError::OutOfRange`] closes the partition until it is opened again; after
    /// another error it can be read on as soon as the cause has passed.
    pub async fn next_batch(&mut self, count_max: usize, bytes_max: usize) -> Result<Batch, ReadError> {
        loop {
            if let Some(batch) = self.try_next_batch(count_max, bytes_max).await? {
                return Ok(batch);
            }
            let ready = self.opened.as_ref().map(|opened| Arc::clone(&opened.ready)).ok_or_else(|| self.closed())?;
            ready.notified().await;
        }
    }

    /// As [`Self::next_batch`], but takes only what is there already.
    pub async fn try_next_batch(&mut self, count_max: usize, bytes_max: usize) -> Result<Option<Batch>, ReadError> {
        let was_caught_up = self.caught_up;
        let mut records = Vec::new();
        // After an error that passes the queue is polled again: it tells of something new only once it was empty.
        while records.is_empty() {
            if let Some(error) = &self.stashed {
                let error = error.clone();
                self.settle(&error).await?;
                self.stashed = None;
            }
            self.stashed = self.take(&mut records, count_max.max(1), bytes_max)?;
            if self.stashed.is_none() {
                break;
            }
        }
        if let Some(last) = records.last() {
            self.floor = last.offset + 1;
            self.position = self.position.max(self.floor);
            self.caught_up |= self.position >= self.range.high;
        }
        if records.is_empty() && self.caught_up == was_caught_up {
            return Ok(None);
        }
        Ok(Some(Batch { records, next_offset: self.position, caught_up: self.caught_up }))
    }

    /// Goes on from another offset, or from the same one after an error. Never yields a record that was fetched before.
    pub async fn reopen(&mut self, start: StartAt) -> Result<(), ReadError> {
        self.close();
        self.range = self.reader.range(&self.topic, self.partition).await?;
        self.position = position_in(&self.topic, self.partition, start, self.range)?;
        self.floor = self.position;
        self.caught_up = false;
        self.opened = Some(self.reader.open_queue(&self.topic, self.partition, self.position).await?);
        Ok(())
    }

    fn close(&mut self) {
        self.stashed = None;
        if let Some(opened) = self.opened.take() {
            self.reader.close_queue(&self.topic, self.partition, opened);
        }
    }

    fn closed(&self) -> ReadError {
        ReadError::Closed { topic: self.topic.to_string(), partition: self.partition }
    }

    /// Moves records out of the queue until it is empty, a limit is reached, or an error stands in front.
    fn take(
        &mut self,
        records: &mut Vec<Received>,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Option<KafkaError>, ReadError> {
        let opened = self.opened.as_ref().ok_or_else(|| self.closed())?;
        let mut bytes = 0;
        while records.len() < count_max && (bytes < bytes_max || records.is_empty()) {
            match opened.queue.poll(Duration::ZERO) {
                None => break,
                // A guard against a broker that answers with a whole batch from below the offset asked for.
                Some(Ok(message)) if unsigned_offset(message.offset()) < self.floor => {}
                Some(Ok(message)) => {
                    let record = Received::copy(&self.topic, &message);
                    bytes += record.size_bytes();
                    records.push(record);
                }
                // It was raised after the open, which looked up the end first: all before that end was read.
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    self.position = self.position.max(self.range.high);
                    self.caught_up = true;
                }
                Some(Err(error)) => return Ok(Some(error)),
            }
        }
        Ok(None)
    }

    /// Decides what an error means: nothing for one that librdkafka retries, the caller's business otherwise.
    async fn settle(&mut self, error: &KafkaError) -> Result<(), ReadError> {
        let code = error.rdkafka_error_code();
        if matches!(code, Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)) {
            return Err(self.out_of_range().await);
        }
        match code.map_or(Class::Passing, classify) {
            Class::Missing | Class::Denied => {
                self.stashed = None;
                Err(read_error(&self.topic, self.partition, error))
            }
            Class::TooLarge | Class::Refused | Class::Passing => {
                tracing::debug!(topic = &*self.topic, partition = self.partition, "reading goes on after: {error}");
                Ok(())
            }
        }
    }

    /// librdkafka has stopped the partition because of its offset, so it is closed. That the log holds the offset by now
    /// excuses nothing: it did not a moment ago, so what it holds there is something else.
    async fn out_of_range(&mut self) -> ReadError {
        match self.reader.range(&self.topic, self.partition).await {
            Ok(Range { low, high }) => {
                self.close();
                let (topic, partition, offset) = (self.topic.to_string(), self.partition, self.position);
                ReadError::OutOfRange { topic, partition, offset, low, high }
            }
            // The error stays stashed, so the next call asks again.
            Err(error) => error,
        }
    }
}
