//! Anna sleeps, Ben has lost his phone, Carol acknowledges.

use std::sync::Arc;
use std::time::Duration;

use incident_escalation::{Escalation, Incident, OnCall, Pager, TASK_QUEUE, worker};
use playground::Playground;
use tidewright::{Client, QueryError};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let playground = Playground::start().await?;
    let client = playground.client();
    let pager = Pager { unreachable: Arc::new(["Ben".to_owned()]) };
    playground.tell(worker(&client, pager), story(client)).await
}

async fn story(client: Client) -> anyhow::Result<()> {
    let on_call = |name: &str, acknowledge_within_ms| OnCall { name: name.to_owned(), acknowledge_within_ms };
    let incident = Incident {
        summary: "the harbour's lights are out".to_owned(),
        rota: vec![on_call("Anna", 2_000), on_call("Ben", 2_000), on_call("Carol", 600_000)],
    };
    let escalation = client.start(Escalation::run, incident).task_queue(TASK_QUEUE).await?;
    loop {
        match escalation.query(Escalation::standing, ()).await {
            Ok(standing) => {
                println!("{standing:?}");
                if standing.paged.iter().any(|name| name == "Carol") {
                    break;
                }
            }
            // The worker is only about to begin.
            Err(QueryError::NoWorker { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        // A person looks now and then.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    escalation.signal(Escalation::acknowledge, "Carol".to_owned()).await?;
    println!("{:?}", escalation.result().await?);
    Ok(())
}
