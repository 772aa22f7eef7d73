//! Holds recorded events against the decisions that the code makes now.
//!
//! After an activation its decisions are expected in history, in order. An activity must agree in id and type, a timer
//! in its id; inputs, options and durations may change between versions of the code, the recorded ones count.

use std::collections::VecDeque;
use std::fmt;

use tidewright_schemas::{Decision, EventAttributes, EventId, HistoryEvent};

use crate::{Place, ReplayError};

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

/// A decision that history should show, and the place in the code that made it.
#[derive(Debug)]
struct Expectation {
    mark: Mark,
    at: Place,
}

/// The decisions of the last activation that history has not shown yet, and those that it has shown last.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    expectations: VecDeque<Expectation>,
    seen: VecDeque<(EventId, Mark)>,
}

impl Expected {
    /// How many agreeing events before a difference are shown, and how many decisions after it.
    const SHOWN_MAX: usize = 3;

    /// These decisions should follow in history; `place` knows where the code made one.
    pub(crate) fn expect(&mut self, decisions: &[Decision], place: impl Fn(&Decision) -> Place) {
        let expectation = |decision| Expectation { mark: Mark::of_decision(decision), at: place(decision) };
        self.expectations = decisions.iter().map(expectation).collect();
    }

    /// Checks one event that a decision makes.
    pub(crate) fn check(&mut self, event: &HistoryEvent) -> Result<(), ReplayError> {
        let Some(recorded) = Mark::of_event(event) else { return Ok(()) };
        self.skip_void_cancels(Some(&recorded));
        if self.expectations.front().is_none_or(|current| current.mark != recorded) {
            return Err(self.difference(event.event_id, &recorded.to_string()));
        }
        self.expectations.pop_front();
        self.seen.push_back((event.event_id, recorded));
        if self.seen.len() > Self::SHOWN_MAX {
            self.seen.pop_front();
        }
        Ok(())
    }

    /// Checks that everything has been seen when `event`, which no decision makes, comes.
    pub(crate) fn check_done(&mut self, event_id: EventId, event_type: &str) -> Result<(), ReplayError> {
        self.skip_void_cancels(None);
        if self.expectations.is_empty() {
            return Ok(());
        }
        Err(self.difference(event_id, &format!("no further decision but {event_type}")))
    }

    /// What history says against what the code does now, as a diff.
    fn difference(&self, event_id: EventId, recorded: &str) -> ReplayError {
        let mut diff: String = self.seen.iter().map(|(id, mark)| format!("  event {id}: {mark}\n")).collect();
        diff += &format!("- event {event_id}: {recorded}");
        if self.expectations.is_empty() {
            diff += "\n+ the code: nothing more";
        }
        for Expectation { mark, at } in self.expectations.iter().take(Self::SHOWN_MAX) {
            diff += &format!("\n+ the code: {mark}");
            if at.0.is_some() {
                diff += &format!(", at {at}");
            }
        }
        let current = self.expectations.front().map_or_else(|| "nothing more".to_owned(), |e| e.mark.to_string());
        ReplayError::NonDeterministic { event_id, recorded: recorded.to_owned(), current, diff }
    }

    /// The cancellation of a timer that fired meanwhile leaves no event.
    fn skip_void_cancels(&mut self, recorded: Option<&Mark>) {
        while let Some(Expectation { mark: mark @ Mark::Cancel { .. }, .. }) = self.expectations.front()
            && Some(mark) != recorded
        {
            self.expectations.pop_front();
        }
    }
}
