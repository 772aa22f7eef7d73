//! `deploy/compose.yaml` against the Dockerfile, the program and itself.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_yaml_ng::Value;

use crate::files::{check_pinned, entries, read, root, texts, yaml};
use crate::{dockerfile, program};

const PATH: &str = "deploy/compose.yaml";

fn service(name: &str) -> Result<Value> {
    let services = yaml(PATH)?["services"].clone();
    services.get(name).cloned().with_context(|| format!("there is no service {name}"))
}

fn environment(service: &Value) -> Vec<(&str, &str)> {
    entries(&service["environment"]).into_iter().filter_map(|(name, value)| Some((name, value.as_str()?))).collect()
}

#[test]
fn images_are_pinned_and_what_is_built_is_a_stage() -> Result<()> {
    let (compose, stages) = (yaml(PATH)?, dockerfile::stages()?);
    let version = env!("CARGO_PKG_VERSION");
    for (name, service) in entries(&compose["services"]) {
        let image = service["image"].as_str().with_context(|| format!("{name} has no image"))?;
        check_pinned(image)?;
        let build = &service["build"];
        if build.is_null() {
            continue;
        }
        ensure!(image.ends_with(&format!(":{version}")), "{name}: {image} is not of version {version}");
        let context = root().join("deploy").join(build["context"].as_str().unwrap_or_default());
        let file = build["dockerfile"].as_str().unwrap_or("Dockerfile");
        ensure!(context.join(file).is_file(), "{name}: {} is not there", context.join(file).display());
        let target = build["target"].as_str().unwrap_or_default();
        ensure!(stages.iter().any(|stage| stage.name == target), "{name}: the Dockerfile has no stage {target}");
    }
    Ok(())
}

#[test]
fn kafka_is_the_version_that_is_tested() -> Result<()> {
    let script = read("scripts/kafka.sh")?;
    let (_, rest) = script.split_once("KAFKA_VERSION:-").context("scripts/kafka.sh names no version")?;
    let tested = rest.split('}').next().unwrap_or_default();
    let kafka = service("kafka")?;
    ensure!(kafka["image"] == format!("apache/kafka:{tested}"), "compose runs another Kafka than tests do: {tested}");
    Ok(())
}

#[test]
fn services_find_each_other() -> Result<()> {
    let compose = yaml(PATH)?;
    let names: BTreeSet<&str> = entries(&compose["services"]).into_iter().map(|(name, _)| name).collect();
    for (name, service) in entries(&compose["services"]) {
        for (needed, how) in entries(&service["depends_on"]) {
            ensure!(names.contains(needed), "{name} depends on {needed}, which is no service");
            let checked = !compose["services"][needed]["healthcheck"].is_null();
            ensure!(
                how["condition"] == "service_healthy" && checked,
                "{name}: {needed} has no health check to wait for"
            );
        }
    }
    // Kafka tells its clients the addresses that they use, and listens there.
    let kafka = service("kafka")?;
    let of_kafka = environment(&kafka);
    let value = |name: &str| of_kafka.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value);
    let advertised: Vec<&str> = value("KAFKA_ADVERTISED_LISTENERS").split(',').collect();
    ensure!(advertised.contains(&"INTERNAL://kafka:19092"), "{advertised:?}");
    for listener in advertised {
        let (name, address) = listener.split_once("://").context("a listener has a name")?;
        let port = address.rsplit(':').next().unwrap_or_default();
        let listens = value("KAFKA_LISTENERS").split(',').any(|l| l == format!("{name}://:{port}"));
        ensure!(listens, "Kafka advertises {listener} and does not listen there");
    }
    let command = service("engine")?;
    let command = texts(&command["command"]).join(" ");
    ensure!(command.contains("--brokers kafka:19092"), "the engine does not find Kafka: {command}");
    let worker = service("worker")?;
    ensure!(environment(&worker).contains(&("TIDEWRIGHT_BROKERS", "kafka:19092")), "the worker does not find Kafka");
    let engine = service("engine")?;
    let advertised = environment(&engine).into_iter().find(|(name, _)| *name == "TIDEWRIGHT_ADVERTISE_HTTP");
    let url = advertised.map(|(_, url)| url).context("the engine advertises no URL")?;
    ensure!(environment(&worker).contains(&("TIDEWRIGHT_HTTP_URL", url)), "the worker does not find the engine");
    Ok(())
}

#[test]
fn the_engine_is_called_as_it_understands() -> Result<()> {
    let engine = service("engine")?;
    let command = texts(&engine["command"]);
    program::check_arguments(&command)?;
    for (variable, _) in environment(&engine) {
        program::check_variable("serve", variable)?;
    }
    let check = texts(&engine["healthcheck"]["test"]);
    let ["CMD", "tidewright", arguments @ ..] = check.as_slice() else { anyhow::bail!("{check:?}") };
    program::check_arguments(arguments)?;
    // The secret's file is where compose puts it.
    let compose = yaml(PATH)?;
    for secret in texts(&engine["secrets"]) {
        ensure!(compose["secrets"].get(secret).is_some(), "the secret {secret} is not declared");
        ensure!(command.contains(&format!("/run/secrets/{secret}").as_str()), "the engine does not read {secret}");
    }
    let source = compose["secrets"]["cluster"]["environment"].as_str().unwrap_or_default();
    ensure!(
        read(PATH)?.contains(&format!("echo \"{source}=")),
        "the head of the file does not say how to set {source}"
    );
    Ok(())
}

#[test]
fn the_worker_is_configured_by_variables_that_it_knows() -> Result<()> {
    let help = read("examples/order-fulfilment/src/main.rs")?;
    for (variable, _) in environment(&service("worker")?) {
        ensure!(help.contains(variable), "the example worker knows no variable {variable}");
    }
    Ok(())
}

#[test]
fn ports_and_volumes_are_those_of_the_images() -> Result<()> {
    let compose = yaml(PATH)?;
    let engine = dockerfile::stages()?.into_iter().find(|stage| stage.name == "engine").context("no engine")?;
    for (name, service) in entries(&compose["services"]) {
        for port in texts(&service["ports"]) {
            let inside = port.rsplit(':').next().unwrap_or_default();
            ensure!(port.starts_with("127.0.0.1:"), "{name}: {port} is open to everyone");
            ensure!(
                name != "engine" || engine.ports().contains(&inside),
                "the engine's image does not expose {inside}"
            );
        }
        for volume in texts(&service["volumes"]) {
            let (volume, directory) = volume.split_once(':').with_context(|| format!("{name}: {volume}"))?;
            ensure!(compose["volumes"].get(volume).is_some(), "{name}: the volume {volume} is not declared");
            ensure!(name != "engine" || engine.volumes().contains(&directory), "{directory} is no volume of the image");
        }
    }
    let kafka = service("kafka")?;
    let logs = environment(&kafka).into_iter().find(|(name, _)| *name == "KAFKA_LOG_DIRS").map_or("", |(_, d)| d);
    ensure!(texts(&kafka["volumes"]) == [format!("kafka-data:{logs}")], "Kafka's logs are in no volume");
    Ok(())
}
