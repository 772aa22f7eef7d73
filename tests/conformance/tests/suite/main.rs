//! The suite. Each module covers one family of requests; `restart` and `hostile` are about the embedded broker alone.

mod commits;
mod fetch;
mod groups;
mod hostile;
mod offsets;
mod process;
mod produce;
mod rebalance;
mod restart;
mod round_trip;
mod topics;
mod versions;
