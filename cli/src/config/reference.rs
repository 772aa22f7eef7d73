//! `tidewright config reference`: the part of `docs/configuration.md` that follows from the declarations.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tidewright_log::fixed_properties;

use super::settings::SETTINGS;
use crate::error::CliError;
use crate::output::print;

const BEGIN: &str = "<!-- generated: settings; `make docs` writes it anew -->\n";
const END: &str = "<!-- end -->\n";

/// Options of `tidewright config reference`.
#[derive(Debug, Args)]
pub(crate) struct ReferenceOptions {
    /// Write it between the marks of this file instead
    #[arg(long, value_name = "FILE")]
    update: Option<PathBuf>,
}

pub(super) fn run(options: &ReferenceOptions) -> Result<ExitCode, CliError> {
    let Some(path) = &options.update else {
        print(&reference())?;
        return Ok(ExitCode::SUCCESS);
    };
    let fail = |problem: &dyn std::fmt::Display| CliError::plain(format!("{}: {problem}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| fail(&e))?;
    let updated = updated(&text).ok_or_else(|| fail(&"it has no marks to write between"))?;
    std::fs::write(path, updated).map_err(|e| fail(&e))?;
    Ok(ExitCode::SUCCESS)
}

/// A document with the generated part as it should be; none if the marks are not there.
fn updated(text: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}\n{END}{after}", reference()))
}

fn reference() -> String {
    let mut text = String::from("| key | variable | flag | value | default | |\n|---|---|---|---|---|---|\n");
    for setting in SETTINGS {
        let default = setting.default.map_or_else(String::new, |default| format!("`{default}`"));
        text.push_str(&format!(
            "| `{}` | `{}` | `--{}` | {} | {default} | {} |\n",
            setting.key,
            setting.variable(),
            setting.flag,
            setting.kind.name(),
            setting.doc
        ));
    }
    text.push_str("\nThese Kafka properties cannot be set:\n\n| property | because |\n|---|---|\n");
    for (name, reason) in fixed_properties() {
        text.push_str(&format!("| `{name}` | {reason} |\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(updated(&text).unwrap() == text, "docs/configuration.md is out of date: run `make docs`");
    }
}
