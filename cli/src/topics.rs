//! `tidewright topics`: what there is on Kafka, what for, and what is not as it should be.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use tidewright_log::{Admin, Difference, TopicInfo, TopicKind, TopicSeen, TopicSpec};
use tidewright_schemas::topics::Topics;

use crate::config::Configuration;
use crate::error::CliError;
use crate::namespace_options::NamespaceOptions;
use crate::output::{print, say, table};

pub(crate) const EXAMPLES: &str = "Examples:
  tidewright topics
  tidewright topics --namespace shop --output json";

/// Options of `tidewright topics`.
#[derive(Debug, Args)]
pub(crate) struct TopicsOptions {
    #[command(flatten)]
    pub(crate) namespace: NamespaceOptions,
}

/// A topic as it is.
#[derive(Debug, Serialize)]
struct Topic {
    name: String,
    /// What it is for.
    purpose: &'static str,
    /// None if it does not exist, or may not be seen.
    partitions: Option<u32>,
    replicas: Option<u32>,
    /// How many records it holds, gaps of compaction and transactions included.
    offsets_held: Option<u64>,
    /// What its consumer group has not committed, for topics with one.
    lag: Option<u64>,
    /// What is not as it should be.
    differences: Vec<String>,
    /// Why less is known than could be.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

pub(crate) async fn run(options: TopicsOptions, configuration: &Configuration) -> Result<ExitCode, CliError> {
    let namespace = options.namespace.open(configuration)?;
    let brokers = namespace.admin.cluster().await.map_err(CliError::kafka)?.brokers.len();
    let mut topics = Vec::new();
    for (spec, purpose) in wanted(&namespace.admin, &namespace.topics).await? {
        topics.push(look(&namespace.admin, &spec, purpose, brokers).await?);
    }
    if options.namespace.output.is_json() {
        let json = serde_json::to_string(&serde_json::json!({ "topics": topics }));
        print(&format!("{}\n", json.map_err(|e| CliError::plain(e.to_string()))?))?;
    } else {
        print(&text(&topics))?;
        say("`tidewright doctor` names what to do about what differs");
    }
    Ok(ExitCode::SUCCESS)
}

const COMMANDS: &str = "requests to workflows; as many partitions as the namespace has, for ever";
const HISTORY: &str = "histories; the same partitions as commands";
const WORKFLOW_TASKS: &str = "workflow tasks; partitions bound how many workers share the queue";
const ACTIVITY_TASKS: &str = "activity tasks; partitions bound how many workers share the queue";
const CONTROL: &str = "requests to cancel activities; one partition, which every worker of the queue reads";

/// The topics that a namespace has, and those of its task queues that exist.
async fn wanted(admin: &Admin, topics: &Topics) -> Result<Vec<(TopicSpec, &'static str)>, CliError> {
    let prefix = format!("{}{}.", topics.prefix(), topics.namespace());
    let existing = admin.topics_with_prefix(&prefix).await.map_err(CliError::kafka)?;
    let count = |name: &str, default| existing.get(name).and_then(|n| u32::try_from(*n).ok()).unwrap_or(default);
    let shared = count(&topics.commands(), 4).max(count(&topics.history(), 4));
    let spec = |name: String, kind, partitions| TopicSpec::new(name, kind, partitions);
    let mut wanted = vec![
        (spec(topics.cluster(), TopicKind::Cluster, 1), "nodes, owners and namespaces; one partition, so one order"),
        (spec(topics.commands(), TopicKind::Commands, shared), COMMANDS),
        (spec(topics.history(), TopicKind::History, shared), HISTORY),
        (spec(topics.replies(), TopicKind::Replies, 1), "answers to whoever waits; any number of partitions"),
        (
            spec(topics.dead_letters(), TopicKind::DeadLetters, 1),
            "what could not be understood; any number of partitions",
        ),
        (spec(topics.workers(), TopicKind::Workers, 1), "beacons of workers and nodes; any number of partitions"),
    ];
    let own: BTreeSet<String> = wanted.iter().map(|(spec, _)| spec.name.clone()).collect();
    for (name, partitions) in existing.iter().filter(|(name, _)| !own.contains(*name)) {
        let rest = name.strip_prefix(&prefix).unwrap_or_default();
        let (kind, purpose) = match rest.split_once('.').map(|(kind, _)| kind) {
            Some("workflow-tasks") => (TopicKind::Tasks, WORKFLOW_TASKS),
            Some("activity-tasks") => (TopicKind::Tasks, ACTIVITY_TASKS),
            Some("control") => (TopicKind::Control, CONTROL),
            _ => continue,
        };
        let partitions = u32::try_from(*partitions).unwrap_or(u32::MAX);
        wanted.push((spec(name.clone(), kind, partitions), purpose));
    }
    Ok(wanted)
}

async fn look(admin: &Admin, spec: &TopicSpec, purpose: &'static str, brokers: usize) -> Result<Topic, CliError> {
    let name = spec.name.clone();
    let unknown = |differences, problem| Topic {
        name: name.clone(),
        purpose,
        partitions: None,
        replicas: None,
        offsets_held: None,
        lag: None,
        differences,
        problem,
    };
    let info = match admin.look_at_topic(&spec.name).await.map_err(CliError::kafka)? {
        TopicSeen::There { info, .. } => info,
        TopicSeen::Missing => return Ok(unknown(vec!["it does not exist".to_owned()], None)),
        TopicSeen::Failed { message, .. } => return Ok(unknown(Vec::new(), Some(message))),
    };
    let (differences, problem) = match admin.verify_topic(spec, &info, brokers).await {
        Ok(differences) => (differences.iter().map(difference_text).collect(), None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let (offsets_held, lag) = sizes(admin, spec.kind, &info).await;
    Ok(Topic {
        name,
        purpose,
        partitions: Some(info.partitions),
        replicas: Some(info.replicas),
        offsets_held,
        lag,
        differences,
        problem,
    })
}

fn difference_text(difference: &Difference) -> String {
    let Difference { setting, expected, found, consequence, .. } = difference;
    format!("{setting}={found} instead of {expected}: {consequence}")
}

/// What is held, and what waits; none if it may not be asked.
async fn sizes(admin: &Admin, kind: TopicKind, info: &TopicInfo) -> (Option<u64>, Option<u64>) {
    let partitions: Vec<u32> = (0..info.partitions).collect();
    // A group is named as the topic that it reads.
    let has_group = matches!(kind, TopicKind::Commands | TopicKind::Tasks);
    let committed = match has_group {
        true => admin.committed(&info.name, &info.name, &partitions).await.ok(),
        false => None,
    };
    let (mut held, mut lag) = (0, 0);
    for partition in partitions {
        let Ok(ends) = admin.watermarks(&info.name, partition).await else { return (None, None) };
        held += ends.high - ends.low;
        let done = committed.as_ref().and_then(|committed| committed.get(&partition)).copied();
        lag += ends.high.saturating_sub(done.unwrap_or(ends.low).max(ends.low));
    }
    (Some(held), committed.map(|_| lag))
}

fn text(topics: &[Topic]) -> String {
    let mut rows = vec![["TOPIC", "PARTITIONS", "REPLICAS", "HELD", "LAG", "FOR"].map(str::to_owned).to_vec()];
    let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let mut notes = String::new();
    for topic in topics {
        rows.push(vec![
            topic.name.clone(),
            number(topic.partitions.map(u64::from)),
            number(topic.replicas.map(u64::from)),
            number(topic.offsets_held),
            number(topic.lag),
            topic.purpose.to_owned(),
        ]);
        for note in topic.differences.iter().chain(&topic.problem) {
            notes.push_str(&format!("{}: {note}\n", topic.name));
        }
    }
    let separator = if notes.is_empty() { "" } else { "\n" };
    format!("{}{separator}{notes}", table(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_a_table_with_what_differs_below() {
        let topic = |name: &str, partitions, differences: &[&str]| Topic {
            name: name.to_owned(),
            purpose: COMMANDS,
            partitions,
            replicas: partitions,
            offsets_held: partitions.map(|_| 120),
            lag: partitions.map(|_| 7),
            differences: differences.iter().map(|&difference| difference.to_owned()).collect(),
            problem: None,
        };
        let topics = [
            topic("tidewright.default.commands", Some(4), &["retention.ms=1000 instead of -1: too short"]),
            topic("tidewright.default.history", None, &["it does not exist"]),
        ];
        insta::assert_snapshot!(text(&topics));
    }
}
