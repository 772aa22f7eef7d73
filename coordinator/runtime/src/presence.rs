//! Who is alive: this node's own beacons, and what it reads of everybody's (R28).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tidewright_log::{LogReader, PartitionReader, ReadError, ReaderOptions, Record, StartAt};
use tidewright_owner::LogRecord;
use tidewright_owner::presence::{Presence, WorkerSeen};
use tidewright_schemas::{Beacon, NodeBeacon, TaskKind, headers};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::node::Node;
use crate::partition::log_record;
use crate::prepare;
use crate::shutdown::told;
use crate::stranded;

/// How often a node says that it is there: more often than a worker, so that silence is measured well.
const BEACON_INTERVAL: Duration = Duration::from_millis(500);
/// How often it is looked who is gone.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// How often those are forgotten who are gone for long, and the topic's partitions are counted.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(30);
/// Pause before the topic is read again after an error.
const REOPEN_PAUSE: Duration = Duration::from_millis(500);
const READ_RECORDS: usize = 1_000;
const READ_BYTES: usize = 1024 * 1024;

/// Workers that are gone, with the broker's time at which they were.
pub(crate) type Gone = Arc<BTreeMap<String, u64>>;

/// What this node knows of who is alive.
pub(crate) struct PresenceBoard {
    presence: Mutex<Presence>,
    gone: watch::Sender<Gone>,
    silence: Duration,
    /// The partitions that have been read to the end that they had, and how many there are.
    current: Mutex<(BTreeSet<u32>, u32)>,
    /// Told whenever beacons were read.
    heard: watch::Sender<()>,
}

impl PresenceBoard {
    pub(crate) fn new(silence: Duration) -> Self {
        let presence = Mutex::new(nobody(silence));
        let (gone, heard) = (watch::Sender::default(), watch::Sender::default());
        Self { presence, gone, silence, current: Mutex::default(), heard }
    }

    fn presence(&self) -> MutexGuard<'_, Presence> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is gone, kept current.
    pub(crate) fn gone(&self) -> watch::Receiver<Gone> {
        self.gone.subscribe()
    }

    pub(crate) fn workers(&self) -> Vec<WorkerSeen> {
        self.presence().workers().collect()
    }

    pub(crate) fn serves(&self, kind: TaskKind, task_queue: &str) -> bool {
        self.presence().serves(kind, task_queue)
    }

    /// Whether somebody serves a queue, or comes to do so within `patience`; or else that is not known yet.
    pub(crate) async fn is_served(&self, kind: TaskKind, task_queue: &str, patience: Duration) -> bool {
        let mut heard = self.heard.subscribe();
        let served = async {
            while self.is_current() && !self.serves(kind, task_queue) {
                // The sender is this board's own.
                let _ = heard.changed().await;
            }
        };
        tokio::time::timeout(patience, served).await.is_ok()
    }

    /// Takes what was read of a partition, which is at its end or not.
    fn take(&self, partition: u32, records: impl Iterator<Item = LogRecord>, is_at_end: bool) {
        {
            let mut presence = self.presence();
            records.for_each(|record| presence.take(partition, &record));
        }
        if is_at_end {
            self.current().0.insert(partition);
        }
        self.heard.send_replace(());
    }

    /// Whether who is not known is not there: all that was said before this node began to listen has been read.
    pub(crate) fn is_current(&self) -> bool {
        let current = self.current();
        current.1 > 0 && current.0.len() == current.1 as usize
    }

    fn current(&self) -> MutexGuard<'_, (BTreeSet<u32>, u32)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Partitions of a queue's activity tasks that somebody takes from, with the room that is left there.
    pub(crate) fn activity_places(&self, task_queue: &str) -> Vec<(u32, u32)> {
        self.presence().activity_places(task_queue)
    }

    /// Workers that would run an activity of a queue at once, with the room that each has left.
    pub(crate) fn free_for_activities(&self, task_queue: &str) -> Vec<(String, u32)> {
        self.presence().free_for_activities(task_queue)
    }

