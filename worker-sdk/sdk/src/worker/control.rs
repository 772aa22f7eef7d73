//! Listens to what owners tell all workers of a queue (R30). Hints: what is missed here is said again.

use std::convert::Infallible;
use std::time::Duration;

use tidewright_log::{LogReader, ReadError, StartAt};
use tidewright_schemas::ControlMessage;

use super::running::Running;

const BATCH_RECORDS_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// How many messages before the end are read at first: about tasks that are still in the queue.
const LOOK_BACK: u64 = 1_000;
/// Pause before the topic is read again after an error.
const REOPEN_DELAY: Duration = Duration::from_secs(1);

/// Listens until it is dropped.
pub(crate) async fn listen(reader: LogReader, topic: String, running: Running) {
    loop {
        let Err(error) = follow(&reader, &topic, &running).await;
        tracing::warn!(topic, "requests to cancel are not heard for now: {error}");
        tokio::time::sleep(REOPEN_DELAY).await;
    }
}

async fn follow(reader: &LogReader, topic: &str, running: &Running) -> Result<Infallible, ReadError> {
    let mut control = reader.open(topic, 0, StartAt::End).await?;
    let from = control.end_at_open().saturating_sub(LOOK_BACK).max(control.low_at_open());
    control.reopen(StartAt::Offset(from)).await?;
    loop {
        for record in control.next_batch(BATCH_RECORDS_MAX, BATCH_BYTES_MAX).await?.records {
            match serde_json::from_slice::<ControlMessage>(record.value.as_deref().unwrap_or_default()) {
                Ok(message) => running.told(message),
                Err(error) => tracing::warn!(topic, record.offset, "a message of an unknown kind: {error}"),
            }
        }
    }
}
