//! The settings of a topic: what Kafka knows, with Kafka's defaults, and the parsed values of those that this broker acts
//! on. A setting that it could only pretend to honour is refused when it is given.

use std::collections::BTreeMap;

use super::alteration::Edit;
use crate::log::compaction::plan::CompactionRules;
use crate::log::partition::AppendRules;
use crate::log::retention::RetentionRules;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int { min: i64 },
    Long { min: i64 },
    Ratio,
    OneOf(&'static [&'static str]),
    ListOf(&'static [&'static str]),
}

impl Kind {
    /// The number by which DescribeConfigs names the type.
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::Bool => 1,
            Self::OneOf(_) => 2,
            Self::Int { .. } => 3,
            Self::Long { .. } => 5,
            Self::Ratio => 6,
            Self::ListOf(_) => 7,
        }
    }

    fn accepts(self, value: &str) -> bool {
        let at_least = |min: i64, max: i64| value.parse().is_ok_and(|value: i64| (min..=max).contains(&value));
        match self {
            Self::Bool => matches!(value, "true" | "false"),
            Self::Int { min } => at_least(min, i32::MAX.into()),
            Self::Long { min } => at_least(min, i64::MAX),
            Self::Ratio => value.parse().is_ok_and(|value: f64| (0.0..=1.0).contains(&value)),
            Self::OneOf(values) => values.contains(&value),
            Self::ListOf(values) => value.split(',').all(|value| values.contains(&value.trim())),
        }
    }

    fn expectation(self) -> String {
        match self {
            Self::Bool => "'true' or 'false'".to_owned(),
            Self::Int { min } => format!("a number from {min} to {}", i32::MAX),
            Self::Long { min } => format!("a number from {min} to {}", i64::MAX),
            Self::Ratio => "a number from 0 to 1".to_owned(),
            Self::OneOf(values) => format!("one of {}", values.join(", ")),
            Self::ListOf(values) => format!("a list of {}", values.join(", ")),
        }
    }
}

pub(crate) struct Setting {
    pub name: &'static str,
    pub default: &'static str,
    pub kind: Kind,
}

const fn setting(name: &'static str, default: &'static str, kind: Kind) -> Setting {
    Setting { name, default, kind }
}

/// Longer than any value with a meaning.
const VALUE_BYTES_MAX: usize = 256;
const FOREVER: &str = "9223372036854775807";
const POLICIES: &[&str] = &["delete", "compact"];

/// Sorted by name.
pub(crate) const SETTINGS: &[Setting] = &[
    setting("cleanup.policy", "delete", Kind::ListOf(POLICIES)),
    // Batches are kept as their producer compressed them.
    setting("compression.type", "producer", Kind::OneOf(&["producer"])),
    setting("delete.retention.ms", "86400000", Kind::Long { min: 0 }),
    setting("file.delete.delay.ms", "60000", Kind::Long { min: 0 }),
    setting("flush.messages", FOREVER, Kind::Long { min: 1 }),
    setting("flush.ms", FOREVER, Kind::Long { min: 0 }),
    setting("index.interval.bytes", "4096", Kind::Int { min: 0 }),
    setting("max.compaction.lag.ms", FOREVER, Kind::Long { min: 1 }),
    setting("max.message.bytes", "1048588", Kind::Int { min: 0 }),
    setting("message.timestamp.after.max.ms", "3600000", Kind::Long { min: 0 }),
    setting("message.timestamp.before.max.ms", FOREVER, Kind::Long { min: 0 }),
    setting("message.timestamp.type", "CreateTime", Kind::OneOf(&["CreateTime", "LogAppendTime"])),
    setting("min.cleanable.dirty.ratio", "0.5", Kind::Ratio),
    setting("min.compaction.lag.ms", "0", Kind::Long { min: 0 }),
    // Kafka asks for no more replicas than there are, and here is one.
    setting("min.insync.replicas", "1", Kind::Int { min: 1 }),
    setting("preallocate", "false", Kind::Bool),
    setting("retention.bytes", "-1", Kind::Long { min: -1 }),
    setting("retention.ms", "604800000", Kind::Long { min: -1 }),
    setting("segment.bytes", "1073741824", Kind::Int { min: 1 << 20 }),
    setting("segment.index.bytes", "10485760", Kind::Int { min: 4 }),
    setting("segment.jitter.ms", "0", Kind::Long { min: 0 }),
    setting("segment.ms", "604800000", Kind::Long { min: 1 }),
    setting("unclean.leader.election.enable", "false", Kind::Bool),
];

fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.binary_search_by(|setting| setting.name.cmp(name)).ok().map(|at| &SETTINGS[at])
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TopicConfig {
    overrides: BTreeMap<&'static str, String>,
    pub max_message_bytes: usize,
    pub segment_bytes: u64,
    pub segment_ms: i64,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    pub log_append_time: bool,
    /// Whether records may be deleted for other reasons than a later one of the same key.
    pub is_deletable: bool,
    pub retention: Option<RetentionRules>,
    pub compaction: Option<CompactionRules>,
}