    /// The queues that somebody takes activity tasks from.
    pub(crate) fn activity_queues(&self) -> BTreeSet<String> {
        self.presence().activity_queues()
    }

    /// Says who was found gone since the last look.
    fn look(&self, node: &Node) -> Vec<WorkerSeen> {
        let gone = self.presence().gone();
        let new = {
            let known = self.gone.borrow();
            gone.keys().filter(|incarnation| !known.contains_key(*incarnation)).cloned().collect::<Vec<_>>()
        };
        for incarnation in &new {
            tracing::info!(incarnation, "a worker is gone: what it had begun is tried again");
        }
        node.meters.workers_gone(new.len());
        if !gone.is_empty() || !self.gone.borrow().is_empty() {
            self.gone.send_replace(Arc::new(gone));
        }
        if new.is_empty() {
            return Vec::new();
        }
        self.presence().workers().filter(|seen| new.contains(&seen.beacon.worker.incarnation)).collect()
    }
}

fn nobody(silence: Duration) -> Presence {
    Presence::new(u64::try_from(silence.as_millis()).unwrap_or(u64::MAX))
}

/// Runs until it is told to stop; then this node's beacons are taken back.
pub(crate) async fn run(node: Arc<Node>, mut shutdown: watch::Receiver<bool>) {
    let started = Instant::now();
    loop {
        let topic = node.topics.workers();
        let count = match node.admin.partition_count(&topic).await {
            Ok(count) => count.unwrap_or(0),
            Err(error) => {
                tracing::warn!(%error, "the workers topic cannot be looked up; trying again");
                0
            }
        };
        let stopped = tokio::select! {
            () = told(&mut shutdown) => true,
            () = serve(&node, count, started) => false,
        };
        if stopped {
            let tombstones = (0..count).map(|partition| node.producer.send(own_record(&node, partition, None)));
            // What is not delivered stays behind: the key is this node's for ever, so it is one record.
            let sent = join_all(tombstones).await;
            join_all(sent).await;
            return;
        }
    }
}

/// Writes and reads as long as the topic has this many partitions.
async fn serve(node: &Arc<Node>, count: u32, started: Instant) {
    *node.presence.presence() = nobody(node.presence.silence);
    *node.presence.current() = (BTreeSet::new(), count);
    tokio::select! {
        () = write(node, count) => {}
        () = read_all(node, count) => {}
        () = look(node) => {}
        () = prepare::control_topics(node) => {}
        () = upkeep(node, count, started) => {}
    }
}

fn own_record(node: &Node, partition: u32, beacon: Option<&Beacon>) -> Record {
    let id = &node.config.node;
    let record = Record::to(node.topics.workers()).partition(partition).key(format!("node/{id}"));
    match beacon {
        Some(beacon) => record
            .value(beacon.to_json())
            .header(headers::CONTENT_TYPE, headers::JSON)
            .header(headers::SCHEMA_VERSION, headers::CURRENT_SCHEMA_VERSION),
        None => record,
    }
}

async fn write(node: &Node, count: u32) {
    let beacon = Beacon::from(NodeBeacon { node: node.config.node.clone() });
    let mut ticks = tokio::time::interval(BEACON_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let sends = (0..count).map(|partition| node.producer.send(own_record(node, partition, Some(&beacon))));
        // One round at a time: what waits for a broker does not pile up.
        for sent in join_all(join_all(sends).await).await {
            if let Err(error) = sent {
                tracing::warn!(%error, "this node's beacon is not delivered: who falls silent meanwhile is noticed later");
            }
        }
    }
}

