//! Ctrl-C and SIGTERM: the first one asks everything to end in good order, a second one ends it at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::error::CliError;
use crate::output::say;

/// What a shell reports of a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// Tells when the process is to end. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown {
    requested: watch::Receiver<bool>,
}

impl Shutdown {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self, CliError> {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::system)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(CliError::system)?;
        let (request, requested) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => say("stopping; Ctrl-C again stops at once"),
                _ = terminate.recv() => say("stopping"),
            }
            request.send_replace(true);
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            std::process::exit(INTERRUPTED);
        });
        Ok(Self { requested })
    }

    /// Resolves when the process is to end.
    pub(crate) async fn requested(&self) {
        let mut requested = self.requested.clone();
        if requested.wait_for(|requested| *requested).await.is_err() {
            // Whoever listens ends only with the process.
            std::future::pending::<()>().await;
        }
    }
}
