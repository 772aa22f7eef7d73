//! A worker whose activities take as long as they are told, for tests that kill, add and remove workers. Each attempt
//! that begins, and why one was told to end, is noted in the file that `PATIENCE_LOG` names.

use std::fs::OpenOptions;
use std::io::Write as _;

use anyhow::Context as _;
use futures::future::join_all;
use tidewright::prelude::*;
use tidewright::{Client, Worker};

struct Patience {
    log: std::path::PathBuf,
}

/// Whether this build of the code has a defect that takes the process down, as one of a native library does.
fn is_deadly() -> bool {
    std::env::var_os("PATIENCE_IS_DEADLY").is_some()
}

impl Patience {
    /// Notes something in one write of a short line: several processes may share the file.
    fn note(&self, ctx: &ActivityContext, what: &str) -> std::io::Result<()> {
        let line = format!("{} {} {} {what}\n", ctx.workflow_id(), ctx.activity_id(), std::process::id());
        OpenOptions::new().create(true).append(true).open(&self.log)?.write_all(line.as_bytes())
    }
}

#[activities]
impl Patience {
    /// Takes so many milliseconds.
    #[activity(start_to_close = "1h")]
    async fn wait(&self, ctx: &ActivityContext, ms: u64) -> ActivityResult<u32> {
        self.note(ctx, "began")?;
        tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
        Ok(std::process::id())
    }

    /// The first attempt lasts as long as its process, and says how far it came. The next one tells what it was told of
    /// that.
    #[activity(start_to_close = "1h", heartbeat_timeout = "1h")]
    async fn outlast(&self, ctx: &ActivityContext) -> ActivityResult<Option<u64>> {
        self.note(ctx, "began")?;
        if ctx.attempt() == 1 {
            ctx.heartbeat(&42_u64)?;
            std::future::pending::<()>().await;
        }
        ctx.heartbeat_details()
    }

    /// The first attempt lasts until it is told to end, and notes why.
    #[activity(start_to_close = "1h")]
    async fn listen(&self, ctx: &ActivityContext) -> ActivityResult<u32> {
        self.note(ctx, "began")?;
        if ctx.attempt() == 1 {
            let reason = ctx.cancelled().await;
            self.note(ctx, &format!("{reason:?}"))?;
            return Err(ActivityError::canceled("the process stops"));
        }
        Ok(ctx.attempt())
    }
}

#[activities]
impl Deadly {
    /// Takes its process down after a while, long enough that it was announced.
    #[activity(start_to_close = "1h")]
    async fn crash(&self) -> ActivityResult<()> {
        if is_deadly() {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            std::process::abort();
        }
        Ok(())
    }
}

struct Deadly;

/// Its activity takes workers down.
#[workflow]
async fn deadly_activity(ctx: &WorkflowContext, _input: ()) -> WorkflowResult<()> {
    Ok(ctx.activity(Deadly::crash, ()).await?)
}

/// Takes workers down by itself.
#[workflow]
async fn deadly(_ctx: &WorkflowContext, _input: ()) -> WorkflowResult<()> {
    if is_deadly() {
        std::process::abort();
    }
    Ok(())
}

/// Waits for several things at the same time; tells which processes they were in.
#[workflow]
async fn patience(ctx: &WorkflowContext, waits: Vec<u64>) -> WorkflowResult<Vec<u32>> {
    let waiting = waits.into_iter().map(|ms| async move { ctx.activity(Patience::wait, ms).await });
    Ok(join_all(waiting).await.into_iter().collect::<Result<_, _>>()?)
}

/// What the second attempt knows of the first one.
#[workflow]
async fn outlast(ctx: &WorkflowContext, _input: ()) -> WorkflowResult<Option<u64>> {
    Ok(ctx.activity(Patience::outlast, ()).await?)
}

/// Which attempt came to an end.
#[workflow]
async fn listen(ctx: &WorkflowContext, _input: ()) -> WorkflowResult<u32> {
    Ok(ctx.activity(Patience::listen, ()).await?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter("info").with_writer(std::io::stderr).init();
    let log = std::env::var_os("PATIENCE_LOG").context("PATIENCE_LOG names no file")?.into();
    let client = Client::from_env().context("the client cannot be made")?;
    let worker = Worker::from_env(&client)?.workflow(patience).workflow(outlast).workflow(listen);
    let worker = worker.workflow(deadly).workflow(deadly_activity).activities(Patience { log }).activities(Deadly);
    worker.run().await.context("the worker ended")
}
