//! The settings that each topic must have, and what it means when one differs.

use std::collections::BTreeMap;
use std::fmt;

use tidewright_schemas::limits::{DEAD_LETTER_BYTES_MAX, MESSAGE_BYTES_MAX};

/// Brokers' own default, which `commands` keeps: whoever can send to any topic can send a command.
const COMMANDS_BYTES_MAX: usize = 1_048_588;
/// Far more than a beacon takes, with room for a batch of them.
const BEACONS_BYTES_MAX: usize = 256 * 1024;
const HOUR_MS: u64 = 60 * 60 * 1_000;

/// What a topic is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicKind {
    /// Requests to workflows; deleted by the owner, never by time.
    Commands,
    /// Histories.
    History,
    /// Workflow tasks or activity tasks of a queue; deleted by the owner, never by time.
    Tasks,
    /// What all workers of a queue are told.
    Control,
    /// Answers.
    Replies,
    /// What could not be understood.
    DeadLetters,
    /// Who is alive.
    Workers,
    /// Nodes, owners and namespaces.
    Cluster,
}

/// A topic that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub kind: TopicKind,
    /// How many partitions it gets if it is created.
    pub partitions: u32,
    /// How many replicas it gets if it is created; none is three, or as many as there are brokers.
    pub replication_factor: Option<u32>,
    /// Settings that stand instead of those of its kind.
    pub overrides: BTreeMap<String, String>,
}

impl TopicSpec {
    /// A topic with the settings of its kind.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: TopicKind, partitions: u32) -> Self {
        Self { name: name.into(), kind, partitions, replication_factor: None, overrides: BTreeMap::new() }
    }

    /// The settings that it gets, on a cluster of `brokers` brokers.
    #[must_use]
    pub fn settings(&self, brokers: usize) -> BTreeMap<String, String> {
        let mut settings: BTreeMap<String, String> =
            kind_settings(self.kind).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if brokers >= 3 {
            settings.insert("min.insync.replicas".to_owned(), "2".to_owned());
            settings.insert("unclean.leader.election.enable".to_owned(), "false".to_owned());
        }
        settings.extend(self.overrides.clone());
        settings
    }

    /// How many replicas it gets, on a cluster of `brokers` brokers.
    #[must_use]
    pub fn replicas(&self, brokers: usize) -> u32 {
        self.replication_factor.unwrap_or_else(|| u32::try_from(brokers.clamp(1, 3)).unwrap_or(1))
    }
}

fn kind_settings(kind: TopicKind) -> Vec<(&'static str, String)> {
    let kept_until_deleted = |bytes_max: usize| {
        vec![
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", "-1".to_owned()),
            ("retention.bytes", "-1".to_owned()),
            ("message.timestamp.type", "LogAppendTime".to_owned()),
            ("max.message.bytes", bytes_max.to_string()),
        ]
    };
    let kept_for = |ms: u64, bytes_max: usize| {
        vec![
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", ms.to_string()),
            ("message.timestamp.type", "LogAppendTime".to_owned()),
            ("max.message.bytes", bytes_max.to_string()),
        ]
    };
    let compacted = || {
        vec![
            ("cleanup.policy", "compact".to_owned()),
            ("min.compaction.lag.ms", HOUR_MS.to_string()),
            ("message.timestamp.type", "LogAppendTime".to_owned()),
            ("max.message.bytes", MESSAGE_BYTES_MAX.to_string()),
        ]
    };
    match kind {
        TopicKind::Commands => kept_until_deleted(COMMANDS_BYTES_MAX),
        TopicKind::Tasks => kept_until_deleted(MESSAGE_BYTES_MAX),
        TopicKind::History | TopicKind::Cluster => compacted(),
        // Written all the time and read from its beginning: so it is kept short.
        TopicKind::Workers => vec![
            ("cleanup.policy", "compact".to_owned()),
            ("segment.ms", (HOUR_MS / 6).to_string()),
            ("min.cleanable.dirty.ratio", "0.1".to_owned()),
            ("message.timestamp.type", "LogAppendTime".to_owned()),
            ("max.message.bytes", BEACONS_BYTES_MAX.to_string()),
        ],
        TopicKind::Replies | TopicKind::Control => kept_for(HOUR_MS / 6, MESSAGE_BYTES_MAX),
        TopicKind::DeadLetters => kept_for(30 * 24 * HOUR_MS, DEAD_LETTER_BYTES_MAX),
    }
}

