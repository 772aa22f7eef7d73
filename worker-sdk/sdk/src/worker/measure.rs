//! Metrics of a worker, through the `metrics` facade: an application's own recorder gets them, too. `docs/metrics.md`
//! lists them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tidewright_schemas::{ActivityTask, TaskVerdict, WorkflowTaskFailedCause};
use tidewright_telemetry::Labelled;
use tokio::sync::Notify;

type Labels = [(&'static str, String); 3];

/// The metrics of one worker.
pub(crate) struct Meters {
    activities: Labelled<ActivityMeters>,
    workflow_tasks: Labelled<WorkflowTaskMeters>,
    workflow_task_failures: Labelled<Counter>,
    corrupted_signals: Labelled<Counter>,
    cache_hit: Counter,
    cache_miss: Counter,
    confirmed: [Counter; 2],
    handed_back: Counter,
}

struct ActivityMeters {
    execution_latency: Histogram,
    schedule_to_start: Histogram,
    failed: Counter,
}

struct WorkflowTaskMeters {
    execution_latency: Histogram,
    replay_latency: Histogram,
}

/// The slots of one kind of tasks, and how many of them are used.
pub(crate) struct Occupancy {
    pub(crate) slots: usize,
    used: AtomicUsize,
    partitions: Mutex<Vec<u32>>,
    /// Told when there are other partitions.
    moved: Notify,
    used_gauge: Gauge,
    available_gauge: Gauge,
}

/// The threads of workflow code.
pub(crate) struct ThreadMeters {
    blocked: Labelled<Counter>,
    given_up: Gauge,
}

/// The runs that are kept between their tasks.
pub(crate) struct CacheMeters {
    pub(crate) size: Gauge,
    pub(crate) evicted: Counter,
}

impl Meters {
    pub(crate) fn new(namespace: &str, task_queue: &str) -> Self {
        let labels = {
            let (namespace, task_queue) = (namespace.to_owned(), task_queue.to_owned());
            move |name: &'static str, value: &str| -> Labels {
                [("namespace", namespace.clone()), ("task_queue", task_queue.clone()), (name, value.to_owned())]
            }
        };
        let (of_activity, of_workflow, of_failure) = (labels.clone(), labels.clone(), labels.clone());
        let of_signals = labels.clone();
        let of_worker = [("namespace", namespace.to_owned()), ("task_queue", task_queue.to_owned())];
        let confirmed = |verdict| counter!("tidewright_activity_task_confirmations_total", &labels("verdict", verdict));
        Self {
            activities: Labelled::new(move |activity_type, _| {
                ActivityMeters::new(&of_activity("activity_type", activity_type))
            }),
            workflow_tasks: Labelled::new(move |workflow_type, _| {
                WorkflowTaskMeters::new(&of_workflow("workflow_type", workflow_type))
            }),
            workflow_task_failures: Labelled::new(move |workflow_type, cause| {
                let [namespace, task_queue, workflow_type] = of_failure("workflow_type", workflow_type);
                let labels = [namespace, task_queue, workflow_type, ("failure_reason", cause.to_owned())];
                counter!("tidewright_workflow_task_execution_failed_total", &labels)
            }),
            corrupted_signals: Labelled::new(move |workflow_type, _| {
                counter!("tidewright_corrupted_signals_total", &of_signals("workflow_type", workflow_type))
            }),
            cache_hit: counter!("tidewright_sticky_cache_hit_total", &of_worker),
            cache_miss: counter!("tidewright_sticky_cache_miss_total", &of_worker),
            confirmed: [confirmed("run"), confirmed("drop")],
            handed_back: counter!("tidewright_activity_tasks_handed_back_total", &of_worker),
        }
    }

    /// An attempt begins: how long its task waited for a worker, as far as the clocks agree.
    pub(crate) fn attempt_starts(&self, task: &ActivityTask) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let waited = now.saturating_sub(Duration::from_millis(task.attempt_scheduled_time_ms));
        self.activities.get(&task.activity_type, "").schedule_to_start.record(waited);
    }

    pub(crate) fn attempt_ends(&self, task: &ActivityTask, began: Instant, failed: bool) {
        let meters = self.activities.get(&task.activity_type, "");
        meters.execution_latency.record(began.elapsed());
        if failed {
            meters.failed.increment(1);
        }
    }

    pub(crate) fn workflow_task_ends(
        &self,
        workflow_type: &str,
        began: Instant,
        failed: Option<WorkflowTaskFailedCause>,
    ) {
        self.workflow_tasks.get(workflow_type, "").execution_latency.record(began.elapsed());
        if let Some(cause) = failed {
            self.workflow_task_failures.get(workflow_type, &format!("{cause:?}")).increment(1);
        }
    }

    /// A signal was dropped, since the workflow cannot read it.
    pub(crate) fn corrupted_signal(&self, workflow_type: &str) {
        self.corrupted_signals.get(workflow_type, "").increment(1);
    }

    pub(crate) fn replayed(&self, workflow_type: &str, began: Instant) {
        self.workflow_tasks.get(workflow_type, "").replay_latency.record(began.elapsed());
    }

    /// A run that was advanced before was looked for.
    pub(crate) fn looked_up(&self, found: bool) {
        if found { self.cache_hit.increment(1) } else { self.cache_miss.increment(1) }
    }

    pub(crate) fn handed_back(&self) {
        self.handed_back.increment(1);
    }

    pub(crate) fn confirmed(&self, verdict: TaskVerdict) {
        self.confirmed[usize::from(verdict != TaskVerdict::Run)].increment(1);
    }
}

