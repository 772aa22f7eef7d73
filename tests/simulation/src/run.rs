//! One run as a worker holds it: a program and what its history says so far. It decides the same from the same events,
//! and notices a history that does not follow from the program.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tidewright_schemas::{
    ActivityTaskFailed, CancelTimer, CancelWorkflow, CompleteWorkflow, Decision, EventAttributes, EventId,
    FailWorkflow, Failure, HistoryEvent, Payload, RequestCancelActivity, StartTimer, WorkflowExecutionSignaled,
};

use crate::activity::{Activity, Kind};
use crate::program::{CANCELED, Cancellation, DONE, Ending, FAILED, MISSING_QUEUE, Step, in_order, mix};

/// A history that does not follow from the program, or has a hole.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadHistory(pub(crate) String);

#[derive(Debug, Clone, PartialEq)]
enum Leaf {
    Pending,
    /// What it came to, and the event that said so.
    Done(u64, EventId),
    /// Could not be delivered for now, as this event says: asked for again under the next id.
    Again(EventId),
}

/// An activity that was scheduled.
#[derive(Debug, Clone)]
struct Scheduled {
    id: String,
    reachable: bool,
    detached: bool,
}

/// What a program has come to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    program: Option<Step>,
    leaves: BTreeMap<String, Leaf>,
    channels: BTreeMap<String, Vec<u64>>,
    activities: BTreeMap<EventId, Scheduled>,
    /// Activities that were asked to end.
    asked: BTreeSet<String>,
    expected: VecDeque<Decision>,
    pub(crate) last_event_id: EventId,
    pub(crate) closed: Option<Ending>,
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

    /// What it knows, in one number: what a query asks for. Decisions that it has taken tell nothing new.
    pub(crate) fn state(&self) -> u64 {
        let known = self.leaves.values().filter_map(|leaf| match leaf {
            Leaf::Done(value, _) => Some(*value),
            Leaf::Pending | Leaf::Again(_) => None,
        });
        let heard = self.channels.values().flatten().copied();
        known.chain(heard).chain([u64::from(self.cancel_requested)]).fold(3, mix)
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
            EventAttributes::ActivityTaskScheduled(_)
            | EventAttributes::ActivityTaskCancelRequested(_)
            | EventAttributes::TimerStarted(_)
            | EventAttributes::TimerCanceled(_)
            | EventAttributes::WorkflowExecutionCompleted(_)
            | EventAttributes::WorkflowExecutionFailed(_)
            | EventAttributes::WorkflowExecutionCanceled(_) => self.decided(event)?,
            EventAttributes::WorkflowExecutionTerminated(_) | EventAttributes::WorkflowExecutionTimedOut(_) => {
                self.expected.clear();
                self.ended_from_outside = true;
            }
            EventAttributes::WorkflowExecutionSignaled(signal) => self.signaled(event.event_id, signal)?,
            EventAttributes::WorkflowExecutionCancelRequested(_) => {
                if std::mem::replace(&mut self.cancel_requested, true) {
                    return Err(BadHistory("a second request to cancel is heard".to_owned()));
                }
            }
            EventAttributes::TimerFired(timer) => {
                self.leaves.entry(timer.timer_id.clone()).and_modify(|leaf| {
                    // One that was cancelled meanwhile has come to the same.
                    *leaf = Leaf::Done(DONE, event.event_id);
                });
            }
            told => self.told(event.event_id, told)?,
        }
        Ok(())
    }

    /// What the run is told of its activities.
    fn told(&mut self, event_id: EventId, told: &EventAttributes) -> Result<(), BadHistory> {
        match told {
            EventAttributes::ActivityTaskCompleted(done) => {
                let value = done.result.as_ref().and_then(|result| result.read::<u64>().ok());
                let value = value.ok_or_else(|| BadHistory(format!("event {event_id} has no result")))?;
                self.activity_ended(done.scheduled_event_id, Leaf::Done(value, event_id));
            }
            EventAttributes::ActivityTaskFailed(failed) => {
                let leaf = if self.is_for_now(failed) { Leaf::Again(event_id) } else { Leaf::Done(FAILED, event_id) };
                self.activity_ended(failed.scheduled_event_id, leaf);
            }
            EventAttributes::ActivityTaskTimedOut(timed_out) => {
                self.activity_ended(timed_out.scheduled_event_id, Leaf::Done(FAILED, event_id));
            }
            EventAttributes::ActivityTaskCanceled(canceled) => {
                self.activity_ended(canceled.scheduled_event_id, Leaf::Done(CANCELED, event_id));
            }
            _ => {}
        }
        Ok(())
    }

    fn signaled(&mut self, event_id: EventId, signal: &WorkflowExecutionSignaled) -> Result<(), BadHistory> {
        let name = &signal.signal_name;
        let value = signal.input.as_ref().and_then(|input| input.read::<u64>().ok()).unwrap_or_default();
        if name.starts_with('c') {
            self.channels.entry(name.clone()).or_default().push(value);
        } else if self.leaves.insert(name.clone(), Leaf::Done(value, event_id)).is_some() {
            return Err(BadHistory(format!("signal {name} is heard twice")));
        }
        Ok(())
    }

    /// Whether an activity could not be delivered, and may be another time.
    fn is_for_now(&self, failed: &ActivityTaskFailed) -> bool {
        let scheduled = self.activities.get(&failed.scheduled_event_id);
        failed.failure.error_type() == "TW0303" && scheduled.is_some_and(|scheduled| scheduled.reachable)
    }

    fn activity_ended(&mut self, scheduled_event_id: EventId, leaf: Leaf) {
        if let Some(scheduled) = self.activities.get(&scheduled_event_id) {
            self.leaves.insert(scheduled.id.clone(), leaf);
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
                let (id, detached) = (found.activity_id.clone(), found.detached);
                let reachable = wanted.task_queue.as_deref() != Some(MISSING_QUEUE);
                self.leaves.insert(id.clone(), Leaf::Pending);
                self.activities.insert(event.event_id, Scheduled { id, reachable, detached });
            }
            (Some(Decision::RequestCancelActivity(wanted)), EventAttributes::ActivityTaskCancelRequested(found))
                if wanted.scheduled_event_id == found.scheduled_event_id =>
            {
                let scheduled = self.activities.get(&found.scheduled_event_id).ok_or_else(wrong)?;
                self.asked.insert(scheduled.id.clone());
            }
            (Some(Decision::StartTimer(wanted)), EventAttributes::TimerStarted(found))
                if wanted.timer_id == found.timer_id =>
            {
                self.leaves.insert(found.timer_id.clone(), Leaf::Pending);
            }
            (Some(Decision::CancelTimer(wanted)), EventAttributes::TimerCanceled(found))
                if wanted.timer_id == found.timer_id =>
            {
                self.leaves.insert(found.timer_id.clone(), Leaf::Done(DONE, event.event_id));
            }
            (Some(Decision::CompleteWorkflow(wanted)), EventAttributes::WorkflowExecutionCompleted(found))
                if wanted.result == found.result =>
            {
                let value = found.result.as_ref().and_then(|result| result.read().ok());
                self.closed = Some(Ending::Completed(value.ok_or_else(wrong)?));
            }
            (Some(Decision::FailWorkflow(_)), EventAttributes::WorkflowExecutionFailed(_)) => {
                self.closed = Some(Ending::Failed);
            }
            (Some(Decision::CancelWorkflow(_)), EventAttributes::WorkflowExecutionCanceled(_)) => {
                self.closed = Some(Ending::Canceled);
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }

    /// What the program asks for now.
    pub(crate) fn decisions(&self) -> Vec<Decision> {
        let mut decisions = Vec::new();
        let Some(program) = &self.program else { return decisions };
        if let (true, Step::Heeding { body, cleanup }) = (self.cancel_requested, program) {
            self.wind_up(cleanup, 1 + body.size(), &mut decisions);
            return decisions;
        }
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

    /// The run was asked to end: cancels what is open, cleans up, ends.
    fn wind_up(&self, cleanup: &Activity, at: usize, decisions: &mut Vec<Decision>) {
        let of_cleanup = format!("a{at}.");
        let is_open = |id: &String| self.leaves.get(id) == Some(&Leaf::Pending) && !id.starts_with(&of_cleanup);
        for (scheduled_event_id, scheduled) in &self.activities {
            if is_open(&scheduled.id) && !scheduled.detached && !self.asked.contains(&scheduled.id) {
                decisions.push(RequestCancelActivity { scheduled_event_id: *scheduled_event_id }.into());
            }
        }
        for timer_id in self.leaves.keys().filter(|id| id.starts_with('t') && is_open(id)) {
            decisions.push(CancelTimer { timer_id: timer_id.clone() }.into());
        }
        if self.activity(cleanup, at, false, decisions).is_some() {
            decisions.push(CancelWorkflow::default().into());
        }
    }

    fn visit(&self, step: &Step, at: usize, decisions: &mut Vec<Decision>) -> Result<Option<u64>, Failed> {
        match step {
            Step::Activity(activity) => Ok(self.activity(activity, at, false, decisions)),
            Step::Detached(activity) => {
                self.activity(activity, at, true, decisions);
                Ok(Some(DONE))
            }
            Step::Limited { wait_ms, cancellation, activity } => {
                Ok(self.limited(activity, (at, *wait_ms), *cancellation, decisions))
            }
            Step::Timer { wait_ms } => Ok(self.timer(at, *wait_ms, decisions).map(|_| DONE)),
            Step::Signal { .. } => Ok(self.known(&format!("s{at}")).map(|(value, _)| value)),
            Step::Condition { wait_ms, .. } => Ok(self.condition(at, *wait_ms, decisions)),
            Step::Channel { values } => {
                let heard = self.channels.get(&format!("c{at}")).filter(|heard| heard.len() >= values.len());
                Ok(heard.map(|heard| in_order(heard)))
            }
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
            Step::Heeding { body, .. } => self.visit(body, at + 1, decisions),
        }
    }

    /// What something came to, and the event that said so.
    fn known(&self, id: &str) -> Option<(u64, EventId)> {
        match self.leaves.get(id)? {
            Leaf::Done(value, event_id) => Some((*value, *event_id)),
            Leaf::Again(event_id) => Some((FAILED, *event_id)),
            Leaf::Pending => None,
        }
    }

    /// When the timer of a step fired or was cancelled; it is started if it was not.
    fn timer(&self, at: usize, wait_ms: u64, decisions: &mut Vec<Decision>) -> Option<EventId> {
        let timer_id = format!("t{at}");
        if !self.leaves.contains_key(&timer_id) {
            decisions.push(StartTimer { timer_id, start_to_fire_timeout_ms: wait_ms, user_metadata: None }.into());
            return None;
        }
        self.known(&timer_id).map(|(_, event_id)| event_id)
    }

    /// A signal, or the timer: whichever was heard first.
    fn condition(&self, at: usize, wait_ms: u64, decisions: &mut Vec<Decision>) -> Option<u64> {
        let fired = self.timer(at, wait_ms, decisions);
        match (self.known(&format!("s{at}")), fired) {
            (Some((value, heard)), Some(fired)) => Some(if heard < fired { value } else { DONE }),
            (Some((value, _)), None) => {
                decisions.push(CancelTimer { timer_id: format!("t{at}") }.into());
                Some(value)
            }
            (None, fired) => fired.map(|_| DONE),
        }
    }

    /// An activity, or the timer: whichever was heard first.
    fn limited(
        &self,
        activity: &Activity,
        (at, wait_ms): (usize, u64),
        cancellation: Cancellation,
        decisions: &mut Vec<Decision>,
    ) -> Option<u64> {
        let id = format!("a{at}.0");
        let fired = self.timer(at, wait_ms, decisions);
        if !self.leaves.contains_key(&id) {
            decisions.push(activity.schedule(id, false));
            return None;
        }
        let asked = self.asked.contains(&id);
        if asked && cancellation == Cancellation::Try {
            return Some(DONE);
        }
        match (self.known(&id), fired) {
            (Some((value, heard)), Some(fired)) => {
                Some(if cancellation == Cancellation::Abandon && fired < heard { DONE } else { value })
            }
            (Some((value, _)), None) => {
                decisions.push(CancelTimer { timer_id: format!("t{at}") }.into());
                Some(value)
            }
            (None, None) => None,
            (None, Some(_)) => {
                let scheduled = self.activities.iter().find(|(_, scheduled)| scheduled.id == id);
                if let (Some((event_id, _)), false) = (scheduled, asked || cancellation == Cancellation::Abandon) {
                    decisions.push(RequestCancelActivity { scheduled_event_id: *event_id }.into());
                }
                (cancellation != Cancellation::Wait).then_some(DONE)
            }
        }
    }

    fn activity(&self, activity: &Activity, at: usize, detached: bool, decisions: &mut Vec<Decision>) -> Option<u64> {
        let mut tries = 0;
        loop {
            let id = format!("a{at}.{tries}");
            match self.leaves.get(&id) {
                Some(Leaf::Done(..) | Leaf::Again(_)) if activity.kind == Kind::Once => return Some(DONE),
                Some(Leaf::Done(value, _)) => return Some(*value),
                Some(Leaf::Pending) => return None,
                Some(Leaf::Again(_)) if activity.kind != Kind::Unreachable && !detached => tries += 1,
                Some(Leaf::Again(_)) => return Some(FAILED),
                None => {
                    decisions.push(activity.schedule(id, detached));
                    return None;
                }
            }
        }
    }
}
