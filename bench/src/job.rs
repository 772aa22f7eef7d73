//! What is measured: a workflow of activities that do nothing, one after the other, and its worker.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tidewright::prelude::*;
use tidewright::{Client, Worker};
use tracing_subscriber::EnvFilter;

use crate::patient::{Patient, hear, move_on};

/// The queue that the worker listens on.
pub(crate) const TASK_QUEUE: &str = "bench";
/// What each payload takes as JSON.
pub(crate) const PAYLOAD_BYTES: usize = 100;

/// Every input and output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Payload {
    steps: u32,
    padding: String,
}

impl Payload {
    pub(crate) fn new(steps: u32) -> Self {
        let frame = format!(r#"{{"steps":{steps},"padding":""}}"#).len();
        Self { steps, padding: "x".repeat(PAYLOAD_BYTES.saturating_sub(frame)) }
    }
}

struct Nothing;

#[activities]
impl Nothing {
    /// Gives back what it is given.
    #[activity(start_to_close = "30s")]
    async fn echo(&self, payload: Payload) -> ActivityResult<Payload> {
        Ok(payload)
    }
}

/// Runs the activities.
#[workflow]
pub(crate) async fn chain(ctx: &WorkflowContext, mut payload: Payload) -> WorkflowResult<Payload> {
    for _ in 0..payload.steps {
        payload = ctx.activity(Nothing::echo, &payload).await?;
    }
    Ok(payload)
}

/// Adds a number to the tally; 0 ends it.
pub(crate) const ADD: SignalDef<u32> = SignalDef::new("add");

/// Adds up signals until one says 0.
#[workflow]
pub(crate) async fn tally(ctx: &WorkflowContext, _input: ()) -> WorkflowResult<u32> {
    let mut sum = 0;
    loop {
        match ctx.receive(ADD).await? {
            0 => return Ok(sum),
            number => sum += number,
        }
    }
}

/// Adds up signals for whoever asks.
#[derive(Default)]
pub(crate) struct Asked {
    sum: u64,
}

#[workflow]
impl Asked {
    #[run]
    pub(crate) async fn run(ctx: &WorkflowContext<Self>, _input: ()) -> WorkflowResult<()> {
        ctx.canceled().await;
        Ok(())
    }

    #[signal]
    pub(crate) fn add(&mut self, number: u64) {
        self.sum += number;
    }

    #[query]
    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }
}

/// Runs the worker until it is told to stop.
pub(crate) async fn work() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let client = Client::from_env().context("the client cannot be made")?;
    let options = WorkerOptions::from_env().context("the worker cannot be configured")?;
    let worker = Worker::new(&client, TASK_QUEUE)
        .options(options)
        .workflow(chain)
        .workflow(tally)
        .workflow(Asked::run)
        .workflow(hear)
        .workflow(move_on)
        .activities(Nothing)
        .activities(Patient);
    worker.run().await.context("the worker ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_payload_has_the_same_size() {
        for steps in [1, 3, 10, 1_000] {
            assert_eq!(serde_json::to_string(&Payload::new(steps)).unwrap().len(), PAYLOAD_BYTES);
        }
    }
}
