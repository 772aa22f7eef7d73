//! Garbage on the command topic stops nothing: it goes to the dead letters with a reason, is forwarded, or is answered.

use end_to_end::World;
use serde_json::json;
use tidewright_log::{Admin, Received, Record, TopicKind, TopicSpec};
use tidewright_schemas::topics::partition_of;
use tidewright_schemas::{EventAttributes, headers};

fn start(workflow_id: &str) -> String {
    json!({"type": "StartWorkflow", "workflow_type": "T", "workflow_id": workflow_id, "task_queue": "q"}).to_string()
}

fn text(record: &Received, header: &str) -> String {
    String::from_utf8_lossy(record.header(header).unwrap_or_default()).into_owned()
}

/// A record on a chosen partition of the command topic.
async fn put(world: &World, partition: u32, key: Option<&str>, value: Option<Vec<u8>>) -> anyhow::Result<()> {
    let mut record = Record::to(world.topics.commands()).partition(partition);
    record.key = key.map(|key| key.as_bytes().to_vec());
    record.value = value;
    world.producer.send(record).await.await?;
    Ok(())
}

/// The partition that a workflow id belongs to.
fn home(world: &World, workflow_id: &str) -> anyhow::Result<u32> {
    Ok(partition_of(workflow_id.as_bytes(), world.engine()?.partitions()))
}

