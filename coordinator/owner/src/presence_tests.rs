//! Who is lost, and above all who is not.

use tidewright_schemas::{NodeBeacon, Slots, WorkerIdentity, WorkerQueue};

use super::*;

const START_MS: u64 = 1_790_000_000_000;
const SILENCE_MS: u64 = 3_000;

/// A partition of the topic as it is read.
struct Log {
    presence: Presence,
    now_ms: u64,
    offset: u64,
}

impl Log {
    fn new() -> Self {
        Self { presence: Presence::new(SILENCE_MS), now_ms: START_MS, offset: 0 }
    }

    fn take(&mut self, partition: u32, key: &str, value: Option<&Beacon>) {
        self.offset += 1;
        let record = LogRecord {
            offset: self.offset,
            timestamp_ms: self.now_ms,
            key: Some(key.as_bytes().to_vec()),
            value: value.map(|value| serde_json::to_vec(value).unwrap()),
            headers: Vec::new(),
        };
        self.presence.take(partition, &record);
    }

    fn worker_is(&mut self, incarnation: &str, state: WorkerStanding) {
        let beacon = Beacon::from(worker(incarnation, state));
        self.take(0, &beacon.key(), Some(&beacon));
    }

    fn worker(&mut self, incarnation: &str) {
        self.worker_is(incarnation, WorkerStanding::Running);
    }

    fn node(&mut self) {
        let beacon = Beacon::from(NodeBeacon { node: "n".to_owned() });
        self.take(0, &beacon.key(), Some(&beacon));
    }

    /// The node goes on for so long, twice a second.
    fn node_for(&mut self, ms: u64) {
        for _ in 0..ms / 500 {
            self.now_ms += 500;
            self.node();
        }
    }

    fn lost(&self) -> Vec<String> {
        self.presence.gone().into_keys().collect()
    }
}

fn worker(incarnation: &str, state: WorkerStanding) -> WorkerBeacon {
    let worker = WorkerIdentity { identity: "w".to_owned(), incarnation: incarnation.to_owned() };
    let task_queues = vec![WorkerQueue {
        task_queue: "orders".to_owned(),
        workflow_tasks: None,
        activities: Some(Slots { total: 1, used: 0 }),
        activity_partitions: vec![0, 2],
    }];
    WorkerBeacon { worker, state, started_at_ms: 1, sdk: None, build_id: None, task_queues }
}

#[test]
fn r28_who_falls_silent_while_another_speaks_is_lost() {
    let mut log = Log::new();
    log.node();
    log.worker("a");
    log.node_for(2_500);
    assert_eq!(log.lost(), [""; 0]);
    log.node_for(500);
    assert_eq!(log.presence.gone(), BTreeMap::from([("a".to_owned(), START_MS + 3_000)]));
}

#[test]
fn r28_who_speaks_again_is_there_again() {
    let mut log = Log::new();
    log.worker("a");
    log.node_for(5_000);
    log.worker("a");
    assert_eq!(log.lost(), [""; 0]);
    log.node_for(3_000);
    assert_eq!(log.lost(), ["a"]);
}

#[test]
fn r28_nobody_is_lost_by_being_alone() {
    let mut log = Log::new();
    log.worker("a");
    log.now_ms += 3_600_000;
    assert_eq!(log.lost(), [""; 0]);
}

#[test]
fn r28_a_stall_of_the_log_loses_nobody() {
    for first in ["the node", "the other worker"] {
        let mut log = Log::new();
        for _ in 0..5 {
            log.now_ms += 1_000;
            log.worker("a");
            log.worker("b");
            log.node();
        }
        // Nobody can write for a minute; then everything that waited lands at once, in any order.
        log.now_ms += 60_000;
        for _ in 0..120 {
            match first {
                "the node" => log.node(),
                _ => log.worker("b"),
            }
        }
        assert_eq!(log.lost(), [""; 0], "after {first}");
        log.now_ms += 900;
        log.node();
        log.worker("a");
        log.worker("b");
        assert_eq!(log.lost(), [""; 0], "after {first}");
    }
}

#[test]
fn r28_who_does_not_come_back_after_a_stall_is_lost() {
    let mut log = Log::new();
    log.worker("a");
    log.now_ms += 60_000;
    log.node_for(2_000);
    assert_eq!(log.lost(), [""; 0]);
    log.node_for(500);
    assert_eq!(log.lost(), ["a"]);
}

#[test]
fn r28_a_leader_with_another_clock_loses_nobody() {
    for shift_ms in [-40_000_i64, 40_000] {
        let mut log = Log::new();
        log.worker("a");
        log.node_for(500);
        log.now_ms = log.now_ms.saturating_add_signed(shift_ms);
        log.node_for(1_500);
        assert_eq!(log.lost(), [""; 0], "{shift_ms}");
        log.worker("a");
        log.node_for(1_500);
        assert_eq!(log.lost(), [""; 0], "{shift_ms}");
    }
}

