//! Holds recorded events against the decisions that the code makes now.
//!
//! After an activation its decisions are expected in history, in order. An activity must agree in id and type, a timer
//! in its id; inputs, options and durations may change between versions of the code, the recorded ones count.

use std::collections::VecDeque;
use std::fmt;

use tidewright_schemas::{Decision, EventAttributes, EventId, HistoryEvent};

use crate::ReplayError;

/// What identifies a decision in history.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mark {
    Activity { id: String, activity_type: String },
    Timer { id: String },
    Cancel { id: String },
    CancelActivity { scheduled_event_id: EventId },
    Complete,
    Fail,
    CancelRun,
}

impl Mark {
    fn of_decision(decision: &Decision) -> Self {
        match decision {
            Decision::ScheduleActivity(d) => {
                Self::Activity { id: d.activity_id.clone(), activity_type: d.activity_type.clone() }
            }
            Decision::StartTimer(d) => Self::Timer { id: d.timer_id.clone() },
            Decision::CancelTimer(d) => Self::Cancel { id: d.timer_id.clone() },
            Decision::RequestCancelActivity(d) => Self::CancelActivity { scheduled_event_id: d.scheduled_event_id },
            Decision::CompleteWorkflow(_) => Self::Complete,
            Decision::FailWorkflow(_) => Self::Fail,
            Decision::CancelWorkflow(_) => Self::CancelRun,
        }
    }

    /// The mark of an event that a decision makes; none for any other event.
    fn of_event(event: &HistoryEvent) -> Option<Self> {
        Some(match &event.attributes {
            EventAttributes::ActivityTaskScheduled(e) => {
                Self::Activity { id: e.activity_id.clone(), activity_type: e.activity_type.clone() }
            }
            EventAttributes::TimerStarted(e) => Self::Timer { id: e.timer_id.clone() },
            EventAttributes::TimerCanceled(e) => Self::Cancel { id: e.timer_id.clone() },
            EventAttributes::ActivityTaskCancelRequested(e) => {
                Self::CancelActivity { scheduled_event_id: e.scheduled_event_id }
            }
            EventAttributes::WorkflowExecutionCompleted(_) => Self::Complete,
            EventAttributes::WorkflowExecutionFailed(_) => Self::Fail,
            EventAttributes::WorkflowExecutionCanceled(_) => Self::CancelRun,
            _ => return None,
        })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Activity { id, activity_type } => write!(f, "activity {id} of type `{activity_type}`"),
            Self::Timer { id } => write!(f, "the start of timer {id}"),
            Self::Cancel { id } => write!(f, "the cancellation of timer {id}"),
            Self::CancelActivity { scheduled_event_id } => {
                write!(f, "the request to cancel the activity of event {scheduled_event_id}")
            }
            Self::Complete => f.write_str("the workflow's completion"),
            Self::Fail => f.write_str("the workflow's failure"),
            Self::CancelRun => f.write_str("the workflow's end as cancelled"),
        }
    }
}

/// The decisions of the last activation that history has not shown yet.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    marks: VecDeque<Mark>,
}

impl Expected {
    /// These decisions should follow in history.
    pub(crate) fn expect(&mut self, decisions: &[Decision]) {
        self.marks = decisions.iter().map(Mark::of_decision).collect();
    }

    /// Checks one event that a decision makes.
    pub(crate) fn check(&mut self, event: &HistoryEvent) -> Result<(), ReplayError> {
        let Some(recorded) = Mark::of_event(event) else { return Ok(()) };
        self.skip_void_cancels(Some(&recorded));
        match self.marks.pop_front() {
            Some(current) if current == recorded => Ok(()),
            current => Err(ReplayError::NonDeterministic {
                event_id: event.event_id,
                recorded: recorded.to_string(),
                current: current.map_or_else(|| "nothing more".to_owned(), |mark| mark.to_string()),
            }),
        }
    }

    /// Checks that everything has been seen when `event`, which no decision makes, comes.
    pub(crate) fn check_done(&mut self, event_id: EventId, event_type: &str) -> Result<(), ReplayError> {
        self.skip_void_cancels(None);
        match self.marks.front() {
            None => Ok(()),
            Some(current) => Err(ReplayError::NonDeterministic {
                event_id,
                recorded: format!("no further decision but {event_type}"),
                current: current.to_string(),
            }),
        }
    }

    /// The cancellation of a timer that fired meanwhile leaves no event.
    fn skip_void_cancels(&mut self, recorded: Option<&Mark>) {
        while let Some(mark @ Mark::Cancel { .. }) = self.marks.front()
            && Some(mark) != recorded
        {
            self.marks.pop_front();
        }
    }
}