async fn is_started(world: &World, workflow_id: &str) -> anyhow::Result<()> {
    let history = world.history(workflow_id).await?;
    assert!(matches!(history[0].attributes, EventAttributes::WorkflowExecutionStarted(_)), "{workflow_id}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_understood_goes_to_the_dead_letters_with_its_reason() -> anyhow::Result<()> {
    let world = World::start().await?;
    let forged_timer =
        json!({"type": "FireTimer", "run_id": "r", "target": "Timer", "event_id": 5, "attempt": 1, "due_ms": 0});
    let unknown = json!({"type": "CompleteActivity", "token": "made.up.token", "result": 1});
    let cases: Vec<(&str, Option<Vec<u8>>)> = vec![
        ("TW0103", Some(b"this is not json".to_vec())),
        ("TW0103", Some(b"{\"type\": 7}".to_vec())),
        ("TW0105", Some(b"{\"type\": \"StartWorkflow\", \"workflow_id\": [1]}".to_vec())),
        ("TW0102", Some(vec![0xff, 0xfe, 0x00])),
        ("TW0104", Some(b"{\"type\": \"MakeCoffee\"}".to_vec())),
        ("TW0107", Some(unknown.to_string().into_bytes())),
        ("TW0101", None),
        ("TW0108", Some(forged_timer.to_string().into_bytes())),
        ("TW0103", Some(vec![b'x'; 900 * 1024])),
    ];
    for (_, value) in &cases {
        put(&world, 1, Some("some-key"), value.clone()).await?;
    }
    let dead = world.records(&world.topics.dead_letters(), cases.len(), |_| true).await?;
    for (at, ((code, value), dead)) in cases.iter().zip(&dead).enumerate() {
        assert_eq!(&text(dead, headers::REASON), code, "case {at}");
        assert_eq!(&dead.value, value, "case {at}: the value is kept byte for byte");
        assert_eq!(dead.key.as_deref(), Some(b"some-key".as_slice()), "case {at}");
        assert_eq!(text(dead, headers::ORIGIN_TOPIC), world.topics.commands());
        assert_eq!(text(dead, headers::ORIGIN_PARTITION), "1");
        assert_eq!(text(dead, headers::ORIGIN_OFFSET), at.to_string());
        assert!(!text(dead, headers::REASON_MESSAGE).is_empty());
    }
    // Nothing was stopped.
    for workflow in ["a", "b", "c", "d", "e"] {
        world.publish(workflow, &start(workflow)).await?;
        is_started(&world, workflow).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_input_is_carried_and_too_large_a_command_is_put_aside() -> anyhow::Result<()> {
    let mut world = World::without_engine().await?;
    let mut commands = TopicSpec::new(world.topics.commands(), TopicKind::Commands, 3);
    commands.overrides.insert("max.message.bytes".to_owned(), (8 * 1024 * 1024).to_string());
    Admin::new(&world.kafka.config())?.ensure_topics(&[commands]).await?;
    world.start_engine().await?;

    let large = json!({"type": "StartWorkflow", "workflow_type": "T", "workflow_id": "large", "task_queue": "q", "input": "x".repeat(900 * 1024)});
    world.publish("large", &large.to_string()).await?;
    is_started(&world, "large").await?;

    let huge = json!({"type": "StartWorkflow", "workflow_type": "T", "workflow_id": "huge", "task_queue": "q", "input": "x".repeat(5 * 1024 * 1024)});
    put(&world, home(&world, "huge")?, Some("huge"), Some(huge.to_string().into_bytes())).await?;
    let dead = world.records(&world.topics.dead_letters(), 1, |_| true).await?;
    assert_eq!(text(&dead[0], headers::REASON), "TW0106");
    assert_eq!(dead[0].value.as_ref().map(Vec::len), Some(huge.to_string().len()));

    // An input above the limit for payloads, in a command below the limit for commands.
    let over = json!({"type": "StartWorkflow", "workflow_type": "T", "workflow_id": "over", "task_queue": "q", "input": "x".repeat(2_500_000)});
    put(&world, home(&world, "over")?, Some("over"), Some(over.to_string().into_bytes())).await?;
    let dead = world.records(&world.topics.dead_letters(), 2, |_| true).await?;
    assert_eq!(text(&dead[1], headers::REASON), "TW0204");

    world.publish("after", &start("after")).await?;
    is_started(&world, "after").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_on_the_wrong_partition_or_beyond_the_last_is_forwarded() -> anyhow::Result<()> {
    let mut world = World::without_engine().await?;
    // The namespace has three partitions; somebody gave the topic five.
    let commands = TopicSpec::new(world.topics.commands(), TopicKind::Commands, 5);
    Admin::new(&world.kafka.config())?.ensure_topics(&[commands]).await?;
    world.start_engine().await?;
    let home = home(&world, "lost")?;
    put(&world, (home + 1) % 3, Some("lost"), Some(start("lost").into_bytes())).await?;
    is_started(&world, "lost").await?;
    // Without a key as well: the value says whom it is for.
    put(&world, (home + 2) % 3, None, Some(start("keyless").into_bytes())).await?;
    is_started(&world, "keyless").await?;
    for partition in [3, 4] {
        let id = format!("beyond-{partition}");
        put(&world, partition, Some(&id), Some(start(&id).into_bytes())).await?;
        is_started(&world, &id).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_starts_nothing_twice() -> anyhow::Result<()> {
    let world = World::start().await?;
    for _ in 0..2 {
        world.publish("twice", &start("twice")).await?;
    }
    let dead = world.records(&world.topics.dead_letters(), 1, |_| true).await?;
    assert_eq!(text(&dead[0], headers::REASON), "TW0202", "a start without a request id has nobody to answer");

    let with_id = json!({"type": "StartWorkflow", "workflow_type": "T", "workflow_id": "same", "task_queue": "q", "request_id": "r-1"});
    for _ in 0..3 {
        world.publish("same", &with_id.to_string()).await?;
    }
    world.publish("last", "not json").await?;
    // What follows on the same or another partition comes after; the repeated request left no dead letter.
    let dead = world.records(&world.topics.dead_letters(), 2, |_| true).await?;
    assert_eq!(text(&dead[1], headers::REASON), "TW0103");
    is_started(&world, "same").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_event_id_stands_in_for_a_request_id() -> anyhow::Result<()> {
    let world = World::start().await?;
    for _ in 0..2 {
        let record = Record::to(world.topics.commands())
            .key("event")
            .value(start("event"))
            .header(headers::CLOUDEVENT_ID, "e-1")
            .header(headers::TRACEPARENT, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        world.producer.send(record).await.await?;
    }
    let history = world.history("event").await?;
    let EventAttributes::WorkflowExecutionStarted(started) = &history[0].attributes else { panic!("no start") };
    assert_eq!(started.request_id.as_deref(), Some("e-1"));
    // The trace goes on in the task's headers.
    let mut tasks = world.consumer(&world.topics.workflow_tasks("q"))?;
    let task = world.take(&mut tasks).await?;
    assert!(text(&task.received, headers::TRACEPARENT).starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736"));
    Ok(())
}
