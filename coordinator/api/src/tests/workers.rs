//! Who works for the namespace.

use serde_json::Value;
use tidewright_runtime::{Life, WorkerSeen};
use tidewright_schemas::{Slots, WorkerBeacon, WorkerIdentity, WorkerQueue, WorkerStanding};

use super::{FakeNode, Served};

/// The workers that a made-up node knows.
pub(super) fn seen() -> Vec<WorkerSeen> {
    let worker = |name: &str, queue: &str, started_at_ms, state, life| {
        let worker = WorkerIdentity { identity: name.to_owned(), incarnation: format!("{name}-1") };
        let activities = Some(Slots { total: 3, used: 1 });
        let queue = WorkerQueue {
            task_queue: queue.to_owned(),
            workflow_tasks: None,
            activities,
            activity_partitions: Vec::new(),
        };
        let beacon = WorkerBeacon { worker, state, started_at_ms, sdk: None, build_id: None, task_queues: vec![queue] };
        WorkerSeen { beacon, life, last_seen_ms: 90 }
    };
    vec![
        worker("a", "orders", 10, WorkerStanding::Running, Life::Alive),
        worker("b", "orders", 30, WorkerStanding::Leaving, Life::Alive),
        worker("c", "orders", 20, WorkerStanding::Leaving, Life::Lost),
        worker("d", "mail", 40, WorkerStanding::Left, Life::Left),
    ]
}

async fn listed(parameters: &str) -> Vec<String> {
    let node = Served::start(FakeNode::default()).await;
    let (_, list) = node.get(&format!("/api/v1/namespaces/default/workers{parameters}")).await;
    let line =
        |worker: &Value| format!("{} {}", worker["identity"].as_str().unwrap(), worker["state"].as_str().unwrap());
    list["workers"].as_array().unwrap().iter().map(line).collect()
}

#[tokio::test]
async fn workers_are_listed_with_how_they_stand() {
    assert_eq!(listed("").await, ["b Leaving", "a Running"]);
    assert_eq!(listed("?all=true").await, ["d Left", "b Leaving", "c Lost", "a Running"]);
    assert_eq!(listed("?task_queue=mail").await, [""; 0]);
    assert_eq!(listed("?task_queue=mail&all=true").await, ["d Left"]);
}

#[tokio::test]
async fn a_list_of_workers_that_cannot_be_had_says_why() {
    let node = Served::start(FakeNode::default()).await;
    assert_eq!(node.problem("/api/v1/namespaces/other/workers").await.status, 404);
    assert_eq!(node.problem("/api/v1/namespaces/default/workers?queue=x").await.status, 400);
}
