//! What a run waits for, and what it has asked for: shared between the machine and the workflow code's context.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};
use tidewright_schemas::{CancelTimer, Decision, EventId, RequestCancelActivity, ScheduleActivity, StartTimer};

use crate::handlers::Note;
use crate::outcome::{ActivityOutcome, Asked, Ended};
use crate::pending::{LastAwait, PendingOperation, Place};
use crate::told::Told;
use crate::{ActivityCancellationType, ActivityRequest};

/// Something that the workflow may wait for.
#[derive(Debug)]
struct Slot<T> {
    /// Whether history has the outcome, even if it has not been delivered yet.
    settled: bool,
    outcome: Option<T>,
    waker: Option<Waker>,
    about: PendingOperation,
}

impl<T> Slot<T> {
    fn new(about: PendingOperation) -> Self {
        Self { settled: false, outcome: None, waker: None, about }
    }

    fn pending(&self) -> Option<&PendingOperation> {
        self.outcome.is_none().then_some(&self.about)
    }

    fn poll(&mut self, cx: &Context<'_>, last_await: &LastAwait) -> Poll<T> {
        last_await.note(self.about.at);
        match self.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// An activity that the workflow waits for.
#[derive(Debug)]
struct OpenActivity {
    slot: Slot<ActivityOutcome>,
    asked: Asked,
    cancellation_type: ActivityCancellationType,
    cancel_requested: bool,
    /// Its `ActivityTaskScheduled`, once history has it.
    scheduled_event_id: Option<EventId>,
}

/// Everything that is open in a run. Keys are the sequence numbers that are the ids of activities and timers.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) now_ms: u64,
    sequence: u64,
    decisions: Vec<Decision>,
    activities: BTreeMap<u64, OpenActivity>,
    timers: BTreeMap<u64, Slot<()>>,
    pub(crate) told: Told,
    pub(crate) notes: Vec<Note>,
    random: ChaCha12Rng,
    closed: bool,
}

impl State {
    /// The state of a run that has not begun. Its randomness derives from its id alone.
    pub(crate) fn new(run_id: &str) -> Self {
        let seed: [u8; 32] = Sha256::new().chain_update("tidewright run ").chain_update(run_id).finalize().into();
        Self {
            now_ms: 0,
            sequence: 0,
            decisions: Vec::new(),
            activities: BTreeMap::new(),
            timers: BTreeMap::new(),
            told: Told::default(),
            notes: Vec::new(),
            random: ChaCha12Rng::from_seed(seed),
            closed: false,
        }
    }

    /// Asks for an activity; returns its sequence number. One that nobody waits for is detached.
    pub(crate) fn schedule_activity(&mut self, request: ActivityRequest, waited_for: Option<PendingOperation>) -> u64 {
        let sequence = self.next_sequence();
        let detached = waited_for.is_none();
        let activity_id = sequence.to_string();
        if let Some(about) = waited_for {
            let asked = Asked { activity_id: activity_id.clone(), activity_type: request.activity_type.clone() };
            let open = OpenActivity {
                slot: Slot::new(about),
                asked,
                cancellation_type: request.cancellation_type,
                cancel_requested: false,
                scheduled_event_id: None,
            };
            self.activities.insert(sequence, open);
        }
        self.decide(ScheduleActivity {
            activity_id,
            activity_type: request.activity_type,
            task_queue: request.task_queue,
            input: request.input,
            start_to_close_timeout_ms: request.start_to_close_timeout_ms,
            schedule_to_start_timeout_ms: request.schedule_to_start_timeout_ms,
            schedule_to_close_timeout_ms: request.schedule_to_close_timeout_ms,
            heartbeat_timeout_ms: request.heartbeat_timeout_ms,
            retry_policy: request.retry_policy,
            detached,
            ..ScheduleActivity::default()
        });
        sequence
    }

    pub(crate) fn start_timer(&mut self, start_to_fire_timeout_ms: u64, about: PendingOperation) -> u64 {
        let sequence = self.next_sequence();
        self.timers.insert(sequence, Slot::new(about));
        self.decide(StartTimer { timer_id: sequence.to_string(), start_to_fire_timeout_ms, ..StartTimer::default() });
        sequence
    }

    pub(crate) fn poll_activity(
        &mut self,
        sequence: u64,
        cx: &Context<'_>,
        last_await: &LastAwait,
    ) -> Poll<ActivityOutcome> {
        let Some(activity) = self.activities.get_mut(&sequence) else { return Poll::Pending };
        let poll = activity.slot.poll(cx, last_await);
        if poll.is_ready() {
            self.activities.remove(&sequence);
        }
        poll
    }

    pub(crate) fn poll_timer(&mut self, sequence: u64, cx: &Context<'_>, last_await: &LastAwait) -> Poll<()> {
        let Some(slot) = self.timers.get_mut(&sequence) else { return Poll::Pending };
        let poll = slot.poll(cx, last_await);
        if poll.is_ready() {
            self.timers.remove(&sequence);
        }
        poll
    }

