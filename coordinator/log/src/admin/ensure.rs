//! Creating topics that are missing and verifying those that are there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::types::RDKafkaErrorCode;

use super::settings::compare;
use super::{Admin, Difference, Severity, TopicInfo, TopicKind, TopicSpec, admin_options};
use crate::error::{LogError, coded_log_error, log_error};

/// How long new topics may take to get their leaders.
const VISIBLE_TIMEOUT: Duration = Duration::from_secs(15);
/// How often that is looked up.
const VISIBLE_INTERVAL: Duration = Duration::from_millis(20);

/// A topic that does not exist and could not be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingTopic {
    /// Its name.
    pub name: String,
    /// Why it could not be created, and how to create it by hand.
    pub reason: String,
}

/// What was made and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicReport {
    /// Topics that were created.
    pub created: Vec<String>,
    /// Topics that are missing still.
    pub missing: Vec<MissingTopic>,
    /// Settings that are not as they should be.
    pub differences: Vec<Difference>,
}

impl TopicReport {
    /// Whether every topic is there and nothing harmful was found.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.missing.is_empty() && self.differences.iter().all(|difference| difference.severity == Severity::Harmless)
    }
}

/// Compares a topic that is there with what is wanted.
pub(super) async fn verify(
    admin: &Admin,
    spec: &TopicSpec,
    found: &TopicInfo,
    brokers: usize,
) -> Result<Vec<Difference>, LogError> {
    let mut differences = shape_differences(spec, found, brokers);
    differences.extend(setting_differences(admin, &[spec], brokers).await?);
    Ok(differences)
}

pub(super) async fn ensure(admin: &Admin, wanted: &[TopicSpec]) -> Result<TopicReport, LogError> {
    let mut report = TopicReport::default();
    if wanted.is_empty() {
        return Ok(report);
    }
    let names: Vec<&str> = wanted.iter().map(|spec| spec.name.as_str()).collect();
    let existing = by_name(admin.describe_topics(&names).await?);
    let brokers = admin.broker_count().await?;
    let (there, missing): (Vec<_>, Vec<_>) = wanted.iter().partition(|spec| existing.contains_key(&spec.name));
    if !missing.is_empty() {
        create(admin, &missing, brokers, &mut report).await?;
        wait_until_visible(admin, &report.created).await?;
    }
    for spec in &there {
        report.differences.extend(shape_differences(spec, &existing[&spec.name], brokers));
    }
    report.differences.extend(setting_differences(admin, &there, brokers).await?);
    Ok(report)
}

fn by_name(infos: Vec<TopicInfo>) -> BTreeMap<String, TopicInfo> {
    infos.into_iter().map(|info| (info.name.clone(), info)).collect()
}

async fn create(admin: &Admin, specs: &[&TopicSpec], brokers: usize, report: &mut TopicReport) -> Result<(), LogError> {
    let settings: Vec<_> = specs.iter().map(|spec| spec.settings(brokers)).collect();
    let topics: Vec<NewTopic<'_>> = specs
        .iter()
        .zip(&settings)
        .map(|(spec, settings)| {
            let partitions = i32::try_from(spec.partitions).unwrap_or(i32::MAX);
            let replicas = i32::try_from(spec.replicas(brokers)).unwrap_or(i32::MAX);
            let topic = NewTopic::new(&spec.name, partitions, TopicReplication::Fixed(replicas));
            settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value))
        })
        .collect();
    let what = "creating topics";
    let results =
        admin.client()?.create_topics(&topics, &admin_options()).await.map_err(|error| log_error(what, &error))?;
    for result in results {
        match result {
            // Another node was faster: the topic is there, and the other node chose the same settings.
            Ok(name) | Err((name, RDKafkaErrorCode::TopicAlreadyExists)) => report.created.push(name),
            Err((name, code)) => {
                let by_hand = specs.iter().find(|spec| spec.name == name).map(|spec| by_hand(spec, brokers));
                let error = coded_log_error(&format!("creating topic {name}"), Some(code), &code.to_string());
                let reason = format!("{error}; to create it by hand, {}", by_hand.unwrap_or_default());
                report.missing.push(MissingTopic { name, reason });
            }
        }
    }
    Ok(())
}

