//! What history says of activities and their attempts, told by its records alone: what their heartbeats said, when the
//! next attempt is due, who was asked to end, how each ended.

use std::collections::{BTreeMap, BTreeSet};

use tidewright_schemas::{
    ActivityDispatched, ActivityRetryScheduled, EventAttributes, EventId, Failure, FailureInfo, HistoryEvent, Payload,
    RowFact, RunId, TaskId, TaskKind, TimeoutType, Transition,
};

use crate::stats::Stats;
use crate::told::outcome;
use crate::violation::{Checked, ensure};

/// The activities of a partition.
#[derive(Default)]
pub(crate) struct Attempts {
    activities: BTreeMap<(RunId, EventId), Activity>,
    closed_runs: BTreeSet<RunId>,
    /// What each attempt was given of the heartbeats before it, and what its own said since.
    details: BTreeMap<TaskId, (Option<Payload>, Vec<Payload>)>,
    /// How activities ended in the record that landed last.
    ends: Vec<EventAttributes>,
    pub(crate) met: Stats,
}

#[derive(Default)]
struct Activity {
    details: Option<Payload>,
    due_ms: Option<u64>,
    asked: bool,
    closed: bool,
    /// How it ended, if its run was open then.
    ended: Option<EventAttributes>,
}

impl Attempts {
    fn activity(&mut self, run_id: &RunId, scheduled_event_id: EventId) -> &mut Activity {
        self.activities.entry((run_id.clone(), scheduled_event_id)).or_default()
    }

    /// Whether an attempt may be given this: what was recorded when it was sent, or, if it is sent again, since then.
    pub(crate) fn may_read(&self, task: &TaskId, details: Option<&Payload>) -> bool {
        let Some((given, since)) = self.details.get(task) else { return details.is_none() };
        details == given.as_ref() || details.is_some_and(|details| since.contains(details))
    }

    pub(crate) fn is_closed(&self, run_id: &RunId, scheduled_event_id: EventId) -> bool {
        let activity = self.activities.get(&(run_id.clone(), scheduled_event_id));
        activity.is_some_and(|activity| activity.closed)
    }

    pub(crate) fn is_asked(&self, run_id: &RunId, scheduled_event_id: EventId) -> bool {
        self.activities.get(&(run_id.clone(), scheduled_event_id)).is_some_and(|activity| activity.asked)
    }

    pub(crate) fn run_is_closed(&self, run_id: &RunId) -> bool {
        self.closed_runs.contains(run_id)
    }

    /// How activities ended in the record that landed last.
    pub(crate) fn take_ends(&mut self) -> Vec<EventAttributes> {
        std::mem::take(&mut self.ends)
    }

    /// A valid record landed that changes a run.
    pub(crate) fn landed(&mut self, run_id: &RunId, change: &Transition) -> Checked {
        let mut flushed = false;
        for fact in &change.rows {
            match fact {
                RowFact::ActivityHeartbeatRecorded(beat) => {
                    self.met.heartbeats += 1;
                    self.activity(run_id, beat.scheduled_event_id).details.clone_from(&beat.details);
                    let task = task_id(run_id, beat.scheduled_event_id, beat.attempt);
                    self.details.entry(task).or_default().1.extend(beat.details.clone());
                }
                RowFact::ActivityRetryScheduled(retry) => self.retry(run_id, retry, change.source_time_ms)?,
                RowFact::ActivityDispatched(dispatched) => self.dispatched(run_id, dispatched)?,
                RowFact::DetachedActivityClosed(closed) => {
                    self.met.outlived += 1;
                    self.close(run_id, closed.scheduled_event_id)?;
                }
                RowFact::EventBuffered(buffered) => {
                    for event in &buffered.events {
                        self.ended(run_id, event)?;
                    }
                }
                RowFact::BufferFlushed(_) => flushed = true,
                _ => {}
            }
        }
        for event in &change.events {
            if let EventAttributes::ActivityTaskCancelRequested(asked) = &event.attributes {
                self.met.cancels_asked += 1;
                self.activity(run_id, asked.scheduled_event_id).asked = true;
            }
            if event.attributes.closes_as().is_some() {
                self.closed_runs.insert(run_id.clone());
            }
            if !flushed || !self.was_buffered(run_id, event)? {
                self.ended(run_id, event)?;
            }
        }
        Ok(())
    }

    fn retry(&mut self, run_id: &RunId, retry: &ActivityRetryScheduled, now_ms: u64) -> Checked {
        self.carries(run_id, retry.scheduled_event_id, retry.attempt, retry.heartbeat_details.as_ref())?;
        self.count_failure(&retry.failure);
        if let FailureInfo::Application(application) = &retry.failure.info
            && let Some(delay_ms) = application.next_retry_delay_ms
        {
            self.met.deferred += 1;
            let due_ms = retry.due_ms;
            ensure!(due_ms >= now_ms + delay_ms, "a_failure_says_when_the_next_attempt_is", "{retry:?} at {now_ms}");
        }
        self.activity(run_id, retry.scheduled_event_id).due_ms = Some(retry.due_ms);
        Ok(())
    }

