//! What happens to groups and offsets without a request: deadlines pass, what expired is forgotten, the journal is brought
//! down to what is live.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::state::{Shared, now_ms};

/// How often expired offsets are looked for, at least.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);

/// Lets deadlines pass, for ever.
pub(crate) async fn watch_deadlines(shared: Arc<Shared>) {
    loop {
        let next = shared.coordinator.expire(Instant::now());
        tokio::select! {
            () = tokio::time::sleep_until(next.into()) => {}
            () = shared.coordinator.deadlines_changed() => {}
        }
    }
}

/// Forgets what expired, for ever.
pub(crate) async fn sweep(shared: Arc<Shared>) {
    let retention = shared.config.offsets_retention;
    let interval = retention.clamp(Duration::from_millis(1), SWEEP_INTERVAL);
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
    loop {
        ticks.tick().await;
        on_a_thread(&shared, move |shared| {
            let retention_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
            if let Err(error) = shared.coordinator.sweep(now_ms(), retention_ms) {
                tracing::error!(%error, "cannot forget expired offsets; it is tried again");
            }
        })
        .await;
    }
}

/// Rewrites the journal whenever it has become too long, for ever.
pub(crate) async fn compact(shared: Arc<Shared>) {
    loop {
        shared.coordinator.journal_bloated().await;
        on_a_thread(&shared, |shared| {
            if let Err(error) = shared.coordinator.compact() {
                tracing::error!(%error, "cannot compact the journal of offsets; it is tried again after further commits");
            }
        })
        .await;
    }
}

async fn on_a_thread(shared: &Arc<Shared>, work: impl FnOnce(&Shared) + Send + 'static) {
    let shared = shared.clone();
    if tokio::task::spawn_blocking(move || work(&shared)).await.is_err_and(|error| error.is_panic()) {
        tracing::error!("the housekeeping of groups panicked");
    }
}
