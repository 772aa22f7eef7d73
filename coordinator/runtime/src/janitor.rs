//! Deletes tasks that are done: task topics keep everything until then, so that a task waits for its worker as long as
//! its timeouts allow.

use std::sync::Arc;
use std::time::Duration;

use tidewright_log::LogError;
use tokio::sync::watch;

use crate::node::Node;
use crate::shutdown::told;

/// How often the topics that this node sends to are looked at.
const INTERVAL: Duration = Duration::from_secs(60);

/// Runs until it is told to stop.
pub(crate) async fn run(node: Arc<Node>, mut shutdown: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = told(&mut shutdown) => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        for topic in node.task_topics.known() {
            if let Err(error) = delete_done(&node, &topic).await {
                tracing::warn!(topic, %error, "tasks that are done cannot be deleted; it is tried again in a minute");
            }
        }
    }
}

/// Deletes what lies below the workers' committed offsets: they commit a task only once what became of it is known (R24).
async fn delete_done(node: &Node, topic: &str) -> Result<(), LogError> {
    let Some(count) = node.admin.partition_count(topic).await? else { return Ok(()) };
    let partitions: Vec<u32> = (0..count).collect();
    // The group is named as the topic.
    for (partition, committed) in node.admin.committed(topic, topic, &partitions).await? {
        let log = node.admin.watermarks(topic, partition).await?;
        if log.low < committed && committed <= log.high {
            node.admin.delete_records(topic, partition, committed).await?;
        }
    }
    Ok(())
}
