//! What an operator does with the program: looks at topics, dead letters and partitions, and puts right what stopped.

use anyhow::{Context as _, Result, ensure};
use end_to_end::processes::{self, EngineProcess};
use end_to_end::{World, binaries, eventually};
use serde_json::{Value, json};
use tidewright_log::{Admin, Record, TopicKind, TopicSpec};
use tidewright_schemas::headers;
use tidewright_schemas::topics::partition_of;
use tokio::process::Command;

/// Runs the program; gives its exit code, what it wrote as JSON, and what it said.
async fn tidewright(world: &World, arguments: &[&str]) -> Result<(i32, Value, String)> {
    let output = Command::new(binaries::path("tidewright")?)
        .args(arguments)
        .args(["--output", "json"])
        .env("TIDEWRIGHT_BROKERS", world.kafka.brokers())
        .env("TIDEWRIGHT_TOPIC_PREFIX", world.topics.prefix())
        .env_remove("TIDEWRIGHT_CONFIG")
        .kill_on_drop(true)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    Ok((output.status.code().context("it was killed")?, json, said))
}

async fn dead_letters(world: &World, arguments: &[&str]) -> Result<Vec<Value>> {
    let (_, list, said) = tidewright(world, &[&["dead-letters", "list"], arguments].concat()).await?;
    Ok(list["dead_letters"].as_array().with_context(|| said)?.clone())
}

