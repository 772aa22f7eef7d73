//! Reads what a task topic holds, from its workers' committed offsets to its end (R27).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tidewright_log::{PartitionReader, ReadError, StartAt};
use tidewright_owner::BacklogKey;
use tidewright_schemas::{TaskId, headers};

use crate::node::Node;

/// How long to wait before another try.
const PAUSE: Duration = Duration::from_millis(500);

/// Scans until it succeeds: an incomplete scan would lose tasks that are there.
pub(crate) async fn scan(node: Arc<Node>, key: BacklogKey) -> (BacklogKey, BTreeSet<TaskId>) {
    loop {
        match try_scan(&node, &key).await {
            Ok(present) => return (key, present),
            Err(error) => {
                tracing::warn!(task_queue = key.task_queue, %error, "the backlog of a task queue cannot be read; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn try_scan(node: &Node, key: &BacklogKey) -> Result<BTreeSet<TaskId>, String> {
    // The semaphore is never closed; it only keeps scans from meeting in one partition.
    let _one = node.scanner.1.acquire().await.map_err(|e| e.to_string())?;
    let topic = node.task_topic(key);
    let mut present = BTreeSet::new();
    let count = node.admin.partition_count(&topic).await.map_err(|e| e.to_string())?;
    // No topic, no tasks: whatever was in it is lost.
    let Some(count) = count else { return Ok(present) };
    let partitions: Vec<u32> = (0..count).collect();
    // The group is named as the topic. Read before the log, so that what is committed meanwhile is merely present, too.
    let committed = node.admin.committed(&topic, &topic, &partitions).await.map_err(|e| e.to_string())?;
    for partition in partitions {
        let mut log = open(node, &topic, partition, committed.get(&partition).copied()).await?;
        while !log.caught_up() && log.position() < log.end_at_open() {
            let batch = log.next_batch(1_000, 1024 * 1024).await.map_err(|e| e.to_string())?;
            present.extend(batch.records.iter().filter_map(|record| {
                let header = std::str::from_utf8(record.header(headers::TASK)?).ok()?;
                TaskId::parse(key.kind, header)
            }));
        }
    }
    Ok(present)
}

/// Opens a partition of a task topic where its group goes on. Whoever asks keeps the scanner to itself meanwhile.
pub(crate) async fn open(
    node: &Node,
    topic: &str,
    partition: u32,
    committed: Option<u64>,
) -> Result<PartitionReader, String> {
    let reader = &node.scanner.0;
    let start = committed.map_or(StartAt::Beginning, StartAt::Offset);
    let opened = match reader.open(topic, partition, start).await {
        // The committed offset lies below the log's start: what is left begins there.
        Err(ReadError::OutOfRange { .. }) => reader.open(topic, partition, StartAt::Beginning).await,
        opened => opened,
    };
    opened.map_err(|e| e.to_string())
}
