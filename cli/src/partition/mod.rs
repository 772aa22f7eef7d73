//! `tidewright partition …`: where each partition stands, why one has stopped, trying it again, and passing over what is lost.

mod skip;
mod verbs;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use tidewright_schemas::api::{PartitionDescription, PartitionList, PartitionStanding};

use crate::config::kind::duration;
use crate::error::CliError;
use crate::output::{Output, clean, one_line, print, say, table};
use crate::workflow::{Server, ServerOptions, parse};

pub(crate) const EXAMPLES: &str = "Examples:
  tidewright partition list
  tidewright partition inspect 3
  tidewright partition retry 3
  tidewright partition skip 3 --reason \"retention was on for a day\"";

const PROBLEM_SHOWN: usize = 80;
/// How often a partition that is tried again is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug, Subcommand)]
pub(crate) enum PartitionCommand {
    /// List the partitions of a namespace: which node has it, where it stands, how much waits
    List(ListOptions),
    /// Show one partition: why it stopped, and what each verb would do here
    Inspect(InspectOptions),
    /// Recover and claim a stopped partition anew, once what stopped it is put right
    Retry(RetryOptions),
    /// Accept that commands are lost which were deleted before they were decided, and let the partition go on
    Skip(skip::SkipOptions),
}

/// Options of `tidewright partition list`.
#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    #[command(flatten)]
    server: ServerOptions,
}

/// Options of `tidewright partition inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectOptions {
    /// Which one
    partition: u32,
    #[command(flatten)]
    server: ServerOptions,
}

/// Options of `tidewright partition retry`.
#[derive(Debug, Args)]
pub(crate) struct RetryOptions {
    /// Which one
    partition: u32,
    /// How long to wait for what comes of it
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    timeout: Duration,
    #[command(flatten)]
    server: ServerOptions,
}

impl PartitionCommand {
    pub(crate) fn output(&self) -> Output {
        match self {
            Self::List(options) => options.server.output,
            Self::Inspect(options) => options.server.output,
            Self::Retry(options) => options.server.output,
            Self::Skip(options) => options.server.output,
        }
    }
}

pub(crate) async fn run(command: PartitionCommand) -> Result<ExitCode, CliError> {
    match command {
        PartitionCommand::List(options) => list(options).await,
        PartitionCommand::Inspect(options) => inspect(options).await,
        PartitionCommand::Retry(options) => retry(options).await,
        PartitionCommand::Skip(options) => skip::skip(options).await,
    }
}

