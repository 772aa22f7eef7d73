//! What can go wrong while a broker starts or stops. What goes wrong in a request is answered to its client with Kafka's
//! error codes instead.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    #[error("cannot listen on {address}: {source}; choose another address, or port 0 for any free port")]
    Listen { address: SocketAddr, source: io::Error },

    #[error(
        "the directory {} is in use by another broker; stop that broker or choose another directory",
        directory.display()
    )]
    DirectoryInUse { directory: PathBuf },

    #[error("cannot {action} {}: {source}", path.display())]
    Storage { action: &'static str, path: PathBuf, source: io::Error },

    #[error(
        "{} is damaged at byte {position} ({reason}) although later records follow it; restore it from a backup, or \
         remove this partition's directory to give its records up",
        path.display()
    )]
    Damaged { path: PathBuf, position: u64, reason: String },

    #[error("cannot start the broker's threads: {0}")]
    Threads(io::Error),

    #[error("the broker's task ended abnormally: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl BrokerError {
    /// For `map_err`: an I/O error with what was being done, and to which file.
    pub(crate) fn storage(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Storage { action, path, source }
    }
}
