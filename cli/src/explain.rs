//! `tidewright explain`.

use std::process::ExitCode;

use clap::Args;

use crate::error::CliError;
use crate::output::print;

/// Options of `tidewright explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainOptions {
    /// The code, for instance TW0601; all codes are listed without one
    code: Option<String>,
}

pub(crate) fn run(options: &ExplainOptions) -> Result<ExitCode, CliError> {
    let text = match &options.code {
        Some(code) => tidewright_api::error_page(code)
            .ok_or_else(|| {
                CliError::plain(format!("there is no error code `{code}`"))
                    .hint("`tidewright explain` lists all of them")
                    .usage()
            })?
            .to_owned(),
        None => tidewright_api::error_codes()
            .map(|code| format!("{code}  {}\n", tidewright_api::error_title(code).unwrap_or_default()))
            .collect(),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}
