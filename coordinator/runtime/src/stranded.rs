//! Activity tasks that went down with their worker before it had said that it runs them (ADR 0011).
//!
//! What a lost worker had announced is tried again by a record (R28). What it had taken a moment before lies in its
//! partitions, above what it had committed, and nobody reads these until the group's session timeout. So it is offered,
//! task by task. Whoever is given such a partition later was not there when its records came, and confirms them, as who
//! is offered one does: one of them runs it.

use std::sync::Arc;

use tidewright_owner::BacklogKey;
use tidewright_owner::presence::{Life, WorkerSeen};
use tidewright_schemas::TaskKind;

use crate::backlog;
use crate::node::Node;
use crate::offer::Offer;

/// Tasks of one partition that are offered: more than a worker has in hand.
const TASKS_MAX: usize = 1_000;
const BYTES_MAX: usize = 1024 * 1024;

/// Offers what workers that were just found gone had taken. One node does, so that each task is offered once: the owner
/// of the namespace's first partition.
pub(crate) async fn offer(node: &Arc<Node>, gone: Vec<WorkerSeen>) {
    if node.board.find(0).is_none_or(|owned| owned.strong_count() == 0) {
        return;
    }
    for worker in gone.into_iter().filter(|worker| worker.life == Life::Lost) {
        for queue in worker.beacon.task_queues {
            for partition in queue.activity_partitions {
                if let Err(problem) = offer_partition(node, &queue.task_queue, partition).await {
                    let task_queue = &queue.task_queue;
                    tracing::warn!(
                        task_queue,
                        partition,
                        problem,
                        "what a lost worker had taken is not offered to others; it waits until its partition has a reader"
                    );
                }
            }
        }
    }
}

async fn offer_partition(node: &Arc<Node>, task_queue: &str, partition: u32) -> Result<(), String> {
    let is_nobodys = || node.presence.activity_places(task_queue).iter().all(|(read, _)| *read != partition);
    if !is_nobodys() || Offer::to_somebody(node, task_queue).is_none() {
        return Ok(());
    }
    let stranded = stranded(node, task_queue, partition).await?;
    // Who was given the partition meanwhile takes new records without a question.
    if !is_nobodys() {
        return Ok(());
    }
    for offset in stranded {
        let Some(offer) = Offer::to_somebody(node, task_queue) else { return Ok(()) };
        offer.make(node, partition, offset);
    }
    Ok(())
}

/// Where the tasks of a partition lie that its worker had not settled.
async fn stranded(node: &Node, task_queue: &str, partition: u32) -> Result<Vec<u64>, String> {
    // The semaphore is never closed; it only keeps scans from meeting in one partition.
    let _one = node.scanner.1.acquire().await.map_err(|e| e.to_string())?;
    let topic = node.task_topic(&BacklogKey { kind: TaskKind::Activity, task_queue: task_queue.to_owned() });
    let committed = node.admin.committed(&topic, &topic, &[partition]).await.map_err(|e| e.to_string())?;
    let mut log = backlog::open(node, &topic, partition, committed.get(&partition).copied()).await?;
    let mut offsets = Vec::new();
    while !log.caught_up() && log.position() < log.end_at_open() && offsets.len() < TASKS_MAX {
        let batch = log.next_batch(TASKS_MAX, BYTES_MAX).await.map_err(|e| e.to_string())?;
        offsets.extend(batch.records.iter().filter(|record| record.value.is_some()).map(|record| record.offset));
    }
    offsets.truncate(TASKS_MAX);
    Ok(offsets)
}
