//! A partition of the commands topic beyond the namespace's: somebody added partitions. Nothing is decided there; what
//! lands there is forwarded (R9).

use std::sync::Arc;
use std::time::Duration;

use tidewright_log::{PartitionReader, StartAt};
use tidewright_owner::{LogRecord, SendFailure, forward_stray};
use tokio::sync::watch;

use crate::node::Node;
use crate::outbox;
use crate::shutdown::told;

const PAUSE: Duration = Duration::from_millis(500);

/// Forwards until it is told to stop. Progress is the group's committed offset; a record that is forwarded twice counts
/// once, by its signed origin.
pub(crate) async fn run(node: Arc<Node>, partition: u32, mut shutdown: watch::Receiver<bool>) {
    tracing::warn!(partition, "the commands topic has a partition beyond the namespace's; its records are forwarded");
    loop {
        let forwarding = forward_all(&node, partition);
        tokio::select! {
            problem = forwarding => {
                tracing::warn!(partition, problem, "records beyond the namespace's partitions wait to be forwarded");
                tokio::time::sleep(PAUSE).await;
            }
            () = told(&mut shutdown) => break,
        }
    }
    node.board.remove(partition);
}

/// Ends only with a problem.
async fn forward_all(node: &Arc<Node>, partition: u32) -> String {
    let mut reader = match open(node, partition).await {
        Ok(reader) => reader,
        Err(problem) => return problem,
    };
    let at = node.forwarding(partition);
    loop {
        let batch = match reader.next_batch(100, 1024 * 1024).await {
            Ok(batch) => batch,
            Err(error) => return error.to_string(),
        };
        for record in batch.records {
            let offset = record.offset;
            let record = LogRecord {
                offset,
                timestamp_ms: record.timestamp_ms,
                key: record.key,
                value: record.value,
                headers: record.headers,
            };
            match outbox::send(node, forward_stray(record, &at)).await {
                Ok(()) => {}
                Err((SendFailure::Transient, message)) => return message,
                Err((SendFailure::Permanent(reason), message)) => {
                    tracing::error!(
                        partition,
                        offset,
                        ?reason,
                        message,
                        "[TW0305] a record cannot be forwarded or put aside; it stays in the commands topic"
                    );
                }
            }
            node.board.commit(partition, offset + 1);
        }
    }
}

async fn open(node: &Node, partition: u32) -> Result<PartitionReader, String> {
    let topic = node.topics.commands();
    let committed = node.admin.committed(&topic, &topic, &[partition]).await.map_err(|e| e.to_string())?;
    let start = committed.get(&partition).map_or(StartAt::Beginning, |offset| StartAt::Offset(*offset));
    match node.reader.open(&topic, partition, start).await {
        Ok(reader) => Ok(reader),
        Err(_) => node.reader.open(&topic, partition, StartAt::Beginning).await.map_err(|e| e.to_string()),
    }
}
