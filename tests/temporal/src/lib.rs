//! What of Temporal's API the wire types carry. `docs/temporal.md` says it, field by field; here it is read ([`table`]),
//! compared with the API's descriptors ([`api`]), and done: [`convert`] takes a message to our JSON and back as the table
//! says, and [`fill`] makes messages at random.
//!
//! `api/descriptors.bin` is made from the crate `temporalio-protos` 0.10 (MIT, `api/LICENSE`) by the program `reduce`.

pub mod convert;
pub mod fill;
pub mod json;
pub mod scalar;
pub mod table;

use anyhow::Context as _;
use prost_reflect::{DescriptorPool, MessageDescriptor};

/// The part of Temporal's API that the table speaks of.
pub fn api() -> anyhow::Result<DescriptorPool> {
    DescriptorPool::decode(include_bytes!("../api/descriptors.bin").as_slice())
        .context("the descriptors are unreadable")
}

/// The message of a section of the table.
pub fn message(pool: &DescriptorPool, name: &str) -> anyhow::Result<MessageDescriptor> {
    pool.get_message_by_name(name).with_context(|| format!("Temporal's API has no message {name}"))
}
