//! Topics of task queues: made when the first record is sent to one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tidewright_log::{Admin, TopicKind, TopicSpec};
use tidewright_owner::SendFailure;
use tidewright_schemas::EffectFailure;
use tokio::sync::Semaphore;

/// How many topics of task queues a namespace may have: each costs the brokers memory and open files.
const TOPICS_MAX: usize = 2_000;

/// The topics of task queues that are known to exist.
pub(crate) struct TaskTopics {
    admin: Admin,
    partitions: u32,
    known: Mutex<BTreeMap<String, TopicKind>>,
    /// One creation at a time: the others then find the topic known.
    creating: Semaphore,
}

impl TaskTopics {
    pub(crate) fn new(admin: Admin, partitions: u32) -> Self {
        Self { admin, partitions, known: Mutex::default(), creating: Semaphore::new(1) }
    }

    pub(crate) fn is_known(&self, topic: &str) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains_key(topic)
    }

    /// The topics that this node has sent tasks to.
    pub(crate) fn known(&self) -> Vec<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter(|(_, kind)| **kind == TopicKind::Tasks).map(|(topic, _)| topic.clone()).collect()
    }

    /// The topic turned out not to exist after all.
    pub(crate) fn forget(&self, topic: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(topic);
    }

    /// Makes the topic if it is missing, since something is to be sent there.
    pub(crate) async fn ensure(&self, topic: &str, kind: TopicKind) -> Result<(), (SendFailure, String)> {
        self.ensure_among(TOPICS_MAX, topic, kind).await
    }

    /// Makes the topic if it is missing, since something may be sent there. Anybody who may write beacons can name queues,
    /// so half of the topics are left for tasks.
    pub(crate) async fn prepare(&self, topic: &str, kind: TopicKind) -> Result<(), (SendFailure, String)> {
        self.ensure_among(TOPICS_MAX / 2, topic, kind).await
    }

    async fn ensure_among(&self, topics_max: usize, topic: &str, kind: TopicKind) -> Result<(), (SendFailure, String)> {
        // The semaphore is never closed; without a permit the creation would merely be made twice.
        let _one = self.creating.acquire().await.ok();
        if self.is_known(topic) {
            return Ok(());
        }
        let count = self.known.lock().unwrap_or_else(PoisonError::into_inner).len();
        if count >= topics_max {
            let message = format!(
                "there are {count} topics of task queues already, and {topic} would be one more; use fewer task queues"
            );
            return Err((SendFailure::Permanent(EffectFailure::Refused), message));
        }
        // Every worker reads all of a control topic.
        let partitions = if kind == TopicKind::Control { 1 } else { self.partitions };
        let spec = TopicSpec::new(topic, kind, partitions);
        let report = self.admin.ensure_topics(&[spec]).await.map_err(|e| (SendFailure::Transient, e.to_string()))?;
        if let Some(missing) = report.missing.first() {
            let message = format!("{}: {}", missing.name, missing.reason);
            return Err((SendFailure::Permanent(EffectFailure::TopicMissing), message));
        }
        for difference in &report.differences {
            tracing::warn!(%difference, "a topic's settings differ from what they should be");
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned(), kind);
        Ok(())
    }
}
