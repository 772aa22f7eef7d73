//! What the tasks of one node share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidewright_log::cluster::ClusterWriter;
use tidewright_log::{Admin, HistoryProducer, LogError, LogReader, Producer};
use tidewright_owner::trust::Authority;
use tidewright_owner::{BacklogKey, Forwarding};
use tidewright_schemas::TaskKind;
use tidewright_schemas::topics::Topics;
use tidewright_store::SharedMemory;
use tokio::sync::Semaphore;

use crate::config::EngineConfig;
use crate::contact::Contact;
use crate::measure::Meters;
use crate::presence::PresenceBoard;
use crate::status::Board;
use crate::task_topics::TaskTopics;

/// The oldest append must be confirmed within this time: long before brokers forget a producer (R13).
const APPEND_AGE_MAX: Duration = Duration::from_secs(3_600);

pub(crate) struct Node {
    pub(crate) config: EngineConfig,
    pub(crate) topics: Topics,
    pub(crate) incarnation: String,
    pub(crate) partitions: u32,
    pub(crate) authority: Authority,
    pub(crate) admin: Admin,
    /// Reads the own partitions.
    pub(crate) reader: LogReader,
    /// Reads task topics, one scan at a time: a client reads a partition once at a time.
    pub(crate) scanner: (LogReader, Semaphore),
    pub(crate) cluster: ClusterWriter,
    pub(crate) producer: Producer,
    history: Mutex<Arc<HistoryProducer>>,
    pub(crate) task_topics: TaskTopics,
    pub(crate) memory: SharedMemory,
    pub(crate) board: Board,
    pub(crate) contact: Arc<Contact>,
    pub(crate) presence: PresenceBoard,
    pub(crate) meters: Meters,
}

/// What a namespace's record says.
pub(crate) struct Namespace {
    pub(crate) incarnation: String,
    pub(crate) partitions: u32,
}

impl Node {
    pub(crate) fn new(
        config: EngineConfig,
        topics: Topics,
        admin: Admin,
        producer: Producer,
        namespace: Namespace,
    ) -> Result<Self, LogError> {
        let kafka = &config.kafka;
        let authority = Authority::new(config.secret.clone(), topics.prefix(), &namespace.incarnation);
        Ok(Self {
            reader: LogReader::new(kafka, &tidewright_log::ReaderOptions::default())?,
            scanner: (LogReader::new(kafka, &tidewright_log::ReaderOptions::default())?, Semaphore::new(1)),
            cluster: ClusterWriter::new(producer.clone(), topics.cluster()),
            history: Mutex::new(Arc::new(HistoryProducer::new(kafka)?)),
            task_topics: TaskTopics::new(admin.clone(), config.task_partitions),
            memory: SharedMemory::new(config.state_cache_bytes, config.state_write_buffer_bytes),
            board: Board::default(),
            contact: Arc::new(Contact::new(config.session_timeout)),
            presence: PresenceBoard::new(config.worker_silence),
            meters: Meters::new(topics.namespace()),
            incarnation: namespace.incarnation,
            partitions: namespace.partitions,
            authority,
            admin,
            producer,
            topics,
            config,
        })
    }

    /// The history producer; a new one if the last one failed or waits for too long (R13).
    pub(crate) fn history(&self) -> Result<Arc<HistoryProducer>, LogError> {
        let mut held = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = held.oldest_unconfirmed().is_some_and(|age| age > APPEND_AGE_MAX);
        if held.failure().is_some() || stale {
            *held = Arc::new(HistoryProducer::new(&self.config.kafka)?);
        }
        Ok(Arc::clone(&held))
    }

    pub(crate) fn task_topic(&self, key: &BacklogKey) -> String {
        match key.kind {
            TaskKind::Workflow => self.topics.workflow_tasks(&key.task_queue),
            TaskKind::Activity => self.topics.activity_tasks(&key.task_queue),
        }
    }

    /// How records of a partition of the commands topic are read.
    pub(crate) fn forwarding(&self, partition: u32) -> Forwarding {
        Forwarding {
            topic: self.topics.commands(),
            partition,
            partitions: self.partitions,
            authority: self.authority.clone(),
        }
    }
}
