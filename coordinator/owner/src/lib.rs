//! The owner of one partition, sans I/O: the runtime drives it on Kafka and RocksDB, the simulator on a simulated log
//! and clock, so what is simulated is what runs.
//!
//! A driver feeds [`Input`]s to [`Owner::handle`] and carries out the [`Action`]s that come back, in order. It may
//! delay, lose or repeat what a network may; PROTOCOL.md says what must hold all the same.

mod backlog;
mod batch;
mod codec;
mod forgetting;
mod in_flight;
mod io;
mod marks;
mod meta;
mod owner;
mod position;
pub mod presence;
mod recovery;
mod report;
mod send;
mod skip;
mod timers;
mod traced;
pub mod trust;
mod workers;

pub use codec::{Forwarding, forward_stray};
pub use io::{
    AcceptedLoss, Action, BacklogKey, Bounds, Destination, EffectId, HistoryEntry, Input, LogBounds, LogRecord,
    Outbound, SendFailure, Stop,
};
pub use owner::{Identity, Limits, Owner, Phase};
pub use report::{Outcome, Report};
pub use traced::{EndedSpan, SpanOf, TracedCommand};
