//! One run as a worker holds it: a program and what its history says so far. It decides the same from the same events,
//! and notices a history that does not follow from the program.

use std::collections::{BTreeMap, VecDeque};

use tidewright_schemas::{
    CancelTimer, CompleteWorkflow, Decision, EventAttributes, EventId, FailWorkflow, Failure, HistoryEvent, Payload,
    StartTimer,
};

use crate::program::{Activity, Kind, Step, mix};

/// A history that does not follow from the program, or has a hole.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadHistory(pub(crate) String);

#[derive(Debug, Clone, PartialEq)]
enum Leaf {
    Pending,
    Done(u64),
    /// Could not be delivered for now: asked for again under the next id.
    Again,
}

/// What a program has come to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    program: Option<Step>,
    leaves: BTreeMap<String, Leaf>,
    activities: BTreeMap<EventId, (String, bool)>,
    expected: VecDeque<Decision>,
    pub(crate) last_event_id: EventId,
    pub(crate) closed: Option<Option<u64>>,
    cancel_requested: bool,
    /// Terminated or timed out: then it need not have come to the end of its program.
    pub(crate) ended_from_outside: bool,
}

/// The program fails at this point.
struct Failed;

impl Run {
    pub(crate) fn program(&self) -> Option<&Step> {
        self.program.as_ref()
    }

    /// Takes the next event.
    pub(crate) fn apply(&mut self, event: &HistoryEvent) -> Result<(), BadHistory> {
        if event.event_id != self.last_event_id + 1 {
            return Err(BadHistory(format!("event {} follows event {}", event.event_id, self.last_event_id)));
        }
        self.last_event_id = event.event_id;
        match &event.attributes {
            EventAttributes::WorkflowExecutionStarted(started) => {
                let program = started.input.as_ref().map(Payload::read::<Step>);
                let program = program.ok_or_else(|| BadHistory("the workflow has no input".to_owned()))?;
                self.program = Some(program.map_err(|e| BadHistory(e.to_string()))?);
            }
            EventAttributes::WorkflowTaskCompleted(_) => {
                if let Some(missing) = self.expected.front() {
                    return Err(BadHistory(format!("the history lacks {missing:?} before event {}", event.event_id)));
                }
                self.expected = self.decisions().into();
            }
            EventAttributes::WorkflowTaskScheduled(_)
            | EventAttributes::WorkflowTaskStarted(_)
            | EventAttributes::WorkflowTaskFailed(_)
            | EventAttributes::WorkflowTaskTimedOut(_)
            | EventAttributes::ActivityTaskStarted(_) => {}
            EventAttributes::ActivityTaskScheduled(_)
            | EventAttributes::ActivityTaskCancelRequested(_)
            | EventAttributes::TimerStarted(_)
            | EventAttributes::TimerCanceled(_)
            | EventAttributes::WorkflowExecutionCompleted(_)
            | EventAttributes::WorkflowExecutionFailed(_)
            | EventAttributes::WorkflowExecutionCanceled(_) => self.decided(event)?,
            EventAttributes::ActivityTaskCompleted(done) => {
                let value = done.result.as_ref().and_then(|result| result.read::<u64>().ok());
                let value = value.ok_or_else(|| BadHistory(format!("event {} has no result", event.event_id)))?;
                self.activity_ended(done.scheduled_event_id, Leaf::Done(value));
            }
            EventAttributes::ActivityTaskFailed(failed) => {
                let for_now = failed.failure.error_type() == "TW0303";
                let reachable =
                    self.activities.get(&failed.scheduled_event_id).is_some_and(|(_, reachable)| *reachable);
                let leaf = if for_now && reachable { Leaf::Again } else { Leaf::Done(Step::failed()) };
                self.activity_ended(failed.scheduled_event_id, leaf);
            }
            EventAttributes::ActivityTaskTimedOut(timed_out) => {
                self.activity_ended(timed_out.scheduled_event_id, Leaf::Done(Step::failed()));
            }
            EventAttributes::ActivityTaskCanceled(canceled) => {
                self.activity_ended(canceled.scheduled_event_id, Leaf::Done(Step::failed()));
            }
            EventAttributes::TimerFired(timer) => {
                self.leaves.insert(timer.timer_id.clone(), Leaf::Done(Step::done()));
            }
            EventAttributes::WorkflowExecutionSignaled(signal) => {
                let value = signal.input.as_ref().and_then(|input| input.read::<u64>().ok()).unwrap_or_default();
                if self.leaves.insert(signal.signal_name.clone(), Leaf::Done(value)).is_some() {
                    return Err(BadHistory(format!("signal {} is heard twice", signal.signal_name)));
                }
            }
            EventAttributes::WorkflowExecutionCancelRequested(_) => {
                if std::mem::replace(&mut self.cancel_requested, true) {
                    return Err(BadHistory("a second request to cancel is heard".to_owned()));
                }
            }
            EventAttributes::WorkflowExecutionTerminated(_) | EventAttributes::WorkflowExecutionTimedOut(_) => {
                self.expected.clear();
                self.ended_from_outside = true;
            }
        }
        Ok(())
    }

    fn activity_ended(&mut self, scheduled_event_id: EventId, leaf: Leaf) {
        if let Some((id, _)) = self.activities.get(&scheduled_event_id) {
            self.leaves.insert(id.clone(), leaf);
        }
    }