    fn dispatched(&mut self, run_id: &RunId, sent: &ActivityDispatched) -> Checked {
        self.carries(run_id, sent.scheduled_event_id, sent.attempt, sent.heartbeat_details.as_ref())?;
        let due_ms = self.activity(run_id, sent.scheduled_event_id).due_ms.take();
        match (due_ms, &sent.last_failure) {
            (Some(due_ms), _) => {
                ensure!(sent.time_ms >= due_ms, "r20_no_attempt_is_sent_before_its_time", "{sent:?}, due {due_ms}");
            }
            (None, Some(failure)) => self.count_failure(failure),
            (None, None) => {}
        }
        self.met.returned += u64::from(sent.anywhere && sent.unstarted > 0);
        Ok(())
    }

    /// The next attempt is given what the last heartbeat that history has said.
    fn carries(&mut self, run_id: &RunId, event_id: EventId, attempt: u32, details: Option<&Payload>) -> Checked {
        let recorded = self.activity(run_id, event_id).details.clone();
        ensure!(
            recorded.as_ref() == details,
            "an_attempt_reads_the_last_heartbeat_that_is_recorded",
            "attempt {attempt} of {run_id} {event_id} is given {details:?}, recorded is {recorded:?}"
        );
        if recorded.is_some() {
            self.details.insert(task_id(run_id, event_id, attempt), (recorded, Vec::new()));
        }
        Ok(())
    }

    fn close(&mut self, run_id: &RunId, scheduled_event_id: EventId) -> Checked {
        let before = std::mem::replace(&mut self.activity(run_id, scheduled_event_id).closed, true);
        ensure!(!before, "r29_an_activity_closes_once", "{run_id} event {scheduled_event_id}");
        Ok(())
    }

    /// If the event says that an activity ended: it does so once, and as it may.
    fn ended(&mut self, run_id: &RunId, event: &HistoryEvent) -> Checked {
        let Some(scheduled_event_id) = event.attributes.closes_activity() else { return Ok(()) };
        self.close(run_id, scheduled_event_id)?;
        let activity = self.activity(run_id, scheduled_event_id);
        activity.ended = Some(event.attributes.clone());
        let (asked, recorded) = (activity.asked, activity.details.clone());
        match &event.attributes {
            EventAttributes::ActivityTaskCanceled(canceled) => {
                ensure!(
                    asked || canceled.latest_cancel_requested_event_id > 0,
                    "r30_nothing_is_cancelled_unasked",
                    "{canceled:?}"
                );
                self.met.canceled_running += u64::from(canceled.details.is_some());
                self.met.canceled_waiting += u64::from(canceled.details.is_none());
            }
            EventAttributes::ActivityTaskCompleted(_) => self.met.completed_though_asked += u64::from(asked),
            EventAttributes::ActivityTaskFailed(failed) => {
                self.met.failed_though_asked += u64::from(asked);
                self.count_failure(&failed.failure);
            }
            EventAttributes::ActivityTaskTimedOut(timed_out) => {
                self.count_failure(&timed_out.failure);
                let FailureInfo::Timeout(timeout) = &timed_out.failure.info else { return Ok(()) };
                ensure!(
                    timeout.last_heartbeat_details == recorded,
                    "a_timeout_tells_the_last_heartbeat",
                    "{timed_out:?}, recorded is {recorded:?}"
                );
            }
            _ => {}
        }
        self.ends.push(event.attributes.clone());
        Ok(())
    }

    /// Whether the event stands in the history now after it was buffered; then it says what it said before.
    fn was_buffered(&self, run_id: &RunId, event: &HistoryEvent) -> Checked<bool> {
        let Some(event_id) = event.attributes.closes_activity() else { return Ok(true) };
        let activity = self.activities.get(&(run_id.clone(), event_id));
        let Some(ended) = activity.and_then(|activity| activity.ended.as_ref()) else { return Ok(false) };
        ensure!(
            outcome(ended) == outcome(&event.attributes),
            "r22_a_workflow_hears_what_was_recorded",
            "{event:?} was recorded as {ended:?}"
        );
        Ok(true)
    }

    fn count_failure(&mut self, failure: &Failure) {
        let met = &mut self.met;
        match &failure.info {
            FailureInfo::Timeout(timeout) => match timeout.timeout_type {
                TimeoutType::StartToClose => met.start_to_close += 1,
                TimeoutType::ScheduleToStart => met.schedule_to_start += 1,
                TimeoutType::ScheduleToClose => met.schedule_to_close += 1,
                TimeoutType::Heartbeat => met.heartbeat_timeouts += 1,
            },
            FailureInfo::Server(server) => match server.code.as_str() {
                "TW0304" => met.tasks_lost += 1,
                "TW0320" => met.workers_lost += 1,
                "TW0321" => met.suspects += 1,
                _ => {}
            },
            FailureInfo::Application(_) => met.failures += 1,
            _ => {}
        }
    }
}

fn task_id(run_id: &RunId, scheduled_event_id: EventId, attempt: u32) -> TaskId {
    TaskId { kind: TaskKind::Activity, run_id: run_id.clone(), scheduled_event_id, attempt }
}
