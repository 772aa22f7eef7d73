//! The engine and its workers as processes, as a company would run them.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tidewright_schemas::topics::Topics;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::binaries;

/// How long a process has for becoming ready, or for its end.
pub const PROCESS_PATIENCE: Duration = Duration::from_secs(60);

/// A process of the engine.
pub struct EngineProcess {
    /// The process.
    pub process: Child,
    /// Where its HTTP API listens.
    pub http_url: String,
    /// Names its state directory and its log.
    pub name: &'static str,
}

/// Writes the secret that the engines of a test share.
pub fn write_secret(directory: &Path) -> anyhow::Result<()> {
    Ok(std::fs::write(directory.join("secret"), "0123456789abcdef".repeat(4))?)
}

/// Starts a node of the engine, which keeps its state and its log in `directory`, and waits until it is ready.
pub async fn start_engine(
    brokers: &str,
    topics: &Topics,
    directory: &Path,
    name: &'static str,
) -> anyhow::Result<EngineProcess> {
    start_engine_with(brokers, topics, directory, name, &[]).await
}

/// The same, with more environment variables.
pub async fn start_engine_with(
    brokers: &str,
    topics: &Topics,
    directory: &Path,
    name: &'static str,
    variables: &[(&str, &str)],
) -> anyhow::Result<EngineProcess> {
    let log = format!("{name}.log");
    let mut process = Command::new(binaries::path("tidewright")?)
        .args(["serve", "--brokers", brokers, "--http-listen", "127.0.0.1:0"])
        .args(["--topic-prefix", topics.prefix(), "--session-timeout", "1s"])
        .arg("--secret-file")
        .arg(directory.join("secret"))
        .arg("--state-dir")
        .arg(directory.join(name))
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log_file(directory, &log)?)
        .kill_on_drop(true)
        .spawn()?;
    let stdout = process.stdout.take().context("the engine has no output")?;
    let mut lines = BufReader::new(stdout).lines();
    let line =
        tokio::time::timeout(PROCESS_PATIENCE, lines.next_line()).await.context("the engine does not start")??;
    let Some(line) = line else {
        bail!("the engine ended:\n{}", std::fs::read_to_string(directory.join(&log))?);
    };
    let ready: serde_json::Value = serde_json::from_str(&line).with_context(|| format!("not a ready line: {line}"))?;
    let http_url = ready["http"].as_str().context("the ready line has no `http`")?.to_owned();
    Ok(EngineProcess { process, http_url, name })
}

/// Starts a worker for orders, which notes in `directory` what it runs.
pub fn start_worker(
    brokers: &str,
    topics: &Topics,
    directory: &Path,
    number: usize,
    activity_delay: Duration,
) -> anyhow::Result<Child> {
    start_worker_with(brokers, topics, directory, number, activity_delay, &[])
}

/// The same, with more environment variables.
pub fn start_worker_with(
    brokers: &str,
    topics: &Topics,
    directory: &Path,
    number: usize,
    activity_delay: Duration,
    variables: &[(&str, &str)],
) -> anyhow::Result<Child> {
    Ok(Command::new(binaries::path("order-fulfilment")?)
        .env("TIDEWRIGHT_BROKERS", brokers)
        .env("TIDEWRIGHT_TOPIC_PREFIX", topics.prefix())
        .env("TIDEWRIGHT_TASK_QUEUE", "orders")
        .env("TIDEWRIGHT_IDENTITY", format!("worker-{number}"))
        .env("TIDEWRIGHT_ORDER_AUDIT", directory.join("audit"))
        .env("ORDER_ACTIVITY_DELAY_MS", activity_delay.as_millis().to_string())
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log_file(directory, &format!("worker-{number}.log"))?)
        .kill_on_drop(true)
        .spawn()?)
}

/// Sends a signal to a process that this test started.
pub async fn send_signal(child: &Child, signal: &str) -> anyhow::Result<()> {
    let pid = child.id().context("a process has ended by itself")?;
    let status = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status().await?;
    ensure!(status.success(), "the process {pid} cannot be sent {signal}");
    Ok(())
}

/// Kills a process with SIGKILL, which must be running.
pub async fn kill(child: &mut Child) -> anyhow::Result<()> {
    ensure!(child.try_wait()?.is_none(), "a process had ended before it was killed");
    child.kill().await?;
    Ok(())
}

/// Stops a process as an operator would.
pub async fn stop(mut child: Child) -> anyhow::Result<()> {
    send_signal(&child, "TERM").await?;
    let ended = tokio::time::timeout(PROCESS_PATIENCE, child.wait()).await.context("a process does not stop")??;
    ensure!(ended.success(), "a process that was told to stop ended with {ended}");
    Ok(())
}

/// A file in `directory` that a process writes its log to.
pub fn log_file(directory: &Path, name: &str) -> anyhow::Result<std::fs::File> {
    Ok(std::fs::OpenOptions::new().create(true).append(true).open(directory.join(name))?)
}
