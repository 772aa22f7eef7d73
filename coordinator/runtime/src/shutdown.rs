//! Being told to stop.

use tokio::sync::watch;

/// Resolves when the task is told to stop, or when nobody is left to tell it.
pub(crate) async fn told(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a shutdown, too.
    let _ = shutdown.wait_for(|stop| *stop).await;
}