fn by_hand(spec: &TopicSpec, brokers: usize) -> String {
    let settings: String =
        spec.settings(brokers).iter().map(|(name, value)| format!(" --config {name}={value}")).collect();
    format!(
        "run kafka-topics.sh --create --topic {} --partitions {} --replication-factor {}{settings}",
        spec.name,
        spec.partitions,
        spec.replicas(brokers)
    )
}

/// Kafka says that a topic is created before every broker knows it.
async fn wait_until_visible(admin: &Admin, created: &[String]) -> Result<(), LogError> {
    let names: Vec<&str> = created.iter().map(String::as_str).collect();
    let deadline = Instant::now() + VISIBLE_TIMEOUT;
    while !names.is_empty() {
        let infos = admin.describe_topics(&names).await?;
        if infos.len() == names.len() && infos.iter().all(|info| info.has_leaders) {
            break;
        }
        if Instant::now() > deadline {
            let what = format!("waiting for the leaders of new topics {names:?}");
            return Err(LogError::Unavailable { what, message: format!("none within {VISIBLE_TIMEOUT:?}") });
        }
        tokio::time::sleep(VISIBLE_INTERVAL).await;
    }
    Ok(())
}

fn shape_differences(spec: &TopicSpec, found: &TopicInfo, brokers: usize) -> Vec<Difference> {
    let mut differences = Vec::new();
    let fixed = matches!(spec.kind, TopicKind::Commands | TopicKind::History | TopicKind::Cluster);
    if found.partitions != spec.partitions && (fixed || found.partitions < spec.partitions) {
        let (severity, consequence, fix) = match (fixed, found.partitions < spec.partitions) {
            (true, true) => (Severity::Harmful, "some workflows would have no partition", "add the missing partitions"),
            (true, false) => {
                (Severity::Harmless, "records beyond the fixed number are forwarded", "do not add partitions here")
            }
            (false, _) => (Severity::Harmless, "less work is done in parallel", "add partitions if that matters"),
        };
        differences.push(Difference {
            topic: spec.name.clone(),
            setting: "partitions".to_owned(),
            expected: spec.partitions.to_string(),
            found: found.partitions.to_string(),
            severity,
            consequence,
            fix: fix.to_owned(),
        });
    }
    let replicas = spec.replicas(brokers);
    if found.replicas < replicas {
        differences.push(Difference {
            topic: spec.name.clone(),
            setting: "replication factor".to_owned(),
            expected: replicas.to_string(),
            found: found.replicas.to_string(),
            severity: Severity::Harmless,
            consequence: "a broker that fails may take confirmed records with it",
            fix: "run kafka-reassign-partitions.sh with more replicas".to_owned(),
        });
    }
    differences
}

async fn setting_differences(admin: &Admin, specs: &[&TopicSpec], brokers: usize) -> Result<Vec<Difference>, LogError> {
    let mut differences = Vec::new();
    if specs.is_empty() {
        return Ok(differences);
    }
    let resources: Vec<_> = specs.iter().map(|spec| ResourceSpecifier::Topic(&spec.name)).collect();
    let what = "reading the topics' settings";
    let found = admin
        .client()?
        .describe_configs(&resources, &admin_options())
        .await
        .map_err(|error| log_error(what, &error))?;
    for (spec, resource) in specs.iter().zip(found) {
        let what = format!("reading the settings of topic {}", spec.name);
        let resource = resource.map_err(|code| coded_log_error(&what, Some(code), &code.to_string()))?;
        let values = resource.entry_map();
        for (setting, expected) in spec.settings(brokers) {
            // A setting that the broker does not tell has nothing to compare with.
            let Some(found) = values.get(setting.as_str()).and_then(|entry| entry.value.as_deref()) else { continue };
            differences.extend(compare(&spec.name, &setting, &expected, found));
        }
    }
    Ok(differences)
}
