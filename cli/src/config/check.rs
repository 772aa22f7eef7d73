//! `tidewright config check`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::ConfigFile;
use crate::error::CliError;
use crate::output::print;

/// Options of `tidewright config check`.
#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// The file
    file: PathBuf,
}

pub(super) fn run(options: &CheckOptions) -> Result<ExitCode, CliError> {
    let file = ConfigFile::read(&options.file)?;
    let (settings, properties) = (file.values.len(), file.kafka.len());
    print(&format!("{} is fine: {settings} settings, {properties} Kafka properties\n", options.file.display()))?;
    Ok(ExitCode::SUCCESS)
}
