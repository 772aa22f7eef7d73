//! The workflows.

use std::time::Duration;

use tidewright::ActivityCancellationType::WaitCancellationCompleted;
use tidewright::prelude::*;

use crate::activities::{Adding, Machines, Network};
use crate::{Addition, DeleteNode};

/// The id of the workflow that adds a node: there is at most one at a time.
#[must_use]
pub fn add_node_id(node: &str) -> String {
    format!("add-node-{node}")
}

/// The id of the workflow that deletes a node.
#[must_use]
pub fn delete_node_id(node: &str) -> String {
    format!("delete-node-{node}")
}

/// Adds a node: an address, then a machine. Gives the machine's id.
///
/// Whoever cleans up has to know that nobody works on it any more, so a step that is called off is waited for.
#[workflow]
pub async fn add_node(ctx: &WorkflowContext, node: String) -> WorkflowResult<String> {
    let machine = async {
        ctx.activity(Network::reserve_address, &node).cancellation_type(WaitCancellationCompleted).await?;
        ctx.activity(Machines::provision, &node)
            .retry(RetryPolicy::default().initial_interval(100.millis()).maximum_interval(1.mins()))
            .cancellation_type(WaitCancellationCompleted)
            .await
    }
    .await;
    if machine.is_err() {
        // It failed, or was called off. A cancelled workflow may still clean up here.
        ctx.non_cancellable().activity(Network::release_address, &node).await?;
    }
    Ok(machine?)
}

/// Deletes a node, and ends the workflow that is still adding it: in good order if it can be.
#[workflow]
pub async fn delete_node(ctx: &WorkflowContext, request: DeleteNode) -> WorkflowResult<Addition> {
    let node = &request.node;
    let addition = match ctx.activity(Adding::call_off, node).await? {
        false => Addition::NotRunning,
        true => {
            let grace = Duration::from_millis(request.grace_ms);
            match ctx.activity(Adding::await_end, node).schedule_to_close(grace).await {
                Ok(()) => Addition::CalledOff,
                Err(late) if late.timeout().is_some() => {
                    ctx.activity(Adding::terminate, node).await?;
                    Addition::Terminated
                }
                Err(failed) => return Err(failed.into()),
            }
        }
    };
    // What was terminated has cleaned up nothing.
    ctx.activity(Machines::deprovision, node).await?;
    ctx.activity(Network::release_address, node).await?;
    Ok(addition)
}
