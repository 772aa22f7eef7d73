//! Writing to the `cluster` topic.

use tidewright_schemas::{ClusterRecord, NamespaceRecord, headers};

use super::ClusterView;
use crate::error::{SendError, SendErrorKind};
use crate::producer::{Acked, Producer};
use crate::record::Record;

/// Why a namespace could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceError {
    /// Its record was not written.
    #[error("the record of namespace {namespace} was not written: {error}")]
    NotWritten {
        /// The namespace.
        namespace: String,
        /// Why.
        error: SendError,
    },
    /// Its record was written but not read back.
    #[error("the record of namespace {namespace} was written but not read back; try again")]
    NotReadBack {
        /// The namespace.
        namespace: String,
    },
}

/// Writes cluster records. Cheap to clone.
#[derive(Clone)]
pub struct ClusterWriter {
    producer: Producer,
    topic: String,
}

impl ClusterWriter {
    /// A writer to `topic`.
    #[must_use]
    pub fn new(producer: Producer, topic: impl Into<String>) -> Self {
        Self { producer, topic: topic.into() }
    }

    /// Writes a record and waits until it is in the log.
    pub async fn put(&self, record: &ClusterRecord) -> Result<Acked, SendError> {
        let refused = |message: String| SendError { kind: SendErrorKind::Refused, message };
        let value = serde_json::to_vec(record).map_err(|error| refused(error.to_string()))?;
        let record = self
            .record(record.key())
            .value(value)
            .header(headers::CONTENT_TYPE, headers::JSON)
            .header(headers::SCHEMA_VERSION, headers::CURRENT_SCHEMA_VERSION);
        self.producer.send(record).await.await
    }

    /// Takes a record's key out: a node that leaves, a partition that is given up.
    pub async fn remove(&self, key: &str) -> Result<Acked, SendError> {
        self.producer.send(self.record(key.to_owned())).await.await
    }

    /// Makes a namespace unless there is one already, and returns the record that stands: the first that was written,
    /// whoever wrote it.
    pub async fn put_namespace(
        &self,
        view: &ClusterView,
        record: NamespaceRecord,
    ) -> Result<NamespaceRecord, NamespaceError> {
        let namespace = record.namespace.clone();
        if let Some(first) = view.namespace(&namespace) {
            return Ok(first);
        }
        let written = self.put(&ClusterRecord::NamespaceRecord(record)).await;
        let acked = written.map_err(|error| NamespaceError::NotWritten { namespace: namespace.clone(), error })?;
        // Whatever was written before it is in the view then as well.
        if !view.holds(acked.offset).await {
            return Err(NamespaceError::NotReadBack { namespace });
        }
        view.namespace(&namespace).ok_or(NamespaceError::NotReadBack { namespace })
    }

    fn record(&self, key: String) -> Record {
        // All of it is in one partition, so that it has one order.
        Record::to(&self.topic).partition(0).key(key)
    }
}