#[test]
fn r28_what_another_partition_says_counts_for_nobody_here() {
    let mut log = Log::new();
    log.worker("a");
    for _ in 0..20 {
        log.now_ms += 500;
        log.take(1, "node/n", Some(&NodeBeacon { node: "n".to_owned() }.into()));
    }
    assert_eq!(log.lost(), [""; 0]);
}

#[test]
fn who_left_is_gone_at_once_and_who_leaves_is_not() {
    let mut log = Log::new();
    log.worker_is("a", WorkerStanding::Leaving);
    log.node_for(1_000);
    assert_eq!(log.lost(), [""; 0]);
    assert!(!log.presence.serves(TaskKind::Activity, "orders"));
    log.worker_is("a", WorkerStanding::Left);
    assert_eq!(log.presence.gone(), BTreeMap::from([("a".to_owned(), START_MS + 1_000)]));
    assert_eq!(log.presence.workers().map(|seen| seen.life).collect::<Vec<_>>(), [Life::Left]);
}

#[test]
fn a_queue_is_served_while_a_worker_of_its_kind_lives() {
    let mut log = Log::new();
    assert!(!log.presence.serves(TaskKind::Activity, "orders"));
    log.worker("a");
    assert!(log.presence.serves(TaskKind::Activity, "orders"));
    assert!(!log.presence.serves(TaskKind::Workflow, "orders"));
    assert!(!log.presence.serves(TaskKind::Activity, "other"));
    log.node_for(3_000);
    assert!(!log.presence.serves(TaskKind::Activity, "orders"));
}

#[test]
fn tasks_are_taken_where_somebody_is_alive() {
    let mut log = Log::new();
    log.worker("a");
    assert_eq!(log.presence.activity_places("orders"), [(0, 1), (2, 1)]);
    assert_eq!(log.presence.activity_places("other"), []);
    log.node_for(3_000);
    assert_eq!(log.presence.activity_places("orders"), []);
}

#[test]
fn who_has_room_is_known_without_partitions_too() {
    let mut log = Log::new();
    let mut full = worker("full", WorkerStanding::Running);
    full.task_queues[0].activities = Some(Slots { total: 3, used: 3 });
    let mut new = worker("new", WorkerStanding::Running);
    new.task_queues[0].activities = Some(Slots { total: 3, used: 1 });
    new.task_queues[0].activity_partitions.clear();
    for beacon in [full, new, worker("leaves", WorkerStanding::Leaving)].map(Beacon::from) {
        log.take(0, &beacon.key(), Some(&beacon));
    }
    assert_eq!(log.presence.free_for_activities("orders"), [("new".to_owned(), 2)]);
    assert_eq!(log.presence.free_for_activities("other"), []);
    assert_eq!(log.presence.activity_queues(), BTreeSet::from(["orders".to_owned()]));
    log.node_for(3_000);
    assert_eq!(log.presence.free_for_activities("orders"), []);
    assert!(log.presence.activity_queues().is_empty());
}

#[test]
fn who_is_gone_for_an_hour_is_forgotten() {
    let mut log = Log::new();
    log.worker("a");
    log.worker("b");
    log.node_for(2_500);
    log.worker("b");
    log.node_for(500);
    assert_eq!(log.presence.expire(7), []);
    assert_eq!(log.presence.expire(7 + REMEMBERED_MS - 1), []);
    assert_eq!(log.presence.expire(7 + REMEMBERED_MS), [(0, "worker/a".to_owned())]);
    assert_eq!(log.presence.workers().count(), 1);
    log.take(0, "worker/b", None);
    assert_eq!(log.presence.workers().count(), 0);
}

#[test]
fn what_is_no_beacon_harms_nobody() {
    let mut log = Log::new();
    let nameless = Beacon::from(worker("", WorkerStanding::Running));
    log.take(0, "worker/", Some(&nameless));
    for value in ["", "{}", "[]", "{\"type\":\"FromTheFuture\"}"] {
        let value = Some(value.as_bytes().to_vec());
        let record = LogRecord { offset: 1, timestamp_ms: 1, key: None, value, headers: Vec::new() };
        log.presence.take(0, &record);
    }
    assert_eq!(log.presence.workers().count(), 0);
}

#[test]
fn memory_is_bounded() {
    let mut log = Log::new();
    for n in 0..=WORKERS_MAX {
        log.worker(&n.to_string());
    }
    assert_eq!(log.presence.workers().count(), WORKERS_MAX);
}
