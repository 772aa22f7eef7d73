//! A Kafka that asks who somebody is and what they may do: the whole system runs there with the rights that the doctor
//! names and no others, and the doctor finds what is planted.

mod admin;
mod doctor;
mod kafka;

use std::process::Stdio;
use std::time::Duration;

use admin::Administrator;
use anyhow::{Context as _, Result, ensure};
use doctor::Doctor;
use end_to_end::binaries;
use kafka::{ADMIN, ENGINE, WORKER, as_user, variables};
use tidewright::{Client, ClientConfig};
use tidewright_log::{Admin, TopicKind, TopicSpec};
use tidewright_schemas::topics::Topics;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const PATIENCE: Duration = Duration::from_secs(120);

fn doctor(brokers: &str, user: &'static str, prefix: &str, arguments: &[&str]) -> Doctor {
    let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
    Doctor { brokers: brokers.to_owned(), user, prefix: prefix.to_owned(), arguments }
}

fn unique_prefix() -> String {
    format!("s{:012x}.", rand::random::<u64>() >> 16)
}

/// A node as the user `engine`; it is ready when this returns.
async fn start_engine(brokers: &str, prefix: &str, directory: &std::path::Path) -> Result<(Child, String)> {
    std::fs::write(directory.join("secret"), "0123456789abcdef0123456789abcdef")?;
    let mut engine = Command::new(binaries::path("tidewright")?)
        .args(["serve", "--http-listen", "127.0.0.1:0", "--topic-prefix", prefix, "--session-timeout", "6s"])
        .arg("--secret-file")
        .arg(directory.join("secret"))
        .arg("--state-dir")
        .arg(directory.join("state"))
        .envs(variables(brokers, ENGINE))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(engine.stdout.take().context("no output")?).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.context("the engine does not start")??;
    let ready: serde_json::Value = serde_json::from_str(&line.context("the engine ended")?)?;
    Ok((engine, ready["http"].as_str().context("no `http`")?.to_owned()))
}

/// Runs an order with the rights that the doctor asks for.
async fn run_an_order(brokers: &str, prefix: &str, administrator: &mut Administrator) -> Result<()> {
    let arguments = ["--task-queue", "orders"];
    doctor(brokers, ENGINE, prefix, &arguments).until_well(administrator).await.context("rights of the engine")?;
    let directory = tempfile::tempdir()?;
    let (mut engine, http_url) = start_engine(brokers, prefix, directory.path()).await?;
    let arguments = ["--task-queue", "orders", "--role", "worker"];
    doctor(brokers, WORKER, prefix, &arguments).until_well(administrator).await.context("rights of the worker")?;
    let mut worker = Command::new(binaries::path("order-fulfilment")?)
        .envs(variables(brokers, WORKER))
        .env("TIDEWRIGHT_TOPIC_PREFIX", prefix)
        .env("TIDEWRIGHT_TASK_QUEUE", "orders")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut config = ClientConfig::new(brokers).topic_prefix(prefix).http_url(http_url).task_queue("orders");
    config.kafka = as_user(brokers, WORKER);
    let order = serde_json::json!({
        "order_id": "1", "customer": "ada@example.org", "items": [{ "sku": "book", "quantity": 2 }],
        "amount_cents": 4200, "card": "valid", "address": "Main Street 1",
    });
    let client = Client::new(config)?;
    let handle = client.start_named::<serde_json::Value>("OrderWorkflow", &order).id("order-1").await?;
    tokio::time::timeout(PATIENCE, handle.result()).await.context("the order does not end")??;
    worker.kill().await?;
    engine.kill().await?;
    Ok(())
}

/// What is broken, how it is told, and by what parts of the sentence it is known.
async fn break_settings(brokers: &str, topics: &Topics, administrator: &mut Administrator) -> Result<()> {
    let doctor = doctor(brokers, ENGINE, topics.prefix(), &["--task-queue", "orders"]);
    let (commands, history, replies) = (topics.commands(), topics.history(), topics.replies());
    let settings = [
        (&commands, "retention.ms", "604800000", "TW0807"),
        (&commands, "message.timestamp.type", "CreateTime", "TW0807"),
        (&history, "cleanup.policy", "delete", "TW0807"),
        (&history, "max.message.bytes", "1000", "TW0807"),
        (&history, "unclean.leader.election.enable", "true", "TW0807"),
        (&replies, "min.insync.replicas", "2", "TW0813"),
    ];
    for (topic, setting, value, code) in settings {
        administrator.set_topic(topic, setting, value).await?;
        doctor.until_found(code, &[topic, setting, value]).await?;
        doctor.until_well(administrator).await.with_context(|| format!("{topic} {setting}={value}"))?;
    }
    Ok(())
}

