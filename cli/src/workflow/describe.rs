//! `tidewright workflow describe`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tidewright_schemas::api::WorkflowDescription;

use super::failure::failure_line;
use super::http::{Server, parse};
use super::options::{RunOptions, ServerOptions};
use crate::error::CliError;
use crate::output::{one_line, print, rfc3339, table};

/// How much of a failure a line shows.
const FAILURE_SHOWN: usize = 160;

/// Options of `tidewright workflow describe`.
#[derive(Debug, Args)]
pub(crate) struct DescribeOptions {
    #[command(flatten)]
    run: RunOptions,
    #[command(flatten)]
    pub(super) server: ServerOptions,
}

pub(super) async fn run(options: DescribeOptions) -> Result<ExitCode, CliError> {
    let server = Server::new(&options.server)?;
    let body = server.of_run(&options.run, "", Vec::new(), Duration::ZERO).await?;
    if options.server.output.is_json() {
        print(&format!("{body}\n"))?;
    } else {
        print(&text(&parse(&body)?))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(description: &WorkflowDescription) -> String {
    let summary = &description.summary;
    let mut rows: Vec<(&str, String)> = vec![
        ("workflow", summary.workflow_id.to_string()),
        ("run", summary.run_id.to_string()),
        ("type", summary.workflow_type.clone()),
        ("task queue", summary.task_queue.clone()),
        ("status", summary.status.as_str().to_owned()),
        ("started", rfc3339(summary.start_time_ms)),
    ];
    rows.extend(summary.close_time_ms.map(|ms| ("ended", rfc3339(ms))));
    rows.push(("history", format!("{} events, {} bytes", summary.history_length, description.history_size_bytes)));
    if description.buffered_events > 0 {
        rows.push(("waiting", format!("{} events for the workflow task that is out", description.buffered_events)));
    }
    if let Some(task) = &description.pending_workflow_task {
        let (state, time) = (if task.backing_off { "tried again at" } else { "sent at" }, rfc3339(task.time_ms));
        rows.push(("workflow task", format!("attempt {}, {state} {time}", task.attempt)));
        rows.extend(task.last_failure.iter().map(|last| ("  failed with", failure_line(last))));
    }
    let rows: Vec<_> =
        rows.into_iter().map(|(name, value)| vec![name.to_owned(), one_line(&value, FAILURE_SHOWN)]).collect();
    let mut text = table(&rows);
    text.push_str(&activities(description));
    text.push_str(&timers(description));
    text
}

fn activities(description: &WorkflowDescription) -> String {
    if description.pending_activities.is_empty() {
        return String::new();
    }
    let mut rows = vec![["ACTIVITY", "STATE", "ATTEMPT", "NEXT", "LAST FAILURE"].map(str::to_owned).to_vec()];
    rows.extend(description.pending_activities.iter().map(|activity| {
        vec![
            one_line(&activity.activity_type, FAILURE_SHOWN),
            format!("{:?}", activity.state),
            activity.attempt.to_string(),
            activity.next_attempt_ms.map(rfc3339).unwrap_or_default(),
            activity.last_failure.as_ref().map(|f| one_line(&failure_line(f), FAILURE_SHOWN)).unwrap_or_default(),
        ]
    }));
    format!("\npending activities\n{}", table(&rows))
}

fn timers(description: &WorkflowDescription) -> String {
    if description.pending_timers.is_empty() {
        return String::new();
    }
    let mut rows = vec![["TIMER", "DUE"].map(str::to_owned).to_vec()];
    rows.extend(
        description
            .pending_timers
            .iter()
            .map(|timer| vec![one_line(&timer.timer_id, FAILURE_SHOWN), rfc3339(timer.due_ms)]),
    );
    format!("\npending timers\n{}", table(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_readable() {
        let json = r#"{
            "summary": {"workflow_id":"order-1","run_id":"r","workflow_type":"OrderWorkflow","task_queue":"orders",
                        "status":"Running","start_time_ms":1790000000000,"history_length":9},
            "history_size_bytes": 1234, "history_digest": "d", "buffered_events": 1,
            "pending_workflow_task": {"attempt":3,"backing_off":true,"time_ms":1790000009000,
                "last_failure":{"message":"boom","info":{"type":"Server","code":"TW0302"}}},
            "pending_activities": [{"scheduled_event_id":5,"activity_id":"1","activity_type":"ProcessPayment","state":"BackingOff",
                "attempt":2,"next_attempt_ms":1790000001000,
                "last_failure":{"message":"it dropped the connection","info":{"type":"Application"}}}],
            "pending_timers": [{"timer_id":"t","started_event_id":6,"due_ms":1790000002000}]}"#;
        insta::assert_snapshot!(text(&serde_json::from_str(json).unwrap()));
    }
}
