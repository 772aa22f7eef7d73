//! Carries out what an owner wants to be done.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tidewright_log::{Entry, StartAt};
use tidewright_owner::{Action, HistoryEntry};
use tidewright_schemas::{ClusterRecord, Epoch, PartitionRecord, headers};
use tidewright_store::PartitionStore;

use super::End;
use super::drive::{History, UnderWay};
use crate::measure::PartitionMeters;
use crate::node::Node;
use crate::spans::{BatchTimes, Spans};
use crate::view::OwnedPartition;
use crate::{backlog, outbox};

pub(super) struct Carrier {
    node: Arc<Node>,
    partition: u32,
    producer: History,
    store: PartitionStore,
    owned: Option<Arc<OwnedPartition>>,
    meters: Arc<PartitionMeters>,
    started: Instant,
    recovers_from: u64,
    /// When the batch that is not committed yet was appended.
    appended: Option<Instant>,
    traces: Option<Traces>,
}

/// What is traced of a partition, if anything is.
struct Traces {
    spans: Spans,
    /// When the owner was given what it handles right now.
    handling: SystemTime,
    batch: Option<BatchTimes>,
}

impl Carrier {
    pub(super) fn new(node: Arc<Node>, partition: u32, producer: History, store: PartitionStore) -> Self {
        let meters = node.meters.partition(partition);
        let traces = node.config.new_traces.map(|_| Traces {
            spans: Spans::new(node.topics.namespace(), node.topics.commands(), partition),
            handling: UNIX_EPOCH,
            batch: None,
        });
        Self {
            traces,
            node,
            partition,
            producer,
            store,
            owned: None,
            meters,
            started: Instant::now(),
            recovers_from: 0,
            appended: None,
        }
    }

    /// The owner is about to handle something.
    pub(super) fn handling(&mut self) {
        if let Some(traces) = &mut self.traces {
            traces.handling = SystemTime::now();
        }
    }

    pub(super) async fn carry_out(&mut self, actions: Vec<Action>, under_way: &mut UnderWay) -> Result<(), End> {
        for action in actions {
            self.carry_out_one(action, under_way).await?;
        }
        Ok(())
    }

    async fn carry_out_one(&mut self, action: Action, under_way: &mut UnderWay) -> Result<(), End> {
        match action {
            Action::ReadHistory { from } => {
                self.recovers_from = from;
                let topic = self.node.topics.history();
                under_way.history = Some(self.open(topic, from).await?);
            }
            Action::ReadCommands { from } => {
                let topic = self.node.topics.commands();
                under_way.commands = Some(self.open(topic, from).await?);
            }
            Action::Append(entries) => {
                let topic = self.node.topics.history();
                if is_batch(&entries) {
                    self.appended = Some(Instant::now());
                    if let Some(traces) = &mut self.traces {
                        traces.batch = Some(BatchTimes { began: traces.handling, appended: SystemTime::now() });
                    }
                }
                let entries = entries.into_iter().map(entry).collect();
                let append = self.producer.append(&topic, self.partition, entries).await;
                under_way.appends.push(append);
            }
            Action::Send(id, outbound) => {
                let sent = outbox::send(&self.node, outbound);
                under_way.sends.push(Box::pin(async move { (id, sent.await) }));
            }
            Action::ScanBacklog(key) => {
                under_way.scans.push(Box::pin(backlog::scan(Arc::clone(&self.node), key)));
            }
            Action::Owned(epoch) => self.owned(&epoch, under_way),
            Action::Committed { changed, closed, report, .. } => {
                if let Some(owned) = &self.owned {
                    owned.committed(&changed, &closed);
                }
                if let Some(traces) = &mut self.traces
                    && let Some(times) = traces.batch.take()
                {
                    traces.spans.committed(&report.traced, times);
                }
                self.meters.decided(report.last_timestamp_ms);
                self.node.meters.committed(&report, self.appended.take().map(|since| since.elapsed()));
            }
            Action::CommitCommands { offset } => self.commit_commands(offset),
            Action::DeleteCommands { below } => {
                let (node, partition) = (Arc::clone(&self.node), self.partition);
                under_way.chores.push(Box::pin(async move {
                    let topic = node.topics.commands();
                    if let Err(error) = node.admin.delete_records(&topic, partition, below).await {
                        tracing::warn!(partition, below, %error, "old commands cannot be deleted; it is tried again with the next position");
                    }
                }));
            }
        }
        Ok(())
    }

    async fn open(&self, topic: String, from: u64) -> Result<tidewright_log::PartitionReader, End> {
        let opened = self.node.reader.open(&topic, self.partition, StartAt::Offset(from)).await;
        opened.map_err(|e| End::Trouble(e.to_string()))
    }

    fn owned(&mut self, epoch: &Epoch, under_way: &UnderWay) {
        let partition = self.partition;
        let (took, recovered) = (self.started.elapsed(), epoch.offset.saturating_sub(self.recovers_from));
        self.meters.recovering(0);
        self.node.meters.owned(took, recovered);
        tracing::info!(partition, epoch = epoch.offset, recovered, ?took, "the partition is owned");
        let owned = Arc::new(OwnedPartition::new(self.store.clone(), Arc::clone(&self.node.contact)));
        self.node.board.owned(partition, epoch.offset, &owned);
        self.owned = Some(owned);
        let Some(http_url) = self.node.config.http_url.clone() else { return };
        let record = ClusterRecord::PartitionRecord(PartitionRecord {
            namespace: self.node.topics.namespace().to_owned(),
            partition,
            node: self.node.config.node.clone(),
            http_url,
            epoch_offset: epoch.offset,
        });
        let cluster = self.node.cluster.clone();
        under_way.chores.push(Box::pin(async move {
            if let Err(error) = cluster.put(&record).await {
                tracing::warn!(partition, %error, "the other nodes are not told who owns the partition");
            }
        }));
    }

    /// A hint for whoever looks at the group's lag (R15); the position in history is what counts.
    fn commit_commands(&self, offset: u64) {
        self.node.board.commit(self.partition, offset);
    }
}

/// Whether this is what a batch of commands changed, and no claim, position or tombstone.
fn is_batch(entries: &[HistoryEntry]) -> bool {
    entries.first().is_some_and(|entry| entry.value.is_some() && entry.key.starts_with("transition/"))
}

fn entry(entry: HistoryEntry) -> Entry {
    let headers = vec![
        (headers::CONTENT_TYPE.to_owned(), headers::JSON.as_bytes().to_vec()),
        (headers::SCHEMA_VERSION.to_owned(), headers::CURRENT_SCHEMA_VERSION.as_bytes().to_vec()),
    ];
    Entry { key: Some(entry.key.into_bytes()), value: entry.value, headers }
}
