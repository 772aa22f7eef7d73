//! To poll by heartbeat: one long activity looks again and again, and tells how far it is.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidewright::prelude::*;

use crate::{ExportRequest, ExportState, Exports};

/// Orders an export and gives its URL, once it is ready.
#[workflow]
pub async fn export_by_heartbeat(ctx: &WorkflowContext, request: ExportRequest) -> WorkflowResult<String> {
    // A failed look is tried again soon: the attempt that follows goes on where this one was.
    let soon = RetryPolicy::default().initial_interval(100.millis()).maximum_interval(10.secs());
    Ok(ctx.activity(Watches::export, &request).retry(soon).await?)
}

/// The activity of [`export_by_heartbeat`].
pub struct Watches {
    /// The slow thing.
    pub exports: Arc<dyn Exports>,
}

/// How far an export is: the details of a heartbeat, which the next attempt reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// The export that was ordered.
    pub export_id: String,
    /// How much of it is done.
    pub percent: u32,
}

#[activities]
impl Watches {
    /// Orders an export and watches it until it is ready. Whoever has not been heard for 10 seconds is taken for dead, and
    /// the next attempt begins at once; without heartbeats that would be noticed after a day.
    #[activity(start_to_close = "24h", heartbeat_timeout = "10s")]
    pub async fn export(&self, ctx: &ActivityContext, request: ExportRequest) -> ActivityResult<String> {
        let export_id = match ctx.heartbeat_details::<Watched>()? {
            // An attempt before this one has ordered it.
            Some(watched) => watched.export_id,
            None => self.exports.order(ctx.idempotency_key(), &request.table).await?,
        };
        let mut interval = tokio::time::interval(Duration::from_millis(request.poll_every_ms.max(1)));
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                // Nobody waits for the export any more, or the worker stops and another one goes on.
                reason = ctx.cancelled() => return Err(reason.into()),
            }
            match self.exports.state(&export_id).await? {
                ExportState::Ready { url } => return Ok(url),
                ExportState::Running { percent } => {
                    ctx.heartbeat(&Watched { export_id: export_id.clone(), percent })?;
                }
            }
        }
    }
}
