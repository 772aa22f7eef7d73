//! Cancellation: what a workflow that is asked to end still does.

use tidewright::prelude::*;

pub struct Nodes;

#[activities]
impl Nodes {
    #[activity(start_to_close = "1h")]
    async fn create(&self, node: String) -> ActivityResult<String> {
        if node == "slow" {
            tokio::time::sleep(59.mins()).await;
        }
        Ok(node)
    }

    #[activity(start_to_close = "30s")]
    async fn delete(&self, _node: String) -> ActivityResult<()> {
        Ok(())
    }
}

#[workflow]
pub async fn add_node(ctx: &WorkflowContext, node: String) -> WorkflowResult<String> {
    let created = ctx.activity(Nodes::create, &node).await;
    if let Err(failed) = created {
        // Runs in any case, also if the workflow was asked to end.
        let cleanup = ctx.non_cancellable();
        cleanup.activity(Nodes::delete, &node).await?;
        return Err(failed.into());
    }
    ctx.sleep(3650.days()).await?;
    Ok(node)
}

/// Takes whichever of two nodes is there first, and gives the other one up.
#[workflow]
pub async fn fastest(ctx: &WorkflowContext, nodes: (String, String)) -> WorkflowResult<String> {
    let race = ctx.scope();
    let mut first = race.activity(Nodes::create, nodes.0);
    let mut second = race.activity(Nodes::create, nodes.1);
    let winner = select! {
        node = first => node?,
        node = second => node?,
    };
    race.cancel();
    Ok(winner)
}
