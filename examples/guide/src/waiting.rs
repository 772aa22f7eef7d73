//! Waiting for several things at once, and what a workflow asks its context instead of the process.

use tidewright::prelude::*;

const PAUSE: SignalDef<u64> = SignalDef::new("pause");

/// Counts down, as long as nobody pauses it.
#[workflow]
pub async fn countdown(ctx: &WorkflowContext, from: u64) -> WorkflowResult<String> {
    let mut paused = 0;
    for _ in 0..from {
        select! {
            seconds = ctx.receive(PAUSE) => {
                let seconds = seconds?;
                paused += seconds;
                ctx.sleep(seconds.secs()).await?;
            }
            slept = ctx.sleep(1.secs()) => slept?,
        }
    }
    let lucky = ctx.random_range(1..7);
    Ok(format!("{paused} s late at {}, and the die says {lucky}", ctx.now()))
}
