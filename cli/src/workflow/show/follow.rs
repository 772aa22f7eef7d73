//! `tidewright workflow show --follow`: each event as it is committed, until the run closes.

use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{EventId, RunId};

use super::{HEADINGS, Scheduled, page, row};
use crate::error::CliError;
use crate::output::{Output, clean, print};
use crate::workflow::http::Server;
use crate::workflow::options::RunOptions;

/// How long a node is asked to wait for an event.
const SERVER_WAIT: Duration = Duration::from_secs(30);
/// What a shell reports of a process that SIGINT ended.
const INTERRUPTED: u8 = 130;
/// Widths of all columns but the last: lines are shown before those that follow are known.
const WIDTHS: [usize; 3] = [5, 24, 32];

/// Follows until the run closes, or until Ctrl-C.
pub(super) async fn until_interrupted(server: &Server, run: &RunOptions, output: Output) -> Result<ExitCode, CliError> {
    tokio::select! {
        followed = follow(server, run, output) => followed.map(|()| ExitCode::SUCCESS),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(CliError::system)?;
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

async fn follow(server: &Server, run: &RunOptions, output: Output) -> Result<(), CliError> {
    let mut run = run.clone();
    let mut scheduled = Scheduled::default();
    let (mut next, mut is_first) = (1, true);
    loop {
        let page = page(server, &run, next, SERVER_WAIT).await?;
        if std::mem::take(&mut is_first) && !output.is_json() {
            print(&format!("workflow {}, run {}\n\n", run.workflow_id, clean(&page.run_id)))?;
            print(&line(&HEADINGS.map(str::to_owned)))?;
        }
        for event in &page.events {
            print(&if output.is_json() { format!("{event}\n") } else { line(&row(event, &mut scheduled)) })?;
        }
        next = page.events.last().map_or(Ok(next), |event| event_id(event).map(|id| id + 1))?;
        run.run_id = Some(RunId::from_text(page.run_id));
        if page.status != WorkflowStatus::Running && page.next_event_id.is_none() {
            return Ok(());
        }
    }
}

fn event_id(event: &RawValue) -> Result<EventId, CliError> {
    #[derive(Deserialize)]
    struct Head {
        event_id: EventId,
    }
    crate::workflow::http::parse::<Head>(event.get()).map(|head| head.event_id)
}

fn line(cells: &[String]) -> String {
    let mut line = String::new();
    for (at, cell) in cells.iter().enumerate() {
        let width = WIDTHS.get(at).copied().unwrap_or_default();
        line.push_str(&format!("{cell:<width$}  "));
    }
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_come_one_by_one_stand_below_each_other() {
        let cells = |cells: [&str; 4]| line(&cells.map(str::to_owned));
        let (head, event) = (cells(HEADINGS), cells(["7", "2026-09-21T14:13:20.000Z", "TimerFired", "t"]));
        assert_eq!(head.find("EVENT"), event.find("TimerFired"));
        assert_eq!(head.find("DETAILS"), event.find("t\n"));
    }
}
