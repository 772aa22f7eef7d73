//! The `cluster` topic: which namespaces and nodes there are, and who owns which partition.
//!
//! [`ClusterView`] reads the whole topic and stays current; [`ClusterWriter`] writes to it. Owners are hints for routing
//! reads: the truth about ownership is in history (R10). Namespaces are the truth: the first record of one stands.

mod state;
mod writer;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tidewright_schemas::{
    ClusterRecord, NamespaceRecord, NodeRecord, PartitionRecord, WorkflowId, topics::partition_of,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::KafkaConfig;
use crate::error::{LogError, ReadError};
use crate::reader::{LogReader, PartitionReader, ReaderOptions, StartAt};
use state::State;
pub use writer::{ClusterWriter, NamespaceError};

const BATCH_RECORDS_MAX: usize = 1_000;
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
const REOPEN_PAUSE: Duration = Duration::from_millis(500);

/// What cannot be done with the `cluster` topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// It cannot be read.
    #[error("the cluster topic cannot be read: {0}")]
    Read(#[from] ReadError),
    /// The client cannot be made.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// A current view of the `cluster` topic. Cheap to clone; it is kept current as long as a clone lives.
#[derive(Clone)]
pub struct ClusterView {
    inner: Arc<Inner>,
}

struct Inner {
    state: Arc<RwLock<State>>,
    progress: watch::Receiver<Progress>,
    reading: JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// How far the topic has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Everything below is in the view.
    pub next_offset: u64,
    /// Counts the changes of the view.
    pub changes: u64,
}

impl ClusterView {
    /// Reads the whole topic and returns once the view holds everything that was there. With a `writer`, a namespace's
    /// record that differs from the first one is put right.
    pub async fn start(config: &KafkaConfig, topic: &str, writer: Option<ClusterWriter>) -> Result<Self, ClusterError> {
        let reader = LogReader::new(config, &ReaderOptions::default())?;
        let mut partition = reader.open(topic, 0, StartAt::Beginning).await?;
        let state = Arc::new(RwLock::new(State::default()));
        let (sender, progress) = watch::channel(Progress::default());
        let mut follower = Follower { state: Arc::clone(&state), progress: sender, writer };
        while !partition.caught_up() {
            follower.step(&mut partition).await?;
        }
        let reading = tokio::spawn(follower.run(partition));
        Ok(Self { inner: Arc::new(Inner { state, progress, reading }) })
    }

    fn with<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.inner.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A namespace, if there is one of that name.
    #[must_use]
    pub fn namespace(&self, namespace: &str) -> Option<NamespaceRecord> {
        self.with(|state| state.namespace(namespace).cloned())
    }

    /// All namespaces, by name.
    #[must_use]
    pub fn namespaces(&self) -> Vec<NamespaceRecord> {
        self.with(|state| state.namespaces().cloned().collect())
    }

    /// All nodes, by id.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeRecord> {
        self.with(|state| state.nodes().cloned().collect())
    }

    /// Who owns a partition, as far as is known.
    #[must_use]
    pub fn owner(&self, namespace: &str, partition: u32) -> Option<PartitionRecord> {
        self.with(|state| state.owner(namespace, partition).cloned())
    }

    /// Base URL of the node that owns a workflow; none if the namespace or the owner is not known.
    #[must_use]
    pub fn http_url_for(&self, namespace: &str, workflow_id: &WorkflowId) -> Option<String> {
        self.with(|state| {
            let partitions = state.namespace(namespace)?.partitions;
            let partition = partition_of(workflow_id.as_str().as_bytes(), partitions);
            state.owner(namespace, partition).map(|owner| owner.http_url.clone())
        })
    }

    /// How far the topic has been read; the receiver also tells of every change.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.inner.progress.clone()
    }

    /// Waits until the view holds the record at `offset`. False if the view has stopped.
    pub async fn holds(&self, offset: u64) -> bool {
        self.progress().wait_for(|progress| progress.next_offset > offset).await.is_ok()
    }
}

struct Follower {
    state: Arc<RwLock<State>>,
    progress: watch::Sender<Progress>,
    writer: Option<ClusterWriter>,
}

impl Follower {
    async fn run(mut self, mut partition: PartitionReader) {
        loop {
            if let Err(error) = self.step(&mut partition).await {
                tracing::warn!("the cluster topic cannot be read, trying again: {error}");
                self.reopen(&mut partition).await;
            }
        }
    }

    async fn step(&mut self, partition: &mut PartitionReader) -> Result<(), ReadError> {
        let batch = partition.next_batch(BATCH_RECORDS_MAX, BATCH_BYTES_MAX).await?;
        let mut changes = 0;
        let mut wrong = Vec::new();
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            for record in &batch.records {
                match state.apply(record) {
                    state::Applied::Changed => changes += 1,
                    state::Applied::Nothing => {}
                    state::Applied::PutRight(first) => wrong.push(first),
                }
            }
        }
        self.progress.send_modify(|progress| {
            progress.next_offset = batch.next_offset;
            progress.changes += changes;
        });
        for first in wrong {
            self.put_right(first).await;
        }
        Ok(())
    }

    async fn put_right(&self, first: NamespaceRecord) {
        let Some(writer) = &self.writer else { return };
        tracing::warn!(
            first.namespace,
            "a second record of the namespace differs from the first, which is written again"
        );
        if let Err(error) = writer.put(&ClusterRecord::NamespaceRecord(first)).await {
            tracing::warn!("the namespace's record was not put right: {error}");
        }
    }

    /// Goes on where it stopped; if the log does not hold that any more, from the beginning, with what is known kept: a
    /// compacted topic tells the latest of everything again.
    async fn reopen(&self, partition: &mut PartitionReader) {
        let mut start = StartAt::Offset(partition.position());
        loop {
            tokio::time::sleep(REOPEN_PAUSE).await;
            match partition.reopen(start).await {
                Ok(()) => return,
                Err(ReadError::OutOfRange { .. }) => start = StartAt::Beginning,
                Err(error) => tracing::debug!("the cluster topic still cannot be read: {error}"),
            }
        }
    }
}
