//! A worker made by hand: whoever writes it says what happens first.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tidewright_log::{GroupConsumer, Record};
use tidewright_schemas::{Beacon, Slots, WorkerBeacon, WorkerIdentity, WorkerQueue, WorkerStanding};
use tokio::task::JoinSet;

use crate::World;

/// The only worker of the task queue `q`. It takes tasks one by one and answers when the test says so.
pub struct ByHand<'a> {
    world: &'a World,
    workflow_tasks: GroupConsumer,
    activity_tasks: GroupConsumer,
    completions: u32,
}

impl<'a> ByHand<'a> {
    pub fn of(world: &'a World) -> anyhow::Result<Self> {
        let workflow_tasks = world.consumer(&world.topics.workflow_tasks("q"))?;
        let activity_tasks = world.consumer(&world.topics.activity_tasks("q"))?;
        Ok(Self { world, workflow_tasks, activity_tasks, completions: 0 })
    }

    /// The next workflow task.
    pub async fn workflow_task(&mut self) -> anyhow::Result<Value> {
        self.world.take(&mut self.workflow_tasks).await?.json()
    }

    /// The next task of this workflow; those of others are left unanswered.
    pub async fn workflow_task_of(&mut self, workflow_id: &str) -> anyhow::Result<Value> {
        loop {
            let task = self.workflow_task().await?;
            if task["workflow_id"] == workflow_id {
                return Ok(task);
            }
        }
    }

    /// The next activity task.
    pub async fn activity_task(&mut self) -> anyhow::Result<Value> {
        self.world.take(&mut self.activity_tasks).await?.json()
    }

    /// Completes a workflow task.
    pub async fn decide(&mut self, task: &Value, decisions: &[Value]) -> anyhow::Result<()> {
        self.completions += 1;
        let completion_id = format!("c-{}", self.completions);
        let completion = json!({
            "type": "CompleteWorkflowTask", "token": task["token"], "completion_id": completion_id, "decisions": decisions,
        });
        self.say(task, completion).await
    }

    /// Sends a command of this type that speaks of a task.
    pub async fn tell(&self, command_type: &str, task: &Value, mut fields: Value) -> anyhow::Result<()> {
        fields["type"] = json!(command_type);
        fields["token"] = task["token"].clone();
        self.say(task, fields).await
    }

    async fn say(&self, task: &Value, command: Value) -> anyhow::Result<()> {
        let workflow_id = task["workflow_id"].as_str().context("the task names no workflow")?;
        self.world.publish(workflow_id, &command.to_string()).await
    }
}

/// The decision to complete a workflow.
#[must_use]
pub fn complete_workflow(result: &Value) -> Value {
    json!({"type": "CompleteWorkflow", "result": result})
}

/// The decision to start a timer.
#[must_use]
pub fn start_timer(timer_id: &str, start_to_fire_timeout_ms: u64) -> Value {
    json!({"type": "StartTimer", "timer_id": timer_id, "start_to_fire_timeout_ms": start_to_fire_timeout_ms})
}

/// The decision to schedule an activity that may take a minute, with more fields.
#[must_use]
pub fn schedule_activity(activity_id: &str, fields: &Value) -> Value {
    let mut decision = json!({
        "type": "ScheduleActivity", "activity_id": activity_id, "activity_type": "A", "start_to_close_timeout_ms": 60_000,
    });
    for (name, value) in fields.as_object().into_iter().flatten() {
        decision[name] = value.clone();
    }
    decision
}

/// Beacons of a worker of the task queue `q`, once in a while, until this is dropped.
#[must_use]
pub fn beacons(world: &World, name: &str) -> JoinSet<()> {
    let (producer, topic) = (world.producer.clone(), world.topics.workers());
    let queue = WorkerQueue {
        task_queue: "q".to_owned(),
        workflow_tasks: Some(Slots { total: 1, used: 0 }),
        activities: Some(Slots { total: 1, used: 0 }),
        activity_partitions: Vec::new(),
    };
    let beacon = Beacon::from(WorkerBeacon {
        worker: WorkerIdentity { identity: name.to_owned(), incarnation: name.to_owned() },
        build_id: None,
        sdk: None,
        started_at_ms: 0,
        task_queues: vec![queue],
        state: WorkerStanding::Running,
    });
    // Silence is measured by who speaks in the same partition.
    let record = Record::to(topic).partition(0).key(beacon.key()).value(beacon.to_json());
    let mut beating = JoinSet::new();
    beating.spawn(async move {
        loop {
            drop(producer.send(record.clone()).await.await);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    beating
}
