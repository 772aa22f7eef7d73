//! The thread that owns a reader client: it adds and removes partitions one after the other, serves the client's log
//! lines, and destroys the client.
//!
//! Order matters for partitions that are opened again: `incremental_unassign` returns only after librdkafka has raised
//! the partition's version, and what was fetched under an older version is dropped when the queue is polled. So a queue
//! that is opened after the close of the one before never yields a record of the previous position.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::{Notify, oneshot};

use super::{ReaderClient, ReaderContext};
use crate::error::{LogError, ReadError};
use crate::record::{kafka_offset, kafka_partition};

/// How often the client's own events are served when nothing wakes the thread.
const TICK: Duration = Duration::from_millis(100);
/// Own events that are served in one go; a poll does not tell an event that it handled from an empty queue.
const EVENTS_PER_ROUND: usize = 256;

/// A partition's queue and the signal that it has something.
pub(super) struct OpenQueue {
    pub(super) queue: PartitionQueue<ReaderContext>,
    pub(super) ready: Arc<Notify>,
}

/// What the thread is asked to do. The channel is unbounded but holds little: an order for each partition that is being
/// opened or closed, and one wake-up.
pub(super) enum Order {
    Open {
        topic: String,
        partition: u32,
        position: u64,
        ready: Arc<Notify>,
        reply: oneshot::Sender<Result<OpenQueue, ReadError>>,
    },
    Close {
        topic: String,
        partition: u32,
        opened: OpenQueue,
    },
    Wake,
    Shutdown(Arc<ReaderClient>),
}

/// Starts the thread.
pub(super) fn start(mut client: ReaderClient) -> Result<(Arc<ReaderClient>, mpsc::Sender<Order>), LogError> {
    let (orders, inbox) = mpsc::channel();
    let awake = Arc::new(AtomicBool::new(false));
    let (waker, woken) = (orders.clone(), Arc::clone(&awake));
    client.set_nonempty_callback(move || {
        if !woken.swap(true, Ordering::AcqRel) {
            // The thread is gone only when the client is.
            let _ = waker.send(Order::Wake);
        }
    });
    let client = Arc::new(client);
    let service = Service { client: Arc::clone(&client), open: HashSet::new() };
    std::thread::Builder::new()
        .name("tw-reader".to_owned())
        .spawn(move || service.run(&inbox, &awake))
        .map_err(|error| LogError::Config(format!("no thread for a Kafka reader: {error}")))?;
    Ok((client, orders))
}

struct Service {
    client: Arc<ReaderClient>,
    open: HashSet<(String, u32)>,
}

impl Service {
    fn run(mut self, inbox: &mpsc::Receiver<Order>, awake: &AtomicBool) {
        loop {
            match inbox.recv_timeout(TICK) {
                Ok(Order::Open { topic, partition, position, ready, reply }) => {
                    let outcome = self.open(&topic, partition, position, ready);
                    if let Err(Ok(unwanted)) = reply.send(outcome) {
                        self.close(&topic, partition, unwanted);
                    }
                }
                Ok(Order::Close { topic, partition, opened }) => self.close(&topic, partition, opened),
                Ok(Order::Shutdown(client)) => return drop(client),
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Ok(Order::Wake) | Err(mpsc::RecvTimeoutError::Timeout) => {
                    awake.store(false, Ordering::Release);
                    self.serve_own_events();
                }
            }
        }
    }

    fn serve_own_events(&self) {
        for _ in 0..EVENTS_PER_ROUND {
            if let Some(Err(error)) = self.client.poll(Duration::ZERO) {
                tracing::debug!("reader: {error}");
            }
        }
    }

    fn open(&mut self, topic: &str, partition: u32, position: u64, ready: Arc<Notify>) -> Result<OpenQueue, ReadError> {
        let name = (topic.to_owned(), partition);
        if self.open.contains(&name) {
            return Err(ReadError::AlreadyOpen { topic: name.0, partition });
        }
        let unavailable = |message: String| ReadError::Unavailable { topic: topic.to_owned(), partition, message };
        let number = kafka_partition(partition);
        let mut queue = self
            .client
            .split_partition_queue(topic, number)
            .ok_or_else(|| unavailable("the topic's name holds a NUL or the client is closing".to_owned()))?;
        // Errors have no version: those of the previous position go before anything of the new one can come.
        while queue.poll(Duration::ZERO).is_some() {}
        let signal = Arc::clone(&ready);
        queue.set_nonempty_callback(move || signal.notify_one());
        self.assign(topic, number, position).map_err(|error| unavailable(error.to_string()))?;
        self.open.insert(name);
        Ok(OpenQueue { queue, ready })
    }

    fn assign(&self, topic: &str, partition: i32, position: u64) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, partition, Offset::Offset(kafka_offset(position)))?;
        self.client.incremental_assign(&list)
    }

    fn close(&mut self, topic: &str, partition: u32, opened: OpenQueue) {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(topic, kafka_partition(partition));
        if let Err(error) = self.client.incremental_unassign(&list) {
            tracing::warn!(topic, partition, "closing a reader: {error}");
        }
        drop(opened);
        self.open.remove(&(topic.to_owned(), partition));
    }
}