impl ActivityMeters {
    fn new(labels: &Labels) -> Self {
        Self {
            execution_latency: histogram!("tidewright_activity_execution_latency_seconds", labels),
            schedule_to_start: histogram!("tidewright_activity_schedule_to_start_latency_seconds", labels),
            failed: counter!("tidewright_activity_execution_failed_total", labels),
        }
    }
}

impl WorkflowTaskMeters {
    fn new(labels: &Labels) -> Self {
        Self {
            execution_latency: histogram!("tidewright_workflow_task_execution_latency_seconds", labels),
            replay_latency: histogram!("tidewright_workflow_task_replay_latency_seconds", labels),
        }
    }
}

impl Occupancy {
    /// `worker_type` as Temporal has it: `WorkflowWorker` or `ActivityWorker`.
    pub(crate) fn new(namespace: &str, task_queue: &str, worker_type: &str, slots: usize) -> Self {
        let labels: Labels = [
            ("namespace", namespace.to_owned()),
            ("task_queue", task_queue.to_owned()),
            ("worker_type", worker_type.to_owned()),
        ];
        Self {
            slots,
            used: AtomicUsize::new(0),
            partitions: Mutex::default(),
            moved: Notify::new(),
            used_gauge: gauge!("tidewright_worker_task_slots_used", &labels),
            available_gauge: gauge!("tidewright_worker_task_slots_available", &labels),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "slots are far fewer than 2^52")]
    pub(crate) fn set(&self, used: usize) {
        self.used.store(used, Ordering::Relaxed);
        self.used_gauge.set(used as f64);
        self.available_gauge.set(self.slots.saturating_sub(used) as f64);
    }

    /// Tasks are taken from these partitions.
    pub(crate) fn takes_from(&self, partitions: Vec<u32>) {
        let mut held = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        if *held != partitions {
            *held = partitions;
            self.moved.notify_one();
        }
    }

    /// Resolves when there are other partitions than the last time.
    pub(crate) async fn moved(&self) {
        self.moved.notified().await;
    }

    pub(crate) fn partitions(&self) -> Vec<u32> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl ThreadMeters {
    pub(crate) fn new(namespace: &str, task_queue: &str) -> Self {
        let labels = [("namespace", namespace.to_owned()), ("task_queue", task_queue.to_owned())];
        let given_up = gauge!("tidewright_workflow_threads_given_up", &labels);
        given_up.set(0);
        let blocked = Labelled::new(move |workflow_type, _| {
            let [namespace, task_queue] = labels.clone();
            let labels = [namespace, task_queue, ("workflow_type", workflow_type.to_owned())];
            counter!("tidewright_workflow_tasks_blocked_total", &labels)
        });
        Self { blocked, given_up }
    }

    /// A workflow's code keeps its thread.
    pub(crate) fn blocked(&self, workflow_type: &str) {
        self.blocked.get(workflow_type, "").increment(1);
    }

    #[expect(clippy::cast_precision_loss, reason = "threads are far fewer than 2^52")]
    pub(crate) fn given_up(&self, threads: usize) {
        self.given_up.set(threads as f64);
    }
}

impl CacheMeters {
    pub(crate) fn new(namespace: &str, task_queue: &str) -> Self {
        let labels = [("namespace", namespace.to_owned()), ("task_queue", task_queue.to_owned())];
        Self {
            size: gauge!("tidewright_sticky_cache_size", &labels),
            evicted: counter!("tidewright_sticky_cache_total_forced_eviction_total", &labels),
        }
    }
}
