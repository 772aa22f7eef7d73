//! Sends what workers have to say to workflows, until Kafka has it.

use std::time::Duration;

use tidewright_log::{Producer, Record, SendErrorKind};
use tidewright_schemas::limits::COMMAND_BYTES_MAX;
use tidewright_schemas::{Command, WorkflowId, headers};

/// Delay before a command is sent again, from the first time to the last.
const RETRY_DELAYS_MS: [u64; 6] = [50, 100, 250, 500, 1_000, 2_000];

/// Why a command will never be in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undeliverable {
    #[error("{0}")]
    TooLarge(String),
    #[error("{0}")]
    Refused(String),
}

/// Sends commands of one namespace. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Commands {
    producer: Producer,
    topic: String,
}

impl Commands {
    pub(crate) fn new(producer: Producer, topic: String) -> Self {
        Self { producer, topic }
    }

    /// Sends a command to a workflow and returns once it is in the log. What may pass is tried again without end.
    pub(crate) async fn send(
        &self,
        workflow_id: &WorkflowId,
        command: &Command,
        traceparent: Option<&str>,
    ) -> Result<(), Undeliverable> {
        let kind = command.type_name();
        let value = serde_json::to_vec(command).map_err(|e| Undeliverable::Refused(e.to_string()))?;
        if value.len() > COMMAND_BYTES_MAX {
            let bytes = value.len();
            let problem = format!("the {kind} takes {bytes} bytes, and at most {COMMAND_BYTES_MAX} are allowed");
            return Err(Undeliverable::TooLarge(problem));
        }
        let mut record = Record::to(&self.topic)
            .key(workflow_id.as_str())
            .value(value)
            .header(headers::CONTENT_TYPE, headers::JSON)
            .header(headers::SCHEMA_VERSION, headers::CURRENT_SCHEMA_VERSION);
        if let Some(traceparent) = traceparent {
            record = record.header(headers::TRACEPARENT, traceparent);
        }
        let mut delays = RETRY_DELAYS_MS.into_iter();
        let mut delay_ms = 0;
        loop {
            let error = match self.producer.send(record.clone()).await.await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            match error.kind {
                SendErrorKind::TooLarge => return Err(Undeliverable::TooLarge(error.message)),
                SendErrorKind::Refused => return Err(Undeliverable::Refused(error.message)),
                SendErrorKind::TopicMissing | SendErrorKind::Denied | SendErrorKind::Unavailable => {
                    delay_ms = delays.next().unwrap_or(delay_ms);
                    tracing::warn!(%workflow_id, kind, delay_ms, "a command is not delivered yet: {}", error.message);
                    tokio::time::sleep(Duration::from_millis(delay_ms)).await;
                }
            }
        }
    }
}