impl TopicConfig {
    /// Fails with what is wrong and what would be right.
    pub(crate) fn new<'a>(given: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, String> {
        let mut overrides = BTreeMap::new();
        for (name, value) in given {
            let setting = find(name).ok_or_else(|| format!("unknown topic config name: {name}"))?;
            if value.len() > VALUE_BYTES_MAX || !setting.kind.accepts(value) {
                let expectation = setting.kind.expectation();
                return Err(format!("invalid value '{value}' for configuration {name}: expected {expectation}"));
            }
            overrides.insert(setting.name, value.to_owned());
        }
        Ok(Self::parse(overrides))
    }

    /// Fails like `new`, and for a list's operation on what is no list.
    pub(crate) fn edited(&self, edits: &[(&str, Edit<'_>)]) -> Result<Self, String> {
        let mut overrides = self.overrides.clone();
        for &(name, edit) in edits {
            let setting = find(name).ok_or_else(|| format!("unknown topic config name: {name}"))?;
            let before = overrides.get(name).map_or(setting.default, String::as_str);
            let elements = before.split(',').map(str::trim).filter(|element| !element.is_empty());
            let value = match edit {
                Edit::Delete => {
                    overrides.remove(name);
                    continue;
                }
                Edit::Set(value) => value.to_owned(),
                Edit::Append(_) | Edit::Subtract(_) if !matches!(setting.kind, Kind::ListOf(_)) => {
                    return Err(format!("cannot append to or subtract from {name}: its type is not a list"));
                }
                Edit::Append(added) => {
                    let mut elements: Vec<&str> = elements.collect();
                    for element in added.split(',').map(str::trim) {
                        if !elements.contains(&element) {
                            elements.push(element);
                        }
                    }
                    elements.join(",")
                }
                Edit::Subtract(taken) => {
                    let is_taken = |element: &&str| taken.split(',').any(|taken| taken.trim() == *element);
                    elements.filter(|element| !is_taken(element)).collect::<Vec<_>>().join(",")
                }
            };
            overrides.insert(setting.name, value);
        }
        Self::new(overrides.iter().map(|(name, value)| (*name, value.as_str())))
    }

    fn parse(overrides: BTreeMap<&'static str, String>) -> Self {
        let text = |name: &str| {
            let default = || find(name).map_or("", |setting| setting.default);
            overrides.get(name).map_or_else(default, String::as_str)
        };
        let number = |name: &str| text(name).parse::<i64>().unwrap_or(i64::MAX);
        let has_policy = |policy: &str| text("cleanup.policy").split(',').any(|one| one.trim() == policy);
        let is_compacted = has_policy("compact");
        let (max_lag_ms, segment_bytes) = (number("max.compaction.lag.ms"), number("segment.bytes") as u64);
        let retention = RetentionRules {
            ms: Some(number("retention.ms")).filter(|&ms| ms >= 0),
            bytes: u64::try_from(number("retention.bytes")).ok(),
        };
        let compaction = CompactionRules {
            min_lag_ms: number("min.compaction.lag.ms"),
            max_lag_ms,
            min_dirty_ratio: text("min.cleanable.dirty.ratio").parse().unwrap_or(0.5),
            delete_retention_ms: number("delete.retention.ms"),
            segment_bytes,
        };
        Self {
            max_message_bytes: number("max.message.bytes") as usize,
            segment_bytes,
            segment_ms: if is_compacted { number("segment.ms").min(max_lag_ms) } else { number("segment.ms") },
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            log_append_time: text("message.timestamp.type") == "LogAppendTime",
            is_deletable: has_policy("delete"),
            retention: has_policy("delete").then_some(retention),
            compaction: is_compacted.then_some(compaction),
            overrides,
        }
    }

    pub(crate) fn overrides(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.overrides.iter().map(|(&name, value)| (name, value.as_str()))
    }

    /// As the journal keeps it.
    pub(crate) fn to_entry(&self) -> Vec<(String, String)> {
        self.overrides().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Every setting with its value and whether that was given for the topic.
    pub(crate) fn describe(&self) -> impl Iterator<Item = (&'static Setting, &str, bool)> {
        SETTINGS.iter().map(|setting| match self.overrides.get(setting.name) {
            Some(value) => (setting, value.as_str(), true),
            None => (setting, setting.default, false),
        })
    }

    pub(crate) fn append_rules(&self) -> AppendRules {
        AppendRules {
            segment_bytes: self.segment_bytes,
            segment_ms: self.segment_ms,
            log_append_time: self.log_append_time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_sorted_and_their_defaults_valid() {
        assert!(SETTINGS.is_sorted_by_key(|setting| setting.name));
        for setting in SETTINGS {
            assert!(setting.kind.accepts(setting.default), "{}", setting.name);
        }
    }

    #[test]
    fn what_is_given_overrides_and_the_rest_is_default() {
        let config = TopicConfig::new([("cleanup.policy", "compact"), ("max.message.bytes", "100")]).unwrap();
        assert!(config.compaction.is_some() && !config.is_deletable && config.retention.is_none());
        assert_eq!(config.max_message_bytes, 100);
        assert_eq!(config.segment_bytes, 1 << 30);
        let given: Vec<_> = config.describe().filter(|(_, _, given)| *given).map(|(s, _, _)| s.name).collect();
        assert_eq!(given, ["cleanup.policy", "max.message.bytes"]);
    }

    #[test]
    fn wrong_settings_are_refused() {
        for (name, value) in [
            ("no.such", "1"),
            ("retention.ms", "soon"),
            ("cleanup.policy", "shred"),
            ("segment.bytes", "10"),
            ("compression.type", "gzip"),
        ] {
            assert!(TopicConfig::new([(name, value)]).is_err(), "{name}");
        }
    }
}
