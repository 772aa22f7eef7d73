//! A worker whose activities take as long as they are told, for tests that kill, add and remove workers. Each attempt
//! that begins is noted in the file that `PATIENCE_LOG` names.

use std::fs::OpenOptions;
use std::io::Write as _;

use anyhow::Context as _;
use futures::future::join_all;
use tidewright::prelude::*;
use tidewright::{Client, Worker};

struct Patience {
    log: std::path::PathBuf,
}

#[activities]
impl Patience {
    /// Takes so many milliseconds.
    #[activity(start_to_close = "1h")]
    async fn wait(&self, ctx: &ActivityContext, ms: u64) -> ActivityResult<u32> {
        let line = format!("{} {} {}\n", ctx.workflow_id(), ctx.activity_id(), std::process::id());
        // One write of a short line: several processes may share the file.
        OpenOptions::new().create(true).append(true).open(&self.log)?.write_all(line.as_bytes())?;
        tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
        Ok(std::process::id())
    }
}

/// Waits for several things at the same time; tells which processes they were in.
#[workflow]
async fn patience(ctx: &WorkflowContext, waits: Vec<u64>) -> WorkflowResult<Vec<u32>> {
    let waiting = waits.into_iter().map(|ms| async move { ctx.activity(Patience::wait, ms).await });
    Ok(join_all(waiting).await.into_iter().collect::<Result<_, _>>()?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter("info").with_writer(std::io::stderr).init();
    let log = std::env::var_os("PATIENCE_LOG").context("PATIENCE_LOG names no file")?.into();
    let client = Client::from_env().context("the client cannot be made")?;
    let worker = Worker::from_env(&client)?.workflow(patience).activities(Patience { log });
    worker.run().await.context("the worker ended")
}
