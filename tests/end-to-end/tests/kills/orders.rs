//! The orders of a run: published as plain records, awaited over HTTP.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use end_to_end::Kafka;
use serde_json::{Value, json};
use tidewright_log::{Producer, Record};
use tidewright_schemas::HistoryEvent;
use tidewright_schemas::api::{HistoryPage, WorkflowOutcome, WorkflowStatus};
use tidewright_schemas::topics::Topics;

use crate::fleet::Fleet;

/// How an order is paid and sent, and so how it ends.
const CASES: [(&str, &str, &str); 4] = [
    ("visa", "Main Street 1", "Completed"),
    ("declined", "Main Street 1", "PaymentDeclined"),
    ("visa", "unreachable", "ShipmentFailedRefunded"),
    ("flaky", "Main Street 1", "Completed"),
];

/// Histories by workflow id.
pub type Histories = BTreeMap<String, Vec<HistoryEvent>>;

/// The orders of a run.
pub struct Orders {
    producer: Producer,
    commands: String,
    count: usize,
}

/// The workflow id of an order.
pub fn id(order: usize) -> String {
    format!("order-{order:04}")
}

impl Orders {
    /// So many orders.
    pub fn new(kafka: &Kafka, topics: &Topics, count: usize) -> anyhow::Result<Self> {
        Ok(Self { producer: Producer::new(&kafka.config())?, commands: topics.commands(), count })
    }

    /// Publishes an order as any Kafka client would.
    pub async fn publish(&self, order: usize) -> anyhow::Result<()> {
        let (card, address, _) = CASES[order % CASES.len()];
        let id = id(order);
        let start = json!({
            "type": "StartWorkflow", "workflow_type": "OrderWorkflow", "workflow_id": id, "task_queue": "orders",
            "input": {
                "order_id": id, "customer": "ada@example.org", "items": [{"sku": "book", "quantity": 2}],
                "amount_cents": 4200, "card": card, "address": address,
            },
        });
        self.producer.send(Record::to(&self.commands).key(id).value(start.to_string())).await.await?;
        Ok(())
    }

    /// Waits for the end of orders, and checks that two nodes tell the same of them.
    pub async fn same_from_both(&self, fleet: &Fleet, ids: &[String]) -> anyhow::Result<()> {
        for id in ids {
            let path = result_path(id);
            let first = ended(&format!("{id} ends, says the first node"), || fleet.get(&path)).await?;
            let second = ended(&format!("{id} ends, says the second node"), || fleet.get_from_second(&path)).await?;
            ensure!(first == second, "{id}: one node says {first:?}, the other {second:?}");
        }
        Ok(())
    }

    /// Waits for the end of an order, as the second node tells it.
    pub async fn ended_on_second(&self, fleet: &Fleet, order: usize) -> anyhow::Result<()> {
        let path = result_path(&id(order));
        let what = format!("{} ends, says the second node", id(order));
        check(&id(order), CASES[order % CASES.len()].2, ended(&what, || fleet.get_from_second(&path)).await?)
    }

    /// Waits for the end of every order, and checks that it is the right one.
    pub async fn wait_for_all(&self, fleet: &Fleet, patience: Duration) -> anyhow::Result<Histories> {
        let deadline = Instant::now() + patience;
        let mut histories = Histories::new();
        for order in 0..self.count {
            let id = id(order);
            let outcome = loop {
                match fleet.get::<WorkflowOutcome>(&result_path(&id)).await {
                    Ok(outcome) if outcome.status != WorkflowStatus::Running => break outcome,
                    Ok(_) | Err(_) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(50)).await,
                    Ok(_) => bail!("{id} still runs:\n{}", fleet.describe(&id).await),
                    Err(error) => return Err(error.context(format!("{id} has no outcome"))),
                }
            };
            check(&id, CASES[order % CASES.len()].2, outcome)?;
            // A partition may change its owner once more while the group settles.
            let read = end_to_end::eventually("the history can be read", || async { history(fleet, &id).await.ok() });
            histories.insert(id.clone(), read.await?);
        }
        Ok(histories)
    }
}

fn result_path(id: &str) -> String {
    format!("/api/v1/namespaces/default/workflows/{id}/result?wait_ms=2000")
}

async fn ended<F: Future<Output = anyhow::Result<WorkflowOutcome>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> anyhow::Result<WorkflowOutcome> {
    let ended = |outcome: &WorkflowOutcome| outcome.status != WorkflowStatus::Running;
    end_to_end::eventually(what, || {
        let asked = ask();
        async move { asked.await.ok().filter(ended) }
    })
    .await
}

/// A workflow's whole history.
pub async fn history(fleet: &Fleet, id: &str) -> anyhow::Result<Vec<HistoryEvent>> {
    let path = format!("/api/v1/namespaces/default/workflows/{id}/history?limit=10000");
    let page = fleet.get::<HistoryPage>(&path).await?;
    ensure!(page.next_event_id.is_none(), "{id} has a second page");
    grammar::check(&page.events).with_context(|| format!("the history of {id}"))?;
    Ok(page.events)
}

fn check(id: &str, expected: &str, outcome: WorkflowOutcome) -> anyhow::Result<()> {
    let found = match outcome.failure {
        Some(failure) => failure.error_type().to_owned(),
        None => {
            let result: Value = outcome.result.context("no result")?.read()?;
            result["outcome"].as_str().unwrap_or_default().to_owned()
        }
    };
    ensure!(found == expected, "{id} ended as {found}, not as {expected}");
    Ok(())
}
