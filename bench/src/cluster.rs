//! The processes of a benchmark, all of which end with it.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tidewright::{Client, ClientConfig};
use tidewright_log::Admin;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::job::TASK_QUEUE;
use crate::options::{Fsync, RunOptions};
use crate::programs;
use crate::usage::Usage;

/// How long a process has for becoming ready.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How much of each log is shown when something fails.
const LOG_LINES_SHOWN: usize = 30;

/// Broker, engine and worker.
pub(crate) struct Cluster {
    /// None on a Kafka that was there.
    broker: Option<Child>,
    engine: Child,
    /// Some may have ended.
    workers: Vec<Child>,
    /// The process of a Kafka that was there, if it is known.
    broker_pid: Option<u32>,
    client: ClientConfig,
    directory: tempfile::TempDir,
}

/// A worker, as the engine's HTTP API describes it.
#[derive(Debug, Deserialize)]
pub(crate) struct WorkerSeen {
    pub(crate) identity: String,
    task_queues: Vec<QueueSeen>,
}

#[derive(Debug, Deserialize)]
struct QueueSeen {
    #[serde(default)]
    activity_partitions: Vec<u32>,
}

#[derive(Debug, Deserialize)]
struct WorkersSeen {
    workers: Vec<WorkerSeen>,
}

impl WorkerSeen {
    /// Whether its group has given it partitions of activity tasks.
    pub(crate) fn takes_activities(&self) -> bool {
        self.task_queues.iter().any(|queue| !queue.activity_partitions.is_empty())
    }
}

/// What each process has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usages {
    pub(crate) broker: Usage,
    pub(crate) engine: Usage,
    pub(crate) worker: Usage,
    pub(crate) load: Usage,
}

impl Usages {
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            broker: self.broker.since(&before.broker),
            engine: self.engine.since(&before.engine),
            worker: self.worker.since(&before.worker),
            load: self.load.since(&before.load),
        }
    }
}

impl Cluster {
    /// Starts them, under topics of their own.
    pub(crate) async fn start(options: &RunOptions) -> anyhow::Result<Self> {
        let tidewright = programs::tidewright()?;
        let directory = tempfile::tempdir()?;
        let mut client = ClientConfig::from_env();
        client.topic_prefix = format!("bench-{:08x}.", rand::random::<u32>());
        let mut broker = None;
        match &options.brokers {
            Some(brokers) => client.kafka.brokers.clone_from(brokers),
            None => {
                let (process, address) = start_broker(&tidewright, options.fsync, directory.path()).await?;
                broker = Some(process);
                client.kafka.brokers = address;
            }
        }
        let (engine, http_url) = start_engine(&tidewright, &client, directory.path()).await?;
        client.http_url = Some(http_url);
        let mut cluster =
            Self { broker, engine, workers: Vec::new(), broker_pid: options.broker_pid, client, directory };
        cluster.start_worker()?;
        Ok(cluster)
    }

    /// Starts one more worker, and says what it is called.
    pub(crate) fn start_worker(&mut self) -> anyhow::Result<String> {
        let name = format!("worker-{}", self.workers.len());
        let mut command = Command::new(programs::own()?);
        command
            .arg("worker")
            .stdout(Stdio::null())
            .env("TIDEWRIGHT_BROKERS", &self.client.kafka.brokers)
            .env("TIDEWRIGHT_TOPIC_PREFIX", &self.client.topic_prefix)
            .env("TIDEWRIGHT_NAMESPACE", &self.client.namespace)
            .env("TIDEWRIGHT_IDENTITY", &name);
        self.workers.push(start(command, self.directory.path(), &name)?);
        Ok(name)
    }

    /// Kills a worker, without a chance to say anything (SIGKILL).
    pub(crate) async fn kill_worker(&mut self, number: usize) -> anyhow::Result<()> {
        let worker = self.workers.get_mut(number).with_context(|| format!("there is no worker {number}"))?;
        Ok(worker.kill().await?)
    }

    /// The workers that are there, as the engine has heard.
    pub(crate) async fn seen_workers(&self) -> anyhow::Result<Vec<WorkerSeen>> {
        let url = self.client.http_url.as_deref().context("the engine's address is not known")?;
        let url = format!("{url}/api/v1/namespaces/{}/workers", self.client.namespace);
        let answer = reqwest::get(url).await?.error_for_status()?;
        Ok(answer.json::<WorkersSeen>().await?.workers)
    }

