//! `tidewright completions`.

use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

use crate::config::command::command;
use crate::error::CliError;
use crate::output::print;

/// Options of `tidewright completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsOptions {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(options: &CompletionsOptions) -> Result<ExitCode, CliError> {
    print(&script(options.shell))?;
    Ok(ExitCode::SUCCESS)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(None), "tidewright", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_is_told_of_the_commands_and_their_options() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for word in ["workflow", "secret-file", "completions"] {
                assert!(script.contains(word), "{shell}: nothing about {word}");
            }
        }
    }
}
