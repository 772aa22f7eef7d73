//! The grammar of histories: which sequences of events a run may have. A test feeds it every event of a run, in order.
//!
//! ```text
//! history  = Started told* step* end?
//! step     = task told*
//! task     = Scheduled WorkflowTaskStarted ( Failed | Completed decision* )
//! told     = signal | request to cancel | TimerFired | ActivityTaskStarted? outcome
//! end      = close, decided by the last task | Failed(ForceCloseCommand)? told* (Terminated | TimedOut)
//! ```
//!
//! What is told while a workflow task is out follows the task's end, with the time at which it happened. Where a task
//! ends the run, its decisions follow what was told, so that the close is the last event.
//!
//! It knows nothing of how the engine works: only what a reader of a history may rely on.

mod activity;
mod task;
mod timer;

use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{EventAttributes, EventId, HistoryEvent};

use crate::activity::Activities;
use crate::task::Tasks;
use crate::timer::Timers;

/// An event that may not stand where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {event_id} ({event_type}) is illegal: {what}")]
pub struct Illegal {
    /// Which one.
    pub event_id: EventId,
    /// Its type.
    pub event_type: &'static str,
    /// Why.
    pub what: String,
}

/// Checks the history of a run, from its first event; says how it closed, if it has.
pub fn check(events: &[HistoryEvent]) -> Result<Option<WorkflowStatus>, Illegal> {
    let mut grammar = Grammar::default();
    for event in events {
        grammar.take(event)?;
    }
    if let (Some(last), Err(what)) = (events.last(), grammar.finish()) {
        return Err(illegal(last, what));
    }
    Ok(grammar.closed)
}

fn illegal(event: &HistoryEvent, what: String) -> Illegal {
    Illegal { event_id: event.event_id, event_type: event.attributes.event_type(), what }
}

type Checked = Result<(), String>;

