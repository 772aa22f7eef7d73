//! What the engine does nothing with is carried all the same, byte for byte: from a start or a decision to history and to
//! the worker.

use anyhow::{Context as _, Result, ensure};
use end_to_end::World;
use end_to_end::by_hand::{ByHand, schedule_activity};
use serde_json::{Value, json};
use tidewright_schemas::EventAttributes;

/// Whether `whole` has each field of `part` as it is.
fn has(whole: &Value, part: &Value) -> bool {
    part.as_object().is_some_and(|part| part.iter().all(|(name, value)| whole.get(name) == Some(value)))
}

#[tokio::test(flavor = "multi_thread")]
async fn priorities_headers_links_and_payloads_arrive_as_they_were_sent() -> Result<()> {
    let world = World::with_http().await?;
    let mut worker = ByHand::of(&world)?;
    let encrypted = json!({"$encoded": {"metadata": {"encoding": "YmluYXJ5L2VuY3J5cHRlZA=="}, "data": "AP8H"}});
    for (number, priority) in [
        json!({"priority_key": 1, "fairness_key": "eu", "fairness_weight": 2.5}),
        json!({"priority_key": 5, "fairness_weight": 0.001}),
        json!({"priority_key": 3, "fairness_key": "größe"}),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("carried-{number}");
        let carried = json!({
            "priority": priority, "header": {"tenant": 7, "key": encrypted}, "input": {"n": 12_345_678_901_234_567_u64},
            "user_metadata": {"summary": "an order", "details": "of anna"},
        });
        let mut start = json!({"type": "StartWorkflow", "workflow_type": "T", "workflow_id": id, "task_queue": "q"});
        start.as_object_mut().context("an object")?.extend(carried.as_object().cloned().context("an object")?);
        start["memo"] = json!({"customer": encrypted});
        world.publish(&id, &start.to_string()).await?;
        let task = worker.workflow_task_of(&id).await?;
        let started = &task["events"][0]["attributes"];
        ensure!(has(started, &carried) && started["memo"]["customer"] == encrypted, "{started}");

        worker.decide(&task, &[schedule_activity("a", &carried)]).await?;
        let activity = worker.activity_task().await?;
        let sent = json!({"priority": priority, "header": carried["header"], "input": carried["input"]});
        ensure!(has(&activity, &sent), "{activity}");
        // By its text: as a `Value` a single-precision number would be another one.
        let scheduled = |event: &EventAttributes| match event {
            EventAttributes::ActivityTaskScheduled(scheduled) => serde_json::to_string(scheduled).ok(),
            _ => None,
        };
        let scheduled: Value = serde_json::from_str(&world.event(&id, scheduled).await?)?;
        ensure!(has(&scheduled, &carried), "{scheduled}");
    }
    Ok(())
}
