//! Listens to what nodes tell the workers of a queue (R30). Hints: what is missed here is said again, or not needed.

use std::convert::Infallible;
use std::time::Duration;

use tidewright_log::{LogReader, ReadError, StartAt};
use tidewright_schemas::ControlMessage;

use super::offers::{Offers, Place};
use super::running::Running;

const BATCH_RECORDS_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// How many messages before the end are read at first: about tasks that are still in the queue.
const LOOK_BACK: u64 = 1_000;
/// Pause before the topic is read again after an error.
const REOPEN_DELAY: Duration = Duration::from_secs(1);

/// Who is told.
pub(crate) struct Listener {
    pub(crate) incarnation: String,
    pub(crate) running: Running,
    pub(crate) offers: Offers,
}

impl Listener {
    fn told(&self, message: ControlMessage) {
        match message {
            ControlMessage::ActivityTaskOffered(offered) => {
                if offered.incarnation == self.incarnation {
                    self.offers.heard(Place { partition: offered.partition, offset: offered.offset });
                }
            }
            ControlMessage::ActivityCancelRequested(m) => self.running.cancel_requested(m),
            ControlMessage::ActivityClosed(m) => self.running.activity_closed(m),
            ControlMessage::RunClosed(m) => self.running.run_closed(m),
        }
    }
}

/// Listens until it is dropped.
pub(crate) async fn listen(reader: LogReader, topic: String, listener: Listener) {
    loop {
        let Err(error) = follow(&reader, &topic, &listener).await;
        tracing::warn!(topic, "requests to cancel are not heard for now: {error}");
        tokio::time::sleep(REOPEN_DELAY).await;
    }
}

async fn follow(reader: &LogReader, topic: &str, listener: &Listener) -> Result<Infallible, ReadError> {
    let mut control = reader.open(topic, 0, StartAt::End).await?;
    let from = control.end_at_open().saturating_sub(LOOK_BACK).max(control.low_at_open());
    control.reopen(StartAt::Offset(from)).await?;
    loop {
        for record in control.next_batch(BATCH_RECORDS_MAX, BATCH_BYTES_MAX).await?.records {
            match serde_json::from_slice::<ControlMessage>(record.value.as_deref().unwrap_or_default()) {
                Ok(message) => listener.told(message),
                Err(error) => tracing::warn!(topic, record.offset, "a message of an unknown kind: {error}"),
            }
        }
    }
}
