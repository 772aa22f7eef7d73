//! What the history of a run met, for the summary; and that nothing in it came before its time.

use tidewright_schemas::{
    EventAttributes, HistoryEvent, WorkflowExecutionStarted, WorkflowTaskFailed, WorkflowTaskFailedCause,
};

use crate::program::Step;
use crate::stats::Stats;
use crate::told::Told;
use crate::violation::{Checked, ensure};

/// Counts what a run met.
pub(crate) fn tally(stats: &mut Stats, events: &[HistoryEvent], program: Option<&Step>) {
    use EventAttributes as E;
    stats.workflows += 1;
    for event in events {
        match &event.attributes {
            E::WorkflowExecutionCompleted(_) => stats.completed += 1,
            E::WorkflowExecutionFailed(_) => stats.failed += 1,
            E::WorkflowExecutionCanceled(_) => stats.canceled += 1,
            E::WorkflowExecutionTerminated(_) => stats.terminated += 1,
            E::WorkflowExecutionTimedOut(_) => stats.timed_out += 1,
            E::WorkflowExecutionSignaled(_) => stats.signals += 1,
            E::TimerFired(_) => stats.timers_fired += 1,
            E::TimerCanceled(_) => stats.timers_canceled += 1,
            E::WorkflowTaskTimedOut(_) => stats.tasks_timed_out += 1,
            E::WorkflowTaskFailed(failed) => count_failed_task(stats, failed),
            E::WorkflowExecutionStarted(started) => {
                stats.delayed += u64::from(started.first_workflow_task_backoff_ms.is_some());
            }
            _ => {}
        }
    }
    let told = Told::by(events);
    for is_met in program.map(|program| program.conditions(0, &told)).unwrap_or_default() {
        stats.conditions_met += u64::from(is_met);
        stats.conditions_timed_out += u64::from(!is_met);
    }
}

fn count_failed_task(stats: &mut Stats, failed: &WorkflowTaskFailed) {
    match failed.cause {
        WorkflowTaskFailedCause::TaskWithheld => stats.withheld += 1,
        WorkflowTaskFailedCause::TaskLost => stats.tasks_lost += 1,
        WorkflowTaskFailedCause::UnhandledCommand => stats.unhandled += 1,
        _ => stats.tasks_failed += 1,
    }
}

/// A delayed start waits, unless a signal came along with it or another start; a run has its whole time.
pub(crate) fn check_times(started: &WorkflowExecutionStarted, events: &[HistoryEvent]) -> Checked {
    let began_ms = events.first().map_or(0, |event| event.event_time_ms);
    for event in events {
        let since_ms = event.event_time_ms - began_ms;
        match &event.attributes {
            EventAttributes::WorkflowExecutionSignaled(signal) if signal.signal_name.starts_with('x') => break,
            EventAttributes::WorkflowTaskScheduled(_) => {
                let delay_ms = started.first_workflow_task_backoff_ms.unwrap_or(0);
                ensure!(since_ms >= delay_ms, "r20_a_delayed_start_waits", "{event:?}, delayed by {delay_ms} ms");
                break;
            }
            _ => {}
        }
    }
    let Some(end) = events.last() else { return Ok(()) };
    if let EventAttributes::WorkflowExecutionTimedOut(_) = end.attributes {
        let timeouts = [started.workflow_run_timeout_ms, started.workflow_execution_timeout_ms];
        let least_ms = timeouts.into_iter().flatten().min().unwrap_or(u64::MAX);
        let since_ms = end.event_time_ms - began_ms;
        ensure!(since_ms >= least_ms, "r20_a_run_has_its_time", "{end:?}, {since_ms} ms of {least_ms}");
    }
    Ok(())
}
