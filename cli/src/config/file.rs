//! The configuration file: TOML with the settings' keys, and a table `kafka` that is passed through to librdkafka.
//!
//! What is wrong is told with line and column, and nothing that is not known is passed over.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use tidewright_log::{check_property, common_properties};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::settings::{SETTINGS, Setting};
use crate::error::CliError;

/// The table that is passed through.
const KAFKA: &str = "kafka";
/// A file beyond this is something else.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A value of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileValue {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    pub(crate) values: BTreeMap<&'static str, FileValue>,
    pub(crate) kafka: BTreeMap<String, FileValue>,
}

impl ConfigFile {
    pub(crate) fn read(path: &Path) -> Result<Self, CliError> {
        let unreadable = |problem: &dyn std::fmt::Display| {
            let problem = format!("the configuration file {} cannot be read: {problem}", path.display());
            CliError::coded("TW0720", problem).usage()
        };
        let file = std::fs::File::open(path).map_err(|e| unreadable(&e))?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::io::Read::take(file, FILE_BYTES_MAX + 1), &mut text)
            .map_err(|e| unreadable(&e))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(unreadable(&format!("it is larger than {FILE_BYTES_MAX} bytes")));
        }
        Self::parse(path, &text)
    }

    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, CliError> {
        let source = Source { path, text };
        let table = DeTable::parse(text).map_err(|error| {
            let place = source.place(error.span().unwrap_or(0..0));
            CliError::coded("TW0720", format!("{place}: this is no TOML: {}", error.message())).usage()
        })?;
        let mut file = Self { path: path.to_owned(), ..Self::default() };
        for (key, value) in table.get_ref() {
            if key.get_ref() == KAFKA {
                file.kafka(&source, value)?;
            } else {
                file.setting(&source, key, value)?;
            }
        }
        Ok(file)
    }

    fn setting(
        &mut self,
        source: &Source<'_>,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), CliError> {
        let name = key.get_ref().as_ref();
        let Some(setting) = Setting::find(name) else {
            let known = SETTINGS.iter().map(|setting| setting.key).chain([KAFKA]);
            let error =
                CliError::coded("TW0721", format!("{}: there is no setting `{name}`", source.place(key.span())));
            return Err(error.hint(suggestion(name, known, "`tidewright config show` lists all settings")).usage());
        };
        let wrong = |problem: &str| {
            let place = source.place(value.span());
            CliError::coded("TW0722", format!("{place}: `{name}` cannot be used: {problem}"))
                .hint(format!("expected: {}", setting.kind.name()))
                .usage()
        };
        let text = match value.get_ref() {
            DeValue::Integer(number) if setting.kind.is_number() => {
                integer(number).ok_or_else(|| wrong("too large"))?
            }
            DeValue::String(text) if !setting.kind.is_number() => text.to_string(),
            other => return Err(wrong(&format!("it is of type {}", other.type_str()))),
        };
        setting.kind.check(&text).map_err(|problem| wrong(&problem))?;
        self.values.insert(setting.key, FileValue { text, line: source.position(value.span()).0 });
        Ok(())
    }

    fn kafka(&mut self, source: &Source<'_>, value: &Spanned<DeValue<'_>>) -> Result<(), CliError> {
        if let DeValue::Table(table) = value.get_ref() {
            return self.kafka_table(source, "", table);
        }
        let place = source.place(value.span());
        let problem = format!("{place}: `{KAFKA}` is a table of librdkafka's properties");
        Err(CliError::coded("TW0722", problem).hint("write [kafka] on a line, and below it NAME = VALUE").usage())
    }

    /// `sasl.mechanism = "PLAIN"` is a table in a table in TOML; here both spellings are the same.
    fn kafka_table(&mut self, source: &Source<'_>, prefix: &str, table: &DeTable<'_>) -> Result<(), CliError> {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            let text = match value.get_ref() {
                DeValue::Table(below) => {
                    self.kafka_table(source, &format!("{name}."), below)?;
                    continue;
                }
                DeValue::String(text) => Some(text.to_string()),
                DeValue::Integer(number) => integer(number),
                DeValue::Boolean(flag) => Some(flag.to_string()),
                _ => None,
            };
            let Some(text) = text else {
                let place = source.place(value.span());
                let kind = value.get_ref().type_str();
                return Err(CliError::coded("TW0722", format!("{place}: `kafka.{name}` is of type {kind}"))
                    .hint("a property is a text, a whole number, true or false")
                    .usage());
            };
            property_checked(&source.place(key.span()), &name, &text)?;
            self.kafka.insert(name, FileValue { text, line: source.position(value.span()).0 });
        }
        Ok(())
    }
}

