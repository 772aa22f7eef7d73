//! The program as it describes itself.

use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};

/// Runs the program.
pub fn run(arguments: &[&str]) -> Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_tidewright")).args(arguments).output().context("the program does not run")
}

/// The help of a command.
pub fn help(command: &str) -> Result<String> {
    let output = run(&[command, "--help"])?;
    ensure!(output.status.success(), "tidewright has no command `{command}`");
    Ok(String::from_utf8(output.stdout)?)
}

/// Checks a command line of the program: its command, and every flag.
pub fn check_arguments(arguments: &[&str]) -> Result<()> {
    let (command, rest) = arguments.split_first().context("no command is named")?;
    let help = help(command)?;
    for flag in rest.iter().filter(|word| word.starts_with('-')) {
        let flag = flag.split('=').next().unwrap_or_default();
        let knows = help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == flag);
        ensure!(knows, "`tidewright {command}` has no option {flag}");
    }
    Ok(())
}

/// Checks that a command is configured by a variable.
pub fn check_variable(command: &str, variable: &str) -> Result<()> {
    let knows = help(command)?.contains(&format!("[env: {variable}]"));
    ensure!(knows, "`tidewright {command}` knows no variable {variable}");
    Ok(())
}
