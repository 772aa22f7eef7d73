//! The Kafka adapter: the only crate that knows librdkafka.
//!
//! It owns how Tidewright talks to Kafka and promises what the protocol needs of a log:
//! - [`Producer`] sends commands, tasks and answers, in order for each partition, within bounded memory;
//! - [`HistoryProducer`] appends to history without gaps and is dead after its first error (R13);
//! - [`LogReader`] reads many partitions from exact offsets and never resets one by itself (R15);
//! - [`GroupConsumer`] is a member of a consumer group, with rebalances in order among the records (R12, R24);
//! - [`Admin`] makes and verifies topics, deletes records, and asks for offsets;
//! - [`Caller`] asks over `commands` and is answered over `replies` (R21);
//! - [`cluster`] keeps the `cluster` topic's content current.
//!
//! The runtime, the worker SDK, the command line and tests may call it. What a record means is for them to know: here
//! it is bytes.

pub mod admin;
mod caller;
pub mod cluster;
mod config;
mod context;
mod error;
mod group;
mod producer;
mod properties;
mod reach;
mod reader;
mod record;

pub use admin::{
    Admin, ClusterInfo, Difference, Operation, Severity, TopicInfo, TopicKind, TopicReport, TopicSeen, TopicSpec,
    Watermarks,
};
pub use caller::{CallError, Caller, CallerOptions};
pub use cluster::{ClusterError, ClusterView, ClusterWriter};
pub use config::KafkaConfig;
pub use error::{GroupError, LogError, ReadError, SendError, SendErrorKind};
pub use group::{AssignedPartition, BeforeRevoke, GroupConsumer, GroupEvent, GroupMode, GroupOptions, TopicPartition};
pub use producer::{Acked, Append, Delivery, HistoryProducer, Producer};
pub use properties::{PropertyError, check_property, common_properties, fixed_properties, is_secret_property};
pub use reach::{Unreached, reach};
pub use reader::{Batch, Isolation, LogReader, PartitionReader, ReaderOptions, StartAt};
pub use record::{Entry, Received, Record};
