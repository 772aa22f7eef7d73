//! What a command means for its run's trace: told with the batch's report, for whoever exports spans.
//!
//! Everything follows from the command's headers, its record and committed state, so nothing is remembered for traces.

use tidewright_core::{Rows, RowsError, read};
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{Command, EventAttributes, EventId, RowFact, RunId, TraceContext, Transition, WorkflowId};

/// A command that changed a run whose trace is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct TracedCommand {
    /// Its type.
    pub command: &'static str,
    /// Its offset.
    pub offset: u64,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The run.
    pub run_id: RunId,
    /// Its type.
    pub workflow_type: String,
    /// Whose span the command's is a child of: its sender's, or the run's.
    pub parent: TraceContext,
    /// What was waited for: linked, since the wait may have been long.
    pub waited_for: Option<TraceContext>,
    /// The spans that end with it.
    pub ended: Vec<EndedSpan>,
}

/// What a span of a history stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanOf {
    /// A run, from its start to its close.
    Run,
    /// An activity with all its attempts.
    Activity,
    /// A timer.
    Timer,
}

/// Something that began with one event and ended with another.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedSpan {
    /// What it was.
    pub of: SpanOf,
    /// The workflow or activity type, or the timer's id.
    pub name: String,
    /// The activity's or the timer's id; empty for a run.
    pub id: String,
    /// Its own context.
    pub context: TraceContext,
    /// The span that it belongs to; none for a run that nobody's trace caused.
    pub parent: Option<TraceContext>,
    /// When it began, in milliseconds since 1970.
    pub start_ms: u64,
    /// When it ended.
    pub end_ms: u64,
    /// Why it failed.
    pub failure: Option<String>,
}

/// How a command that was just applied continues its run's trace; none if that is not recorded.
pub(crate) fn trace<R: Rows>(
    rows: &R,
    command: &Command,
    sender: Option<&str>,
    change: &Transition,
    new_traces: f64,
) -> Result<Option<TracedCommand>, RowsError> {
    let Some(run_id) = &change.run_id else { return Ok(None) };
    let Some(run) = read::summary_of(rows, &change.workflow_id, run_id)? else { return Ok(None) };
    let started = run.traceparent.as_deref();
    let context = TraceContext::of_run(run_id, started, new_traces);
    let parent = sender.and_then(TraceContext::parse).unwrap_or(context);
    if !context.sampled && !parent.sampled {
        return Ok(None);
    }
    let tracing = Tracing { rows, change, run_id, context };
    let mut ended = tracing.activities_and_timers()?;
    if let Some(end_ms) = run.close_time_ms
        && let Some(failure) = closing(change)
    {
        ended.push(EndedSpan {
            of: SpanOf::Run,
            name: run.workflow_type.clone(),
            id: String::new(),
            context,
            parent: started.and_then(TraceContext::parse),
            start_ms: run.start_time_ms,
            end_ms,
            failure,
        });
    }
    let waited_for = match command {
        // What is a run's own, such as its timeout, has no event to link to.
        Command::FireTimer(fired) if fired.event_id > 0 => Some(context.at_event(run_id, fired.event_id)),
        _ => None,
    };
    Ok(Some(TracedCommand {
        command: command.type_name(),
        offset: change.source_offset,
        workflow_id: change.workflow_id.clone(),
        run_id: run_id.clone(),
        workflow_type: run.workflow_type,
        parent,
        waited_for,
        ended,
    }))
}

/// If the change closes its run: why it failed, or nothing if it did not.
fn closing(change: &Transition) -> Option<Option<String>> {
    change.events.iter().find_map(|event| match (&event.attributes, event.attributes.closes_as()?) {
        (_, WorkflowStatus::Completed) => Some(None),
        (EventAttributes::WorkflowExecutionFailed(failed), _) => Some(Some(failed.failure.message.clone())),
        (_, status) => Some(Some(status.as_str().to_owned())),
    })
}

struct Tracing<'a, R> {
    rows: &'a R,
    change: &'a Transition,
    run_id: &'a RunId,
    context: TraceContext,
}

impl<R: Rows> Tracing<'_, R> {
    fn activities_and_timers(&self) -> Result<Vec<EndedSpan>, RowsError> {
        let mut ended = Vec::new();
        for event in &self.change.events {
            let (began, failure) = match &event.attributes {
                EventAttributes::ActivityTaskCompleted(e) => (e.scheduled_event_id, None),
                EventAttributes::ActivityTaskFailed(e) => (e.scheduled_event_id, Some(&e.failure)),
                EventAttributes::ActivityTaskTimedOut(e) => (e.scheduled_event_id, Some(&e.failure)),
                EventAttributes::ActivityTaskCanceled(e) => (e.scheduled_event_id, None),
                EventAttributes::TimerFired(e) => (e.started_event_id, None),
                EventAttributes::TimerCanceled(e) => (e.started_event_id, None),
                _ => continue,
            };
            ended.extend(self.ended(began, event.event_time_ms, failure.map(|failure| failure.message.clone()))?);
        }
        for fact in &self.change.rows {
            if let RowFact::DetachedActivityClosed(closed) = fact {
                let failure = closed.failure.as_ref().map(|failure| failure.message.clone());
                ended.extend(self.ended(closed.scheduled_event_id, self.change.source_time_ms, failure)?);
            }
        }
        Ok(ended)
    }

    /// What began with an event and ends now.
    fn ended(&self, began: EventId, end_ms: u64, failure: Option<String>) -> Result<Option<EndedSpan>, RowsError> {
        let Some(event) = read::event(self.rows, &self.change.workflow_id, self.run_id, began)? else {
            return Ok(None);
        };
        let (of, name, id) = match event.attributes {
            EventAttributes::ActivityTaskScheduled(e) => (SpanOf::Activity, e.activity_type, e.activity_id),
            EventAttributes::TimerStarted(e) => (SpanOf::Timer, e.timer_id.clone(), e.timer_id),
            _ => return Ok(None),
        };
        let context = self.context.at_event(self.run_id, began);
        let (start_ms, parent) = (event.event_time_ms, Some(self.context));
        Ok(Some(EndedSpan { of, name, id, context, parent, start_ms, end_ms, failure }))
    }
}
