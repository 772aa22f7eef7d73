//! The main job: orders published as Kafka events run to their end in a worker of the SDK.

use end_to_end::World;
use order_fulfilment::Services;
use serde_json::{Value, json};
use tidewright_schemas::EventAttributes;
use tidewright_schemas::api::WorkflowStatus;

fn order(id: &str, card: &str, address: &str) -> Value {
    json!({
        "type": "StartWorkflow", "workflow_type": "OrderWorkflow", "workflow_id": id, "task_queue": "orders",
        "input": {
            "order_id": id, "customer": "ada@example.org", "items": [{"sku": "book", "quantity": 2}],
            "amount_cents": 4200, "card": card, "address": address,
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_ends_as_it_should() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _worker = world.run(order_fulfilment::worker(&world.client()?, "orders", Services::in_memory()));
    let cases = [
        ("visa", "Main Street 1", "Completed"),
        ("declined", "Main Street 1", "PaymentDeclined"),
        ("visa", "unreachable", "ShipmentFailedRefunded"),
        ("flaky", "Main Street 1", "Completed"),
    ];
    for n in 0..20 {
        let (card, address, _) = cases[n % cases.len()];
        let id = format!("order-{n}");
        world.publish(&id, &order(&id, card, address).to_string()).await?;
    }
    for n in 0..20 {
        let (_, _, expected) = cases[n % cases.len()];
        let id = format!("order-{n}");
        let outcome = world.outcome(&id).await?;
        match expected {
            "PaymentDeclined" => {
                let failure = outcome.failure.unwrap_or_else(|| panic!("{id} did not fail"));
                assert_eq!((outcome.status, failure.error_type()), (WorkflowStatus::Failed, "PaymentDeclined"));
            }
            _ => {
                let result: Value = outcome.result.unwrap_or_else(|| panic!("{id} has no result")).read()?;
                assert_eq!(result["outcome"], expected, "{id}");
            }
        }
    }
    // The compensation ran after the shipment failed.
    let history = world.history("order-2").await?;
    let scheduled: Vec<_> = history
        .iter()
        .filter_map(|event| match &event.attributes {
            EventAttributes::ActivityTaskScheduled(scheduled) => Some(scheduled.activity_type.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(scheduled, ["ValidateOrder", "ProcessPayment", "CreateShipment", "RefundPayment"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_are_the_same_after_a_rebuild_and_work_goes_on() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    let worker = world.run(order_fulfilment::worker(&world.client()?, "orders", Services::in_memory()));
    for n in 0..10 {
        let id = format!("order-{n}");
        world.publish(&id, &order(&id, "visa", "Main Street 1").to_string()).await?;
    }
    let mut before = Vec::new();
    for n in 0..10 {
        world.outcome(&format!("order-{n}")).await?;
        before.push(serde_json::to_string(&world.history(&format!("order-{n}")).await?)?);
    }
    world.stop_engine().await;
    world.delete_state()?;
    world.start_engine().await?;
    for (n, before) in before.iter().enumerate() {
        assert_eq!(&serde_json::to_string(&world.history(&format!("order-{n}")).await?)?, before);
    }
    world.publish("order-after", &order("order-after", "visa", "Main Street 1").to_string()).await?;
    assert_eq!(world.outcome("order-after").await?.status, WorkflowStatus::Completed);
    drop(worker);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_run_in_its_cache_goes_on_from_history() -> anyhow::Result<()> {
    let world = World::start().await?;
    let mut workflow_tasks = world.consumer(&world.topics.workflow_tasks("orders"))?;
    let id = "order-1";
    world.publish(id, &order(id, "visa", "Main Street 1").to_string()).await?;
    // Another worker takes the first task, decides as the workflow would, and is gone.
    let task = world.take(&mut workflow_tasks).await?.json()?;
    let input = task["events"][0]["attributes"]["input"].clone();
    let decision = json!({"type": "ScheduleActivity", "activity_id": "1", "activity_type": "ValidateOrder", "input": input, "start_to_close_timeout_ms": 10000});
    let complete = json!({"type": "CompleteWorkflowTask", "token": task["token"], "completion_id": "gone", "decisions": [decision]});
    world.publish(id, &complete.to_string()).await?;
    workflow_tasks.close().await;
    let _worker = world.run(order_fulfilment::worker(&world.client()?, "orders", Services::in_memory()));
    assert_eq!(world.outcome(id).await?.status, WorkflowStatus::Completed);
    Ok(())
}