/// Refuses a property that cannot be set; `place` says where it stands.
pub(super) fn property_checked(place: &str, name: &str, value: &str) -> Result<(), CliError> {
    check_property(name, value).map_err(|error| {
        let hint = match error.code() {
            "TW0723" => "leave it out".to_owned(),
            _ if common_properties().any(|known| known == name) => {
                "CONFIGURATION.md of librdkafka says what it takes".to_owned()
            }
            _ => suggestion(name, common_properties(), "CONFIGURATION.md of librdkafka lists the names"),
        };
        CliError::coded(error.code(), format!("{place}: {error}")).hint(hint).usage()
    })
}

fn integer(number: &toml::de::DeInteger<'_>) -> Option<String> {
    i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
}

/// The closest known name, or what else helps.
fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>, otherwise: &str) -> String {
    let closest = known.map(|known| (strsim::jaro_winkler(name, known), known)).max_by(|a, b| a.0.total_cmp(&b.0));
    match closest {
        Some((likeness, known)) if likeness > 0.8 => format!("did you mean `{known}`?"),
        _ => otherwise.to_owned(),
    }
}

/// A text, for telling where in it something stands.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    /// Line and column, from 1.
    fn position(&self, span: Range<usize>) -> (usize, usize) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    fn place(&self, span: Range<usize>) -> String {
        let (line, column) = self.position(span);
        format!("{}:{line}:{column}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ConfigFile, CliError> {
        ConfigFile::parse(Path::new("tidewright.toml"), text)
    }

    fn problem(text: &str) -> String {
        parse(text).unwrap_err().text()
    }

    #[test]
    fn a_file_is_read_with_its_lines() {
        let text = "brokers = \"a:1,b:2\"\npartitions = 0x10\nsession_timeout = \"10s\"\n\n[kafka]\n\
                    sasl.mechanism = \"PLAIN\"\n\"sasl.username\" = \"me\"\nsocket.timeout.ms = 1_000\n";
        let file = parse(text).unwrap();
        let value = |text: &str, line| FileValue { text: text.to_owned(), line };
        let expected =
            [("brokers", value("a:1,b:2", 1)), ("partitions", value("16", 2)), ("session_timeout", value("10s", 3))];
        assert_eq!(file.values, BTreeMap::from(expected));
        let kafka = [
            ("sasl.mechanism", value("PLAIN", 6)),
            ("sasl.username", value("me", 7)),
            ("socket.timeout.ms", value("1000", 8)),
        ];
        assert_eq!(file.kafka, kafka.map(|(name, value)| (name.to_owned(), value)).into());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_what_to_do() {
        let wrong = [
            "brokers = \"a:1\"\nsesion_timeout = \"6s\"",
            "something_else = 1",
            "session_timeout = \"6\"",
            "session_timeout = 6",
            "state_cache = \"64MB\"",
            "partitions = \"four\"",
            "partitions = 0",
            "log_format = \"yaml\"",
            "brokers = [\"a:1\"]",
            "kafka = 1",
            "[kafka]\nacks = \"1\"",
            "[kafka]\nsasl.pasword = \"x\"",
            "[kafka]\nsocket.timeout.ms = \"soon\"",
            "[kafka]\nsasl.username = 1.5",
            "brokers = ",
        ];
        let problems: Vec<_> = wrong.iter().map(|text| format!("{text}\n---\n{}", problem(text))).collect();
        insta::assert_snapshot!(problems.join("\n"));
    }

    #[test]
    fn a_file_that_is_not_there_is_said_so() {
        let error = ConfigFile::read(Path::new("/nowhere/tidewright.toml")).unwrap_err().text();
        assert!(error.contains("TW0720") && error.contains("/nowhere/tidewright.toml"), "{error}");
    }
}
