//! The processes of a run: an engine and two workers, as a company would run them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use end_to_end::processes::{self, EngineProcess, kill, send_signal, start_engine};
use end_to_end::{Kafka, binaries};
use serde::de::DeserializeOwned;
use tidewright_schemas::topics::Topics;
use tokio::process::Child;

use crate::orders::{Histories, history};
use crate::schedule::Victim;

/// How long an engine has for an answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(15);

/// An engine and two workers, and perhaps another engine.
pub struct Fleet {
    brokers: String,
    topics: Topics,
    directory: tempfile::TempDir,
    engine: EngineProcess,
    second: Option<EngineProcess>,
    workers: Vec<Child>,
    kills: usize,
    http: reqwest::Client,
}

impl Fleet {
    /// Starts all of them.
    pub async fn start(kafka: &Kafka) -> anyhow::Result<Self> {
        binaries::build()?;
        let prefix = format!("k{:012x}.", rand::random::<u64>() >> 16);
        let topics = Topics::new(&prefix, Topics::DEFAULT_NAMESPACE)?;
        let directory = tempfile::tempdir()?;
        processes::write_secret(directory.path())?;
        let brokers = kafka.brokers().to_owned();
        let engine = start_engine(&brokers, &topics, directory.path(), "first").await?;
        let workers =
            (0..2).map(|n| start_worker(&brokers, &topics, directory.path(), n)).collect::<anyhow::Result<Vec<_>>>()?;
        let http = reqwest::Client::new();
        Ok(Self { brokers, topics, directory, engine, second: None, workers, kills: 0, http })
    }

    /// The topics that they use.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Where the workers note what they run.
    pub fn audit_path(&self) -> PathBuf {
        self.directory.path().join("audit")
    }

    /// How many processes were killed.
    pub fn kills(&self) -> usize {
        self.kills
    }

    /// Kills a process with SIGKILL and starts it again at once.
    pub async fn kill_and_restart(&mut self, victim: Victim, lose_state: bool) -> anyhow::Result<()> {
        self.kills += 1;
        let directory = self.directory.path().to_owned();
        match victim {
            Victim::Engine => {
                kill(&mut self.engine.process).await?;
                if lose_state {
                    std::fs::remove_dir_all(directory.join(self.engine.name))?;
                }
                self.engine = start_engine(&self.brokers, &self.topics, &directory, self.engine.name).await?;
            }
            Victim::Worker(n) => {
                kill(&mut self.workers[n]).await?;
                self.workers[n] = start_worker(&self.brokers, &self.topics, &directory, n)?;
            }
        }
        Ok(())
    }

    /// Starts another node of the engine beside the first.
    pub async fn start_second(&mut self) -> anyhow::Result<()> {
        let second = start_engine(&self.brokers, &self.topics, self.directory.path(), "second").await?;
        self.second = Some(second);
        Ok(())
    }

    /// Stops the first engine in its tracks (SIGSTOP), or lets it go on (SIGCONT): a zombie if others took over.
    pub async fn signal_first(&self, signal: &str) -> anyhow::Result<()> {
        send_signal(&self.engine.process, signal).await
    }

    /// Asks the first engine.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.get_from(&self.engine, path).await
    }

    /// Asks the second engine.
    pub async fn get_from_second<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.get_from(self.second.as_ref().context("there is no second engine")?, path).await
    }

    async fn get_from<T: DeserializeOwned>(&self, engine: &EngineProcess, path: &str) -> anyhow::Result<T> {
        let request = self.http.get(format!("{}{path}", engine.http_url)).timeout(ANSWER_PATIENCE);
        let response = request.send().await?;
        let status = response.status();
        let body = response.text().await?;
        ensure!(status.is_success(), "{path}: {status}: {body}");
        Ok(serde_json::from_str(&body)?)
    }

    /// What the engine says of a workflow, for a failing test.
    pub async fn describe(&self, id: &str) -> String {
        let path = format!("/api/v1/namespaces/default/workflows/{id}");
        let description = self.get::<serde_json::Value>(&path).await;
        description.map_or_else(|e| e.to_string(), |d| format!("{d:#}"))
    }

    /// The state is deleted once more: it is rebuilt from Kafka alone, with the same histories byte for byte.
    pub async fn check_rebuild(&mut self, histories: &Histories) -> anyhow::Result<()> {
        self.kill_and_restart(Victim::Engine, true).await?;
        for (id, before) in histories {
            let after =
                end_to_end::eventually(&format!("{id} can be read again"), || async { history(self, id).await.ok() })
                    .await?;
            ensure!(serde_json::to_string(before)? == serde_json::to_string(&after)?, "{id} differs after a rebuild");
        }
        Ok(())
    }

    /// Stops all of them as an operator would.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let engines = [Some(self.engine), self.second].into_iter().flatten().map(|engine| engine.process);
        for child in self.workers.drain(..).chain(engines) {
            processes::stop(child).await?;
        }
        Ok(())
    }
}

fn start_worker(brokers: &str, topics: &Topics, directory: &Path, number: usize) -> anyhow::Result<Child> {
    // The second worker is slow enough for its activities to be noticed as started (R24).
    let delay = Duration::from_millis(if number == 0 { 20 } else { 600 });
    processes::start_worker(brokers, topics, directory, number, delay)
}
