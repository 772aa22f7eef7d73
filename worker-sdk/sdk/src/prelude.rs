//! What most workers and callers need: `use tidewright::prelude::*;`.

pub use crate::{
    Activities, ActivityCancellationType, ActivityContext, ActivityDef, ActivityError, ActivityFailed, ActivityOptions,
    ActivityResult, ActivitySet, CancelReason, Canceled, CancellationScope, Client, ClientConfig, CompensationFailed,
    Durations, Elapsed, RetryPolicy, Saga, SignalDef, TimeoutError, Worker, WorkerOptions, WorkflowContext,
    WorkflowDef, WorkflowError, WorkflowFutureExt, WorkflowNamed, WorkflowResult, activities, join, select, try_join,
    workflow,
};
