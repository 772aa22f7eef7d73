//! `tidewright config show`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{Args, ValueEnum};
use serde::Serialize;
use tidewright_log::is_secret_property;

use super::command::{source_of, value_of};
use super::settings::{SETTINGS, Setting};
use super::{ConfigFile, Configuration};
use crate::error::CliError;
use crate::node_options::NodeOptions;
use crate::output::{Output, clean, print, say, table};

pub(super) const EXAMPLES: &str = "Examples:
  tidewright config show
  tidewright config show --partitions 8 -X security.protocol=SASL_SSL
  tidewright config show --output toml > tidewright.toml";

const REDACTED: &str = "(not shown)";

/// Options of `tidewright config show`: all settings, and how they are shown.
#[derive(Debug, Args)]
pub(crate) struct ShowOptions {
    #[command(flatten)]
    node: NodeOptions,
    #[arg(long = "address")]
    http_url: String,
    /// How to show it
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value = "table")]
    output: Format,
}

impl ShowOptions {
    pub(super) fn error_style(&self) -> Output {
        if self.output == Format::Json { Output::Json } else { Output::Text }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For programs
    Json,
    /// As a configuration file
    Toml,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    Flag(String),
    Variable(String),
    File { path: PathBuf, line: usize },
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Variable(variable) => write!(f, "variable {variable}"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A setting as it stands.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    /// None if it is left open.
    value: Option<String>,
    origin: Origin,
    #[serde(skip)]
    is_number: bool,
}

pub(super) fn run(options: &ShowOptions, configuration: &Configuration) -> Result<ExitCode, CliError> {
    let mut shown: Vec<_> = SETTINGS.iter().map(|setting| setting_shown(setting, configuration)).collect();
    for (name, (value, origin)) in options.node.kafka.properties(configuration.file.as_ref())? {
        let value = if is_secret_property(&name) { REDACTED.to_owned() } else { value };
        shown.push(Shown { name: format!("kafka.{name}"), value: Some(value), origin, is_number: false });
    }
    match options.output {
        Format::Json => {
            let json = serde_json::to_string(&serde_json::json!({ "file": configuration.path(), "settings": shown }));
            print(&format!("{}\n", json.map_err(|e| CliError::plain(e.to_string()))?))?;
        }
        Format::Toml => print(&toml_text(&shown))?,
        Format::Table => {
            print(&table_text(&shown))?;
            match configuration.path() {
                Some(path) => say(&format!("the configuration file is {}", path.display())),
                None => say("there is no configuration file"),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn setting_shown(setting: &Setting, configuration: &Configuration) -> Shown {
    let matches = &configuration.matches;
    let in_file = |file: &ConfigFile| {
        let line = file.values.get(setting.key)?.line;
        Some(Origin::File { path: file.path.clone(), line })
    };
    let origin = match source_of(matches, setting) {
        Some(ValueSource::CommandLine) => Origin::Flag(format!("--{}", setting.flag)),
        Some(ValueSource::EnvVariable) => Origin::Variable(setting.variable()),
        _ => configuration.file.as_ref().and_then(in_file).unwrap_or(Origin::Default),
    };
    let (name, is_number) = (setting.key.to_owned(), setting.kind.is_number());
    Shown { name, value: value_of(matches, setting), origin, is_number }
}

fn table_text(shown: &[Shown]) -> String {
    let mut rows = vec![["SETTING", "VALUE", "FROM"].map(str::to_owned).to_vec()];
    rows.extend(shown.iter().map(|setting| {
        let value = setting.value.as_deref().map_or_else(|| "-".to_owned(), clean);
        vec![setting.name.clone(), value, setting.origin.to_string()]
    }));
    table(&rows)
}

/// What is left open or not to be shown becomes a comment.
fn toml_text(shown: &[Shown]) -> String {
    let mut text = String::new();
    let mut in_kafka = false;
    for setting in shown {
        let name = match setting.name.strip_prefix("kafka.") {
            Some(property) => {
                if !std::mem::replace(&mut in_kafka, true) {
                    text.push_str("\n[kafka]\n");
                }
                property
            }
            None => &setting.name,
        };
        match setting.value.as_deref() {
            None => text.push_str(&format!("# {name} =\n")),
            Some(REDACTED) => text.push_str(&format!("# {name} = {REDACTED}\n")),
            Some(value) if setting.is_number => text.push_str(&format!("{name} = {value}\n")),
            Some(value) => text.push_str(&format!("{name} = {}\n", quoted(value))),
        }
    }
    text
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::FromArgMatches as _;

    use super::super::command::{command, innermost};
    use super::*;

    fn configuration(arguments: &[&str], file: &str) -> (ShowOptions, Configuration) {
        let file = ConfigFile::parse(Path::new("tidewright.toml"), file).unwrap();
        let arguments = ["tidewright", "config", "show"].iter().chain(arguments);
        let matches = innermost(command(Some(&file)).try_get_matches_from(arguments).unwrap());
        (ShowOptions::from_arg_matches(&matches).unwrap(), Configuration { file: Some(file), matches })
    }

    fn shown(arguments: &[&str], file: &str) -> Vec<Shown> {
        let (options, configuration) = configuration(arguments, file);
        let mut shown: Vec<_> = SETTINGS.iter().map(|setting| setting_shown(setting, &configuration)).collect();
        for (name, (value, origin)) in options.node.kafka.properties(configuration.file.as_ref()).unwrap() {
            let value = if is_secret_property(&name) { REDACTED.to_owned() } else { value };
            shown.push(Shown { name: format!("kafka.{name}"), value: Some(value), origin, is_number: false });
        }
        shown
    }

    const FILE: &str =
        "brokers = 'a:1'\nnode = 'say \"hi\"\\'\n[kafka]\nsasl.username = 'me'\nsasl.password = 'hunter2'\n";

    #[test]
    fn values_are_told_with_where_they_come_from() {
        let shown = shown(&["--partitions", "8", "-X", "ssl.key.password=hunter2"], FILE);
        let text = table_text(&shown);
        assert!(!text.contains("hunter2"), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn what_is_shown_as_a_file_is_read_again() {
        let text = toml_text(&shown(&["--partitions", "8"], FILE));
        assert!(!text.contains("hunter2"), "{text}");
        let again = ConfigFile::parse(Path::new("again.toml"), &text).unwrap();
        assert_eq!(again.values["node"].text, "say \"hi\"\\");
        assert_eq!(again.values["partitions"].text, "8");
        assert_eq!(again.kafka["sasl.username"].text, "me");
        assert!(!again.kafka.contains_key("sasl.password"));
    }
}
