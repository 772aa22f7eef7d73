//! Drives owners: ownership through the consumer group and the claim, restore, timers, effect release; and what the
//! rest of a node may ask of them.
//!
//! [`Engine`] is the handle. Everything behind it runs in tasks of its own: a supervisor that follows the consumer
//! group, and one task for each partition, which alone touches the partition's owner.

mod backlog;
mod config;
mod contact;
mod engine;
mod error;
mod janitor;
mod measure;
mod node;
mod offer;
mod outbox;
mod partition;
mod prepare;
mod presence;
mod query;
mod shutdown;
mod spans;
mod status;
mod stranded;
mod stray;
mod supervisor;
mod task_topics;
mod view;
mod waiting;

pub use config::EngineConfig;
pub use engine::{Engine, Route};
pub use error::{EngineError, QueryError, ReadError, RequestError};
pub use query::query_timeout;
pub use status::{PartitionState, PartitionStatus, SkipRefused};
pub use tidewright_core::read::PendingPage;
pub use tidewright_owner::AcceptedLoss;
pub use tidewright_owner::presence::{Life, WorkerSeen};
pub use view::PartitionView;
