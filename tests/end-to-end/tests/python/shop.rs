//! An engine, a worker for orders, and the Python example beside them.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use end_to_end::processes::{self, EngineProcess};
use end_to_end::{Kafka, binaries};
use serde_json::{Value, json};
use tidewright_log::Producer;
use tidewright_schemas::topics::Topics;
use tidewright_schemas::{Epoch, RunId, WorkflowId};
use tokio::process::{Child, Command};

use crate::reader::Python;
use crate::topic::HistoryTopic;

pub struct Shop {
    kafka: Kafka,
    topics: Topics,
    python: Python,
    history: HistoryTopic,
    directory: tempfile::TempDir,
    engine: EngineProcess,
    worker: Child,
    orders: Vec<String>,
}

impl Shop {
    /// Starts everything, on topics of its own whose history is compacted as soon as may be.
    pub async fn open(python: Python) -> anyhow::Result<Self> {
        binaries::build()?;
        let kafka = Kafka::start().await?;
        let topics = Topics::new(&format!("p{:012x}.", rand::random::<u64>() >> 16), Topics::DEFAULT_NAMESPACE)?;
        let history = HistoryTopic::create(&kafka, topics.history()).await?;
        let directory = tempfile::tempdir()?;
        processes::write_secret(directory.path())?;
        let engine = processes::start_engine(kafka.brokers(), &topics, directory.path(), "engine").await?;
        let worker = processes::start_worker(kafka.brokers(), &topics, directory.path(), 0, Duration::ZERO)?;
        Ok(Self { kafka, topics, python, history, directory, engine, worker, orders: Vec::new() })
    }

    /// Starts an order with `start.py`, and follows its story with `story.py` until it ends as it should.
    pub async fn order(&mut self, card: &str, end: &str) -> anyhow::Result<()> {
        let id = format!("order-{}", self.orders.len());
        let input = json!({
            "order_id": id, "customer": "ada@example.org", "items": [{"sku": "book", "quantity": 2}],
            "amount_cents": 4200, "card": card, "address": "Main Street 1",
        });
        let input = input.to_string();
        let of_order = ["--workflow-id", &id];
        let start = ["start.py", "--type", "OrderWorkflow", "--task-queue", "orders", "--input", &input];
        self.python.stdout(&[&start[..], &of_order[..]].concat(), &self.variables()).await?;
        let told = self.python.stdout(&[&["story.py", "--follow"], &of_order[..]].concat(), &self.variables()).await?;
        ensure!(told.contains("WorkflowExecutionStarted") && told.contains(end), "{told}");
        self.orders.push(id);
        Ok(())
    }

    /// For every order, `story.py` says exactly what `tidewright workflow show` says.
    pub async fn compare_stories(&self) -> anyhow::Result<()> {
        for id in &self.orders {
            // A partition that is being taken over answers a little later.
            let engine = end_to_end::eventually("the engine shows a history", || async { self.shown(id).await.ok() });
            let (engine, reader) = (engine.await?, self.python.story(id, &self.variables()).await?);
            ensure!(engine == reader, "{id}: the engine says\n{engine:#}\nand the reader\n{reader:#}");
        }
        Ok(())
    }

    /// Which claim is in force in each partition.
    pub async fn claims(&self) -> anyhow::Result<Vec<Epoch>> {
        self.history.claims().await
    }

    /// Kills the engine, deletes its state, and starts it again.
    pub async fn rebuild_engine(&mut self) -> anyhow::Result<()> {
        processes::kill(&mut self.engine.process).await?;
        std::fs::remove_dir_all(self.directory.path().join(self.engine.name))?;
        let name = self.engine.name;
        self.engine = processes::start_engine(self.kafka.brokers(), &self.topics, self.directory.path(), name).await?;
        Ok(())
    }

    /// What owners write that do not know yet that they were replaced: the failure of an order that went well, and a
    /// position far ahead. And what something else writes by mistake. Waits until they are replaced: before that, their
    /// records would count.
    pub async fn write_as_a_zombie(&self, claims: &[Epoch]) -> anyhow::Result<()> {
        end_to_end::eventually("every partition has another owner", || async {
            let now = self.claims().await.ok()?;
            now.iter().zip(claims).all(|(now, before)| now != before).then_some(())
        })
        .await?;
        let producer = Producer::new(&self.kafka.config())?;
        let id = WorkflowId::new(&self.orders[0])?;
        let story = self.python.story(&self.orders[0], &self.variables()).await?;
        let run_id = RunId::from_text(story["run_id"].as_str().context("a story names its run")?);
        let next_event_id = story["events"].as_array().map_or(0, Vec::len) + 1;
        self.history.write_invalid(&producer, claims, &id, &run_id, next_event_id).await
    }

    /// Waits until the history topic is compacted: what was superseded and what never counted is gone from it.
    pub async fn compact_history(&self) -> anyhow::Result<()> {
        let producer = Producer::new(&self.kafka.config())?;
        self.history.compact(&producer).await
    }

    /// Stops everything in good order.
    pub async fn close(self) -> anyhow::Result<()> {
        processes::stop(self.worker).await?;
        processes::stop(self.engine.process).await
    }

    /// The history as the command line shows it.
    async fn shown(&self, id: &str) -> anyhow::Result<Value> {
        let shown = Command::new(binaries::path("tidewright")?)
            .args(["workflow", "show", "-o", "json", "-w", id, "--address", &self.engine.http_url])
            .kill_on_drop(true)
            .output();
        let shown = tokio::time::timeout(processes::PROCESS_PATIENCE, shown).await.context("no answer")??;
        ensure!(shown.status.success(), "{id} is not shown: {}", String::from_utf8_lossy(&shown.stderr));
        Ok(serde_json::from_slice(&shown.stdout)?)
    }

    fn variables(&self) -> [(&'static str, &str); 2] {
        [("TIDEWRIGHT_BROKERS", self.kafka.brokers()), ("TIDEWRIGHT_TOPIC_PREFIX", self.topics.prefix())]
    }
}
