//! What a run waits for, and what it has asked for: shared between the machine and the workflow code's context.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};
use tidewright_schemas::{CancelTimer, Decision, Failure, Payload, ScheduleActivity, StartTimer};

use crate::ActivityRequest;
use crate::handlers::Note;
use crate::pending::{LastAwait, PendingOperation};
use crate::told::Told;

/// How an activity ended.
pub(crate) type ActivityOutcome = Result<Option<Payload>, Box<Failure>>;

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
}

/// Everything that is open in a run. Keys are the sequence numbers that are the ids of activities and timers.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) now_ms: u64,
    sequence: u64,
    decisions: Vec<Decision>,
    activities: BTreeMap<u64, Slot<ActivityOutcome>>,
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
        if let Some(about) = waited_for {
            self.activities.insert(sequence, Slot::new(about));
        }
        self.decide(ScheduleActivity {
            activity_id: sequence.to_string(),
            activity_type: request.activity_type,
            task_queue: request.task_queue,
            input: request.input,
            start_to_close_timeout_ms: request.start_to_close_timeout_ms,
            schedule_to_start_timeout_ms: request.schedule_to_start_timeout_ms,
            schedule_to_close_timeout_ms: request.schedule_to_close_timeout_ms,
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
        poll_slot(&mut self.activities, sequence, cx, last_await)
    }

    pub(crate) fn poll_timer(&mut self, sequence: u64, cx: &Context<'_>, last_await: &LastAwait) -> Poll<()> {
        poll_slot(&mut self.timers, sequence, cx, last_await)
    }

    /// Nobody waits for the activity any more.
    pub(crate) fn forget_activity(&mut self, sequence: u64) {
        self.activities.remove(&sequence);
    }

    /// Nobody waits for the timer any more. One that was started in this very activation has never been.
    pub(crate) fn cancel_timer(&mut self, sequence: u64) {
        let Some(slot) = self.timers.remove(&sequence) else { return };
        if slot.settled {
            return;
        }
        let id = sequence.to_string();
        let started_now = self.decisions.iter().rposition(|d| matches!(d, Decision::StartTimer(s) if s.timer_id == id));
        match started_now {
            Some(index) => drop(self.decisions.remove(index)),
            None => self.decide(CancelTimer { timer_id: id }),
        }
    }

    /// The outcome of an activity; whom to wake.
    pub(crate) fn resolve_activity(&mut self, id: &str, outcome: ActivityOutcome) -> Option<Waker> {
        let slot = self.activities.get_mut(&id.parse().ok()?)?;
        slot.outcome.get_or_insert(outcome);
        slot.waker.take()
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
        wakers.extend(self.activities.values_mut().filter_map(|slot| slot.waker.take()));
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
        let activities = self.activities.values().filter_map(Slot::pending);
        let timers = self.timers.values().filter_map(Slot::pending);
        activities.chain(timers).chain(self.told.pending()).cloned().collect()
    }

    /// Whether history can still bring something that the workflow waits for.
    pub(crate) fn waits(&self) -> bool {
        self.activities.values().any(|slot| slot.outcome.is_none())
            || self.timers.values().any(|slot| slot.outcome.is_none())
            || self.told.is_awaited()
    }

    /// The last decision; nothing that the code's destructors ask for afterwards counts.
    pub(crate) fn close(&mut self, decision: impl Into<Decision>) {
        self.decide(decision);
        self.closed = true;
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

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

fn poll_slot<T>(
    slots: &mut BTreeMap<u64, Slot<T>>,
    sequence: u64,
    cx: &Context<'_>,
    last_await: &LastAwait,
) -> Poll<T> {
    let Some(slot) = slots.get_mut(&sequence) else { return Poll::Pending };
    last_await.note(slot.about.at);
    let Some(outcome) = slot.outcome.take() else {
        slot.waker = Some(cx.waker().clone());
        return Poll::Pending;
    };
    slots.remove(&sequence);
    Poll::Ready(outcome)
}
