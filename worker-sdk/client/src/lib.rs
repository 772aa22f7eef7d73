//! Starts workflows, awaits their results and looks at them.
//!
//! Starts go over Kafka and are answered over Kafka; results, descriptions and histories come from the HTTP API of the
//! node that owns the workflow, which the `cluster` topic names. A [`Client`] is a cheap handle; it connects when it is
//! first needed, so it can be made before any engine node is up.
//!
//! Callers use it through the `tidewright` crate; the SDK's worker, the command line and tests use it, too.

mod client;
mod config;
mod control;
mod definition;
mod error;
mod follow;
mod handle;
mod history;
mod http;
mod query;
mod start;

pub use client::Client;
pub use config::{ClientConfig, ConfigError};
pub use control::{SignalCall, SignalDef};
pub use definition::{WorkflowNamed, WorkflowType};
pub use error::{QueryError, ReadError, RequestError, ResultError, StartError, WorkflowFailed};
pub use follow::HistoryFollower;
pub use handle::WorkflowHandle;
pub use history::{HistoryError, HistoryPages, HistoryRange};
pub use query::{QueryCall, QueryDef, QueryRejectCondition};
pub use start::StartCall;
pub use tidewright_schemas::api::WorkflowStatus;
pub use tidewright_schemas::{WorkflowIdConflictPolicy, WorkflowIdReusePolicy};
