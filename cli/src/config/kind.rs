//! Kinds of values, and how each is read: durations and sizes have units.

use std::net::SocketAddr;
use std::time::Duration;

/// What a setting's value is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Text,
    /// `IP:PORT`.
    Address,
    /// `http://…`.
    Url,
    Count {
        least: u64,
        most: u64,
    },
    Duration {
        least_ms: u64,
        most_ms: u64,
    },
    /// Bytes.
    Size {
        least: u64,
        most: u64,
    },
    Choice(&'static [&'static str]),
}

impl Kind {
    /// Its name in documentation.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Address => "IP:port".to_owned(),
            Self::Url => "URL".to_owned(),
            Self::Count { least, most } => format!("number, {least} to {most}"),
            Self::Duration { .. } => "duration, such as `500ms`, `30s`, `5m`, `1h`".to_owned(),
            Self::Size { .. } => "size, such as `64MiB`, `1GiB`".to_owned(),
            Self::Choice(choices) => format!("one of {}", choices.map_join()),
        }
    }

    /// Whether the file holds it as a number.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Count { .. })
    }

    /// What is wrong with a value.
    pub(crate) fn check(self, text: &str) -> Result<(), String> {
        match self {
            Self::Text if text.is_empty() => Err("it is empty".to_owned()),
            Self::Text => Ok(()),
            Self::Address => text
                .parse::<SocketAddr>()
                .map(|_| ())
                .map_err(|_| "it is no IP:PORT, such as 127.0.0.1:8233".to_owned()),
            Self::Url if text.starts_with("http://") && text.len() > "http://".len() => Ok(()),
            Self::Url => Err("it is no http:// URL".to_owned()),
            Self::Count { least, most } => {
                let number = text.parse().map_err(|_| "it is no whole number".to_owned())?;
                within(number, least, most, |n| n.to_string())
            }
            Self::Duration { least_ms, most_ms } => {
                let found = duration(text)?;
                let ms = u64::try_from(found.as_millis()).unwrap_or(u64::MAX);
                within(ms, least_ms, most_ms, |ms| duration_text(Duration::from_millis(ms)))
            }
            Self::Size { least, most } => within(size(text)?, least, most, size_text),
            Self::Choice(choices) if choices.contains(&text) => Ok(()),
            Self::Choice(choices) => Err(format!("it is none of {}", choices.map_join())),
        }
    }
}

trait MapJoin {
    fn map_join(&self) -> String;
}

impl MapJoin for [&str] {
    fn map_join(&self) -> String {
        self.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ")
    }
}

fn within(number: u64, least: u64, most: u64, show: impl Fn(u64) -> String) -> Result<(), String> {
    if (least..=most).contains(&number) {
        return Ok(());
    }
    Err(format!("it is not within {} and {}", show(least), show(most)))
}

const DURATIONS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: &[(&str, u64)] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// A duration with its unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    with_unit(text, DURATIONS, "a duration", "30s").map(Duration::from_millis)
}

/// A size in bytes, with its unit.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    with_unit(text, SIZES, "a size", "64MiB")
}

pub(crate) fn duration_text(duration: Duration) -> String {
    text_of(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), DURATIONS)
}

pub(crate) fn size_text(bytes: u64) -> String {
    text_of(bytes, SIZES)
}

/// In the largest unit that says it exactly.
fn text_of(number: u64, units: &[(&str, u64)]) -> String {
    let exact = units.iter().rev().find(|(_, factor)| number.is_multiple_of(*factor) && number >= *factor);
    exact.map_or_else(|| format!("{number}{}", units[0].0), |(unit, factor)| format!("{}{unit}", number / factor))
}

fn with_unit(text: &str, units: &[(&str, u64)], what: &str, example: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let known = || units.iter().map(|(unit, _)| format!("`{unit}`")).collect::<Vec<_>>().join(", ");
    let Ok(number) = number.parse::<u64>() else {
        return Err(format!("it is not {what}: a whole number and a unit, such as `{example}`"));
    };
    if unit.is_empty() {
        return Err(format!("it has no unit: say which of {} is meant", known()));
    }
    let factor = units.iter().find(|(name, _)| *name == unit);
    let (_, factor) = factor.ok_or_else(|| format!("`{unit}` is no unit of {what}: {} are", known()))?;
    number.checked_mul(*factor).ok_or_else(|| "it is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_asked_for() {
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1_500)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7_200)));
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert!(duration("6").unwrap_err().contains("no unit"));
        assert!(duration("6 s").unwrap_err().contains("no unit of a duration"));
        assert!(duration("-6s").is_err() && duration("").is_err());
        assert!(size("64MB").unwrap_err().contains("`MB` is no unit"));
        assert!(size("99999999TiB").unwrap_err().contains("too large"));
    }

    #[test]
    fn what_is_shown_is_what_is_read() {
        for text in ["1500ms", "30s", "1h", "7d"] {
            assert_eq!(duration_text(duration(text).unwrap()), text);
        }
        assert_eq!(size_text(size("1024KiB").unwrap()), "1MiB");
    }

    #[test]
    fn bounds_are_told_in_the_same_unit() {
        let kind = Kind::Duration { least_ms: 1_000, most_ms: 60_000 };
        assert_eq!(kind.check("5ms"), Err("it is not within 1s and 1m".to_owned()));
        assert_eq!(Kind::Count { least: 1, most: 3 }.check("4"), Err("it is not within 1 and 3".to_owned()));
        assert!(Kind::Choice(&["a", "b"]).check("c").unwrap_err().contains("`a`, `b`"));
    }
}
