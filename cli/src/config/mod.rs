//! Configuration: one TOML file, `TIDEWRIGHT_*` variables, and flags. A flag wins over a variable, a variable over the
//! file, the file over the default.
//!
//! [`settings`] declares each setting once. clap takes help, variable and default from there, and the file's values as
//! further defaults; what is wrong in any of them is told with its place.

mod check;
pub(crate) mod command;
mod file;
mod kafka;
pub(crate) mod kind;
mod reference;
mod settings;
mod show;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgMatches, Args, FromArgMatches as _, Subcommand};

pub(crate) use file::ConfigFile;
pub(crate) use kafka::KafkaOptions;
pub(crate) use kind::duration;

use crate::cli::Cli;
use crate::error::CliError;
use crate::output::Output;

/// Where a file is looked for when none is named.
const PLACES: [&str; 2] = ["tidewright.toml", "/etc/tidewright/tidewright.toml"];

/// The option that names the file.
#[derive(Debug, Args)]
pub(crate) struct ConfigOption {
    /// The configuration file; ./tidewright.toml or /etc/tidewright/tidewright.toml by default
    #[arg(
        long,
        global = true,
        env = "TIDEWRIGHT_CONFIG",
        value_name = "FILE",
        hide_env_values = true,
        help_heading = "Configuration"
    )]
    pub(crate) config: Option<PathBuf>,
}

impl ConfigOption {
    fn file(&self) -> Option<PathBuf> {
        self.config.clone().or_else(|| PLACES.iter().map(PathBuf::from).find(|path| path.is_file()))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting with its value and where that comes from
    ///
    /// Flags count as well: `tidewright config show --partitions 8`. Passwords and the like are not shown.
    #[command(after_help = show::EXAMPLES)]
    Show(Box<show::ShowOptions>),
    /// Check a configuration file
    Check(check::CheckOptions),
    /// Print the table of all settings, as docs/configuration.md has it
    Reference(reference::ReferenceOptions),
}

impl ConfigCommand {
    pub(crate) fn output(&self) -> Output {
        match self {
            Self::Show(options) => options.error_style(),
            Self::Check(_) | Self::Reference(_) => Output::Text,
        }
    }
}

pub(crate) fn run(command: ConfigCommand, configuration: &Configuration) -> Result<ExitCode, CliError> {
    match command {
        ConfigCommand::Show(options) => show::run(&options, configuration),
        ConfigCommand::Check(options) => check::run(&options),
        ConfigCommand::Reference(options) => reference::run(&options),
    }
}

/// What was configured besides flags that clap has taken.
#[derive(Debug, Default)]
pub(crate) struct Configuration {
    pub(crate) file: Option<ConfigFile>,
    /// Of the command that is run.
    matches: ArgMatches,
}

impl Configuration {
    /// The file's path, if there is a file.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }
}

/// Reads the command line together with the environment and the file. Help and usage errors end the process, as clap
/// has it.
pub(crate) fn invocation(arguments: Vec<OsString>) -> Result<(Cli, Configuration), CliError> {
    let matches = match command::command(None).try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) => {
            // clap's error about a variable does not name it.
            if error.use_stderr() {
                command::check_variables()?;
            }
            error.exit()
        }
    };
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if !cli.command.is_configured() {
        return Ok((cli, Configuration::default()));
    }
    let file = cli.config.file().map(|path| ConfigFile::read(&path)).transpose()?;
    let matches = match &file {
        Some(file) => command::command(Some(file)).get_matches_from(&arguments),
        None => matches,
    };
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let matches = command::innermost(matches);
    command::check_values(&matches)?;
    Ok((cli, Configuration { file, matches }))
}
