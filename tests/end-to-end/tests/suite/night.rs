//! A night without workers: what waits for them costs nothing while they are away, and all of it is done when they come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::ensure;
use end_to_end::requests::Connection;
use end_to_end::{Running, World, eventually};
use serde_json::json;
use tidewright::prelude::*;
use tidewright_log::{Admin, LogReader, ReaderOptions, StartAt};
use tidewright_runtime::Life;
use tidewright_schemas::api::WorkflowStatus;

/// Of each kind of runs.
const RUNS: usize = 15;
/// How often a node has to say that it is there, in each part of the night: it does so twice a second.
const BEACONS: usize = 10;

/// Notes the workflow of each attempt that begins.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<BTreeMap<String, usize>>>);

impl Notes {
    fn attempts(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[activities]
impl Notes {
    #[activity(start_to_close = "1h")]
    async fn note(&self, ctx: &ActivityContext) -> ActivityResult<()> {
        *self.attempts().entry(ctx.workflow_id().to_owned()).or_default() += 1;
        Ok(())
    }
}

/// Whether somebody noted it in time.
#[workflow]
async fn noted(ctx: &WorkflowContext, patience_ms: Option<u64>) -> WorkflowResult<bool> {
    let call = ctx.activity(Notes::note, ());
    let outcome = match patience_ms {
        Some(ms) => call.schedule_to_start(ms.millis()).await,
        None => call.await,
    };
    Ok(outcome.is_ok())
}

struct Night {
    world: World,
    client: Client,
    notes: Notes,
}

/// Where each partition of each topic ends.
type Ends = BTreeMap<(String, u32), u64>;

impl Night {
    async fn begin() -> anyhow::Result<Self> {
        let world = World::start().await?;
        let client = world.client()?;
        Ok(Self { world, client, notes: Notes::default() })
    }

    fn workers(&self) -> [Running; 2] {
        let worker = || Worker::new(&self.client, "q");
        [worker().workflow(noted), worker().activities(self.notes.clone())].map(|worker| self.world.run(worker))
    }

    async fn start(&self, name: &str, patience_ms: Option<u64>) -> anyhow::Result<()> {
        for n in 0..RUNS {
            self.client.start(noted, patience_ms).id(format!("{name}-{n}")).task_queue("q").await?;
        }
        Ok(())
    }

    async fn are_done(&self, name: &str, is_noted: bool) -> anyhow::Result<()> {
        for n in 0..RUNS {
            let outcome = self.world.outcome(&format!("{name}-{n}")).await?;
            ensure!(outcome.status == WorkflowStatus::Completed, "{name}-{n}: {outcome:?}");
            let result = outcome.result.map(|result| result.read::<bool>()).transpose()?;
            ensure!(result == Some(is_noted), "{name}-{n}: {result:?}");
        }
        Ok(())
    }

    /// How many records a topic has got so far.
    async fn count(&self, topic: &str) -> anyhow::Result<u64> {
        Ok(self.ends().await?.iter().filter(|((of, _), _)| of == topic).map(|(_, end)| end).sum())
    }

    /// Waits until a topic has got so many records.
    async fn wait_for(&self, topic: &str, count: u64) -> anyhow::Result<()> {
        let is_there = || async { self.count(topic).await.ok().filter(|found| *found >= count).map(drop) };
        eventually(&format!("{topic} holds {count} records"), is_there).await
    }

    /// Waits until nobody is there any more: the last one is lost, not gone with a word.
    async fn nobody_is_there(&self) -> anyhow::Result<()> {
        eventually("no worker is there", || async {
            let workers = self.world.engine().ok()?.workers();
            let is_gone = |life: Life| workers.iter().any(|seen| seen.life == life);
            (workers.iter().all(|seen| seen.life != Life::Alive) && is_gone(Life::Lost)).then_some(())
        })
        .await
    }

    fn topics(&self) -> [String; 7] {
        let topics = &self.world.topics;
        let of_queue = [topics.workflow_tasks("q"), topics.activity_tasks("q"), topics.control("q")];
        let [workflow_tasks, activity_tasks, control] = of_queue;
        let (commands, history) = (topics.commands(), topics.history());
        [commands, history, workflow_tasks, activity_tasks, control, topics.replies(), topics.dead_letters()]
    }

    async fn ends(&self) -> anyhow::Result<Ends> {
        let admin = Admin::new(&self.world.kafka.config())?;
        let mut ends = Ends::new();
        for topic in self.topics() {
            // Nobody has been told anything yet, or nothing was set aside.
            let Some(count) = admin.partition_count(&topic).await? else { continue };
            for partition in 0..count {
                ends.insert((topic.clone(), partition), admin.watermarks(&topic, partition).await?.high);
            }
        }
        Ok(ends)
    }

    /// Waits until a node has said often enough that it is there: by that, presence was judged as often.
    async fn some_time_passes(&self) -> anyhow::Result<()> {
        let topic = self.world.topics.workers();
        let reader = LogReader::new(&self.world.kafka.config(), &ReaderOptions::default())?;
        let mut log = reader.open(&topic, 0, StartAt::End).await?;
        let mut beacons = 0;
        let passes = async {
            while beacons < BEACONS {
                let batch = log.next_batch(100, 1024 * 1024).await?;
                let of_node = |key: Option<&[u8]>| key.is_some_and(|key| key.starts_with(b"node/"));
                beacons += batch.records.iter().filter(|record| of_node(record.key.as_deref())).count();
            }
            anyhow::Ok(())
        };
        end_to_end::in_time("a node writes beacons", passes).await?
    }

    /// The keys of what was added to the history, tombstones left out, and which topics else grew.
    async fn added_since(&self, before: &Ends) -> anyhow::Result<(Vec<String>, BTreeSet<String>)> {
        let history = self.world.topics.history();
        let reader = LogReader::new(&self.world.kafka.config(), &ReaderOptions::default())?;
        let (mut keys, mut grown) = (Vec::new(), BTreeSet::new());
        for ((topic, partition), end) in self.ends().await? {
            let from = before.get(&(topic.clone(), partition)).copied().unwrap_or(0);
            if topic != history {
                if end > from {
                    grown.insert(topic);
                }
                continue;
            }
            let mut log = reader.open(&topic, partition, StartAt::Offset(from)).await?;
            while !log.caught_up() {
                let records = log.next_batch(1_000, 1024 * 1024).await?.records;
                let added = records.into_iter().filter(|record| record.value.is_some());
                keys.extend(added.filter_map(|record| String::from_utf8(record.key?).ok()));
            }
        }
        Ok((keys, grown))
    }
}

/// Positions and claims are about partitions; each changed run has a transition.
fn about_runs(keys: &[String]) -> Vec<&String> {
    keys.iter().filter(|key| key.starts_with("transition/")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_without_workers_adds_nothing_and_in_the_morning_all_is_done() -> anyhow::Result<()> {
    let mut night = Night::begin().await?;
    // In the evening there are both kinds of workers, then nobody who runs activities, then nobody at all.
    let [workflows, activities] = night.workers();
    night.start("evening", None).await?;
    night.are_done("evening", true).await?;
    activities.stop().await?;
    night.start("task", None).await?;
    night.start("impatient", Some(100)).await?;
    night.wait_for(&night.world.topics.activity_tasks("q"), 3 * RUNS as u64).await?;
    night.are_done("impatient", false).await?;
    workflows.crash().await;
    let workflow_tasks = night.world.topics.workflow_tasks("q");
    let by_evening = night.count(&workflow_tasks).await?;
    for n in 0..RUNS {
        let id = format!("late-{n}");
        let start = json!({"type": "StartWorkflow", "workflow_type": "Noted", "workflow_id": id, "task_queue": "q", "input": null});
        night.world.publish(&id, &start.to_string()).await?;
    }
    night.wait_for(&workflow_tasks, by_evening + RUNS as u64).await?;
    night.nobody_is_there().await?;

    let before = night.ends().await?;
    night.some_time_passes().await?;
    let (keys, grown) = night.added_since(&before).await?;
    ensure!(about_runs(&keys).is_empty() && grown.is_empty(), "{keys:?}, {grown:?}");

    // A node comes and looks for what its workers have not got: all of it is there (R27).
    night.world.stop_engine().await;
    night.world.start_engine().await?;
    night.some_time_passes().await?;
    let (keys, grown) = night.added_since(&before).await?;
    ensure!(about_runs(&keys).is_empty() && grown.is_empty(), "{keys:?}, {grown:?}");

    // The night was so long that what the workers had committed has expired: they begin at the oldest task.
    let mut connection = Connection::to(night.world.kafka.brokers()).await?;
    for group in [night.world.topics.workflow_tasks("q"), night.world.topics.activity_tasks("q")] {
        // The one that crashed is a member for its session timeout.
        let deleted = async {
            while !connection.delete_group(&group).await? {
                night.some_time_passes().await?;
            }
            anyhow::Ok(())
        };
        end_to_end::in_time("the group is empty and deleted", deleted).await??;
    }
    let morning = night.workers();
    night.are_done("task", true).await?;
    night.are_done("late", true).await?;
    let attempts = night.notes.attempts().clone();
    let expected =
        ["evening", "task", "late"].iter().flat_map(|name| (0..RUNS).map(move |n| (format!("{name}-{n}"), 1)));
    ensure!(attempts == expected.collect(), "{attempts:?}");
    // What was looked at in the night is what grows by day.
    let (keys, grown) = night.added_since(&before).await?;
    let of_day = [night.world.topics.commands(), night.world.topics.replies(), night.world.topics.workflow_tasks("q")];
    ensure!(
        about_runs(&keys).len() >= 2 * RUNS && of_day.iter().all(|topic| grown.contains(topic)),
        "{keys:?}, {grown:?}"
    );
    for worker in morning {
        worker.stop().await?;
    }
    Ok(())
}
