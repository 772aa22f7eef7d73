//! What is measured by asking, now and then: lags, queue depths, timers, sizes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Gauge, gauge};
use tidewright_core::due_timers;
use tidewright_log::LogError;
use tidewright_owner::presence::Life;
use tidewright_schemas::TimerTarget;
use tidewright_store::PartitionStore;
use tidewright_telemetry::{LABEL_SETS_MAX, Labelled};
use tokio::sync::watch;

use super::float;
use crate::node::Node;
use crate::shutdown::told;

/// How often it is asked. Kafka gets a few small requests for each partition and each task topic.
const INTERVAL: Duration = Duration::from_secs(10);
/// How many timers are counted in each partition.
const TIMERS_COUNTED_MAX: usize = 10_000;

/// The gauges that are set here.
pub(super) struct Gauges {
    queues: Labelled<QueueGauges>,
    workers: Labelled<Gauge>,
    timers: BTreeMap<TimerTarget, Gauge>,
    timer_lag: Gauge,
    disk: Gauge,
    memory: [Gauge; 3],
    producer: Gauge,
}

struct QueueGauges {
    depth: Gauge,
    settled: Gauge,
}

/// Every kind of timer that a partition holds.
const TARGETS: [TimerTarget; 10] = [
    TimerTarget::Timer,
    TimerTarget::WorkflowTaskRetry,
    TimerTarget::ActivityRetry,
    TimerTarget::ActivityScheduleToStart,
    TimerTarget::ActivityStartToClose,
    TimerTarget::ActivityScheduleToClose,
    TimerTarget::ActivityHeartbeat,
    TimerTarget::WorkflowStartDelay,
    TimerTarget::WorkflowTimeout,
    TimerTarget::RunDeletion,
];

fn target_name(target: TimerTarget) -> &'static str {
    match target {
        TimerTarget::Timer => "timer",
        TimerTarget::WorkflowTaskRetry => "workflow_task_retry",
        TimerTarget::ActivityRetry => "activity_retry",
        TimerTarget::ActivityScheduleToStart => "schedule_to_start_timeout",
        TimerTarget::ActivityStartToClose => "start_to_close_timeout",
        TimerTarget::ActivityScheduleToClose => "schedule_to_close_timeout",
        TimerTarget::ActivityHeartbeat => "heartbeat_timeout",
        TimerTarget::WorkflowStartDelay => "workflow_start_delay",
        TimerTarget::WorkflowTimeout => "workflow_timeout",
        TimerTarget::RunDeletion => "run_deletion",
    }
}

impl Gauges {
    pub(super) fn new(namespace: &Arc<str>) -> Self {
        let of = || Arc::clone(namespace);
        let (queues, workers) = (of(), of());
        let timers = TARGETS.map(|target| {
            (target, gauge!("tidewright_timers_pending", "namespace" => of(), "kind" => target_name(target)))
        });
        let memory = |kind: &'static str| gauge!("tidewright_store_memory_bytes", "namespace" => of(), "kind" => kind);
        Self {
            queues: Labelled::new(move |task_queue, kind| {
                let labels = [
                    ("namespace", queues.to_string()),
                    ("task_queue", task_queue.to_owned()),
                    ("task_type", kind.to_owned()),
                ];
                QueueGauges {
                    depth: gauge!("tidewright_task_queue_depth", &labels),
                    settled: gauge!("tidewright_task_queue_settled", &labels),
                }
            }),
            workers: Labelled::new(move |task_queue, kind| {
                let labels = [
                    ("namespace", workers.to_string()),
                    ("task_queue", task_queue.to_owned()),
                    ("task_type", kind.to_owned()),
                ];
                gauge!("tidewright_workers", &labels)
            }),
            timers: timers.into(),
            timer_lag: gauge!("tidewright_timer_lag_seconds", "namespace" => of()),
            disk: gauge!("tidewright_store_size_bytes", "namespace" => of()),
            memory: ["memtable", "table_readers", "block_cache"].map(memory),
            producer: gauge!("tidewright_kafka_producer_queue_bytes", "namespace" => of()),
        }
    }
}

/// Asks until it is told to stop. What cannot be asked keeps its last value; the next time is soon.
pub(crate) async fn run(node: Arc<Node>, mut shutdown: watch::Receiver<bool>) {
    let mut served = BTreeSet::new();
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = told(&mut shutdown) => return,
            _ = ticks.tick() => {}
        }
        tokio::select! {
            () = told(&mut shutdown) => return,
            () = once(&node) => workers(&node, &mut served),
        }
    }
}

