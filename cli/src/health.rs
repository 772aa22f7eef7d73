//! `tidewright health`: what a container's health check runs, since an image need not have `curl`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::error::CliError;
use crate::output::{one_line, print};
use crate::workflow::chain;

/// A health check that hangs is a failed one.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How much is shown of an answer that is no good.
const ANSWER_SHOWN: usize = 400;

/// Options of `tidewright health`.
#[derive(Debug, Args)]
pub(crate) struct HealthOptions {
    #[arg(long = "address")]
    http_url: String,
    /// Ask whether it is ready to work, not only whether it answers
    #[arg(long)]
    ready: bool,
}

pub(crate) async fn run(options: HealthOptions) -> Result<ExitCode, CliError> {
    let path = if options.ready { "/readyz" } else { "/healthz" };
    let address = options.http_url.trim_end_matches('/');
    let client = reqwest::Client::builder().timeout(TIMEOUT).build();
    let client = client.map_err(|e| CliError::plain(format!("cannot make an HTTP client: {e}")))?;
    let response = client.get(format!("{address}{path}")).send().await;
    let response = response.map_err(|e| CliError::server_unreachable(address, chain(&e)))?;
    let status = response.status();
    let body = response.text().await.map_err(|e| CliError::server_unreachable(address, chain(&e)))?;
    if !status.is_success() {
        let answer = one_line(&body, ANSWER_SHOWN);
        return Err(CliError::coded("TW0710", format!("{address}{path} answered {status}: {answer}")));
    }
    print(&format!("{}\n", body.trim_end()))?;
    Ok(ExitCode::SUCCESS)
}
