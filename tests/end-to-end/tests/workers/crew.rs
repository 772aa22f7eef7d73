//! Workers as processes, and what they noted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use end_to_end::{World, eventually, processes};
use tidewright_schemas::api::{PendingActivity, PendingActivityState, WorkflowDescription};
use tokio::process::{Child, Command};

/// The task queue of all tests here.
pub const QUEUE: &str = "patience";

/// Workers of one world.
pub struct Crew {
    directory: tempfile::TempDir,
}

impl Crew {
    /// Nobody yet.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { directory: tempfile::tempdir()? })
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Starts a worker with so many slots for activities.
    pub fn start(&self, world: &World, name: &str, slots: usize) -> anyhow::Result<Child> {
        Ok(self.program(world, name, slots)?.spawn()?)
    }

    /// Starts one of a build that some workflows and activities take down.
    pub fn start_mortal(&self, world: &World, name: &str) -> anyhow::Result<Child> {
        Ok(self.program(world, name, 10)?.env("PATIENCE_IS_DEADLY", "1").spawn()?)
    }

    fn program(&self, world: &World, name: &str, slots: usize) -> anyhow::Result<Command> {
        let mut program = Command::new(env!("CARGO_BIN_EXE_patient-worker"));
        program
            .env("TIDEWRIGHT_BROKERS", world.kafka.brokers())
            .env("TIDEWRIGHT_TOPIC_PREFIX", world.topics.prefix())
            .env("TIDEWRIGHT_TASK_QUEUE", QUEUE)
            .env("TIDEWRIGHT_IDENTITY", name)
            .env("TIDEWRIGHT_MAX_CONCURRENT_ACTIVITIES", slots.to_string())
            .env("TIDEWRIGHT_GRACEFUL_SHUTDOWN_TIMEOUT_MS", "60000")
            .env("PATIENCE_LOG", self.log())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(processes::log_file(self.directory.path(), &format!("{name}.log"))?)
            .kill_on_drop(true);
        Ok(program)
    }

    /// The processes that each activity began in, by workflow and activity.
    pub fn began(&self) -> anyhow::Result<BTreeMap<(String, String), Vec<u32>>> {
        self.noted("began")
    }

    /// The processes in which something was noted of each activity, by workflow and activity.
    pub fn noted(&self, what: &str) -> anyhow::Result<BTreeMap<(String, String), Vec<u32>>> {
        read(&self.log(), what)
    }

    /// Waits until so many attempts have begun.
    pub async fn wait_for(&self, attempts: usize) -> anyhow::Result<()> {
        eventually(&format!("{attempts} attempts begin"), || async {
            let count = self.began().ok()?.values().map(Vec::len).sum::<usize>();
            (count >= attempts).then_some(())
        })
        .await
    }
}

fn read(path: &Path, what: &str) -> anyhow::Result<BTreeMap<(String, String), Vec<u32>>> {
    let mut began: BTreeMap<_, Vec<u32>> = BTreeMap::new();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(began),
        Err(error) => return Err(error.into()),
    };
    for line in text.lines() {
        let fields: Vec<_> = line.split(' ').collect();
        let [workflow, activity, process, noted] = fields[..] else { anyhow::bail!("a line is torn: {line}") };
        if noted != what {
            continue;
        }
        let process = process.parse().context("no process id")?;
        began.entry((workflow.to_owned(), activity.to_owned())).or_default().push(process);
    }
    Ok(began)
}

/// Asks for a workflow that waits so long for several things.
pub async fn wait(world: &World, id: &str, waits: &[u64]) -> anyhow::Result<()> {
    start(world, "Patience", id, &serde_json::json!(waits)).await
}

/// Asks for a workflow.
pub async fn start(world: &World, workflow_type: &str, id: &str, input: &serde_json::Value) -> anyhow::Result<()> {
    let start = serde_json::json!({
        "type": "StartWorkflow", "workflow_type": workflow_type, "workflow_id": id, "task_queue": QUEUE, "input": input,
    });
    world.publish(id, &start.to_string()).await
}

/// Waits until a worker has said that it runs the only activity of a workflow.
pub async fn announced(world: &World, id: &str) -> anyhow::Result<()> {
    let is_started = |a: &PendingActivity| a.state == PendingActivityState::Started;
    let announced = |found: &WorkflowDescription| found.pending_activities.iter().any(is_started);
    world.describe_until(id, "the start is announced", announced).await.map(drop)
}