fn place(letter: &Value) -> String {
    format!("{}/{}", letter["partition"], letter["offset"])
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_shown_and_sent_again_once() -> Result<()> {
    binaries::build()?;
    let world = World::start().await?;
    let start = json!({
        "type": "StartWorkflow", "workflow_type": "T", "workflow_id": "once", "task_queue": "q",
        "workflow_id_reuse_policy": "RejectDuplicate", "input": {"n": 1},
    });
    world.publish("once", &start.to_string()).await?;
    let again = Record::to(world.topics.commands()).key("once").value(start.to_string()).header("shop", "1");
    world.producer.send(again).await.await?;
    world.publish("garbage", "this is not json").await?;
    world.records(&world.topics.dead_letters(), 2, |_| true).await?;

    let garbage = dead_letters(&world, &["--reason", "TW0103"]).await?;
    ensure!(garbage.len() == 1 && garbage[0]["key"] == "garbage", "{garbage:?}");
    let (code, _, said) = tidewright(&world, &["dead-letters", "redrive", &place(&garbage[0])]).await?;
    ensure!(code == 1 && said.contains("TW0712") && said.contains("--force"), "{code}: {said}");

    let refused = dead_letters(&world, &["--key", "once"]).await?;
    ensure!(refused.len() == 1 && refused[0]["redriven"] == false, "{refused:?}");
    let first = place(&refused[0]);
    let (_, shown, said) = tidewright(&world, &["dead-letters", "show", &first]).await?;
    ensure!(shown["value"].as_str() == Some(&start.to_string()), "{shown} {said}");
    ensure!(
        shown["headers"].as_array().is_some_and(|all| all.contains(&json!({"name": "shop", "value": "1"}))),
        "{shown}"
    );

    let (code, sent, said) = tidewright(&world, &["dead-letters", "redrive", &first]).await?;
    ensure!(code == 0 && sent["redriven"] == json!([first]), "{code}: {sent} {said}");
    // The workflow runs still, so the same start is refused again: that is the second letter, and the first is marked.
    let letters = eventually("the start comes back", || async {
        let letters = dead_letters(&world, &["--key", "once"]).await.ok()?;
        (letters.len() == 2).then_some(letters)
    })
    .await?;
    ensure!(letters[0]["redriven"] == true && letters[1]["redriven"] == false, "{letters:?}");
    let (code, _, said) = tidewright(&world, &["dead-letters", "redrive", &first]).await?;
    ensure!(code == 1 && said.contains("sent again before"), "{code}: {said}");
    let sent_again = |record: &tidewright_log::Received| record.header(headers::CLOUDEVENT_ID).is_some();
    let back = world.records(&world.topics.dead_letters(), 1, sent_again).await?;
    ensure!(back[0].header("tw-redriven-from") == Some(first.as_bytes()), "{:?}", back[0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_tell_what_they_are_for_and_the_doctor_finds_nothing_wrong() -> Result<()> {
    binaries::build()?;
    let world = World::without_engine().await?;
    let (code, report, said) = tidewright(&world, &["doctor"]).await?;
    ensure!(code == 0, "before there is anything: {report} {said}");
    let mut world = world;
    world.start_engine().await?;
    let (code, topics, said) = tidewright(&world, &["topics"]).await?;
    ensure!(code == 0, "{said}");
    let commands =
        topics["topics"].as_array().and_then(|all| all.iter().find(|t| t["name"] == world.topics.commands()));
    let commands = commands.context("no commands")?;
    ensure!(commands["partitions"] == 3 && commands["differences"] == json!([]), "{commands}");
    let (code, report, said) = tidewright(&world, &["doctor", "--write-probe"]).await?;
    ensure!(code == 0, "{report} {said}");
    let clocks = |finding: &Value| finding["what"].as_str().is_some_and(|what| what.contains("clock"));
    ensure!(report["findings"].as_array().is_some_and(|all| all.iter().any(clocks)), "{report}");
    Ok(())
}

async fn partition(world: &World, engine: &EngineProcess, arguments: &[&str]) -> Result<(i32, Value, String)> {
    tidewright(world, &[&["partition"], arguments, &["--address", &engine.http_url]].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_partition_says_why_and_goes_on_when_it_is_tried_again() -> Result<()> {
    binaries::build()?;
    let world = World::without_engine().await?;
    let directory = tempfile::tempdir()?;
    processes::write_secret(directory.path())?;
    let start = async || processes::start_engine(world.kafka.brokers(), &world.topics, directory.path(), "node").await;
    let engine = start().await?;
    let is = async |engine: &EngineProcess, state: &'static str| {
        eventually(&format!("partition 0 is {state}"), || async {
            let (_, found, _) = partition(&world, engine, &["inspect", "0"]).await.ok()?;
            (found["state"] == state).then_some(found)
        })
        .await
    };
    is(&engine, "Owned").await?;
    let (code, _, said) = partition(&world, &engine, &["retry", "0"]).await?;
    ensure!(code == 1 && said.contains("TW0615"), "{code}: {said}");
    processes::stop(engine.process).await?;

    // The history is lost: the state that was built from it must not be believed.
    let (admin, history) = (Admin::new(&world.kafka.config())?, world.topics.history());
    admin.delete_topics(&[&history]).await?;
    eventually("the topic is gone", || async { admin.partition_count(&history).await.ok()?.is_none().then_some(()) })
        .await?;
    admin.ensure_topics(&[TopicSpec::new(&history, TopicKind::History, 4)]).await?;
    let engine = start().await?;
    let stopped = is(&engine, "Stopped").await?;
    ensure!(stopped["problem"]["code"] == "TW0403", "{stopped}");
    let (code, still, said) = partition(&world, &engine, &["retry", "0"]).await?;
    ensure!(code == 1 && still["problem"]["code"] == "TW0403", "{code}: {still} {said}");

    std::fs::remove_dir_all(directory.path().join("node/default/0"))?;
    let (code, found, said) = partition(&world, &engine, &["retry", "0"]).await?;
    ensure!(code == 0 && found["state"] == "Owned", "{code}: {found} {said}");
    let (_, list, said) = partition(&world, &engine, &["list"]).await?;
    ensure!(list["partitions"].as_array().is_some_and(|all| all.len() == 4), "{list} {said}");
    processes::stop(engine.process).await
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_were_deleted_are_passed_over_once_that_is_accepted() -> Result<()> {
    binaries::build()?;
    let world = World::without_engine().await?;
    let directory = tempfile::tempdir()?;
    processes::write_secret(directory.path())?;
    let start = async || processes::start_engine(world.kafka.brokers(), &world.topics, directory.path(), "node").await;
    let publish = async |id: &str| {
        let start = json!({"type": "StartWorkflow", "workflow_type": "T", "workflow_id": id, "task_queue": "q"});
        world.publish(id, &start.to_string()).await
    };
    let engine = start().await?;
    let started = async |engine: &EngineProcess, id: &'static str| {
        eventually(&format!("{id} is started"), || async {
            let arguments = ["workflow", "describe", "-w", id, "--address", &engine.http_url];
            let (code, found, _) = tidewright(&world, &arguments).await.ok()?;
            (code == 0).then_some(found)
        })
        .await
    };
    publish("before").await?;
    started(&engine, "before").await?;
    let number = partition_of(b"before", 4);
    let number_text = number.to_string();
    let is = async |engine: &EngineProcess, state: &'static str| {
        eventually(&format!("the partition is {state}"), || async {
            let (_, found, _) = partition(&world, engine, &["inspect", &number_text]).await.ok()?;
            (found["state"] == state).then_some(found)
        })
        .await
    };
    let (code, _, said) = partition(&world, &engine, &["skip", &number_text, "--yes"]).await?;
    ensure!(code == 1 && said.contains("TW0615"), "{code}: {said}");
    processes::stop(engine.process).await?;

    // A workflow is started, and somebody deletes the record before anybody has decided it.
    let lost = (0..).map(|n| format!("lost-{n}")).find(|id| partition_of(id.as_bytes(), 4) == number);
    let lost = lost.context("no such id")?;
    publish(&lost).await?;
    let (admin, commands) = (Admin::new(&world.kafka.config())?, world.topics.commands());
    let end = admin.watermarks(&commands, number).await?.high;
    admin.delete_records(&commands, number, end).await?;
    let engine = start().await?;
    let stopped = is(&engine, "Stopped").await?;
    ensure!(stopped["problem"]["code"] == "TW0404", "{stopped}");
    ensure!(stopped["problem"]["lost_commands"]["to_offset"] == end, "{stopped}");

    let (code, _, said) = partition(&world, &engine, &["skip", &number_text]).await?;
    ensure!(code == 2 && said.contains("--yes"), "{code}: {said}");
    let (code, _, said) = partition(&world, &engine, &["retry", &number_text]).await?;
    ensure!(code == 1, "{code}: {said}");
    let accept = ["skip", &number_text, "--yes", "--reason", "a test"];
    let (code, found, said) = partition(&world, &engine, &accept).await?;
    ensure!(code == 0 && found["state"] == "Owned" && said.contains("are gone"), "{code}: {found} {said}");
    let before = started(&engine, "before").await?;
    let after = (0..).map(|n| format!("after-{n}")).find(|id| partition_of(id.as_bytes(), 4) == number);
    let after: &'static str = after.context("no such id")?.leak();
    publish(after).await?;
    started(&engine, after).await?;
    processes::stop(engine.process).await?;

    // The state is gone: what was passed over is in history, so nobody is asked again.
    std::fs::remove_dir_all(directory.path().join(format!("node/default/{number}")))?;
    let engine = start().await?;
    is(&engine, "Owned").await?;
    ensure!(started(&engine, "before").await?["summary"] == before["summary"], "the rebuilt state differs: {before}");
    started(&engine, after).await?;
    processes::stop(engine.process).await
}
