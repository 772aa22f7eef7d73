//! `tidewright workflow describe`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tidewright_schemas::EventId;
use tidewright_schemas::api::{PendingActivity, WorkflowDescription};

use super::events::payload_text;
use super::failure::failure_line;
use super::http::{Server, parse};
use super::options::{RunOptions, ServerOptions};
use crate::error::CliError;
use crate::output::{one_line, print, rfc3339, table};

/// How much of a failure a line shows.
const FAILURE_SHOWN: usize = 160;
/// How much of a name a line shows.
const NAME_SHOWN: usize = 60;

/// Options of `tidewright workflow describe`.
#[derive(Debug, Args)]
pub(crate) struct DescribeOptions {
    #[command(flatten)]
    run: RunOptions,
    /// How many pending activities and timers to show, up to 1,000; 100 by default
    #[arg(long, value_name = "COUNT")]
    pending_limit: Option<usize>,
    /// Show pending activities and timers from this event on: a page says where the next one begins
    #[arg(long, value_name = "EVENT_ID")]
    pending_from: Option<EventId>,
    #[command(flatten)]
    pub(super) server: ServerOptions,
}

pub(super) async fn run(options: DescribeOptions) -> Result<ExitCode, CliError> {
    let server = Server::new(&options.server)?;
    let mut query = Vec::new();
    query.extend(options.pending_from.map(|from| ("pending_from_event_id", from.to_string())));
    query.extend(options.pending_limit.map(|limit| ("pending_limit", limit.to_string())));
    let body = server.of_run(&options.run, "", query, Duration::ZERO).await?;
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
        ("started", started(description)),
    ];
    rows.extend(summary.close_time_ms.map(|ms| ("ended", rfc3339(ms))));
    rows.extend(description.request_id.iter().map(|id| ("request", id.clone())));
    rows.extend(description.delayed_until_ms.map(|ms| ("begins", rfc3339(ms))));
    rows.extend(description.times_out_ms.map(|ms| ("times out", rfc3339(ms))));
    rows.push(("history", format!("{} events, {} bytes", summary.history_length, description.history_size_bytes)));
    if description.signal_count > 0 {
        rows.push(("signals", description.signal_count.to_string()));
    }
    if description.cancel_requested {
        rows.push(("cancel", "requested".to_owned()));
    }
    rows.extend(description.memo.iter().map(|(key, value)| ("memo", format!("{key}: {}", payload_text(value)))));
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
    if let Some(next) = description.pending_next_event_id {
        text.push_str(&format!("\nmore is pending: --pending-from {next}\n"));
    }
    text
}

fn started(description: &WorkflowDescription) -> String {
    let at = rfc3339(description.summary.start_time_ms);
    description.identity.as_ref().map_or(at.clone(), |identity| format!("{at} by {identity}"))
}

/// How many are shown of how many.
fn of_all(shown: usize, all: u32) -> String {
    if shown < all as usize { format!(" ({shown} of {all})") } else { String::new() }
}

fn activities(description: &WorkflowDescription) -> String {
    if description.pending_activities.is_empty() {
        return String::new();
    }
    let headings = [
        "ID",
        "ACTIVITY",
        "TASK QUEUE",
        "STATE",
        "SINCE",
        "ATTEMPT",
        "NEXT",
        "WORKER",
        "HEARTBEAT",
        "DETAILS",
        "LAST FAILURE",
    ];
    let mut rows = vec![headings.map(str::to_owned).to_vec()];
    let of_workflow = &description.summary.task_queue;
    rows.extend(description.pending_activities.iter().map(|activity| cells(activity, of_workflow).to_vec()));
    let (shown, all) = (description.pending_activities.len(), description.pending_activity_count);
    format!("\npending activities{}\n{}", of_all(shown, all), table(&without_empty_columns(rows)))
}

/// What is shown of an activity, in the order of the headings.
fn cells(activity: &PendingActivity, queue_of_workflow: &str) -> [String; 11] {
    let since_ms = activity.started_time_ms.or(activity.attempt_scheduled_time_ms);
    let attempt = match activity.maximum_attempts {
        0 => activity.attempt.to_string(),
        most => format!("{} of {most}", activity.attempt),
    };
    let cancel = if activity.cancel_requested { ", cancel requested" } else { "" };
    let elsewhere = Some(activity.task_queue.as_str()).filter(|queue| *queue != queue_of_workflow);
    [
        one_line(&activity.activity_id, NAME_SHOWN),
        one_line(&activity.activity_type, NAME_SHOWN),
        one_line(elsewhere.unwrap_or_default(), NAME_SHOWN),
        format!("{:?}{cancel}", activity.state),
        since_ms.map(rfc3339).unwrap_or_default(),
        attempt,
        activity.next_attempt_ms.map(rfc3339).unwrap_or_default(),
        one_line(activity.last_worker.as_deref().unwrap_or_default(), NAME_SHOWN),
        activity.last_heartbeat_time_ms.map(rfc3339).unwrap_or_default(),
        activity.heartbeat_details.as_ref().map(|d| one_line(&payload_text(d), NAME_SHOWN)).unwrap_or_default(),
        activity.last_failure.as_ref().map(|f| one_line(&failure_line(f), FAILURE_SHOWN)).unwrap_or_default(),
    ]
}

/// Leaves out the columns in which nothing stands below the heading.
fn without_empty_columns(rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let columns = rows.first().map_or(0, Vec::len);
    let is_used: Vec<bool> =
        (0..columns).map(|column| rows.iter().skip(1).any(|row| !row[column].is_empty())).collect();
    let kept = |row: Vec<String>| row.into_iter().zip(&is_used).filter(|(_, used)| **used).map(|(cell, _)| cell);
    rows.into_iter().map(|row| kept(row).collect()).collect()
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
    let (shown, all) = (description.pending_timers.len(), description.pending_timer_count);
    format!("\npending timers{}\n{}", of_all(shown, all), table(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_readable() {
        let json = r#"{
            "summary": {"workflow_id":"order-1","run_id":"r","workflow_type":"OrderWorkflow","task_queue":"orders",
                        "status":"Running","start_time_ms":1790000000000,"history_length":9},
            "identity": "7@shop", "request_id": "order-1-again", "times_out_ms": 1790000060000, "cancel_requested": true,
            "signal_count": 2, "memo": {"customer": "b"},
            "history_size_bytes": 1234, "history_digest": "d", "buffered_events": 1,
            "pending_workflow_task": {"attempt":3,"backing_off":true,"time_ms":1790000009000,
                "last_failure":{"message":"boom","info":{"type":"Server","code":"TW0302"}}},
            "pending_activities": [
                {"scheduled_event_id":5,"activity_id":"1","activity_type":"ProcessPayment","task_queue":"payments",
                 "state":"BackingOff","attempt":2,"maximum_attempts":5,"last_worker":"9@payments",
                 "next_attempt_ms":1790000001000,
                 "last_failure":{"message":"it dropped the connection","info":{"type":"Application"}}},
                {"scheduled_event_id":6,"activity_id":"2","activity_type":"CopyFiles","task_queue":"orders",
                 "state":"Started","attempt":1,"started_time_ms":1790000000500,"last_worker":"7@files",
                 "last_heartbeat_time_ms":1790000000900,"heartbeat_details":{"files":17},"cancel_requested":true}],
            "pending_timers": [{"timer_id":"t","started_event_id":6,"due_ms":1790000002000}],
            "pending_activity_count": 3, "pending_timer_count": 1, "pending_next_event_id": 7}"#;
        insta::assert_snapshot!(text(&serde_json::from_str(json).unwrap()));
    }
}