async fn once(node: &Arc<Node>) {
    node.meters.sampled.producer.set(float(node.producer.buffered_bytes() as u64));
    if let Err(error) = lags(node).await {
        tracing::debug!(%error, "the owners' lag cannot be measured right now");
    }
    // As many as there are gauges for.
    for topic in node.task_topics.known().into_iter().take(LABEL_SETS_MAX) {
        if let Err(error) = depth(node, &topic).await {
            tracing::debug!(topic, %error, "a task queue's depth cannot be measured right now");
        }
    }
    let stores: Vec<PartitionStore> =
        node.board.owned_partitions().into_iter().map(|(_, owned)| owned.store.clone()).collect();
    let node = Arc::clone(node);
    // Only a shutdown of the runtime ends it early.
    let _ = tokio::task::spawn_blocking(move || look_into(&node, &stores)).await;
}

/// How many workers take which tasks. A queue that nobody serves any more is told as such.
fn workers(node: &Node, served: &mut BTreeSet<(String, &'static str)>) {
    let mut counts: BTreeMap<(String, &'static str), u64> = served.iter().map(|queue| (queue.clone(), 0)).collect();
    for seen in node.presence.workers().into_iter().filter(|seen| seen.life == Life::Alive) {
        for queue in seen.beacon.task_queues {
            for (kind, _) in [("workflow", queue.workflow_tasks), ("activity", queue.activities)]
                .into_iter()
                .filter(|(_, slots)| slots.is_some())
            {
                *counts.entry((queue.task_queue.clone(), kind)).or_default() += 1;
            }
        }
    }
    // As many as there are gauges for.
    for ((task_queue, kind), count) in counts.into_iter().take(LABEL_SETS_MAX) {
        node.meters.sampled.workers.get(&task_queue, kind).set(float(count));
        if count == 0 {
            served.remove(&(task_queue, kind))
        } else {
            served.insert((task_queue, kind))
        };
    }
}

async fn lags(node: &Node) -> Result<(), LogError> {
    let topic = node.topics.commands();
    for (status, _) in node.board.owned_partitions() {
        let log = node.admin.watermarks(&topic, status.partition).await?;
        let waiting = log.high.saturating_sub(status.applied_offset);
        node.meters.partition(status.partition).lag(waiting, now_ms());
    }
    Ok(())
}

/// What lies between what workers have committed and the end is what waits or is worked on.
async fn depth(node: &Node, topic: &str) -> Result<(), LogError> {
    let Some((task_type, task_queue)) = queue_of(node, topic) else { return Ok(()) };
    let Some(count) = node.admin.partition_count(topic).await? else { return Ok(()) };
    let partitions: Vec<u32> = (0..count).collect();
    // The group is named as the topic.
    let committed = node.admin.committed(topic, topic, &partitions).await?;
    let (mut waiting, mut settled) = (0, 0);
    for partition in partitions {
        let log = node.admin.watermarks(topic, partition).await?;
        let done = committed.get(&partition).copied().unwrap_or(log.low).clamp(log.low, log.high);
        waiting += log.high - done;
        settled += done;
    }
    let gauges = node.meters.sampled.queues.get(task_queue, task_type);
    gauges.depth.set(float(waiting));
    gauges.settled.set(float(settled));
    Ok(())
}

/// The kind of a task topic's tasks, and its queue as the topic's name has it.
fn queue_of<'t>(node: &Node, topic: &'t str) -> Option<(&'static str, &'t str)> {
    let rest = topic.strip_prefix(node.topics.prefix())?.strip_prefix(node.topics.namespace())?;
    let of_kind = |kind, infix| Some((kind, rest.strip_prefix(infix)?));
    of_kind("workflow", ".workflow-tasks.").or_else(|| of_kind("activity", ".activity-tasks."))
}

fn look_into(node: &Node, stores: &[PartitionStore]) {
    let gauges = &node.meters.sampled;
    let mut pending: BTreeMap<TimerTarget, u64> = BTreeMap::new();
    let (mut oldest_due_ms, mut disk, mut memory) = (u64::MAX, 0, [0, 0, node.memory.block_cache_bytes()]);
    for store in stores {
        let usage = store.usage();
        disk += usage.disk_bytes;
        memory[0] += usage.memtable_bytes;
        memory[1] += usage.table_reader_bytes;
        match due_timers(store, u64::MAX, TIMERS_COUNTED_MAX) {
            Ok((timers, _)) => {
                oldest_due_ms = timers.first().map_or(oldest_due_ms, |first| oldest_due_ms.min(first.due_ms));
                for timer in timers {
                    *pending.entry(timer.target).or_default() += 1;
                }
            }
            Err(error) => tracing::debug!(%error, "timers cannot be counted"),
        }
    }
    for (target, gauge) in &gauges.timers {
        gauge.set(float(pending.get(target).copied().unwrap_or_default()));
    }
    gauges.timer_lag.set(float(now_ms().saturating_sub(oldest_due_ms)) / 1_000.0);
    gauges.disk.set(float(disk));
    for (gauge, bytes) in gauges.memory.iter().zip(memory) {
        gauge.set(float(bytes));
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