    /// A client of the engine.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(self.client.clone())?)
    }

    /// What the processes have used so far, this one included.
    pub(crate) fn usage(&self) -> Usages {
        let of = |pid: Option<u32>| pid.map(Usage::of).unwrap_or_default();
        Usages {
            broker: of(self.broker.as_ref().and_then(Child::id).or(self.broker_pid)),
            engine: of(self.engine.id()),
            worker: of(self.workers.first().and_then(Child::id)),
            load: Usage::of(std::process::id()),
        }
    }

    /// The ends of the processes' logs.
    pub(crate) fn logs(&self) -> String {
        let end = |name: &str| {
            let log = std::fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            format!("{name}:\n{}\n", lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n"))
        };
        let workers = (0..self.workers.len()).map(|number| format!("worker-{number}.log"));
        ["broker.log", "engine.log"].map(str::to_owned).into_iter().chain(workers).map(|name| end(&name)).collect()
    }

    /// Ends the processes, whose data nobody wants, and deletes what they made on a Kafka that stays.
    pub(crate) async fn stop(mut self) {
        let processes = self.workers.iter_mut().chain([&mut self.engine]).chain(self.broker.as_mut());
        for process in processes {
            if let Err(error) = process.kill().await {
                eprintln!("a process of the benchmark cannot be ended: {error}");
            }
        }
        if self.broker.is_none()
            && let Err(error) = self.delete_topics().await
        {
            eprintln!("the topics {}* stay: {error:#}", self.client.topic_prefix);
        }
    }

    async fn delete_topics(&self) -> anyhow::Result<()> {
        let client = self.client()?;
        let topics = client.topics();
        let (workflow_tasks, activity_tasks) = (topics.workflow_tasks(TASK_QUEUE), topics.activity_tasks(TASK_QUEUE));
        let (commands, history, replies) = (topics.commands(), topics.history(), topics.replies());
        let (dead_letters, cluster) = (topics.dead_letters(), topics.cluster());
        let (control, workers) = (topics.control(TASK_QUEUE), topics.workers());
        let names = [
            &workflow_tasks,
            &activity_tasks,
            &control,
            &commands,
            &history,
            &replies,
            &dead_letters,
            &workers,
            &cluster,
        ];
        Ok(Admin::new(&self.client.kafka)?.delete_topics(&names.map(String::as_str)).await?)
    }
}

async fn start_broker(tidewright: &Path, fsync: Fsync, directory: &Path) -> anyhow::Result<(Child, String)> {
    let mut command = Command::new(tidewright);
    command.args(["broker", "--port", "0", "--fsync", fsync.name(), "--data-dir"]).arg(directory.join("broker"));
    let (process, ready) = start_and_wait(command, directory, "broker").await?;
    let address = ready["kafka"].as_str().context("the broker's ready line has no `kafka`")?.to_owned();
    Ok((process, address))
}

async fn start_engine(tidewright: &Path, client: &ClientConfig, directory: &Path) -> anyhow::Result<(Child, String)> {
    let secret = directory.join("secret");
    write_private(&secret, &format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>()))?;
    let mut command = Command::new(tidewright);
    command
        .args(["serve", "--http-listen", "127.0.0.1:0", "--brokers", &client.kafka.brokers])
        .args(["--topic-prefix", &client.topic_prefix, "--namespace", &client.namespace])
        .arg("--secret-file")
        .arg(secret)
        .arg("--state-dir")
        .arg(directory.join("state"));
    let (process, ready) = start_and_wait(command, directory, "engine").await?;
    let http_url = ready["http"].as_str().context("the engine's ready line has no `http`")?.to_owned();
    Ok((process, http_url))
}

/// A file that others cannot read, as an engine wants its secret to be.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

fn start(mut command: Command, directory: &Path, name: &str) -> anyhow::Result<Child> {
    let log = std::fs::File::create(directory.join(format!("{name}.log")))?;
    command.stdin(Stdio::null()).stderr(log).kill_on_drop(true);
    command.spawn().with_context(|| format!("the {name} cannot be started"))
}

/// Starts a process that says in one line of JSON that it is ready.
async fn start_and_wait(
    mut command: Command,
    directory: &Path,
    name: &str,
) -> anyhow::Result<(Child, serde_json::Value)> {
    command.stdout(Stdio::piped());
    let mut process = start(command, directory, name)?;
    let stdout: ChildStdout = process.stdout.take().with_context(|| format!("the {name} has no output"))?;
    let mut lines = BufReader::new(stdout).lines();
    let line = tokio::time::timeout(START_PATIENCE, lines.next_line())
        .await
        .with_context(|| format!("the {name} is not ready after {START_PATIENCE:?}"))??;
    let Some(line) = line else {
        bail!("the {name} ended:\n{}", std::fs::read_to_string(directory.join(format!("{name}.log")))?);
    };
    let ready = serde_json::from_str(&line).with_context(|| format!("not a ready line: {line}"))?;
    Ok((process, ready))
}