async fn break_rights(brokers: &str, topics: &Topics, administrator: &mut Administrator) -> Result<()> {
    let doctor = doctor(brokers, ENGINE, topics.prefix(), &["--task-queue", "orders"]);
    let (commands, history) = (topics.commands(), topics.history());
    let rights = [
        ("Write", "topic", &history),
        ("Delete", "topic", &commands),
        ("DescribeConfigs", "topic", &commands),
        ("Read", "group", &commands),
    ];
    for (operation, kind, name) in rights {
        administrator.forbid("User:engine", operation, kind, name).await?;
        doctor.until_found("TW0806", &[&format!("{operation} on {kind} {name}")]).await?;
        doctor.until_well(administrator).await.with_context(|| format!("{operation} on {kind} {name}"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_runs_with_the_rights_that_the_doctor_names_and_what_is_planted_is_found() -> Result<()> {
    let Some(brokers) = kafka::brokers()? else { return Ok(()) };
    binaries::build()?;
    let prefix = unique_prefix();
    let topics = Topics::new(&prefix, Topics::DEFAULT_NAMESPACE)?;
    let mut administrator = Administrator::connect(&brokers).await?;

    // Nobody may do anything yet, not even create topics: that is found before there is any.
    let engine = doctor(&brokers, ENGINE, &prefix, &["--task-queue", "orders"]);
    let diagnosis = engine.look().await?;
    ensure!(diagnosis.find("TW0806", &["Write", &topics.history()]).is_some(), "{diagnosis:?}");
    engine.carry_out_all(&diagnosis, &mut administrator).await?;
    engine.until_found("TW0806", &["Create", &topics.history()]).await?;

    run_an_order(&brokers, &prefix, &mut administrator).await?;
    break_settings(&brokers, &topics, &mut administrator).await?;
    break_rights(&brokers, &topics, &mut administrator).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_a_broker_made_by_itself_is_found() -> Result<()> {
    let Some(brokers) = kafka::brokers()? else { return Ok(()) };
    binaries::build()?;
    let topics = Topics::new(&unique_prefix(), Topics::DEFAULT_NAMESPACE)?;
    let admin = Admin::new(&as_user(&brokers, ADMIN))?;
    // Such a topic has one partition, and is set as nothing of ours is.
    let by_itself = TopicSpec::new(topics.commands(), TopicKind::Replies, 1);
    admin.ensure_topics(&[by_itself, TopicSpec::new(topics.history(), TopicKind::History, 4)]).await?;
    let doctor = doctor(&brokers, ADMIN, topics.prefix(), &[]);
    let found = doctor.until_found("TW0808", &[&topics.commands(), "partitions=1 instead of 4"]).await?;
    ensure!(found["fix"].as_str().is_some_and(|fix| fix.ends_with("--partitions 4")), "{found}");
    doctor.until_found("TW0807", &[&topics.commands(), "retention.ms"]).await?;
    let mut administrator = Administrator::connect(&brokers).await?;
    doctor.until_well(&mut administrator).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_a_session_that_is_too_long_are_found() -> Result<()> {
    let Some(brokers) = kafka::brokers()? else { return Ok(()) };
    binaries::build()?;
    let doctor = doctor(&brokers, ADMIN, &unique_prefix(), &[]);
    let found = doctor.with(&["-X", "sasl.password=wrong"]).until_found("TW0804", &["admin"]).await?;
    ensure!(found["fix"].as_str().is_some_and(|fix| fix.contains("sasl.password")), "{found}");
    let found = doctor.with(&["-X", "security.protocol=PLAINTEXT"]).until_found("TW0805", &["PLAINTEXT"]).await?;
    ensure!(found["fix"].as_str().is_some_and(|fix| fix.contains("SASL_PLAINTEXT")), "{found}");
    let too_long = doctor.with(&["--session-timeout", "30m"]);
    let found = too_long.until_found("TW0810", &["group.max.session.timeout.ms"]).await?;
    let fix = found["fix"].as_str().context("no fix")?;
    let allowed = fix.split("--session-timeout ").nth(1).and_then(|rest| rest.split(')').next()).context("no value")?;
    let diagnosis = doctor.with(&["--session-timeout", allowed]).look().await?;
    ensure!(diagnosis.errors.is_empty() && diagnosis.exit == Some(0), "{diagnosis:?}");
    Ok(())
}
