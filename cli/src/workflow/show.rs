//! `tidewright workflow show`.

mod follow;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{EventAttributes, EventId, HistoryEvent, RunId};

use super::events::{ActivityTypes, event_line};
use super::http::{Server, parse};
use super::options::{RunOptions, ServerOptions};
use crate::error::CliError;
use crate::output::{clean, one_line, print, rfc3339, table};

/// How much is shown of an event that this version does not know.
const UNKNOWN_SHOWN: usize = 120;
const HEADINGS: [&str; 4] = ["ID", "TIME", "EVENT", "DETAILS"];

/// Options of `tidewright workflow show`.
#[derive(Debug, Args)]
pub(crate) struct ShowOptions {
    #[command(flatten)]
    run: RunOptions,
    /// Go on until the run closes, and show each event as it comes; with `-o json`, one event a line
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    pub(super) server: ServerOptions,
}

/// A page with its events as they came.
#[derive(Deserialize)]
struct RawPage {
    run_id: String,
    status: WorkflowStatus,
    events: Vec<Box<RawValue>>,
    #[serde(default)]
    next_event_id: Option<EventId>,
}

/// A whole history, its events as they came.
#[derive(Serialize)]
struct RawHistory {
    run_id: String,
    events: Vec<Box<RawValue>>,
}

pub(super) async fn run(options: ShowOptions) -> Result<ExitCode, CliError> {
    let server = Server::new(&options.server)?;
    if options.follow {
        return follow::until_interrupted(&server, &options.run, options.server.output).await;
    }
    let history = fetch(&server, &options.run).await?;
    if options.server.output.is_json() {
        let json = serde_json::to_string(&history).map_err(|e| CliError::plain(e.to_string()))?;
        print(&format!("{json}\n"))?;
    } else {
        print(&format!("workflow {}, run {}\n\n", options.run.workflow_id, clean(&history.run_id)))?;
        print(&text(&history.events))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A run's history as a table.
pub(crate) async fn history_text(server: &Server, run: &RunOptions) -> Result<String, CliError> {
    Ok(text(&fetch(server, run).await?.events))
}

async fn page(server: &Server, run: &RunOptions, from: EventId, wait: Duration) -> Result<RawPage, CliError> {
    let mut query = vec![("from_event_id", from.to_string())];
    if !wait.is_zero() {
        query.push(("wait_ms", wait.as_millis().to_string()));
    }
    parse(&server.of_run(run, "/history", query, wait).await?)
}

async fn fetch(server: &Server, run: &RunOptions) -> Result<RawHistory, CliError> {
    let mut run = run.clone();
    let mut events = Vec::new();
    let mut from = 1;
    loop {
        let page = page(server, &run, from, Duration::ZERO).await?;
        events.extend(page.events);
        // The pages that follow are of the same run, even if another one begins meanwhile.
        run.run_id = Some(RunId::from_text(page.run_id.clone()));
        match page.next_event_id {
            Some(next) if next > from => from = next,
            _ => return Ok(RawHistory { run_id: page.run_id, events }),
        }
    }
}

/// The types of activities that were scheduled so far.
#[derive(Default)]
pub(crate) struct Scheduled(BTreeMap<EventId, String>);

impl ActivityTypes for Scheduled {
    fn activity_type(&self, scheduled_event_id: EventId) -> Option<&str> {
        self.0.get(&scheduled_event_id).map(String::as_str)
    }
}

impl Scheduled {
    /// Takes note of an event.
    pub(crate) fn note(&mut self, event: &HistoryEvent) {
        if let EventAttributes::ActivityTaskScheduled(scheduled) = &event.attributes {
            self.0.insert(event.event_id, scheduled.activity_type.clone());
        }
    }
}

/// A history as a table.
fn text(events: &[Box<RawValue>]) -> String {
    let mut scheduled = Scheduled::default();
    let mut rows = vec![HEADINGS.map(str::to_owned).to_vec()];
    rows.extend(events.iter().map(|raw| row(raw, &mut scheduled)));
    table(&rows)
}

/// An event as a line of a table.
fn row(raw: &RawValue, scheduled: &mut Scheduled) -> Vec<String> {
    match serde_json::from_str::<HistoryEvent>(raw.get()) {
        Ok(event) => {
            scheduled.note(&event);
            vec![
                event.event_id.to_string(),
                rfc3339(event.event_time_ms),
                event.attributes.event_type().to_owned(),
                event_line(&event.attributes, scheduled),
            ]
        }
        Err(_) => unknown(raw),
    }
}

/// An event that a newer version wrote.
fn unknown(raw: &RawValue) -> Vec<String> {
    #[derive(Deserialize)]
    struct Head {
        event_id: EventId,
        event_time_ms: u64,
        event_type: String,
    }
    let details = one_line(raw.get(), UNKNOWN_SHOWN);
    match serde_json::from_str::<Head>(raw.get()) {
        Ok(head) => {
            vec![head.event_id.to_string(), rfc3339(head.event_time_ms), one_line(&head.event_type, 60), details]
        }
        Err(_) => vec!["?".to_owned(), String::new(), String::new(), details],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_readable() {
        let worker = r#""worker":{"identity":"7@shop","incarnation":"i"}"#;
        let failure = r#"{"message":"no cover\u001b[2J","info":{"type":"Application","error_type":"CardDeclined","non_retryable":true}}"#;
        let attributes = [
            ("WorkflowExecutionStarted", r#"{"workflow_type":"OrderWorkflow","task_queue":"orders","input":{"order_id":"1"}}"#.to_owned()),
            ("WorkflowTaskScheduled", r#"{"task_queue":"orders","attempt":1}"#.to_owned()),
            ("WorkflowTaskStarted", r#"{"scheduled_event_id":2}"#.to_owned()),
            ("WorkflowTaskCompleted", format!(r#"{{"scheduled_event_id":2,"started_event_id":3,"completion_id":"c",{worker}}}"#)),
            ("ActivityTaskScheduled", r#"{"activity_id":"1","activity_type":"ProcessPayment","task_queue":"orders","input":{"card":"declined"},"start_to_close_timeout_ms":10000,"retry_policy":{},"workflow_task_completed_event_id":4}"#.to_owned()),
            ("TimerStarted", r#"{"timer_id":"t","start_to_fire_timeout_ms":90000,"workflow_task_completed_event_id":4}"#.to_owned()),
            ("ActivityTaskStarted", format!(r#"{{"scheduled_event_id":5,"attempt":2,{worker}}}"#)),
            ("ActivityTaskFailed", format!(r#"{{"scheduled_event_id":5,"started_event_id":7,"failure":{failure},"retry_state":"NonRetryableFailure",{worker}}}"#)),
            ("Levitated", r#"{"height":3}"#.to_owned()),
            ("WorkflowExecutionFailed", format!(r#"{{"failure":{failure},"workflow_task_completed_event_id":9}}"#)),
        ];
        let events: Vec<_> = attributes
            .iter()
            .enumerate()
            .map(|(i, (kind, attributes))| {
                let id = i + 1;
                let time = 1_790_000_000_000_u64 + id as u64;
                let json = format!(
                    r#"{{"event_id":{id},"event_time_ms":{time},"event_type":"{kind}","attributes":{attributes}}}"#
                );
                RawValue::from_string(json).unwrap()
            })
            .collect();
        insta::assert_snapshot!(text(&events));
    }
}
