//! Keeps a task for each partition that the consumer group assigns to this node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tidewright_log::{GroupConsumer, GroupError, GroupEvent, TopicPartition};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::node::Node;
use crate::partition::{self, Confirm};
use crate::shutdown::told;
use crate::{janitor, measure, presence, stray};

/// How often offsets are told to the group and gauges are set.
const TICK: Duration = Duration::from_millis(200);
/// How long the group has for saying whether a partition is still assigned.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);

struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

pub(crate) struct Supervisor {
    node: Arc<Node>,
    group: GroupConsumer,
    running: BTreeMap<u32, Running>,
    /// Tasks that were told to stop; a partition that comes back waits for its last one.
    stopping: BTreeMap<u32, JoinHandle<()>>,
    confirm: (mpsc::Sender<Confirm>, mpsc::Receiver<Confirm>),
    joined: watch::Sender<bool>,
}

impl Supervisor {
    pub(crate) fn new(node: Arc<Node>, group: GroupConsumer, joined: watch::Sender<bool>) -> Self {
        Self { node, group, running: BTreeMap::new(), stopping: BTreeMap::new(), confirm: mpsc::channel(64), joined }
    }

    /// Runs until it is told to stop, or until the membership ends for good.
    pub(crate) async fn run(mut self, mut shutdown: watch::Receiver<bool>) -> Result<(), GroupError> {
        let mut ticks = tokio::time::interval(TICK);
        let janitor = tokio::spawn(janitor::run(Arc::clone(&self.node), shutdown.clone()));
        let sampler = tokio::spawn(measure::sample(Arc::clone(&self.node), shutdown.clone()));
        let (stop_presence, presence_stopped) = watch::channel(false);
        let presence = tokio::spawn(presence::run(Arc::clone(&self.node), presence_stopped));
        let result = loop {
            tokio::select! {
                () = told(&mut shutdown) => break Ok(()),
                event = self.group.next(1, 1) => match event {
                    Ok(event) => self.take(event),
                    Err(error @ (GroupError::Fatal { .. } | GroupError::Closed { .. })) => break Err(error),
                    Err(error) => tracing::warn!(%error, "the consumer group reports a problem"),
                },
                Some(confirm) = self.confirm.1.recv() => self.confirm(confirm).await,
                _ = ticks.tick() => self.tick(),
            }
        };
        janitor.abort();
        sampler.abort();
        // It may have ended by itself.
        let _ = stop_presence.send(true);
        wait_for(presence).await;
        self.stop_all().await;
        self.tick();
        self.group.close().await;
        result
    }

    fn take(&mut self, event: GroupEvent) {
        match event {
            GroupEvent::Assigned(partitions) => {
                for assigned in partitions {
                    self.start(assigned.partition.partition);
                }
                // Nobody listens any more only while the engine is being dropped.
                let _ = self.joined.send(true);
            }
            GroupEvent::Revoked(partitions) | GroupEvent::Lost(partitions) => {
                for partition in partitions {
                    self.stop(partition.partition);
                }
            }
            GroupEvent::Records(_) => {}
        }
    }

    fn start(&mut self, partition: u32) {
        if self.running.contains_key(&partition) {
            return;
        }
        let last = self.stopping.remove(&partition);
        let (stop, stopped) = watch::channel(false);
        let (node, confirm) = (Arc::clone(&self.node), self.confirm.0.clone());
        // At the highest level, so that a line at any level tells which partition it is about.
        let span = tracing::error_span!("partition", namespace = node.topics.namespace(), partition);
        let work = async move {
            if let Some(last) = last {
                wait_for(last).await;
            }
            if partition < node.partitions {
                partition::run(node, partition, stopped, confirm).await;
            } else {
                stray::run(node, partition, stopped).await;
            }
        };
        let task = tokio::spawn(work.instrument(span));
        self.running.insert(partition, Running { stop, task });
    }

    fn stop(&mut self, partition: u32) {
        if let Some(running) = self.running.remove(&partition) {
            // The task may have ended by itself.
            let _ = running.stop.send(true);
            self.stopping.insert(partition, running.task);
        }
    }

    async fn stop_all(&mut self) {
        for partition in self.running.keys().copied().collect::<Vec<_>>() {
            self.stop(partition);
        }
        for (_, task) in std::mem::take(&mut self.stopping) {
            wait_for(task).await;
        }
    }

    /// A heartbeat that is acked after the question still assigns the partition (R12).
    async fn confirm(&mut self, confirm: Confirm) {
        let partition = self.topic_partition(confirm.partition);
        let still = match self.group.confirm_assigned(&partition, CONFIRM_TIMEOUT).await {
            Ok(still) => still,
            Err(error) => {
                tracing::warn!(partition = confirm.partition, %error, "the group does not say whether the partition is still assigned");
                false
            }
        };
        // The asker may have been stopped meanwhile.
        let _ = confirm.answer.send(still);
    }

    fn topic_partition(&self, partition: u32) -> TopicPartition {
        TopicPartition { topic: Arc::from(self.node.topics.commands()), partition }
    }

    fn tick(&mut self) {
        self.node.contact.heard(self.group.last_contact());
        for (partition, offset) in self.node.board.take_commits() {
            // A partition that went away meanwhile needs no hint.
            self.group.commit(&self.topic_partition(partition), offset);
        }
        self.stopping.retain(|_, task| !task.is_finished());
        self.node.meters.partitions(&self.node.board.statuses());
    }
}

async fn wait_for(task: JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(%error, "a partition's task ended unexpectedly");
    }
}
