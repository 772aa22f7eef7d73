//! Sends the heartbeats of all attempts that run here: those that are due go out together.

use std::time::Duration;

use futures::future::join_all;
use tidewright_schemas::{RecordActivityHeartbeat, WorkerIdentity};
use tokio::time::Instant;

use super::commands::Commands;
use super::running::{Heartbeat, Running};

/// How long a heartbeat may be on its way before its successors go out without it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause before one that did not get there is sent again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Sends heartbeats until it is dropped.
pub(crate) async fn send(running: Running, commands: Commands, worker: WorkerIdentity) {
    loop {
        let (due, next) = running.due(Instant::now());
        if !due.is_empty() {
            join_all(due.into_iter().map(|heartbeat| send_one(heartbeat, &commands, &worker))).await;
            continue;
        }
        let until_next = async {
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = until_next => {}
            () = running.pulse.notified() => {}
        }
    }
}

async fn send_one(heartbeat: Heartbeat, commands: &Commands, worker: &WorkerIdentity) {
    let Heartbeat { workflow_id, token, details, number, link } = heartbeat;
    let command = RecordActivityHeartbeat { token: token.to_string(), details, worker: worker.clone() }.into();
    match tokio::time::timeout(PATIENCE, commands.send(&workflow_id, &command, None)).await {
        Ok(Ok(())) => link.logged(number),
        Ok(Err(error)) => tracing::error!(%workflow_id, "a heartbeat cannot be sent: {error}"),
        Err(_) => {
            tracing::warn!(%workflow_id, "a heartbeat is not delivered yet; the latest is sent again");
            link.not_logged(number, Instant::now() + RETRY_DELAY);
        }
    }
}
