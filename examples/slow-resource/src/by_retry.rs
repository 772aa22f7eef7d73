//! To poll by retry: an activity looks once and fails if it is too early. The engine's retry is the interval.

use std::sync::Arc;
use std::time::Duration;

use tidewright::prelude::*;

use crate::{ExportRequest, ExportState, Exports};

/// Orders an export and gives its URL, once it is ready.
#[workflow]
pub async fn export_by_retry(ctx: &WorkflowContext, request: ExportRequest) -> WorkflowResult<String> {
    let export_id = ctx.activity(Looks::order_export, &request.table).await?;
    let poll_every = RetryPolicy::default()
        .initial_interval(Duration::from_millis(request.poll_every_ms))
        .backoff_coefficient(1.2)
        .maximum_interval(5.mins());
    // All looks together; for each one the default of the activity holds.
    let ready = ctx.activity(Looks::export_url, &export_id).retry(poll_every).schedule_to_close(24.hours());
    Ok(ready.await?)
}

/// The activities of [`export_by_retry`].
pub struct Looks {
    /// The slow thing.
    pub exports: Arc<dyn Exports>,
}

#[activities]
impl Looks {
    /// Orders an export, once for each idempotency key.
    #[activity(start_to_close = "10s")]
    pub async fn order_export(&self, ctx: &ActivityContext, table: String) -> ActivityResult<String> {
        Ok(self.exports.order(ctx.idempotency_key(), &table).await?)
    }

    /// Looks once. That it is too early is a failure like any other: it is tried again by the policy. Where the resource
    /// says itself when to come back, `ActivityError::next_retry_delay` overrides the policy.
    #[activity(start_to_close = "10s")]
    pub async fn export_url(&self, export_id: String) -> ActivityResult<String> {
        match self.exports.state(&export_id).await? {
            ExportState::Ready { url } => Ok(url),
            ExportState::Running { percent } => {
                Err(ActivityError::new("NotReady", format!("{export_id} is done to {percent} %")))
            }
        }
    }
}