    /// Cancels an activity as its type says. One that was asked for in this very activation has never been; one that has
    /// ended, perhaps in the history that is being delivered, stays as it is.
    pub(crate) fn cancel_activity(&mut self, sequence: u64) {
        let Some(activity) = self.activities.get_mut(&sequence) else { return };
        if activity.slot.settled || activity.slot.outcome.is_some() || activity.cancel_requested {
            return;
        }
        activity.cancel_requested = true;
        let (cancellation, scheduled_event_id) = (activity.cancellation_type, activity.scheduled_event_id);
        if scheduled_event_id.is_none() || cancellation != ActivityCancellationType::WaitCancellationCompleted {
            let ended = Ended { scheduled_event_id: scheduled_event_id.unwrap_or(0), ..Ended::default() };
            activity.slot.outcome = Some(Err(activity.asked.canceled(ended, None)));
        }
        match scheduled_event_id {
            Some(_) if cancellation == ActivityCancellationType::Abandon => {}
            Some(scheduled_event_id) => self.decide(RequestCancelActivity { scheduled_event_id }),
            None => {
                let id = sequence.to_string();
                self.take_back(|d| matches!(d, Decision::ScheduleActivity(asked) if asked.activity_id == id));
            }
        }
    }

    /// Nobody waits for the activity any more: it is cancelled.
    pub(crate) fn drop_activity(&mut self, sequence: u64) {
        self.cancel_activity(sequence);
        self.activities.remove(&sequence);
    }

    /// Nobody waits for the timer any more. One that was started in this very activation has never been.
    pub(crate) fn cancel_timer(&mut self, sequence: u64) {
        let Some(slot) = self.timers.remove(&sequence) else { return };
        if slot.settled {
            return;
        }
        let timer_id = sequence.to_string();
        if !self.take_back(|d| matches!(d, Decision::StartTimer(started) if started.timer_id == timer_id)) {
            self.decide(CancelTimer { timer_id });
        }
    }

    /// History has the activity's beginning.
    pub(crate) fn activity_scheduled(&mut self, id: &str, scheduled_event_id: EventId) {
        if let Some(activity) = self.activity(id) {
            activity.scheduled_event_id = Some(scheduled_event_id);
        }
    }

    /// History has the activity's end: to cancel it now means nothing.
    pub(crate) fn settle_activity(&mut self, id: &str) {
        if let Some(activity) = self.activity(id) {
            activity.slot.settled = true;
        }
    }

    /// The outcome of an activity, unless it has one; whom to wake.
    pub(crate) fn resolve_activity(&mut self, id: &str, outcome: ActivityOutcome) -> Option<Waker> {
        let slot = &mut self.activity(id)?.slot;
        slot.outcome.get_or_insert(outcome);
        slot.waker.take()
    }

    fn activity(&mut self, id: &str) -> Option<&mut OpenActivity> {
        self.activities.get_mut(&id.parse().ok()?)
    }

    /// History has the timer's firing: to cancel it now means nothing.
    pub(crate) fn settle_timer(&mut self, id: &str) {
        if let Some(slot) = id.parse().ok().and_then(|sequence: u64| self.timers.get_mut(&sequence)) {
            slot.settled = true;
        }
    }

    /// A timer fired; whom to wake.
    pub(crate) fn fire_timer(&mut self, id: &str) -> Option<Waker> {
        let slot = self.timers.get_mut(&id.parse().ok()?)?;
        slot.outcome = Some(());
        slot.waker.take()
    }

    /// Everybody who waits for anything.
    pub(crate) fn wake_all(&mut self) -> Vec<Waker> {
        let mut wakers = self.told.wake();
        wakers.extend(self.activities.values_mut().filter_map(|activity| activity.slot.waker.take()));
        wakers.extend(self.timers.values_mut().filter_map(|slot| slot.waker.take()));
        wakers
    }

    /// The run was asked to end. Whom to wake.
    pub(crate) fn request_cancel(&mut self) -> Vec<Waker> {
        self.told.request_cancel();
        self.wake_all()
    }

    /// What the run waits for: activities, timers, and what it is told, each in the order in which it was asked for.
    pub(crate) fn pending(&self) -> Vec<PendingOperation> {
        let activities = self.activities.values().filter_map(|activity| activity.slot.pending());
        let timers = self.timers.values().filter_map(Slot::pending);
        activities.chain(timers).chain(self.told.pending()).cloned().collect()
    }

    /// Whether history can still bring something that the workflow waits for.
    pub(crate) fn waits(&self) -> bool {
        self.activities.values().any(|activity| activity.slot.outcome.is_none())
            || self.timers.values().any(|slot| slot.outcome.is_none())
            || self.told.is_awaited()
    }

    /// The last decision; nothing that the code's destructors ask for afterwards counts.
    pub(crate) fn close(&mut self, decision: impl Into<Decision>) {
        self.decide(decision);
        self.closed = true;
    }

    /// The place in the code that made a decision, if it is known.
    pub(crate) fn place_of(&self, decision: &Decision) -> Place {
        let (activity, timer) = match decision {
            Decision::ScheduleActivity(d) => (d.activity_id.parse().ok(), None),
            Decision::StartTimer(d) => (None, d.timer_id.parse().ok()),
            _ => (None, None),
        };
        let activity = activity.and_then(|sequence: u64| self.activities.get(&sequence)).map(|open| open.slot.about.at);
        let timer = timer.and_then(|sequence: u64| self.timers.get(&sequence)).map(|slot| slot.about.at);
        Place(activity.or(timer))
    }

    pub(crate) fn take_decisions(&mut self) -> Vec<Decision> {
        std::mem::take(&mut self.decisions)
    }

    pub(crate) fn fill_random(&mut self, bytes: &mut [u8]) {
        self.random.fill_bytes(bytes);
    }

    fn decide(&mut self, decision: impl Into<Decision>) {
        if !self.closed {
            self.decisions.push(decision.into());
        }
    }

    /// Takes back what was decided in this very activation; says whether it was.
    fn take_back(&mut self, decision: impl Fn(&Decision) -> bool) -> bool {
        let found = self.decisions.iter().rposition(decision);
        found.map(|index| self.decisions.remove(index)).is_some()
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}
