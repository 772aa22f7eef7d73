//! The producer for everything but history.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::delivery::{Delivery, Pending};
use super::gate::{Gate, Place};
use super::link::{Link, Watcher};
use super::{BUFFER_BYTES_MAX, BUFFER_UNIT_BYTES, buffer_units, shared_defaults, shared_requirements};
use crate::config::{KafkaConfig, property};
use crate::error::{LogError, SendError, SendErrorKind};
use crate::record::Record;

/// How long a producer that is let go still delivers what it holds.
const DRAIN: Duration = Duration::from_secs(5);

/// Sends records in order for each partition. Cheap to clone; all clones share one client and one buffer.
///
/// A record that is not confirmed within `message.timeout.ms` (30 s unless configured) fails as
/// [`SendErrorKind::Unavailable`]. A client that librdkafka declares broken is replaced.
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
}

struct Shared {
    config: KafkaConfig,
    link: RwLock<Arc<Link<Plain>>>,
    buffer: Arc<Semaphore>,
    gate: Arc<Gate>,
}

/// A failed record concerns nobody but its sender.
pub(super) struct Plain {
    gate: Arc<Gate>,
}

impl Watcher for Plain {
    fn on_failed_record(&self, _error: &SendError) -> bool {
        false
    }

    fn on_fatal(&self, error: &SendError) {
        tracing::warn!("{error}; a new producer takes over");
    }

    fn on_tick(&self) -> bool {
        self.gate.open_stuck();
        false
    }
}

impl Producer {
    /// Makes the client; it connects in the background.
    pub fn new(config: &KafkaConfig) -> Result<Self, LogError> {
        let gate = Arc::new(Gate::default());
        let shared = Shared {
            config: config.clone(),
            link: RwLock::new(Arc::new(connect(config, &gate)?)),
            gate,
            buffer: Arc::new(Semaphore::new(BUFFER_BYTES_MAX / BUFFER_UNIT_BYTES)),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Enqueues a record, after waiting for room if the buffer is full. What one task sends to a partition arrives there
    /// in that order. The [`Delivery`] tells what became of it.
    pub async fn send(&self, record: Record) -> Delivery {
        let buffer = Arc::clone(&self.shared.buffer);
        match buffer.acquire_many_owned(buffer_units(record.size_bytes())).await {
            Ok(room) => self.enqueue(record, room),
            Err(closed) => Delivery::failed(unavailable(closed.to_string())),
        }
    }

    /// Enqueues a record, or gives it back if the buffer is full.
    pub fn try_send(&self, record: Record) -> Result<Delivery, Record> {
        let buffer = Arc::clone(&self.shared.buffer);
        match buffer.try_acquire_many_owned(buffer_units(record.size_bytes())) {
            Ok(room) => Ok(self.enqueue(record, room)),
            Err(_) => Err(record),
        }
    }

    /// Waits until everything that was enqueued before is confirmed or has failed.
    pub async fn flush(&self) {
        let whole = u32::try_from(BUFFER_BYTES_MAX / BUFFER_UNIT_BYTES).unwrap_or(u32::MAX);
        // Fails only if the buffer is closed, which this type never does.
        let _ = self.shared.buffer.acquire_many(whole).await;
    }

    /// How many bytes are enqueued and not confirmed, in units of a kilobyte for each record.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        BUFFER_BYTES_MAX.saturating_sub(self.shared.buffer.available_permits() * BUFFER_UNIT_BYTES)
    }

    fn enqueue(&self, record: Record, room: OwnedSemaphorePermit) -> Delivery {
        match self.link() {
            Ok(link) => {
                let lane = Gate::lane_of(&record);
                let place = Place { gate: Arc::clone(&self.shared.gate), lane };
                let (pending, delivery) = Pending::new(room, Some(place));
                self.shared.gate.pass(lane, link, record, pending);
                delivery
            }
            Err(error) => Delivery::failed(unavailable(error.to_string())),
        }
    }

    fn link(&self) -> Result<Arc<Link<Plain>>, LogError> {
        let current = Arc::clone(&self.shared.link.read().unwrap_or_else(PoisonError::into_inner));
        if !current.is_broken() {
            return Ok(current);
        }
        let mut slot = self.shared.link.write().unwrap_or_else(PoisonError::into_inner);
        if slot.is_broken() {
            *slot = Arc::new(connect(&self.shared.config, &self.shared.gate)?);
        }
        Ok(Arc::clone(&slot))
    }
}

fn connect(config: &KafkaConfig, gate: &Arc<Gate>) -> Result<Link<Plain>, LogError> {
    let mut defaults = shared_defaults();
    defaults.push(property("message.timeout.ms", 30_000));
    Link::new(
        "tw-producer",
        &config.client(&defaults, &shared_requirements())?,
        Plain { gate: Arc::clone(gate) },
        DRAIN,
    )
}

fn unavailable(message: String) -> SendError {
    SendError { kind: SendErrorKind::Unavailable, message }
}
