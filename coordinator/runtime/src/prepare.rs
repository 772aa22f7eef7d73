//! Gets ready for the first request to cancel: the control topic of a queue is made sure of when its first worker is
//! heard, since a request that had to look it up and make it would be late for a running activity (R30).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tidewright_log::TopicKind;
use tokio::time::Instant;

use crate::node::Node;

/// How often it is looked for queues that are new.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// Pause before a topic that cannot be made is tried again: what is sent there tries for itself.
const RETRY_PAUSE: Duration = Duration::from_secs(30);

/// Prepares the control topics of all queues that workers name. Runs until it is dropped.
pub(crate) async fn control_topics(node: &Arc<Node>) {
    let mut failed: BTreeMap<String, Instant> = BTreeMap::new();
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        failed.retain(|_, at| at.elapsed() < RETRY_PAUSE);
        for task_queue in node.presence.activity_queues() {
            let topic = node.topics.control(&task_queue);
            if node.task_topics.is_known(&topic) || failed.contains_key(&topic) {
                continue;
            }
            if let Err((_, problem)) = node.task_topics.prepare(&topic, TopicKind::Control).await {
                tracing::warn!(task_queue, problem, "the queue's workers cannot be told anything yet");
                failed.insert(topic, Instant::now());
            }
        }
    }
}
