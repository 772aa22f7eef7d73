//! The suite. Each module covers one family of requests; `restart` and `hostile` are about the embedded broker alone.

mod alterations;
mod cluster;
mod commits;
mod compaction;
mod fetch;
mod group_admin;
mod groups;
mod hostile;
mod java;
mod million;
mod offset_storage;
mod offsets;
mod process;
mod produce;
mod rebalance;
mod restart;
mod retention;
mod round_trip;
mod static_members;
mod topics;
mod versions;
