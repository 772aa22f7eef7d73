//! Activities that last until something happens, and tell when it did.

use std::time::{SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use tidewright::prelude::*;

/// Microseconds since 1970. The processes of a benchmark are on one machine, so their clock is the same.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

pub(crate) struct Patient;

#[activities]
impl Patient {
    /// Lasts until it is told to end, and never heartbeats: when it heard that.
    #[activity(start_to_close = "1h")]
    async fn listen(&self, ctx: &ActivityContext) -> ActivityResult<u64> {
        ctx.cancelled().await;
        Ok(now_us())
    }

    /// The first attempt lasts as long as its worker; the next one tells when it began.
    #[activity(start_to_close = "1h")]
    async fn stay(&self, ctx: &ActivityContext) -> ActivityResult<u64> {
        let began_us = now_us();
        if ctx.attempt() == 1 {
            std::future::pending::<()>().await;
        }
        Ok(began_us)
    }
}

/// When its activity heard of the request to cancel.
#[workflow]
pub(crate) async fn hear(ctx: &WorkflowContext, _input: ()) -> WorkflowResult<u64> {
    let listening = ctx.activity(Patient::listen, ());
    Ok(listening.cancellation_type(ActivityCancellationType::WaitCancellationCompleted).await?)
}

/// When each of so many activities began elsewhere.
#[workflow]
pub(crate) async fn move_on(ctx: &WorkflowContext, activities: u32) -> WorkflowResult<Vec<u64>> {
    let staying = (0..activities).map(|_| async { ctx.activity(Patient::stay, ()).await });
    Ok(join_all(staying).await.into_iter().collect::<Result<_, _>>()?)
}