fn require(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

/// A run as far as its history was read.
#[derive(Default)]
struct Grammar {
    last_event_id: EventId,
    times: Times,
    tasks: Tasks,
    activities: Activities,
    timers: Timers,
    cancel_requested: bool,
    closed: Option<WorkflowStatus>,
}

impl Grammar {
    fn take(&mut self, event: &HistoryEvent) -> Result<(), Illegal> {
        self.follow(event).map_err(|what| illegal(event, what))
    }

    fn follow(&mut self, event: &HistoryEvent) -> Checked {
        let is_start = matches!(event.attributes, EventAttributes::WorkflowExecutionStarted(_));
        require(is_start == (self.last_event_id == 0), || {
            "a history begins with its start, and only there".to_owned()
        })?;
        require(event.event_id == self.last_event_id + 1, || format!("it follows event {}", self.last_event_id))?;
        require(self.closed.is_none(), || "it follows the end of the run".to_owned())?;
        self.activities.ends_what_it_began(&event.attributes)?;
        self.times.follow(event, is_told(&event.attributes))?;
        self.last_event_id = event.event_id;
        self.in_its_place(event)?;
        self.refers(event)?;
        self.closed = event.attributes.closes_as();
        Ok(())
    }

    /// Where the event stands among workflow tasks.
    fn in_its_place(&mut self, event: &HistoryEvent) -> Checked {
        use EventAttributes as E;
        match &event.attributes {
            E::WorkflowTaskScheduled(e) => self.tasks.scheduled(event.event_id, e.attempt),
            E::WorkflowTaskStarted(e) => self.tasks.started(event.event_id, e.scheduled_event_id),
            E::WorkflowTaskCompleted(e) => {
                self.tasks.completed(event.event_id, (e.scheduled_event_id, e.started_event_id))
            }
            E::WorkflowTaskFailed(e) => self.tasks.failed((e.scheduled_event_id, e.started_event_id), e.cause),
            E::WorkflowTaskTimedOut(e) => self.tasks.timed_out((e.scheduled_event_id, e.started_event_id)),
            E::WorkflowExecutionCompleted(e) => self.tasks.closes(e.workflow_task_completed_event_id),
            E::WorkflowExecutionFailed(e) => self.tasks.closes(e.workflow_task_completed_event_id),
            E::WorkflowExecutionCanceled(e) => self.tasks.closes(e.workflow_task_completed_event_id),
            E::WorkflowExecutionTerminated(_) | E::WorkflowExecutionTimedOut(_) => self.tasks.cut_short(),
            E::ActivityTaskScheduled(e) => self.tasks.decided(e.workflow_task_completed_event_id),
            E::ActivityTaskCancelRequested(e) => self.tasks.decided(e.workflow_task_completed_event_id),
            E::TimerStarted(e) => self.tasks.decided(e.workflow_task_completed_event_id),
            E::TimerCanceled(e) => self.tasks.decided(e.workflow_task_completed_event_id),
            E::WorkflowExecutionStarted(_) => Ok(()),
            E::WorkflowExecutionSignaled(_)
            | E::WorkflowExecutionCancelRequested(_)
            | E::ActivityTaskStarted(_)
            | E::ActivityTaskCompleted(_)
            | E::ActivityTaskFailed(_)
            | E::ActivityTaskTimedOut(_)
            | E::ActivityTaskCanceled(_)
            | E::TimerFired(_) => self.tasks.told(),
        }
    }

    /// What the event says of activities, timers and requests that came before it.
    fn refers(&mut self, event: &HistoryEvent) -> Checked {
        use EventAttributes as E;
        match &event.attributes {
            E::ActivityTaskScheduled(_) => self.activities.scheduled(event.event_id),
            E::ActivityTaskStarted(e) => self.activities.started(event.event_id, e.scheduled_event_id, e.attempt)?,
            E::ActivityTaskCompleted(e) => {
                require(e.started_event_id > 0, || "what never started cannot complete".to_owned())?;
                self.activities.ended(event.event_id, e.scheduled_event_id, e.started_event_id)?;
            }
            E::ActivityTaskFailed(e) => {
                self.activities.ended(event.event_id, e.scheduled_event_id, e.started_event_id)?
            }
            E::ActivityTaskTimedOut(e) => {
                self.activities.ended(event.event_id, e.scheduled_event_id, e.started_event_id)?
            }
            E::ActivityTaskCancelRequested(e) => {
                let (scheduled, completed) = (e.scheduled_event_id, e.workflow_task_completed_event_id);
                self.activities.cancel_requested(event.event_id, scheduled, completed)?;
            }
            E::ActivityTaskCanceled(e) => {
                self.activities.canceled(e.scheduled_event_id, e.latest_cancel_requested_event_id)?;
                self.activities.ended(event.event_id, e.scheduled_event_id, e.started_event_id)?;
            }
            E::TimerStarted(e) => {
                let due_ms = event.event_time_ms.saturating_add(e.start_to_fire_timeout_ms);
                self.timers.started(event.event_id, &e.timer_id, due_ms);
            }
            E::TimerFired(e) => {
                let at = (event.event_id, event.event_time_ms);
                self.timers.fired(e.started_event_id, &e.timer_id, at)?;
            }
            E::TimerCanceled(e) => {
                self.timers.canceled(e.started_event_id, &e.timer_id, e.workflow_task_completed_event_id)?;
            }
            E::WorkflowExecutionCancelRequested(_) => {
                let again = std::mem::replace(&mut self.cancel_requested, true);
                require(!again, || "the run was asked to end before".to_owned())?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The history ends here for now.
    fn finish(&self) -> Checked {
        self.activities.finish()?;
        require(self.closed.is_some() || !self.tasks.must_close(), || "the run should have ended with it".to_owned())
    }
}

/// Whether the event may have waited for a workflow task that was out.
fn is_told(attributes: &EventAttributes) -> bool {
    use EventAttributes as E;
    matches!(
        attributes,
        E::WorkflowExecutionSignaled(_)
            | E::WorkflowExecutionCancelRequested(_)
            | E::ActivityTaskStarted(_)
            | E::ActivityTaskCompleted(_)
            | E::ActivityTaskFailed(_)
            | E::ActivityTaskTimedOut(_)
            | E::ActivityTaskCanceled(_)
            | E::TimerFired(_)
    )
}

/// Time does not go back, but for what was told while a workflow task was out: that keeps its own order.
#[derive(Default)]
struct Times {
    start_ms: u64,
    told_ms: u64,
    latest_ms: u64,
}

impl Times {
    fn follow(&mut self, event: &HistoryEvent, is_told: bool) -> Checked {
        let time_ms = event.event_time_ms;
        let since_ms = if is_told { self.told_ms.max(self.start_ms) } else { self.latest_ms };
        require(time_ms >= since_ms, || format!("its time {time_ms} is before {since_ms}"))?;
        if self.latest_ms == 0 {
            self.start_ms = time_ms;
        }
        if is_told {
            self.told_ms = time_ms;
        }
        self.latest_ms = self.latest_ms.max(time_ms);
        Ok(())
    }
}
