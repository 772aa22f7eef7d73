//! The attempts that run in this worker, and what owners have said of them lately (R30).

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidewright_schemas::{
    ActivityCancelRequested, ActivityClosed, ActivityTask, EventId, RunClosed, RunId, WorkflowId,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::attempt_link::{AttemptLink, CancelReason, Due};

/// Of how many activities and runs it is remembered that they are to end: enough for what waits in the queue's next
/// minutes. One that is forgotten is told again once it is announced.
const REMEMBERED_MAX: usize = 10_000;
/// Between heartbeats of an activity without a heartbeat timeout, and the longest time between any two.
const INTERVAL: Duration = Duration::from_secs(30);
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// The attempts that run here. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Running {
    inner: Arc<Mutex<Inner>>,
    pub(crate) pulse: Arc<Notify>,
}

#[derive(Default)]
struct Inner {
    attempts: BTreeMap<u64, Attempt>,
    entered: u64,
    remembered: HashSet<Ending>,
    oldest_first: VecDeque<Ending>,
}

/// An attempt that runs here.
#[derive(Clone)]
struct Attempt {
    workflow_id: WorkflowId,
    run_id: RunId,
    scheduled_event_id: EventId,
    detached: bool,
    token: Arc<str>,
    interval: Duration,
    link: Arc<AttemptLink>,
}

/// What is to end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Ending {
    Activity(RunId, EventId),
    Run(RunId),
}

/// A heartbeat to send.
pub(crate) struct Heartbeat {
    pub(crate) workflow_id: WorkflowId,
    pub(crate) token: Arc<str>,
    pub(crate) details: Option<tidewright_schemas::Payload>,
    pub(crate) number: u64,
    pub(crate) link: Arc<AttemptLink>,
}

/// An attempt's place among those that run; given up when dropped.
pub(crate) struct Entered {
    running: Running,
    number: u64,
    pub(crate) link: Arc<AttemptLink>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.running.inner().attempts.remove(&self.number);
    }
}

impl Running {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the attempt hears what is said of it.
    pub(crate) fn enter(&self, task: &ActivityTask) -> Entered {
        let link = Arc::new(AttemptLink::new(Arc::clone(&self.pulse)));
        let attempt = Attempt {
            workflow_id: task.workflow_id.clone(),
            run_id: task.run_id.clone(),
            scheduled_event_id: task.scheduled_event_id,
            detached: task.detached,
            token: task.token.as_str().into(),
            interval: interval(task.heartbeat_timeout_ms.map(Duration::from_millis)),
            link: Arc::clone(&link),
        };
        let mut inner = self.inner();
        inner.entered += 1;
        let number = inner.entered;
        inner.attempts.insert(number, attempt);
        Entered { running: self.clone(), number, link }
    }

    /// Whether it was said lately that the task's activity or run is to end: then it is confirmed before it runs.
    pub(crate) fn is_to_end(&self, task: &ActivityTask) -> bool {
        let remembered = &self.inner().remembered;
        remembered.contains(&Ending::Activity(task.run_id.clone(), task.scheduled_event_id))
            || (!task.detached && remembered.contains(&Ending::Run(task.run_id.clone())))
    }

    /// A workflow asks an activity to end.
    pub(crate) fn cancel_requested(&self, message: ActivityCancelRequested) {
        self.end(Ending::Activity(message.run_id, message.scheduled_event_id), CancelReason::Requested);
    }

    /// Nobody waits for an activity any more.
    pub(crate) fn activity_closed(&self, message: ActivityClosed) {
        self.end(Ending::Activity(message.run_id, message.scheduled_event_id), CancelReason::NotWanted);
    }

    /// Nobody waits for a run's activities any more.
    pub(crate) fn run_closed(&self, message: RunClosed) {
        self.end(Ending::Run(message.run_id), CancelReason::WorkflowClosed);
    }

    fn end(&self, ending: Ending, reason: CancelReason) {
        let mut inner = self.inner();
        for attempt in inner.attempts.values().filter(|attempt| attempt.is_meant_by(&ending)) {
            attempt.link.cancel(reason);
        }
        inner.remember(ending);
    }

    /// The worker stops.
    pub(crate) fn stop(&self) {
        self.inner().attempts.values().for_each(|attempt| attempt.link.cancel(CancelReason::WorkerShutdown));
    }