    /// An event that a decision became must be the next one that the program asks for.
    fn decided(&mut self, event: &HistoryEvent) -> Result<(), BadHistory> {
        let expected = self.expected.pop_front();
        let wrong =
            || BadHistory(format!("event {event:?} does not follow from the program, which asks for {expected:?}"));
        match (&expected, &event.attributes) {
            (Some(Decision::ScheduleActivity(wanted)), EventAttributes::ActivityTaskScheduled(found))
                if wanted.activity_id == found.activity_id && wanted.input == found.input =>
            {
                self.leaves.insert(found.activity_id.clone(), Leaf::Pending);
                let reachable = wanted.task_queue.as_deref() != Some(crate::program::MISSING_QUEUE);
                self.activities.insert(event.event_id, (found.activity_id.clone(), reachable));
            }
            (Some(Decision::StartTimer(wanted)), EventAttributes::TimerStarted(found))
                if wanted.timer_id == found.timer_id =>
            {
                self.leaves.insert(found.timer_id.clone(), Leaf::Pending);
            }
            (Some(Decision::CancelTimer(wanted)), EventAttributes::TimerCanceled(found))
                if wanted.timer_id == found.timer_id =>
            {
                self.leaves.insert(found.timer_id.clone(), Leaf::Done(Step::done()));
            }
            (Some(Decision::CompleteWorkflow(wanted)), EventAttributes::WorkflowExecutionCompleted(found))
                if wanted.result == found.result =>
            {
                self.closed = Some(found.result.as_ref().and_then(|result| result.read().ok()));
            }
            (Some(Decision::FailWorkflow(_)), EventAttributes::WorkflowExecutionFailed(_)) => self.closed = Some(None),
            _ => return Err(wrong()),
        }
        Ok(())
    }

    /// What the program asks for now.
    pub(crate) fn decisions(&self) -> Vec<Decision> {
        let mut decisions = Vec::new();
        let Some(program) = &self.program else { return decisions };
        match self.visit(program, 0, &mut decisions) {
            Ok(None) => {}
            Ok(Some(value)) => decisions.push(CompleteWorkflow { result: Payload::new(&value).ok() }.into()),
            Err(Failed) => {
                let failure = Failure::application("Simulated", "the program fails here", true);
                decisions.push(FailWorkflow { failure }.into());
            }
        }
        decisions
    }

    fn visit(&self, step: &Step, at: usize, decisions: &mut Vec<Decision>) -> Result<Option<u64>, Failed> {
        match step {
            Step::Activity(activity) => Ok(self.activity(activity, at, false, decisions)),
            Step::Detached(activity) => {
                self.activity(activity, at, true, decisions);
                Ok(Some(Step::done()))
            }
            Step::Timer { wait_ms } => Ok(self.timer(at, *wait_ms, decisions)),
            Step::Signal { .. } => Ok(match self.leaves.get(&format!("s{at}")) {
                Some(Leaf::Done(value)) => Some(*value),
                _ => None,
            }),
            Step::Fail => Err(Failed),
            Step::Sequence(children) => {
                let (mut next, mut sum) = (at + 1, 7);
                for child in children {
                    let Some(value) = self.visit(child, next, decisions)? else { return Ok(None) };
                    sum = mix(sum, value);
                    next += child.size();
                }
                Ok(Some(sum))
            }
            Step::Parallel(children) => {
                let (mut next, mut sum) = (at + 1, Some(11));
                for child in children {
                    let value = self.visit(child, next, decisions)?;
                    sum = sum.zip(value).map(|(sum, value)| sum + value);
                    next += child.size();
                }
                Ok(sum)
            }
            Step::Guarded { wait_ms, body } => {
                let fired = self.timer(at, *wait_ms, decisions).is_some();
                let value = self.visit(body, at + 1, decisions)?;
                if value.is_some() && !fired {
                    decisions.push(CancelTimer { timer_id: format!("t{at}") }.into());
                }
                Ok(value)
            }
        }
    }

    fn timer(&self, at: usize, wait_ms: u64, decisions: &mut Vec<Decision>) -> Option<u64> {
        let timer_id = format!("t{at}");
        match self.leaves.get(&timer_id) {
            Some(Leaf::Done(value)) => Some(*value),
            Some(_) => None,
            None => {
                decisions.push(StartTimer { timer_id, start_to_fire_timeout_ms: wait_ms, user_metadata: None }.into());
                None
            }
        }
    }

    fn activity(&self, activity: &Activity, at: usize, detached: bool, decisions: &mut Vec<Decision>) -> Option<u64> {
        let mut tries = 0;
        loop {
            let id = format!("a{at}.{tries}");
            match self.leaves.get(&id) {
                Some(Leaf::Done(_) | Leaf::Again) if activity.kind == Kind::Once => return Some(Step::done()),
                Some(Leaf::Done(value)) => return Some(*value),
                Some(Leaf::Pending) => return None,
                Some(Leaf::Again) if activity.kind != Kind::Unreachable && !detached => tries += 1,
                Some(Leaf::Again) => return Some(Step::failed()),
                None => {
                    decisions.push(activity.schedule(id, detached));
                    return None;
                }
            }
        }
    }
}