/// What a difference does to the promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Everything works, with less safety or room than recommended.
    Harmless,
    /// Records can be lost or refused: put it right before the topic is used.
    Harmful,
}

/// A setting that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The topic.
    pub topic: String,
    /// Which setting.
    pub setting: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub found: String,
    /// How bad it is.
    pub severity: Severity,
    /// What follows from it.
    pub consequence: &'static str,
    /// How to put it right.
    pub fix: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, setting, expected, found, consequence, fix, .. } = self;
        write!(f, "topic {topic} has {setting}={found} instead of {expected}: {consequence}; to fix it, {fix}")
    }
}

/// Compares one setting with what was found. None if it is as good as expected.
pub(super) fn compare(topic: &str, setting: &str, expected: &str, found: &str) -> Option<Difference> {
    let (severity, consequence) = judge(setting, expected, found)?;
    let fix = format!(
        "run kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {setting}={expected}"
    );
    Some(Difference {
        topic: topic.to_owned(),
        setting: setting.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
        severity,
        consequence,
        fix,
    })
}

fn judge(setting: &str, expected: &str, found: &str) -> Option<(Severity, &'static str)> {
    use Severity::{Harmful, Harmless};
    if expected == found {
        return None;
    }
    let number = |text: &str| text.parse::<i64>().ok();
    let number_above = |expected: &str, found: &str| found.parse::<f64>().ok() > expected.parse::<f64>().ok();
    let found_is_less = || number(found) < number(expected);
    let expects_forever = expected == "-1";
    match setting {
        "cleanup.policy" => Some((Harmful, "records would be removed that are still needed")),
        "retention.ms" | "retention.bytes" if expects_forever => {
            Some((Harmful, "Kafka would delete records that nobody has worked on yet"))
        }
        "retention.ms" => (found != "-1" && found_is_less()).then_some((Harmless, "records are gone sooner")),
        "message.timestamp.type" => Some((Harmful, "time would be what clients claim instead of what the broker saw")),
        "max.message.bytes" => found_is_less().then_some((Harmful, "large records would be refused")),
        "segment.ms" | "min.cleanable.dirty.ratio" => (number_above(expected, found))
            .then_some((Harmless, "the topic grows longer before it is compacted, and nodes start slower")),
        "min.compaction.lag.ms" => {
            found_is_less().then_some((Harmless, "readers that are a little behind may miss superseded records"))
        }
        "min.insync.replicas" => {
            found_is_less().then_some((Harmless, "a broker that fails may take confirmed records with it"))
        }
        "unclean.leader.election.enable" => Some((Harmful, "confirmed records may vanish when brokers fail")),
        _ => Some((Harmless, "it is not as configured")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_follow_the_kind_and_the_size_of_the_cluster() {
        let history = TopicSpec::new("h", TopicKind::History, 4);
        let settings = history.settings(1);
        assert_eq!(settings["cleanup.policy"], "compact");
        assert_eq!(settings["max.message.bytes"], "8388608");
        assert!(!settings.contains_key("min.insync.replicas"));
        assert_eq!(history.settings(3)["min.insync.replicas"], "2");
        assert_eq!((history.replicas(1), history.replicas(2), history.replicas(9)), (1, 2, 3));
    }

    #[test]
    fn more_than_asked_for_is_fine() {
        assert_eq!(compare("t", "max.message.bytes", "100", "200"), None);
        assert_eq!(compare("t", "retention.ms", "100", "-1"), None);
        assert_eq!(compare("t", "min.insync.replicas", "2", "3"), None);
    }

    #[test]
    fn a_difference_says_what_follows_and_what_to_do() {
        let difference = compare("tw.default.commands", "retention.ms", "-1", "604800000").unwrap();
        assert_eq!(difference.severity, Severity::Harmful);
        assert_eq!(
            difference.to_string(),
            "topic tw.default.commands has retention.ms=604800000 instead of -1: Kafka would delete records that \
             nobody has worked on yet; to fix it, run kafka-configs.sh --alter --entity-type topics --entity-name \
             tw.default.commands --add-config retention.ms=-1"
        );
    }
}
