//! A broker that speaks the Kafka protocol, for development, tests and one-node use: in process, or behind a command.
//!
//! It promises what a client can observe of a Kafka node with the same settings: records are kept in order and as they were
//! sent, idempotent producers write once, consumer groups share partitions, and what was acknowledged survives the end of
//! the process, however it ends. A suite that runs against this broker and against Apache Kafka holds it to that.
//!
//! Topics keep what their settings say: `cleanup.policy` with `delete`, `compact` or both, by `retention.ms`,
//! `retention.bytes`, `segment.ms` and `segment.bytes`; compaction by `min.cleanable.dirty.ratio`, `min.compaction.lag.ms`,
//! `max.compaction.lag.ms` and `delete.retention.ms`. [`Fsync`] says when records are made to survive a loss of power.
//! A disk that fails fails requests and takes the partition offline, never the broker.
//!
//! What it does not do: there is one node without replication, no transactions, no authentication, and no group protocol
//! but the classic one. `docs/broker.md` has the rest, with the requests that it answers.
//!
//! [`Broker::start`] is the way in; nothing else of this crate is public.
//!
//! ```no_run
//! # async fn example() -> Result<(), tidewright_broker::BrokerError> {
//! use tidewright_broker::{Broker, BrokerConfig};
//!
//! let broker = Broker::start(BrokerConfig::default()).await?;
//! println!("bootstrap.servers={}", broker.address());
//! broker.shutdown().await
//! # }
//! ```

mod api;
mod broker;
mod cluster;
mod config;
mod error;
mod group;
mod log;
mod server;
mod state;
mod sync;
mod topics;

pub use broker::Broker;
pub use config::{BrokerConfig, Fsync, Limits, Storage};
pub use error::BrokerError;
