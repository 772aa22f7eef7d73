//! One file per family of requests: each turns a decoded request into its response, by the rules of Kafka's protocol.

pub(crate) mod acls;
pub(crate) mod alter_configs;
pub(crate) mod cluster;
pub(crate) mod configs;
pub(crate) mod consumer_protocol;
pub(crate) mod create_partitions;
pub(crate) mod create_topics;
pub(crate) mod delete_records;
pub(crate) mod delete_topics;
pub(crate) mod fetch;
pub(crate) mod find_coordinator;
pub(crate) mod group_admin;
pub(crate) mod groups;
pub(crate) mod leader_epochs;
pub(crate) mod list_offsets;
pub(crate) mod lookup;
pub(crate) mod metadata;
pub(crate) mod offsets;
pub(crate) mod operations;
pub(crate) mod produce;
pub(crate) mod producer_id;
pub(crate) mod topic_partitions;
pub(crate) mod versions;

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;

/// Kafka's number for an outcome: 0 for success.
pub(crate) fn code(outcome: Option<ResponseError>) -> i16 {
    outcome.map_or(0, |error| error.code())
}

pub(crate) fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// A copy that does not keep the whole frame alive.
pub(crate) fn owned(text: &StrBytes) -> String {
    text.to_string()
}
