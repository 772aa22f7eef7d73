//! The slow thing: exports that are ready some time after they were ordered.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

/// Makes exports.
#[async_trait]
pub trait Exports: Send + Sync {
    /// Orders an export, once for each key, and gives its id.
    async fn order(&self, key: &str, table: &str) -> Result<String, Unavailable>;
    /// How far an export is.
    async fn state(&self, export_id: &str) -> Result<ExportState, Unavailable>;
}

/// How far an export is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportState {
    /// Not ready yet.
    Running {
        /// How much of it is done.
        percent: u32,
    },
    /// Ready.
    Ready {
        /// Where it lies.
        url: String,
    },
}

/// It cannot say, but may soon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the exports cannot be asked right now")]
pub struct Unavailable;

/// Exports in memory: each is ready when it has been looked at ten times, and cannot say how far it is at the third.
#[derive(Debug, Default)]
pub struct InMemoryExports {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    orders: u32,
    /// How often each export has been looked at.
    looks: BTreeMap<String, u32>,
}

impl InMemoryExports {
    /// How many orders came, repeated ones included.
    #[must_use]
    pub fn orders(&self) -> u32 {
        self.seen().orders
    }

    /// How often exports have been looked at.
    #[must_use]
    pub fn looks(&self) -> u32 {
        self.seen().looks.values().sum()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Exports for InMemoryExports {
    async fn order(&self, key: &str, table: &str) -> Result<String, Unavailable> {
        self.seen().orders += 1;
        Ok(format!("{table}-{key}"))
    }

    async fn state(&self, export_id: &str) -> Result<ExportState, Unavailable> {
        let mut seen = self.seen();
        let looks = seen.looks.entry(export_id.to_owned()).or_default();
        *looks += 1;
        match *looks {
            3 => Err(Unavailable),
            looks @ ..10 => Ok(ExportState::Running { percent: looks * 10 }),
            _ => Ok(ExportState::Ready { url: format!("https://exports.example/{export_id}") }),
        }
    }
}