async fn read_all(node: &Arc<Node>, count: u32) {
    let reader = match LogReader::new(&node.config.kafka, &ReaderOptions::default()) {
        Ok(reader) => reader,
        Err(error) => {
            tracing::warn!(%error, "the workers topic cannot be read; trying again");
            tokio::time::sleep(REOPEN_PAUSE).await;
            return;
        }
    };
    join_all((0..count).map(|partition| read(node, &reader, partition))).await;
    // Without partitions there is nothing to read until there are some.
    std::future::pending::<()>().await;
}

async fn read(node: &Node, reader: &LogReader, partition: u32) {
    let topic = node.topics.workers();
    let mut start = StartAt::Beginning;
    loop {
        let error = match reader.open(&topic, partition, start).await {
            Ok(mut log) => {
                let error = follow(node, &mut log, partition).await;
                start = StartAt::Offset(log.position());
                error
            }
            Err(error) => error,
        };
        if matches!(error, ReadError::OutOfRange { .. }) {
            start = StartAt::Beginning;
        }
        tracing::warn!(partition, %error, "the workers topic cannot be read; trying again");
        tokio::time::sleep(REOPEN_PAUSE).await;
    }
}

async fn follow(node: &Node, log: &mut PartitionReader, partition: u32) -> ReadError {
    loop {
        match log.next_batch(READ_RECORDS, READ_BYTES).await {
            Ok(batch) => {
                let is_at_end = log.position() >= log.end_at_open();
                node.presence.take(partition, batch.records.into_iter().map(log_record), is_at_end);
            }
            Err(error) => return error,
        }
    }
}

async fn look(node: &Arc<Node>) {
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut offering = JoinSet::new();
    loop {
        ticks.tick().await;
        let gone = node.presence.look(node);
        if !gone.is_empty() {
            let node = Arc::clone(node);
            offering.spawn(async move { stranded::offer(&node, gone).await });
        }
        while offering.try_join_next().is_some() {}
    }
}

/// Ends when the number of partitions has changed.
async fn upkeep(node: &Node, count: u32, started: Instant) {
    let topic = node.topics.workers();
    let mut ticks = tokio::time::interval(if count == 0 { REOPEN_PAUSE } else { UPKEEP_INTERVAL });
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let mono_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let expired = node.presence.presence().expire(mono_ms);
        for (partition, key) in expired {
            let tombstone = Record::to(&topic).partition(partition).key(key);
            if let Err(error) = node.producer.send(tombstone).await.await {
                tracing::debug!(%error, "a beacon of long ago stays in the workers topic");
            }
        }
        match node.admin.partition_count(&topic).await {
            Ok(now) if now.unwrap_or(0) != count => return,
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the partitions of the workers topic cannot be counted right now"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beacon_of(task_queue: &str, offset: u64) -> LogRecord {
        let value = format!(
            r#"{{"type":"WorkerBeacon","worker":{{"identity":"i","incarnation":"a"}},"state":"Running","started_at_ms":1,
                "task_queues":[{{"task_queue":"{task_queue}","workflow_tasks":{{"total":1,"used":0}}}}]}}"#
        );
        let (key, value) = (Some(b"worker/a".to_vec()), Some(value.into_bytes()));
        LogRecord { offset, timestamp_ms: 1, key, value, headers: Vec::new() }
    }

    #[tokio::test]
    async fn a_worker_that_is_just_started_is_waited_for_and_one_that_is_not_is_not() {
        let board = PresenceBoard::new(Duration::from_secs(3));
        let is_served = |patience| board.is_served(TaskKind::Workflow, "q", patience);
        assert!(is_served(Duration::ZERO).await, "what is there is not known yet");
        *board.current() = (BTreeSet::new(), 1);
        board.take(0, [beacon_of("another", 0)].into_iter(), true);
        assert!(!is_served(Duration::ZERO).await);
        let (served, ()) = tokio::join!(is_served(Duration::from_secs(60)), async {
            board.take(0, [beacon_of("another", 1)].into_iter(), true);
            tokio::task::yield_now().await;
            board.take(0, [beacon_of("q", 2)].into_iter(), true);
        });
        assert!(served);
    }
}
