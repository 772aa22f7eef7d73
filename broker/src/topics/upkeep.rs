//! The one thread that deletes and compacts. It sleeps until a segment is complete, a topic changes or something becomes
//! due, takes one partition at a time, and gives way to others half of the time while it rewrites. Retention is looked at
//! in intervals only, as in Kafka, so that records which are old when they come can still be read for a while.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::config::TopicConfig;
use super::registry::{Topic, Topics};
use crate::log::bell::Bell;
use crate::log::compaction::{self, CompactionError};
use crate::log::partition::{Partition, Status, TrimError};
use crate::state::now_ms;

/// Between two looks at all partitions there is at least so much time.
const REST_MIN: Duration = Duration::from_millis(100);
const REST_MAX: Duration = Duration::from_secs(1);
/// Looking takes at most one part in so many of a processor's time.
const LOOK_SHARE: u32 = 20;
/// A partition in which it fails is left alone for so long.
const FAILURE_PAUSE_MS: i64 = 60_000;

pub(crate) struct Upkeep {
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

/// What bounds the work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub retention_interval: Duration,
    pub map_bytes_max: usize,
}

impl Upkeep {
    pub(crate) fn start(topics: Arc<Topics>, pace: Pace) -> io::Result<Self> {
        let bell = topics.bell().clone();
        let work = move || run(&topics, pace);
        let thread = std::thread::Builder::new().name("tidewright-upkeep".to_owned()).spawn(work)?;
        Ok(Self { bell, thread: Some(thread) })
    }
}

fn run(topics: &Topics, pace: Pace) {
    let mut retention_at = Instant::now() + pace.retention_interval;
    while !topics.bell().is_stopped() {
        let begun = Instant::now();
        let with_retention = begun >= retention_at;
        if with_retention {
            retention_at = begun + pace.retention_interval;
        }
        let due_ms = look(topics, pace.map_bytes_max, with_retention);
        let until_due =
            due_ms.map(|due_ms| Duration::from_millis(u64::try_from(due_ms.saturating_sub(now_ms())).unwrap_or(0)));
        let until_retention = retention_at.saturating_duration_since(Instant::now());
        let rest = (begun.elapsed() * LOOK_SHARE).clamp(REST_MIN, REST_MAX);
        topics.bell().wait(rest, until_due.map_or(until_retention, |until_due| until_due.min(until_retention)));
    }
}

impl Drop for Upkeep {
    /// Waits until nothing more is done to any file.
    fn drop(&mut self) {
        self.bell.stop();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that deletes and compacts panicked");
        }
    }
}

/// Does what is due and says when something will be.
fn look(topics: &Topics, map_bytes_max: usize, with_retention: bool) -> Option<i64> {
    let mut due_ms: Option<i64> = None;
    for topic in topics.all() {
        for (n, partition) in topic.partitions.iter().enumerate() {
            if topics.bell().is_stopped() {
                return None;
            }
            let next_ms = keep_up(&topic, n, partition, map_bytes_max, with_retention);
            due_ms = due_ms.into_iter().chain(next_ms).min();
        }
    }
    due_ms
}

fn keep_up(
    topic: &Topic,
    n: usize,
    partition: &Arc<Partition>,
    map_bytes_max: usize,
    with_retention: bool,
) -> Option<i64> {
    let now_ms = now_ms();
    if partition.status() != Status::Online {
        return None;
    }
    if let Some(until_ms) = partition.upkeep_pause.until_ms(now_ms) {
        return Some(until_ms);
    }
    match delete_and_compact(&topic.config, partition, map_bytes_max, with_retention) {
        Ok(due_ms) => due_ms,
        Err(_) if partition.status() != Status::Online => None,
        Err(Failure::Compaction(CompactionError::Stopped)) => None,
        Err(error) => {
            tracing::warn!(topic = topic.name, partition = n, %error, "cannot delete or compact; will try again in a minute");
            partition.upkeep_pause.set(now_ms + FAILURE_PAUSE_MS);
            Some(now_ms + FAILURE_PAUSE_MS)
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Retention(#[from] TrimError),
    #[error(transparent)]
    Compaction(#[from] CompactionError),
}

fn delete_and_compact(
    config: &TopicConfig,
    partition: &Arc<Partition>,
    map_bytes_max: usize,
    with_retention: bool,
) -> Result<Option<i64>, Failure> {
    if let Some(rules) = config.retention.filter(|_| with_retention) {
        partition.enforce_retention(rules, now_ms())?;
    }
    match &config.compaction {
        Some(rules) => Ok(compaction::compact(partition, rules, map_bytes_max, now_ms())?),
        None => Ok(None),
    }
}