    /// Heartbeats that are due, and when the next one is.
    pub(crate) fn due(&self, now: Instant) -> (Vec<Heartbeat>, Option<Instant>) {
        let mut heartbeats = Vec::new();
        let mut next: Option<Instant> = None;
        for attempt in self.inner().attempts.values() {
            match attempt.link.take_due(now, attempt.interval) {
                Due::Nothing => {}
                Due::At(at) => next = Some(next.map_or(at, |next| next.min(at))),
                Due::Now(details, number) => heartbeats.push(Heartbeat {
                    workflow_id: attempt.workflow_id.clone(),
                    token: Arc::clone(&attempt.token),
                    details,
                    number,
                    link: Arc::clone(&attempt.link),
                }),
            }
        }
        (heartbeats, next)
    }
}

impl Attempt {
    fn is_meant_by(&self, ending: &Ending) -> bool {
        match ending {
            Ending::Activity(run_id, event_id) => *run_id == self.run_id && *event_id == self.scheduled_event_id,
            Ending::Run(run_id) => *run_id == self.run_id && !self.detached,
        }
    }
}

impl Inner {
    fn remember(&mut self, ending: Ending) {
        if !self.remembered.insert(ending.clone()) {
            return;
        }
        self.oldest_first.push_back(ending);
        if self.oldest_first.len() > REMEMBERED_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.remembered.remove(&oldest);
        }
    }
}

/// How often heartbeats of an activity are sent at most: a fifth of its timeout is left for the way.
fn interval(timeout: Option<Duration>) -> Duration {
    timeout.map_or(INTERVAL, |timeout| (timeout * 4 / 5).min(INTERVAL_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(run: &str, scheduled_event_id: EventId, detached: bool) -> ActivityTask {
        let json = format!(
            r#"{{"token":"t","namespace":"n","workflow_id":"w","run_id":"{run}","workflow_type":"W","activity_id":"1",
            "activity_type":"A","scheduled_event_id":{scheduled_event_id},"attempt":1,"scheduled_time_ms":0,
            "attempt_scheduled_time_ms":0,"detached":{detached}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn workflow_id() -> WorkflowId {
        WorkflowId::new("w").unwrap()
    }

    fn cancel(run: &str, scheduled_event_id: EventId) -> ActivityCancelRequested {
        let run_id = RunId::from_text(run);
        ActivityCancelRequested { workflow_id: workflow_id(), run_id, scheduled_event_id }
    }

    fn closed(run: &str) -> RunClosed {
        RunClosed { workflow_id: workflow_id(), run_id: RunId::from_text(run) }
    }

    #[test]
    fn those_that_are_meant_hear_it_and_nobody_else() {
        let running = Running::default();
        let [a, b, detached, other] =
            [task("r", 5, false), task("r", 6, false), task("r", 7, true), task("s", 5, false)]
                .map(|task| running.enter(&task));
        running.cancel_requested(cancel("r", 5));
        running.run_closed(closed("r"));
        assert_eq!(a.link.cancel_reason(), Some(CancelReason::Requested));
        assert_eq!(b.link.cancel_reason(), Some(CancelReason::WorkflowClosed));
        assert_eq!((detached.link.cancel_reason(), other.link.cancel_reason()), (None, None));
        running.stop();
        assert_eq!(other.link.cancel_reason(), Some(CancelReason::WorkerShutdown));
    }

    #[test]
    fn what_is_said_before_a_task_comes_is_remembered_and_for_a_while_only() {
        let running = Running::default();
        running.cancel_requested(cancel("r", 5));
        running.run_closed(closed("s"));
        assert!(running.is_to_end(&task("r", 5, false)) && running.is_to_end(&task("s", 9, false)));
        assert!(!running.is_to_end(&task("r", 6, false)) && !running.is_to_end(&task("s", 9, true)));
        (0..REMEMBERED_MAX).for_each(|number| running.run_closed(closed(&format!("run-{number}"))));
        assert!(!running.is_to_end(&task("r", 5, false)));
        let inner = running.inner();
        assert_eq!((inner.remembered.len(), inner.oldest_first.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
    }

    #[test]
    fn an_attempt_that_is_over_is_forgotten() {
        let running = Running::default();
        drop(running.enter(&task("r", 5, false)));
        assert!(running.inner().attempts.is_empty());
    }

    #[test]
    fn heartbeats_leave_time_for_the_way() {
        let seconds = Duration::from_secs;
        assert_eq!(interval(None), seconds(30));
        assert_eq!(interval(Some(seconds(10))), seconds(8));
        assert_eq!(interval(Some(seconds(600))), seconds(60));
    }
}
