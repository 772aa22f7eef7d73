//! Sending: in order for each partition, confirmed by all replicas that are in sync, within bounded memory.
//!
//! Two producers for two needs: [`Producer`] for what may be sent again by whoever wants it delivered (commands, tasks,
//! answers), [`HistoryProducer`] for history, which may have no gap.

mod delivery;
mod gate;
mod history;
mod link;
mod plain;

pub use delivery::{Acked, Delivery};
pub use history::{Append, HistoryProducer};
pub use plain::Producer;

use crate::config::property;

/// Bytes that one producer holds at most until they are confirmed.
pub(crate) const BUFFER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Unit in which the buffer is shared out, so that small records are bounded in number, too.
pub(crate) const BUFFER_UNIT_BYTES: usize = 1024;
/// Largest request: the largest record of all (a dead letter) and its framing.
pub(crate) const REQUEST_BYTES_MAX: usize = tidewright_schemas::limits::DEAD_LETTER_BYTES_MAX + 128 * 1024;

/// How many units of the buffer a record takes.
fn buffer_units(record_bytes: usize) -> u32 {
    let units = (record_bytes / BUFFER_UNIT_BYTES + 1).min(BUFFER_BYTES_MAX / BUFFER_UNIT_BYTES);
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// What both producers ask of librdkafka.
fn shared_defaults() -> Vec<(&'static str, String)> {
    vec![
        // The default of 5 ms is paid on every hop.
        property("linger.ms", 0),
        // Records without a key go anywhere, each by itself: sticking to one partition would load one worker.
        property("sticky.partitioning.linger.ms", 0),
        // A topic that is not there is said to be missing after this while.
        property("topic.metadata.propagation.max.ms", 3_000),
        property("retry.backoff.max.ms", 500),
        property("queue.buffering.max.kbytes", 2 * BUFFER_BYTES_MAX / 1024),
    ]
}

fn shared_requirements() -> Vec<(&'static str, String)> {
    vec![
        property("acks", "all"),
        property("enable.idempotence", true),
        property("partitioner", "murmur2_random"),
        property("message.max.bytes", REQUEST_BYTES_MAX),
        // More than the buffer has units, so that librdkafka's own queue is never what is full.
        property("queue.buffering.max.messages", 2 * BUFFER_BYTES_MAX / BUFFER_UNIT_BYTES),
    ]
}
