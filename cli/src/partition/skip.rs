//! `tidewright partition skip`: somebody has read what is lost, and accepts it.

use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tidewright_schemas::LostCommands;
use tidewright_schemas::api::{PartitionDescription, SkipCommands};

use super::{find, outcome, verbs};
use crate::config::kind::duration;
use crate::error::CliError;
use crate::output::{clean, say};
use crate::workflow::{Server, ServerOptions};

/// Options of `tidewright partition skip`.
#[derive(Debug, Args)]
pub(crate) struct SkipOptions {
    /// Which one
    partition: u32,
    /// Why the loss is accepted: kept in history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Accept without being asked
    #[arg(long)]
    yes: bool,
    /// How long to wait for what comes of it
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    timeout: Duration,
    #[command(flatten)]
    pub(super) server: ServerOptions,
}

pub(super) async fn skip(options: SkipOptions) -> Result<ExitCode, CliError> {
    let server = Server::new(&options.server)?;
    let partition = options.partition;
    let lost = lost_commands(&find(&server, partition).await?)?;
    say(&format!("partition {partition}: {}", verbs::loss(lost)));
    if !options.yes {
        // Reading a line holds up nothing else: there is nothing else.
        ask(partition)?;
    }
    let LostCommands { from_offset, to_offset } = lost;
    let identity = Some(format!("tidewright-cli@{}", std::process::id()));
    server.skip_commands(partition, &SkipCommands { from_offset, to_offset, reason: options.reason, identity }).await?;
    outcome(&server, partition, options.timeout, options.server.output).await
}

/// What can be accepted here, or why nothing can.
fn lost_commands(found: &PartitionDescription) -> Result<LostCommands, CliError> {
    let partition = found.partition;
    let Some(problem) = &found.problem else {
        let message = format!("partition {partition} has not stopped, so there is nothing to pass over");
        return Err(CliError::coded("TW0615", message).hint("`tidewright partition list` shows how each one stands"));
    };
    problem.lost_commands.ok_or_else(|| {
        let (why, never) = (clean(&problem.detail), verbs::refusal(&problem.code));
        let message = format!("partition {partition} stopped for what is never passed over: {why}; {never}");
        CliError::coded("TW0616", message).hint(format!("`tidewright partition inspect {partition}` says what helps"))
    })
}

fn ask(partition: u32) -> Result<(), CliError> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(CliError::plain("nobody can be asked: standard input is no terminal")
            .hint("give --yes to accept the loss")
            .usage());
    }
    say(&format!("Nothing brings them back. Type the partition\u{2019}s number to accept that: {partition}"));
    let mut typed = String::new();
    stdin.lock().read_line(&mut typed).map_err(CliError::system)?;
    if typed.trim() == partition.to_string() {
        return Ok(());
    }
    Err(CliError::plain("nothing was accepted, and nothing was done"))
}
