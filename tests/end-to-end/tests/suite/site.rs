//! A world, a worker by hand, and a way in that is answered: what happens first is for the test to say.

use anyhow::Result;
use end_to_end::World;
use end_to_end::by_hand::ByHand;
use end_to_end::ways::{WayIn, Ways, start_of};
use serde_json::Value;
use tidewright_schemas::StartWorkflow;

pub(crate) struct Site<'a> {
    pub(crate) world: &'a World,
    pub(crate) ways: Ways<'a>,
    pub(crate) worker: ByHand<'a>,
}

impl<'a> Site<'a> {
    pub(crate) fn on(world: &'a World) -> Result<Self> {
        Ok(Self { world, ways: Ways::into(world)?, worker: ByHand::of(world)? })
    }

    /// Starts a workflow and takes its first task.
    pub(crate) async fn begun(&mut self, id: &str) -> Result<Value> {
        self.begun_as(start_of("T", id, &Value::Null)?).await
    }

    pub(crate) async fn begun_as(&mut self, start: StartWorkflow) -> Result<Value> {
        let id = start.workflow_id.clone();
        self.ways.accepted(WayIn::Record, id.as_str(), start).await?;
        self.worker.workflow_task_of(id.as_str()).await
    }
}
