//! `tidewright dead-letters list`.

use std::process::ExitCode;

use clap::Args;

use super::letter::Letter;
use super::read::letters;
use crate::config::Configuration;
use crate::error::CliError;
use crate::namespace_options::NamespaceOptions;
use crate::output::{one_line, print, say, table};

pub(super) const EXAMPLES: &str = "Examples:
  tidewright dead-letters list
  tidewright dead-letters list --reason TW0203 --limit 10 --output json";

const KEY_SHOWN: usize = 40;
const MESSAGE_SHOWN: usize = 90;

/// Options of `tidewright dead-letters list`.
#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Only those with this code
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// Only those with this key, which is a workflow id as a rule
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only those that were not sent again
    #[arg(long)]
    open: bool,
    /// How many at most: the newest
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    pub(super) namespace: NamespaceOptions,
}

pub(super) async fn run(options: ListOptions, configuration: &Configuration) -> Result<ExitCode, CliError> {
    let namespace = options.namespace.open(configuration)?;
    let wanted = |letter: &Letter| {
        options.reason.as_ref().is_none_or(|reason| letter.reason.eq_ignore_ascii_case(reason))
            && options.key.as_ref().is_none_or(|key| letter.key.as_ref() == Some(key))
    };
    let (mut found, more) = letters(&namespace, options.limit, wanted).await?;
    if options.open {
        found.retain(|letter| !letter.redriven);
    }
    if options.namespace.output.is_json() {
        let json = serde_json::to_string(&serde_json::json!({ "dead_letters": found, "more": more }));
        print(&format!("{}\n", json.map_err(|e| CliError::plain(e.to_string()))?))?;
        return Ok(ExitCode::SUCCESS);
    }
    if found.is_empty() {
        say("no dead letters");
        return Ok(ExitCode::SUCCESS);
    }
    print(&text(&found))?;
    if more > 0 {
        say(&format!("{more} older ones are not shown: --limit N shows them"));
    }
    Ok(ExitCode::SUCCESS)
}

fn text(letters: &[Letter]) -> String {
    let mut rows = vec![["PLACE", "TIME", "REASON", "KEY", "REDRIVEN", "WHY"].map(str::to_owned).to_vec()];
    rows.extend(letters.iter().map(|letter| {
        vec![
            letter.place.to_string(),
            letter.time.clone(),
            one_line(&letter.reason, KEY_SHOWN),
            one_line(letter.key.as_deref().unwrap_or("-"), KEY_SHOWN),
            if letter.redriven { "yes" } else { "no" }.to_owned(),
            one_line(&letter.message, MESSAGE_SHOWN),
        ]
    }));
    table(&rows)
}
