//! Three nodes: one is added, one is called off on the way, and one resists.

use std::sync::Arc;

use playground::Playground;
use provisioning::{DeleteNode, InMemoryCloud, TASK_QUEUE, add_node, add_node_id, delete_node, delete_node_id, worker};
use tidewright::Client;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let playground = Playground::start().await?;
    let client = playground.client();
    let cloud = Arc::new(InMemoryCloud::default());
    playground.tell(worker(&client, cloud.clone()), story(client, cloud)).await
}

async fn story(client: Client, cloud: Arc<InMemoryCloud>) -> anyhow::Result<()> {
    for node in ["harbour", "slow-lighthouse", "slow-sticky-buoy"] {
        let adding = client.start(add_node, node.to_owned()).id(add_node_id(node)).task_queue(TASK_QUEUE).await?;
        if node == "harbour" {
            println!("{node} is there: {}", adding.result().await?);
        }
        let request = DeleteNode { node: node.to_owned(), grace_ms: 3_000 };
        let deleting = client.start(delete_node, request).id(delete_node_id(node)).task_queue(TASK_QUEUE).await?;
        println!("{node} is gone; the workflow that added it: {:?}", deleting.result().await?);
    }
    println!("what the cloud did: {}", cloud.log().join(", "));
    println!("what is left there: {}", if cloud.is_empty() { "nothing" } else { "something" });
    Ok(())
}
