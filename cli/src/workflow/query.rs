//! `tidewright workflow query` and `stack`.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tidewright_schemas::Payload;
use tidewright_schemas::api::{QueriedWorkflow, QueryRejectCondition, QueryWorkflow};

use super::events::payload_text;
use super::http::{Server, parse};
use super::options::{RunOptions, ServerOptions};
use super::start::json;
use crate::error::CliError;
use crate::output::{clean, print};

/// How long a query waits when nothing is said.
const TIMEOUT: &str = "10s";

/// Options of `tidewright workflow query`.
#[derive(Debug, Args)]
pub(crate) struct QueryOptions {
    #[command(flatten)]
    run: RunOptions,
    /// Which of the workflow's queries
    ///
    /// Every workflow answers `__stack_trace` (what it waits for, and where in its code), `__state` (its state, if it can be
    /// shown) and `__temporal_workflow_metadata` (its queries and signals).
    #[arg(long = "type", visible_alias = "name", value_name = "NAME")]
    query_type: String,
    /// What it is given, as JSON
    #[arg(short, long, value_name = "JSON", value_parser = json)]
    input: Option<Payload>,
    /// Which workflows are not to be asked; `None` by default
    #[arg(long, value_name = "CONDITION", value_enum, ignore_case = true)]
    reject_condition: Option<RejectCondition>,
    /// How long to wait for the answer, at most a minute
    #[arg(long, value_name = "DURATION", value_parser = crate::config::duration, default_value = TIMEOUT)]
    timeout: Duration,
    #[command(flatten)]
    pub(super) server: ServerOptions,
}

/// Options of `tidewright workflow stack`.
#[derive(Debug, Args)]
pub(crate) struct StackOptions {
    #[command(flatten)]
    run: RunOptions,
    /// How long to wait for the answer, at most a minute
    #[arg(long, value_name = "DURATION", value_parser = crate::config::duration, default_value = TIMEOUT)]
    timeout: Duration,
    #[command(flatten)]
    pub(super) server: ServerOptions,
}

/// Which workflows are not to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum RejectCondition {
    /// Every workflow is asked
    None,
    /// One that has ended is not
    #[value(alias = "not_open")]
    NotOpen,
    /// One that ended otherwise than by completing is not
    #[value(alias = "not_completed_cleanly")]
    NotCompletedCleanly,
}

impl From<RejectCondition> for QueryRejectCondition {
    fn from(condition: RejectCondition) -> Self {
        match condition {
            RejectCondition::None => Self::None,
            RejectCondition::NotOpen => Self::NotOpen,
            RejectCondition::NotCompletedCleanly => Self::NotCompletedCleanly,
        }
    }
}

pub(super) async fn query(options: QueryOptions) -> Result<ExitCode, CliError> {
    let query = QueryWorkflow {
        query_type: options.query_type,
        query_args: options.input,
        query_reject_condition: options.reject_condition.map(Into::into).unwrap_or_default(),
        ..QueryWorkflow::default()
    };
    let show = |result: &Payload| payload_text(result);
    ask(&options.server, options.run, query, options.timeout, show).await
}

pub(super) async fn stack(options: StackOptions) -> Result<ExitCode, CliError> {
    let query = QueryWorkflow { query_type: "__stack_trace".to_owned(), ..QueryWorkflow::default() };
    let show = |result: &Payload| match result.read::<String>() {
        Ok(text) => clean(text.trim_end()),
        Err(_) => payload_text(result),
    };
    ask(&options.server, options.run, query, options.timeout, show).await
}

async fn ask(
    options: &ServerOptions,
    run: RunOptions,
    query: QueryWorkflow,
    timeout: Duration,
    show: impl FnOnce(&Payload) -> String,
) -> Result<ExitCode, CliError> {
    let server = Server::new(options)?;
    let timeout_ms = Some(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
    let query = QueryWorkflow { run_id: run.run_id, timeout_ms, ..query };
    let body = serde_json::to_string(&query).map_err(|e| CliError::plain(e.to_string()))?;
    let answer = server.query(&run.workflow_id, body, timeout).await?;
    if options.output.is_json() {
        print(&format!("{answer}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let queried: QueriedWorkflow = parse(&answer)?;
    print(&format!("{}\n", show(&queried.query_result.unwrap_or_else(Payload::null))))?;
    Ok(ExitCode::SUCCESS)
}
