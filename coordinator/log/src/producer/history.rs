//! The producer for history (R13).
//!
//! It retries for ever and leaves no gap: librdkafka stops it rather than send a record after one that failed. So any
//! error ends this instance; its user destroys it, recovers from the log, and makes another.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::delivery::{Delivery, Pending};
use super::link::{Link, Watcher};
use super::{BUFFER_BYTES_MAX, BUFFER_UNIT_BYTES, buffer_units, shared_defaults, shared_requirements};
use crate::config::{KafkaConfig, property};
use crate::error::{LogError, SendError, SendErrorKind};
use crate::record::{Entry, Record};

/// Brokers forget a producer's sequence numbers after a day; a retry later than that could be written twice.
const OLDEST_MAX: Duration = Duration::from_secs(12 * 60 * 60);

/// Appends to history partitions. After the first error it does nothing any more: drop it and make another one.
/// Dropping it withdraws what was not sent yet.
pub struct HistoryProducer {
    link: Link<Fragile>,
    buffer: Arc<Semaphore>,
    failure: watch::Receiver<Option<SendError>>,
}

struct Fragile {
    failure: watch::Sender<Option<SendError>>,
    unconfirmed: Arc<Mutex<Unconfirmed>>,
}

/// When each append that is not confirmed was made.
#[derive(Default)]
struct Unconfirmed {
    next_id: u64,
    since: BTreeMap<u64, Instant>,
}

impl Fragile {
    fn fail(&self, error: &SendError) {
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            if first {
                let message = format!("the history producer has failed and must be made anew: {}", error.message);
                *failure = Some(SendError { kind: error.kind, message });
            }
            first
        });
    }
}

impl Watcher for Fragile {
    fn on_failed_record(&self, _error: &SendError) -> bool {
        true
    }

    fn on_fatal(&self, error: &SendError) {
        self.fail(error);
    }

    fn on_tick(&self) -> bool {
        let oldest = oldest(&self.unconfirmed);
        let too_old = oldest.is_some_and(|age| age > OLDEST_MAX);
        if too_old {
            let message = format!("an append has waited for {OLDEST_MAX:?}, after which a retry might repeat it");
            self.fail(&SendError { kind: SendErrorKind::Unavailable, message });
        }
        too_old
    }
}

fn oldest(unconfirmed: &Mutex<Unconfirmed>) -> Option<Duration> {
    let unconfirmed = unconfirmed.lock().unwrap_or_else(PoisonError::into_inner);
    unconfirmed.since.first_key_value().map(|(_, since)| since.elapsed())
}

impl HistoryProducer {
    /// Makes the client; it connects in the background.
    pub fn new(config: &KafkaConfig) -> Result<Self, LogError> {
        let mut required = shared_requirements();
        required.extend([property("message.timeout.ms", 0), property("enable.gapless.guarantee", true)]);
        let (sender, failure) = watch::channel(None);
        let watcher = Fragile { failure: sender, unconfirmed: Arc::default() };
        let config = config.client(&shared_defaults(), &required)?;
        let link = Link::new("tw-history", &config, watcher, Duration::ZERO)?;
        Ok(Self { link, buffer: Arc::new(Semaphore::new(BUFFER_BYTES_MAX / BUFFER_UNIT_BYTES)), failure })
    }

    /// Enqueues entries for a partition, in order, after waiting for room if the buffer is full. The [`Append`] resolves
    /// to their offsets when all are in the log, or to the error that ended this producer.
    ///
    /// Appends to one partition must not be made concurrently, since their order would be open.
    pub async fn append(&self, topic: &str, partition: u32, entries: Vec<Entry>) -> Append {
        let age = self.begin();
        let mut deliveries = Vec::with_capacity(entries.len());
        let mut ready = Vec::with_capacity(entries.len());
        for entry in entries {
            if let Some(error) = self.failure() {
                deliveries.push(Delivery::failed(error));
                break;
            }
            let record = entry.into_record(topic, partition);
            let Some(room) = self.room(&record, &mut ready).await else {
                deliveries.push(Delivery::failed(self.failure().unwrap_or_else(closed)));
                break;
            };
            let (pending, delivery) = Pending::new(room, None);
            ready.push((record, pending));
            deliveries.push(delivery);
        }
        self.enqueue(&mut ready);
        Append(Box::pin(collect(deliveries, self.failure.clone(), age)))
    }

