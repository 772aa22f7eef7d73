//! Durable workflows and activities on Apache Kafka, in ordinary Rust.
//!
//! A workflow is an `async fn` that survives everything: it is advanced by replaying its history. An activity is an
//! `async` method of a struct that holds what it needs; it does what touches the world. A [`Worker`] runs both, a
//! [`Client`] starts workflows and awaits their results.
//!
//! ```
//! use tidewright::prelude::*;
//!
//! struct Payments;
//!
//! #[activities]
//! impl Payments {
//!     /// Charges a customer; the attempt may be a repeat, so the gateway is given the idempotency key.
//!     #[activity(start_to_close = "30s")]
//!     async fn charge(&self, ctx: &ActivityContext, amount_cents: u64) -> ActivityResult<String> {
//!         Ok(format!("{}:{amount_cents}", ctx.idempotency_key()))
//!     }
//! }
//!
//! #[workflow]
//! async fn order(ctx: &WorkflowContext, amount_cents: u64) -> WorkflowResult<String> {
//!     let transaction = ctx.activity(Payments::charge, amount_cents).await?;
//!     ctx.sleep(30.days()).await?;
//!     Ok(transaction)
//! }
//! # let _ = order;
//! ```
//!
//! A wrong input does not compile:
//!
//! ```compile_fail
//! # use tidewright::prelude::*;
//! # struct Payments;
//! # #[activities]
//! # impl Payments {
//! #     #[activity(start_to_close = "30s")]
//! #     async fn charge(&self, amount_cents: u64) -> ActivityResult<String> { Ok(String::new()) }
//! # }
//! # #[workflow]
//! # async fn order(ctx: &WorkflowContext) -> WorkflowResult<String> {
//! let transaction = ctx.activity(Payments::charge, "ten").await?;
//! # Ok(transaction)
//! # }
//! ```

mod activity_context;
mod attempt_link;
mod contract;
mod convert;
mod definition;
mod error;
mod handlers;
mod options;
pub mod prelude;
mod registry;
mod saga;
mod shown;
#[cfg(feature = "opentelemetry")]
pub mod telemetry;
mod worker;
mod workflow;

pub use activity_context::{ActivityContext, ActivityInfo};
pub use attempt_link::CancelReason;
pub use contract::{ActivityContract, ActivityType, MissingTimeout, WithTimeout};
pub use definition::{Activities, ActivityDef, ActivityReturn, ActivityRun, WorkflowDef, WorkflowReturn, WorkflowRun};
pub use error::{ActivityError, ActivityFailed, ActivityResult, WorkflowError, WorkflowResult};
pub use futures::{join, select_biased as select, try_join};
pub use handlers::{HandlerSet, WorkflowState};
pub use options::{ActivityOptions, Durations, RetryPolicy};
pub use registry::ActivitySet;
pub use saga::{CompensationFailed, Saga};
pub use tidewright_client::{
    Client, ClientConfig, ConfigError, QueryCall, QueryDef, QueryError, QueryRejectCondition, ReadError, RequestError,
    ResultError, SignalCall, SignalDef, StartCall, StartError, WorkflowFailed, WorkflowHandle,
    WorkflowIdConflictPolicy, WorkflowIdReusePolicy, WorkflowNamed, WorkflowStatus, WorkflowType,
};
pub use tidewright_macros::{activities, workflow};
pub use tidewright_replay::ActivityCancellationType;
pub use tidewright_schemas::{Failure, FailureInfo, RetryState, TimeoutType};
pub use worker::{Worker, WorkerError, WorkerOptions};
pub use workflow::{
    ActivityCall, Canceled, Cancellation, CancellationScope, Condition, Elapsed, Random, Receive, Sleep, Timeout,
    TimeoutError, WaitFor, WorkflowContext, WorkflowFutureExt, WorkflowRng,
};

/// What the macros' output needs and nobody else.
#[doc(hidden)]
pub mod __macros {
    pub use crate::shown::{Hidden, Shown, ShownByDebug, ShownBySerialize};
}