async fn list(options: ListOptions) -> Result<ExitCode, CliError> {
    let server = Server::new(&options.server)?;
    let body = server.partitions().await?;
    if options.server.output.is_json() {
        print(&format!("{body}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let list: PartitionList = parse(&body)?;
    print(&list_text(&list.partitions))?;
    for url in &list.unreachable {
        say(&format!("the node at {} does not answer: what it has is not known", clean(url)));
    }
    Ok(ExitCode::SUCCESS)
}

async fn inspect(options: InspectOptions) -> Result<ExitCode, CliError> {
    let server = Server::new(&options.server)?;
    let found = find(&server, options.partition).await?;
    if options.server.output.is_json() {
        print(&format!("{}\n", to_json(&found)?))?;
    } else {
        print(&inspect_text(&found))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn retry(options: RetryOptions) -> Result<ExitCode, CliError> {
    let server = Server::new(&options.server)?;
    server.retry_partition(options.partition).await?;
    outcome(&server, options.partition, options.timeout, options.server.output).await
}

/// Waits for what comes of a partition that is tried again, and shows it.
async fn outcome(server: &Server, partition: u32, timeout: Duration, output: Output) -> Result<ExitCode, CliError> {
    let began = Instant::now();
    let found = loop {
        let found = find(server, partition).await?;
        let is_settled = matches!(found.state, PartitionStanding::Owned | PartitionStanding::Stopped);
        if is_settled || began.elapsed() > timeout {
            break found;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    };
    if output.is_json() {
        print(&format!("{}\n", to_json(&found)?))?;
    } else {
        print(&inspect_text(&found))?;
    }
    Ok(if found.state == PartitionStanding::Owned { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn to_json(partition: &PartitionDescription) -> Result<String, CliError> {
    serde_json::to_string(partition).map_err(|e| CliError::plain(e.to_string()))
}

async fn find(server: &Server, partition: u32) -> Result<PartitionDescription, CliError> {
    let list: PartitionList = parse(&server.partitions().await?)?;
    let count = list.partitions.len();
    list.partitions.into_iter().find(|found| found.partition == partition).ok_or_else(|| {
        CliError::plain(format!("there is no partition {partition}: the namespace has {count}, from 0"))
            .hint("`tidewright partition list` shows them")
            .usage()
    })
}

/// How many commands wait to be decided.
fn lag(partition: &PartitionDescription) -> Option<u64> {
    Some(partition.commands_end?.saturating_sub(partition.applied_offset?))
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn list_text(partitions: &[PartitionDescription]) -> String {
    let head = ["PARTITION", "STATE", "NODE", "EPOCH", "APPLIED", "LAG", "IN FLIGHT", "WHY"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(partitions.iter().map(|partition| {
        let why = partition.problem.as_ref().map(|problem| one_line(&problem.detail, PROBLEM_SHOWN));
        vec![
            partition.partition.to_string(),
            format!("{:?}", partition.state),
            partition.node.as_deref().map_or_else(|| "-".to_owned(), clean),
            number(partition.epoch_offset),
            number(partition.applied_offset),
            number(lag(partition)),
            partition.effects_in_flight.to_string(),
            why.unwrap_or_default(),
        ]
    }));
    table(&rows)
}

fn inspect_text(partition: &PartitionDescription) -> String {
    let mut text = format!(
        "partition {}: {:?}\n  node           {}\n  claimed at     {}\n  decided below  {}\n  waiting        {}\n  in flight      {}\n",
        partition.partition,
        partition.state,
        partition.node.as_deref().map_or_else(|| "-".to_owned(), clean),
        number(partition.epoch_offset),
        number(partition.applied_offset),
        number(lag(partition)),
        partition.effects_in_flight
    );
    if let Some(problem) = &partition.problem {
        text.push_str(&format!(
            "\nIt stopped: {}\n\n{}",
            clean(&problem.detail),
            verbs::text(partition.partition, problem)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use tidewright_schemas::LostCommands;
    use tidewright_schemas::api::PartitionProblem;

    use super::*;

    fn stopped(detail: &str, lost_commands: Option<LostCommands>) -> PartitionDescription {
        let (code, detail) = ("TW0404".to_owned(), format!("[TW0404] {detail}"));
        let problem = Some(PartitionProblem { code, detail, lost_commands });
        let (state, node) = (PartitionStanding::Stopped, Some("node-b".to_owned()));
        PartitionDescription { state, node, problem, commands_end: Some(95), ..PartitionDescription::unassigned(1) }
    }

    fn made_anew() -> PartitionDescription {
        stopped("the commands topic is not the one that the history was built from: its id was a and is b", None)
    }

    #[test]
    fn partitions_are_a_table() {
        let owned = PartitionDescription {
            state: PartitionStanding::Owned,
            node: Some("node-a".to_owned()),
            epoch_offset: Some(7),
            applied_offset: Some(100),
            commands_end: Some(103),
            effects_in_flight: 2,
            ..PartitionDescription::unassigned(0)
        };
        insta::assert_snapshot!(list_text(&[owned, made_anew(), PartitionDescription::unassigned(2)]));
    }

    #[test]
    fn a_stopped_partition_says_what_can_be_done() {
        insta::assert_snapshot!(inspect_text(&made_anew()));
    }

    #[test]
    fn a_loss_that_can_be_accepted_says_what_is_lost() {
        let lost = Some(LostCommands { from_offset: 17, to_offset: 90 });
        let text = "commands were deleted that nobody has decided: the commands topic begins at offset 90";
        insta::assert_snapshot!(inspect_text(&stopped(text, lost)));
    }
}
