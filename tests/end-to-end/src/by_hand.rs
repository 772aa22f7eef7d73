//! A worker made by hand: whoever writes it says what happens first.

use anyhow::Context as _;
use serde_json::{Value, json};
use tidewright_log::GroupConsumer;

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
