//! What most workers and callers need: `use tidewright::prelude::*;`.

pub use crate::{
    Activities, ActivityContext, ActivityDef, ActivityError, ActivityFailed, ActivityOptions, ActivityResult,
    ActivitySet, Client, ClientConfig, Durations, RetryPolicy, SignalDef, Worker, WorkerOptions, WorkflowContext,
    WorkflowDef, WorkflowError, WorkflowNamed, WorkflowResult, activities, join, select, try_join, workflow,
};
