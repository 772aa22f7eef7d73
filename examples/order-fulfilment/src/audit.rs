//! A log of what ran, for those who want proof: demonstrations, and tests that kill workers.
//!
//! One line for the start and one for the end of each attempt, tab separated:
//! `<workflow id> <activity type> <scheduled event id> <attempt> <start|done> <milliseconds since 1970> <process id>`.
//! Lines are appended whole, so several processes may share a file, and what was written stays when a process is killed.

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidewright::prelude::*;

/// Where attempts are noted, and how long each takes at least.
#[derive(Debug, Default)]
pub struct Audit {
    file: Option<File>,
    delay: Duration,
}

impl Audit {
    /// Appends to a file, which is made if it is not there.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file: Some(file), delay: Duration::ZERO })
    }

    /// Makes each attempt take that much longer.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Runs an attempt and notes its start and end.
    pub async fn attempt<T>(
        &self,
        ctx: &ActivityContext,
        work: impl Future<Output = ActivityResult<T>>,
    ) -> ActivityResult<T> {
        self.note(ctx, "start")?;
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let outcome = work.await;
        self.note(ctx, "done")?;
        outcome
    }

    fn note(&self, ctx: &ActivityContext, phase: &str) -> io::Result<()> {
        let Some(mut file) = self.file.as_ref() else { return Ok(()) };
        let info = ctx.info();
        let (workflow, activity, event, attempt) =
            (&info.workflow_id, &info.activity_type, info.scheduled_event_id, info.attempt);
        // A clock before 1970 is noted as 0.
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let process = std::process::id();
        file.write_all(format!("{workflow}\t{activity}\t{event}\t{attempt}\t{phase}\t{now_ms}\t{process}\n").as_bytes())
    }
}
