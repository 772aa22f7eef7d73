//! `tidewright dead-letters show`.

use std::process::ExitCode;

use clap::Args;

use super::letter::{Letter, Place};
use super::read::letters;
use crate::config::Configuration;
use crate::error::CliError;
use crate::namespace_options::{Namespace, NamespaceOptions};
use crate::output::{clean, print};

/// Options of `tidewright dead-letters show`.
#[derive(Debug, Args)]
pub(crate) struct ShowOptions {
    /// Which one: PARTITION/OFFSET, as `list` shows it
    place: Place,
    #[command(flatten)]
    pub(super) namespace: NamespaceOptions,
}

/// One letter, which must be there.
pub(super) async fn find(namespace: &Namespace, place: Place) -> Result<Letter, CliError> {
    let (mut found, _) = letters(namespace, 1, |letter| letter.place == place).await?;
    found.pop().ok_or_else(|| {
        CliError::coded("TW0711", format!("there is no dead letter at {place} of {}", namespace.topics.dead_letters()))
            .hint("`tidewright dead-letters list` shows which there are")
    })
}

pub(super) async fn run(options: ShowOptions, configuration: &Configuration) -> Result<ExitCode, CliError> {
    let namespace = options.namespace.open(configuration)?;
    let letter = find(&namespace, options.place).await?;
    let value = letter.record.value.as_deref().map(String::from_utf8_lossy);
    if options.namespace.output.is_json() {
        let headers: Vec<_> = letter
            .original_headers()
            .map(|(name, value)| serde_json::json!({ "name": name, "value": String::from_utf8_lossy(value) }))
            .collect();
        let object = serde_json::json!({ "letter": letter, "headers": headers, "value": value });
        print(&format!("{object}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&text(&letter, value.as_deref()))?;
    Ok(ExitCode::SUCCESS)
}

fn text(letter: &Letter, value: Option<&str>) -> String {
    let Letter { place, time, reason, message, origin_topic, origin_partition, origin_offset, .. } = letter;
    let mut text = format!(
        "dead letter {place}, {time}\n  reason    {reason}: {message}\n  was at    {origin_topic}/{origin_partition}, offset {origin_offset}\n  \
         key       {}\n  redriven  {}\n",
        letter.key.as_deref().unwrap_or("(none)"),
        if letter.redriven { "yes" } else { "no" },
    );
    for (name, value) in letter.original_headers() {
        text.push_str(&format!("  header    {name}: {}\n", String::from_utf8_lossy(value)));
    }
    match (value, &letter.omitted_bytes) {
        (_, Some(bytes)) => text.push_str(&format!("\n(the value of {bytes} bytes did not fit and is lost)\n")),
        (Some(value), None) => text.push_str(&format!("\n{value}\n")),
        (None, None) => text.push_str("\n(no value)\n"),
    }
    clean(&text)
}
