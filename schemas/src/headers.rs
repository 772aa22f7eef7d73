//! Names of the Kafka record headers that Tidewright reads or writes. Values are UTF-8.

/// Media type of the value; `application/json` when absent.
pub const CONTENT_TYPE: &str = "content-type";
/// Version of the schemas that the writer used.
pub const SCHEMA_VERSION: &str = "tw-schema-version";
/// W3C trace context of whoever caused the record.
pub const TRACEPARENT: &str = "traceparent";
/// CloudEvents id: stands in for a `StartWorkflow`'s missing `request_id`.
pub const CLOUDEVENT_ID: &str = "ce_id";
/// MAC of an internal command (R33).
pub const MAC: &str = "tw-mac";
/// MACed origin of a forwarded command (R9).
pub const FORWARD: &str = "tw-forward";
/// Identity of a task: `<run id>/<event id>/<attempt>`, so that a backlog can be scanned without parsing it (R27).
pub const TASK: &str = "tw-task";
/// On a query among the workflow tasks, in place of [`TASK`]: the asker's correlation id. Nobody waits for it to be done,
/// so backlogs do not count it.
pub const QUERY: &str = "tw-query";
/// `true` on a task that may have been sent before (R25).
pub const POSSIBLE_REPEAT: &str = "tw-possible-repeat";
/// On a dead letter: stable code of the reason.
pub const REASON: &str = "tw-reason";
/// On a dead letter: the reason for people.
pub const REASON_MESSAGE: &str = "tw-reason-message";
/// On a dead letter: where the record was.
pub const ORIGIN_TOPIC: &str = "tw-origin-topic";
/// On a dead letter: where the record was.
pub const ORIGIN_PARTITION: &str = "tw-origin-partition";
/// On a dead letter: where the record was.
pub const ORIGIN_OFFSET: &str = "tw-origin-offset";
/// On a dead letter whose value did not fit: the size in bytes that the value had.
pub const OMITTED_BYTES: &str = "tw-omitted-bytes";

/// The version of the schemas in this crate.
pub const CURRENT_SCHEMA_VERSION: &str = "1";
/// The content type of every value that Tidewright writes.
pub const JSON: &str = "application/json";
