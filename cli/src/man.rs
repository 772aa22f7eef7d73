//! `tidewright man`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command};

use crate::config::command::command;
use crate::error::CliError;
use crate::output::say;
use crate::state_directory;

/// Options of `tidewright man`.
#[derive(Debug, Args)]
pub(crate) struct ManOptions {
    /// Where the pages are written; made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(options: &ManOptions) -> Result<ExitCode, CliError> {
    let directory = &options.directory;
    state_directory::make(directory)?;
    let pages = pages().map_err(CliError::system)?;
    for (name, page) in &pages {
        std::fs::write(directory.join(name), page).map_err(|e| CliError::directory(directory, e))?;
    }
    say(&format!(
        "{} pages are in {}; `man -l {}` shows the first",
        pages.len(),
        directory.display(),
        first(directory)
    ));
    Ok(ExitCode::SUCCESS)
}

fn first(directory: &Path) -> String {
    directory.join("tidewright.1").display().to_string()
}

/// The pages with their files' names: one for the program and one for each command.
fn pages() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut program = command(None).disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    let mut open = vec![("tidewright".to_owned(), program)];
    while let Some((name, command)) = open.pop() {
        let below = command.get_subcommands().filter(|command| !command.is_hide_set());
        open.extend(below.map(|command| (format!("{name}-{}", command.get_name()), command.clone())));
        pages.push((format!("{name}.1"), page(&name, command)?));
    }
    pages.sort();
    Ok(pages)
}

fn page(name: &str, command: Command) -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        // A page is found under its name, in which dashes join the words of the command.
        .title(name.to_owned())
        .source(concat!("Tidewright ", env!("CARGO_PKG_VERSION")))
        .manual("Tidewright")
        // No date: the same version has the same pages. Left empty, the fields after it would move up.
        .date(" ")
        .render(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_for_each_command() {
        let pages = pages().unwrap();
        let names: Vec<_> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["tidewright.1", "tidewright-serve.1", "tidewright-workflow-start.1", "tidewright-man.1"] {
            assert!(names.contains(&name), "{name} is missing: {names:?}");
        }
        let serve = pages.iter().find(|(name, _)| name == "tidewright-serve.1").map(|(_, page)| page.clone());
        let serve = String::from_utf8(serve.unwrap()).unwrap();
        assert!(serve.contains("secret\\-file") && serve.contains("TIDEWRIGHT_SECRET_FILE"), "{serve}");
    }
}
