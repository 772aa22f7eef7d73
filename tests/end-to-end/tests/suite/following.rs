//! A history that is followed while it grows, and while the workflow changes its owner.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use end_to_end::{World, binaries, processes};
use serde_json::Value;
use tidewright::prelude::*;
use tidewright_schemas::HistoryEvent;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Waits until it was told its name twice.
#[workflow]
async fn two_names(ctx: &WorkflowContext, _input: ()) -> WorkflowResult<String> {
    let first = ctx.receive_named::<String>("name").await?;
    Ok(format!("{first} {}", ctx.receive_named::<String>("name").await?))
}

/// `tidewright workflow show --follow`, and what it prints.
struct Shown {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Shown {
    fn start(http_url: &str, workflow_id: &str) -> anyhow::Result<Self> {
        let mut process = Command::new(binaries::path("tidewright")?)
            .args(["workflow", "show", "--follow", "-o", "json", "-w", workflow_id, "--address", http_url])
            .env_remove("TIDEWRIGHT_CONFIG")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().context("it has no output")?;
        Ok(Self { process, lines: BufReader::new(stdout).lines() })
    }

    async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        let line = tokio::time::timeout(processes::PROCESS_PATIENCE, self.lines.next_line()).await;
        let line = line.context("nothing is shown")??;
        Ok(line.map(|line| serde_json::from_str(&line)).transpose()?)
    }

    /// Reads until an event of this type.
    async fn until(&mut self, event_type: &str) -> anyhow::Result<()> {
        while let Some(event) = self.next().await? {
            if event["event_type"] == event_type {
                return Ok(());
            }
        }
        anyhow::bail!("no {event_type} is shown")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_followed_to_its_end_whoever_owns_it() -> anyhow::Result<()> {
    binaries::build()?;
    let world = World::without_engine().await?;
    let directory = tempfile::tempdir()?;
    processes::write_secret(directory.path())?;
    let start =
        async |name| processes::start_engine(world.kafka.brokers(), &world.topics, directory.path(), name).await;
    let first = start("first").await?;
    let client = world.client()?;
    let _worker = world.run(Worker::new(&client, "q").workflow(two_names));
    let run = client.start(two_names, ()).id("followed").task_queue("q").await?;
    let second = start("second").await?;
    let mut shown = Shown::start(&second.http_url, "followed")?;
    shown.until("WorkflowTaskCompleted").await?;
    let mut interrupted = Shown::start(&second.http_url, "followed")?;
    interrupted.until("WorkflowTaskCompleted").await?;
    let mut follower = run.follow();
    let mut events: Vec<HistoryEvent> = Vec::new();
    while events.last().is_none_or(|event| event.attributes.event_type() != "WorkflowTaskCompleted") {
        events.push(follower.next().await?.context("it has not ended")?);
    }

    run.signal_named("name", &"anna").await?;
    shown.until("WorkflowExecutionSignaled").await?;
    processes::stop(first.process).await?;
    processes::send_signal(&interrupted.process, "INT").await?;
    while interrupted.next().await?.is_some() {}
    ensure!(interrupted.process.wait().await?.code() == Some(130), "Ctrl-C is how a shell expects it");
    run.signal_named("name", &"ben").await?;

    while let Some(event) = follower.next().await? {
        events.push(event);
    }
    ensure!(follower.next().await?.is_none() && follower.run_id() == run.run_id());
    ensure!(events == run.history().await?, "{events:?}");
    shown.until("WorkflowExecutionCompleted").await?;
    ensure!(shown.next().await?.is_none() && shown.process.wait().await?.success());
    ensure!(run.result().await? == "anna ben");
    processes::stop(second.process).await
}