    /// Waits for room for a record; what is ready goes out first, since only that makes room.
    async fn room(&self, record: &Record, ready: &mut Vec<(Record, Pending)>) -> Option<OwnedSemaphorePermit> {
        let units = buffer_units(record.size_bytes());
        if let Ok(room) = Arc::clone(&self.buffer).try_acquire_many_owned(units) {
            return Some(room);
        }
        self.enqueue(ready);
        let mut failure = self.failure.clone();
        tokio::select! {
            room = Arc::clone(&self.buffer).acquire_many_owned(units) => room.ok(),
            _ = failure.wait_for(Option::is_some) => None,
        }
    }

    /// Hands records to librdkafka without a pause between them, so that they go in one request.
    fn enqueue(&self, ready: &mut Vec<(Record, Pending)>) {
        for (record, pending) in ready.drain(..) {
            self.link.enqueue(&record, pending);
        }
    }

    /// The error that ended this producer, if one did.
    #[must_use]
    pub fn failure(&self) -> Option<SendError> {
        self.failure.borrow().clone()
    }

    /// Resolves when an error ends this producer.
    pub async fn failed(&self) -> SendError {
        let mut failure = self.failure.clone();
        let failed = failure.wait_for(Option::is_some).await.map(|error| error.clone());
        match failed {
            Ok(Some(error)) => error,
            // The sender lives in the client that `self` holds.
            Ok(None) | Err(_) => closed(),
        }
    }

    /// How long the oldest append has been waiting for its confirmation.
    #[must_use]
    pub fn oldest_unconfirmed(&self) -> Option<Duration> {
        oldest(&self.link.watcher().unconfirmed)
    }

    fn begin(&self) -> Age {
        let unconfirmed = Arc::clone(&self.link.watcher().unconfirmed);
        let mut guard = unconfirmed.lock().unwrap_or_else(PoisonError::into_inner);
        let id = guard.next_id;
        guard.next_id += 1;
        guard.since.insert(id, Instant::now());
        drop(guard);
        Age { id, unconfirmed }
    }
}

/// Counts an append as unconfirmed until it is dropped.
struct Age {
    id: u64,
    unconfirmed: Arc<Mutex<Unconfirmed>>,
}

impl Drop for Age {
    fn drop(&mut self) {
        self.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner).since.remove(&self.id);
    }
}

/// Resolves to the offsets of appended entries, in their order.
#[must_use = "entries are in the log only once the append says so"]
pub struct Append(Pin<Box<dyn Future<Output = Result<Vec<u64>, SendError>> + Send>>);

impl Future for Append {
    type Output = Result<Vec<u64>, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

async fn collect(
    deliveries: Vec<Delivery>,
    mut failure: watch::Receiver<Option<SendError>>,
    _age: Age,
) -> Result<Vec<u64>, SendError> {
    let confirmed = async {
        let mut offsets = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            offsets.push(delivery.await?.offset);
        }
        Ok(offsets)
    };
    tokio::select! {
        // What is confirmed stays so, even if the producer has failed since.
        biased;
        outcome = confirmed => outcome,
        failed = failure.wait_for(Option::is_some) => Err(failed.ok().and_then(|error| error.clone()).unwrap_or_else(closed)),
    }
}

fn closed() -> SendError {
    let message = "the history producer was closed before the append was confirmed".to_owned();
    SendError { kind: SendErrorKind::Unavailable, message }
}
