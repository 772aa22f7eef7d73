//! The log of one partition: raw record batches in append-only segments, in files or in memory.
//!
//! Batches are stored as clients send them; only their base offset, leader epoch and (where the broker stamps records)
//! timestamp are written in. Readers never wait for an append in progress: they see what was published before it. Nothing
//! here knows of connections or requests; `api` calls [`partition::Partition`], `topics` opens and removes it.

mod append;
pub(crate) mod batch;
pub(crate) mod bell;
pub(crate) mod compaction;
mod compression;
pub(crate) mod context;
#[cfg(test)]
pub(crate) mod faults;
pub(crate) mod files;
mod flush;
pub(crate) mod fsync;
pub(crate) mod index;
pub(crate) mod journal;
pub(crate) mod journal_sync;
pub(crate) mod partition;
pub(crate) mod producers;
pub(crate) mod records;
pub(crate) mod recovery;
pub(crate) mod retention;
pub(crate) mod rewrite;
pub(crate) mod segment;
pub(crate) mod store;
pub(crate) mod timestamps;
pub(crate) mod waiters;
