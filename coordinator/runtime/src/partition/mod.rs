//! One partition of this node: recovered and claimed, driven, and claimed again after what passes.

mod carry;
mod drive;

use std::sync::Arc;
use std::time::Duration;

use tidewright_core::RowsError;
use tidewright_owner::Stop;
use tidewright_store::PartitionStore;
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use drive::log_record;

use crate::node::Node;
use crate::shutdown::told;
use crate::status::PartitionState;

/// Asks the supervisor whether the group still assigns a partition to this node (R12).
pub(crate) struct Confirm {
    pub(crate) partition: u32,
    pub(crate) answer: oneshot::Sender<bool>,
}

/// Why driving an owner ended.
enum End {
    /// It was told to.
    Shutdown,
    /// The owner stopped.
    Stop(Stop),
    /// Kafka or the disk: passes.
    Trouble(String),
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long to wait before the group is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Runs a partition until it is told to stop.
pub(crate) async fn run(
    node: Arc<Node>,
    partition: u32,
    mut shutdown: watch::Receiver<bool>,
    confirm: mpsc::Sender<Confirm>,
) {
    let mut pause = PAUSE_MIN;
    loop {
        node.board.set(partition, PartitionState::Recovering);
        let mut was_owned = false;
        let end = drive::drive(&node, partition, &mut shutdown, &mut was_owned).await;
        if was_owned {
            pause = PAUSE_MIN;
        }
        match end {
            End::Shutdown => break,
            End::Stop(stop) if stop.is_temporary() => {
                tracing::info!(partition, %stop, "the owner of a partition stops");
                node.meters.deposed();
                node.board.set(partition, PartitionState::Recovering);
                if !wait_until_assigned(&confirm, partition, &mut shutdown).await {
                    break;
                }
            }
            End::Stop(Stop::Rows(error @ RowsError::Corrupt { .. })) => {
                tracing::warn!(partition, %error, "the state store is rebuilt from Kafka");
                destroy(&node, partition);
            }
            End::Stop(stop @ Stop::StateTooOld { .. }) => {
                tracing::warn!(partition, %stop, "the state store is rebuilt from Kafka");
                destroy(&node, partition);
            }
            End::Stop(stop) => {
                tracing::error!(partition, %stop, "the partition stops: it needs somebody; the others go on");
                let message = stop.to_string();
                let code = message.get(1..7).filter(|code| code.starts_with("TW")).unwrap_or("TW0405").to_owned();
                let lost_commands = match stop {
                    Stop::CommandsDeleted(lost) => Some(lost),
                    _ => None,
                };
                node.board.set(partition, PartitionState::Stopped { code, message, lost_commands });
                let retries = node.board.retries(partition);
                tokio::select! {
                    () = told(&mut shutdown) => break,
                    () = retries.notified() => tracing::info!(partition, "the stopped partition is tried again"),
                }
            }
            End::Trouble(problem) => {
                tracing::warn!(partition, problem, "the partition cannot go on right now; trying again");
                node.board.set(partition, PartitionState::Recovering);
            }
        }
        // A random pause, so that two owners do not take the partition from each other in step (R12).
        let spread = pause.mul_f64(0.5 + rand::random::<f64>());
        pause = (pause * 2).min(PAUSE_MAX);
        tokio::select! {
            () = tokio::time::sleep(spread) => {}
            () = told(&mut shutdown) => break,
        }
    }
    node.board.remove(partition);
    node.meters.partition(partition).left();
}

/// Waits until the group says, after what just happened, that the partition is still this node's (R12): only then may it
/// be claimed again. False if the task is told to stop, as it is when the partition is somebody else's.
async fn wait_until_assigned(
    confirm: &mpsc::Sender<Confirm>,
    partition: u32,
    shutdown: &mut watch::Receiver<bool>,
) -> bool {
    loop {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            // Without a supervisor there is no answer; its end is a shutdown, too.
            confirm.send(Confirm { partition, answer }).await.is_ok() && answered.await.unwrap_or(false)
        };
        tokio::select! {
            () = told(shutdown) => return false,
            still = asked => if still { return true },
        }
        tokio::select! {
            () = told(shutdown) => return false,
            () = tokio::time::sleep(ASK_AGAIN) => {}
        }
    }
}

fn store_path(node: &Node, partition: u32) -> std::path::PathBuf {
    node.config.state_directory.join(node.topics.namespace()).join(partition.to_string())
}

fn destroy(node: &Node, partition: u32) {
    if let Err(error) = PartitionStore::destroy(&store_path(node, partition)) {
        tracing::error!(partition, %error, "the state store cannot be deleted; delete it by hand");
    }
}
