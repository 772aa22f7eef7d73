//! `tidewright workflow list`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tidewright_schemas::api::WorkflowSummary;

use super::http::{Server, parse};
use super::options::ServerOptions;
use crate::error::CliError;
use crate::output::{one_line, print, rfc3339, say, table};

const NAME_SHOWN: usize = 60;
/// Most runs that one request asks for.
const PAGE_MAX: usize = 1_000;

/// Options of `tidewright workflow list`.
#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Only those that stand so
    #[arg(long, value_enum, ignore_case = true)]
    status: Option<Status>,
    /// Only those of this type
    #[arg(long = "type", value_name = "NAME")]
    workflow_type: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    pub(super) server: ServerOptions,
}

/// Where a workflow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Status {
    Running,
    Completed,
    Failed,
}

/// A page with its runs as they came.
#[derive(Default, Serialize, Deserialize)]
struct RawList {
    workflows: Vec<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

pub(super) async fn run(options: ListOptions) -> Result<ExitCode, CliError> {
    let server = Server::new(&options.server)?;
    let list = fetch(&server, &options).await?;
    if options.server.output.is_json() {
        let json = serde_json::to_string(&list).map_err(|e| CliError::plain(e.to_string()))?;
        print(&format!("{json}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if list.workflows.is_empty() {
        say("no workflows");
        return Ok(ExitCode::SUCCESS);
    }
    let runs = list.workflows.iter().map(|raw| parse(raw.get())).collect::<Result<Vec<_>, _>>()?;
    print(&text(&runs))?;
    if list.next_page_token.is_some() {
        say("there are more: --limit N shows them");
    }
    Ok(ExitCode::SUCCESS)
}

async fn fetch(server: &Server, options: &ListOptions) -> Result<RawList, CliError> {
    let mut list = RawList::default();
    while list.workflows.len() < options.limit {
        let wanted = (options.limit - list.workflows.len()).min(PAGE_MAX);
        let mut query = vec![("page_size", wanted.to_string())];
        query.extend(options.status.map(|status| ("status", format!("{status:?}"))));
        query.extend(options.workflow_type.clone().map(|name| ("workflow_type", name)));
        query.extend(list.next_page_token.take().map(|token| ("page_token", token)));
        let page: RawList = parse(&server.list(&query).await?)?;
        list.workflows.extend(page.workflows);
        list.next_page_token = page.next_page_token;
        if list.next_page_token.is_none() {
            break;
        }
    }
    Ok(list)
}

fn text(runs: &[WorkflowSummary]) -> String {
    let mut rows = vec![["STATUS", "WORKFLOW", "TYPE", "STARTED", "RUN"].map(str::to_owned).to_vec()];
    rows.extend(runs.iter().map(|run| {
        vec![
            run.status.as_str().to_owned(),
            one_line(run.workflow_id.as_str(), NAME_SHOWN),
            one_line(&run.workflow_type, NAME_SHOWN),
            rfc3339(run.start_time_ms),
            one_line(run.run_id.as_str(), NAME_SHOWN),
        ]
    }));
    table(&rows)
}
