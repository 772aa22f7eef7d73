//! `tidewright worker …`: who works for a namespace.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use tidewright_schemas::Slots;
use tidewright_schemas::api::{WorkerDescription, WorkerList};

use crate::error::CliError;
use crate::output::{Output, one_line, print, rfc3339, say, table};
use crate::workflow::{Server, ServerOptions, parse};

pub(crate) const EXAMPLES: &str = "Examples:
  tidewright worker list
  tidewright worker list --task-queue orders --all
  tidewright worker list --output json";

const NAME_SHOWN: usize = 60;

#[derive(Debug, Subcommand)]
pub(crate) enum WorkerCommand {
    /// List the workers of a namespace: what they work on, how busy they are, when they were last heard
    ///
    /// Workers of the SDK say every second that they are there; others are listed if they write beacons, too.
    List(ListOptions),
}

/// Options of `tidewright worker list`.
#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Only those that work on this queue
    #[arg(short, long, value_name = "QUEUE")]
    task_queue: Option<String>,
    /// Those that left or fell silent within the last hour, too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    server: ServerOptions,
}

impl WorkerCommand {
    pub(crate) fn output(&self) -> Output {
        match self {
            Self::List(options) => options.server.output,
        }
    }
}

pub(crate) async fn run(command: WorkerCommand) -> Result<ExitCode, CliError> {
    match command {
        WorkerCommand::List(options) => list(options).await,
    }
}

async fn list(options: ListOptions) -> Result<ExitCode, CliError> {
    let server = Server::new(&options.server)?;
    let mut query = vec![("all", options.all.to_string())];
    query.extend(options.task_queue.map(|queue| ("task_queue", queue)));
    let body = server.workers(&query).await?;
    if options.server.output.is_json() {
        print(&format!("{body}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let list: WorkerList = parse(&body)?;
    if list.workers.is_empty() {
        say("no workers");
        return Ok(ExitCode::SUCCESS);
    }
    print(&text(&list.workers))?;
    Ok(ExitCode::SUCCESS)
}

fn text(workers: &[WorkerDescription]) -> String {
    let head = ["STATE", "IDENTITY", "TASK QUEUE", "WORKFLOW TASKS", "ACTIVITIES", "LAST SEEN", "SDK", "BUILD"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for worker in workers {
        let text = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), |t| one_line(t, NAME_SHOWN));
        rows.extend(worker.task_queues.iter().map(|queue| {
            vec![
                format!("{:?}", worker.state),
                one_line(&worker.identity, NAME_SHOWN),
                one_line(&queue.task_queue, NAME_SHOWN),
                slots(queue.workflow_tasks),
                slots(queue.activities),
                rfc3339(worker.last_seen_ms),
                text(&worker.sdk),
                text(&worker.build_id),
            ]
        }));
    }
    table(&rows)
}

fn slots(slots: Option<Slots>) -> String {
    slots.map_or_else(|| "-".to_owned(), |slots| format!("{}/{}", slots.used, slots.total))
}

#[cfg(test)]
mod tests {
    use tidewright_schemas::WorkerQueue;
    use tidewright_schemas::api::WorkerState;

    use super::*;

    #[test]
    fn workers_are_a_table() {
        let queue = |workflow_tasks, activities| WorkerQueue {
            task_queue: "orders".to_owned(),
            workflow_tasks,
            activities,
            activity_partitions: Vec::new(),
        };
        let worker = |identity: &str, state, queue| WorkerDescription {
            identity: identity.to_owned(),
            incarnation: "d5610fa6".to_owned(),
            state,
            started_at_ms: 1_790_000_000_000,
            last_seen_ms: 1_790_000_060_000,
            sdk: Some("tidewright-rust/0.1.0".to_owned()),
            build_id: (state == WorkerState::Running).then(|| "2026-09-21".to_owned()),
            task_queues: vec![queue],
        };
        let both = queue(Some(Slots { total: 100, used: 0 }), Some(Slots { total: 100, used: 17 }));
        let workers = [
            worker("17@shop-1", WorkerState::Running, both),
            worker("9@warehouse", WorkerState::Lost, queue(None, Some(Slots { total: 5, used: 5 }))),
        ];
        insta::assert_snapshot!(text(&workers));
    }
}
