//! Activities of the simulation's programs: what they ask for, and how each attempt ends. That depends on nothing but the
//! kind, the value and the attempt.

use serde::{Deserialize, Serialize};
use tidewright_schemas::{ApplicationFailure, Decision, Failure, FailureInfo, Payload, RetryPolicy, ScheduleActivity};

use crate::dice::Dice;
use crate::program::{DONE, FAILED, MAIN_QUEUE, MISSING_QUEUE, SIDE_QUEUE, UNHEARD_QUEUE, mix};

/// What the policy of a [`Kind::Hopeless`] activity does not retry.
const HOPELESS: &str = "Hopeless";
/// How long an attempt that hangs does so: well beyond its heartbeat timeout.
const HANGS_MS: u64 = 9_000;

/// An activity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Activity {
    pub(crate) value: u64,
    pub(crate) kind: Kind,
    pub(crate) side: bool,
    pub(crate) duration_ms: u64,
    /// How often it heartbeats, if it does.
    pub(crate) beat_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Plain,
    /// Fails in its first attempts.
    Flaky(u32),
    /// The same, and each failure says when the next attempt is to be.
    Deferred(u32),
    /// Fails for good at once.
    Fatal,
    /// Fails with what its policy does not retry.
    Hopeless,
    /// Fails as often as it may be tried.
    Exhausted(u32),
    /// May be tried once, and never runs twice; what comes of it is a matter of luck, and counts the same.
    Once,
    /// Fails until its schedule-to-close timeout.
    Overdue,
    /// Neither ends nor heartbeats in time in its first attempts.
    Hanging(u32),
    /// Takes its worker down so many times.
    Deadly(u32),
    /// Nobody listens to its queue.
    Unheard,
    /// Its queue has no topic.
    Unreachable,
}

impl Activity {
    pub(crate) fn generate(dice: &mut Dice) -> Self {
        let kind = match dice.below(27) {
            0..=1 => Kind::Flaky(dice.within(1, 3) as u32),
            2 => Kind::Fatal,
            3 => Kind::Exhausted(dice.within(1, 3) as u32),
            4 => Kind::Overdue,
            5 => Kind::Unheard,
            6 => Kind::Unreachable,
            7..=8 => Kind::Once,
            9 => Kind::Deferred(dice.within(1, 2) as u32),
            10 => Kind::Hopeless,
            11 => Kind::Hanging(dice.within(1, 2) as u32),
            12 if dice.chance(500) => Kind::Deadly(dice.within(1, 4) as u32),
            _ => Kind::Plain,
        };
        let mut activity = Self { value: dice.within(1, 1_000), kind, side: dice.chance(250), ..Self::brief() };
        activity.duration_ms = match dice.below(6) {
            0 => dice.within(550, 1_200),
            1 => dice.within(10, 200),
            _ => 0,
        };
        if matches!(kind, Kind::Hanging(_)) || dice.chance(150) {
            activity.beat_ms = Some(dice.within(80, 300));
            activity.duration_ms = dice.within(200, 1_500);
        }
        activity
    }

    /// One that may well be running when it is asked to end.
    pub(crate) fn generate_long(dice: &mut Dice) -> Self {
        let mut activity = Self::generate(dice);
        activity.duration_ms = dice.within(100, 2_000);
        activity
    }

    fn brief() -> Self {
        Self { value: 1, kind: Kind::Plain, side: false, duration_ms: 0, beat_ms: None }
    }

    /// Whether every attempt ends in failure, or there is none.
    fn fails(&self) -> bool {
        match self.kind {
            Kind::Fatal | Kind::Hopeless | Kind::Exhausted(_) | Kind::Overdue | Kind::Unheard | Kind::Unreachable => {
                true
            }
            Kind::Plain | Kind::Flaky(_) | Kind::Deferred(_) | Kind::Once | Kind::Hanging(_) | Kind::Deadly(_) => false,
        }
    }

    /// What it comes to, whatever happens on the way.
    pub(crate) fn result(&self) -> u64 {
        match self.kind {
            Kind::Once => DONE,
            _ if self.fails() => FAILED,
            _ => mix(self.value, 31),
        }
    }

    /// What one attempt yields.
    pub(crate) fn attempt(&self, attempt: u32) -> Result<u64, Box<Failure>> {
        let failure = |error_type: &str, for_good| Box::new(Failure::application(error_type, "as planned", for_good));
        match self.kind {
            Kind::Flaky(failures) if attempt <= failures => Err(failure("Simulated", false)),
            Kind::Deferred(failures) if attempt <= failures => {
                let mut failure = failure("Simulated", false);
                let next_retry_delay_ms = Some(400 + self.value);
                if let FailureInfo::Application(application) = failure.info {
                    failure.info = FailureInfo::Application(ApplicationFailure { next_retry_delay_ms, ..application });
                }
                Err(failure)
            }
            Kind::Fatal => Err(failure("Simulated", true)),
            Kind::Hopeless => Err(failure(HOPELESS, false)),
            _ if self.fails() => Err(failure("Simulated", false)),
            _ => Ok(self.result()),
        }
    }

    /// How long an attempt runs.
    pub(crate) fn attempt_ms(&self, attempt: u32) -> u64 {
        if self.hangs(attempt) { HANGS_MS } else { self.duration_ms }
    }

    /// How often an attempt heartbeats.
    pub(crate) fn attempt_beat_ms(&self, attempt: u32) -> Option<u64> {
        self.beat_ms.filter(|_| !self.hangs(attempt))
    }

    fn hangs(&self, attempt: u32) -> bool {
        matches!(self.kind, Kind::Hanging(attempts) if attempt <= attempts)
    }

    /// How often it takes its worker down.
    pub(crate) fn deaths(&self) -> u32 {
        match self.kind {
            Kind::Deadly(deaths) => deaths,
            _ => 0,
        }
    }

    /// How often it may be tried; 0 is without limit.
    pub(crate) fn attempts_max(&self) -> u32 {
        match self.kind {
            Kind::Once => 1,
            Kind::Exhausted(most) => most,
            _ => 0,
        }
    }

    pub(crate) fn schedule(&self, id: String, detached: bool) -> Decision {
        let queue = match self.kind {
            Kind::Unheard => UNHEARD_QUEUE,
            Kind::Unreachable => MISSING_QUEUE,
            _ if self.side => SIDE_QUEUE,
            _ => MAIN_QUEUE,
        };
        // With the long one only its worker's silence, or its own, tells in time that an attempt is gone.
        let is_long = self.value.is_multiple_of(3) || matches!(self.kind, Kind::Hanging(_));
        ScheduleActivity {
            activity_id: id,
            activity_type: "Simulated".to_owned(),
            task_queue: Some(queue.to_owned()),
            input: Payload::new(self).ok(),
            start_to_close_timeout_ms: Some(if is_long { 120_000 } else { 2_500 }),
            schedule_to_start_timeout_ms: (self.kind == Kind::Unheard).then_some(800),
            heartbeat_timeout_ms: self.beat_ms.map(|_| 1_200),
            schedule_to_close_timeout_ms: (self.kind == Kind::Overdue).then_some(1_500),
            retry_policy: Some(RetryPolicy {
                initial_interval_ms: 10 + self.value % 200,
                maximum_interval_ms: Some(800),
                maximum_attempts: self.attempts_max(),
                non_retryable_error_types: vec![HOPELESS.to_owned()],
                ..RetryPolicy::default()
            }),
            detached,
            ..ScheduleActivity::default()
        }
        .into()
    }
}
