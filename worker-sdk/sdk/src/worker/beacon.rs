//! Says every second that this worker is there, and once that it has left (R28). Who falls silent while others speak is
//! lost, and what it runs is tried elsewhere: so it goes on until the last attempt has ended.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidewright_log::{Admin, Producer, Record};
use tidewright_schemas::topics::partition_of;
use tidewright_schemas::{Beacon, Slots, WorkerBeacon, WorkerIdentity, WorkerQueue, WorkerStanding, headers};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::measure::Occupancy;

const INTERVAL: Duration = Duration::from_secs(1);
/// How long the last beacon may take: without it the others notice a few seconds later.
const LAST_PATIENCE: Duration = Duration::from_secs(3);
/// An error that stays is told this often.
const COMPLAIN_EVERY: u32 = 60;

/// What beacons say of this worker.
pub(crate) struct Portrait {
    pub(crate) worker: WorkerIdentity,
    pub(crate) build_id: Option<String>,
    pub(crate) task_queue: String,
    /// None where it takes no tasks of the kind.
    pub(crate) workflow_tasks: Option<Arc<Occupancy>>,
    pub(crate) activities: Option<Arc<Occupancy>>,
}

/// The beacons of a worker that runs. Dropping it ends them without a word, as a crash would.
pub(crate) struct Beacons {
    state: watch::Sender<WorkerStanding>,
    /// Whether it was tried to speak.
    spoken: watch::Receiver<bool>,
    writing: JoinHandle<()>,
}

impl Beacons {
    pub(crate) fn start(producer: Producer, admin: Admin, topic: String, portrait: Portrait) -> Self {
        let (state, states) = watch::channel(WorkerStanding::Running);
        let (speak, spoken) = watch::channel(false);
        let writer = Writer { producer, admin, topic, portrait, started_at_ms: now_ms(), partition: None, failures: 0 };
        Self { state, spoken, writing: tokio::spawn(writer.run(states, speak)) }
    }

    /// Resolves when the first beacon is in the log, or cannot get there for now. Who was never heard is never missed, so a
    /// worker takes nothing before.
    pub(crate) async fn spoken(&self) {
        // It ends only together with the worker.
        let _ = self.spoken.clone().wait_for(|spoken| *spoken).await;
    }

    /// The worker takes no more tasks.
    pub(crate) fn leaving(&self) {
        self.tell(WorkerStanding::Leaving);
    }

    /// The worker has nothing left that runs: says so, and waits until that is in the log.
    pub(crate) async fn left(mut self) {
        self.tell(WorkerStanding::Left);
        if tokio::time::timeout(LAST_PATIENCE, &mut self.writing).await.is_err() {
            tracing::warn!("that this worker has left is not delivered; others notice by its silence");
        }
    }

    fn tell(&self, state: WorkerStanding) {
        self.state.send_replace(state);
    }
}

impl Drop for Beacons {
    fn drop(&mut self) {
        self.writing.abort();
    }
}

struct Writer {
    producer: Producer,
    admin: Admin,
    topic: String,
    portrait: Portrait,
    started_at_ms: u64,
    /// Always the same one: silence is measured in it.
    partition: Option<u32>,
    failures: u32,
}

impl Writer {
    async fn run(mut self, mut states: watch::Receiver<WorkerStanding>, speak: watch::Sender<bool>) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                // The handle is dropped only together with this task.
                _ = states.changed() => {}
                // Nodes place tasks by it.
                () = self.portrait.moved() => {}
            }
            let state = *states.borrow_and_update();
            // One at a time: what waits for a broker does not pile up.
            match self.write(state).await {
                Ok(()) => self.failures = 0,
                Err(problem) => self.complain(&problem),
            }
            speak.send_replace(true);
            if state == WorkerStanding::Left {
                return;
            }
        }
    }

    async fn write(&mut self, state: WorkerStanding) -> Result<(), String> {
        let beacon = Beacon::from(self.portrait.beacon(state, self.started_at_ms));
        let key = beacon.key();
        let partition = self.partition_for(&key).await?;
        let record = Record::to(&self.topic)
            .partition(partition)
            .key(key)
            .value(beacon.to_json())
            .header(headers::CONTENT_TYPE, headers::JSON)
            .header(headers::SCHEMA_VERSION, headers::CURRENT_SCHEMA_VERSION);
        self.producer.send(record).await.await.map(drop).map_err(|error| error.to_string())
    }

    async fn partition_for(&mut self, key: &str) -> Result<u32, String> {
        if let Some(partition) = self.partition {
            return Ok(partition);
        }
        let count = self.admin.partition_count(&self.topic).await.map_err(|error| error.to_string())?;
        let count = count.ok_or_else(|| format!("topic {} does not exist; an engine node makes it", self.topic))?;
        let partition = partition_of(key.as_bytes(), count);
        self.partition = Some(partition);
        Ok(partition)
    }

    fn complain(&mut self, problem: &str) {
        if self.failures.is_multiple_of(COMPLAIN_EVERY) {
            tracing::warn!("this worker's beacon is not delivered, so others may take it for lost: {problem}");
        }
        self.failures = self.failures.saturating_add(1);
    }
}

impl Portrait {
    /// Resolves when activity tasks are taken from other partitions than the last time.
    async fn moved(&self) {
        match &self.activities {
            Some(activities) => activities.moved().await,
            None => std::future::pending().await,
        }
    }

    fn beacon(&self, state: WorkerStanding, started_at_ms: u64) -> WorkerBeacon {
        let queue = WorkerQueue {
            task_queue: self.task_queue.clone(),
            workflow_tasks: self.workflow_tasks.as_deref().map(slots),
            activities: self.activities.as_deref().map(slots),
            activity_partitions: self.activities.as_deref().map(Occupancy::partitions).unwrap_or_default(),
        };
        WorkerBeacon {
            worker: self.worker.clone(),
            state,
            started_at_ms,
            sdk: Some(concat!("tidewright-rust/", env!("CARGO_PKG_VERSION")).to_owned()),
            build_id: self.build_id.clone(),
            task_queues: vec![queue],
        }
    }
}

fn slots(occupancy: &Occupancy) -> Slots {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Slots { total: number(occupancy.slots), used: number(occupancy.used()) }
}

/// By this process's clock: for people.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
