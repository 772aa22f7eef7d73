//! Workflows for the simulation: small trees of steps, whose result does not depend on when anything happens.

use serde::{Deserialize, Serialize};
use tidewright_schemas::{Decision, Payload, RetryPolicy, ScheduleActivity};

use crate::dice::Dice;

/// The queue that all workflows and most activities use.
pub(crate) const MAIN_QUEUE: &str = "main";
/// A queue of activities only.
pub(crate) const SIDE_QUEUE: &str = "side";
/// A queue that nobody listens to.
pub(crate) const UNHEARD_QUEUE: &str = "unheard";
/// A queue whose topic can never be written.
pub(crate) const MISSING_QUEUE: &str = "missing";

/// What a failed activity counts as.
const FAILED: u64 = 13;
/// What a timer or a fire-and-forget activity counts as.
const DONE: u64 = 17;

/// One step of a program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Step {
    Activity(Activity),
    Detached(Activity),
    Timer {
        wait_ms: u64,
    },
    Sequence(Vec<Step>),
    Parallel(Vec<Step>),
    /// A timer runs beside the body and is cancelled when the body is done.
    Guarded {
        wait_ms: u64,
        body: Box<Step>,
    },
    /// Waits for a signal, which brings this value.
    Signal {
        value: u64,
    },
    /// The workflow fails here.
    Fail,
}

/// An activity; how it ends depends on nothing but its kind, its value and the attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Activity {
    pub(crate) value: u64,
    pub(crate) kind: Kind,
    pub(crate) side: bool,
    pub(crate) duration_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Plain,
    /// Fails in its first attempts.
    Flaky(u32),
    /// Fails for good at once.
    Fatal,
    /// Fails as often as it may be tried.
    Exhausted(u32),
    /// May be tried once, and never runs twice; what comes of it is a matter of luck, and counts the same.
    Once,
    /// Fails until its schedule-to-close timeout.
    Overdue,
    /// Nobody listens to its queue.
    Unheard,
    /// Its queue has no topic.
    Unreachable,
}

impl Activity {
    fn generate(dice: &mut Dice) -> Self {
        let kind = match dice.below(21) {
            0..=1 => Kind::Flaky(dice.within(1, 3) as u32),
            2 => Kind::Fatal,
            3 => Kind::Exhausted(dice.within(1, 3) as u32),
            4 => Kind::Overdue,
            5 => Kind::Unheard,
            6 => Kind::Unreachable,
            7..=8 => Kind::Once,
            _ => Kind::Plain,
        };
        let duration_ms = match dice.below(6) {
            0 => dice.within(550, 1_200),
            1 => dice.within(10, 200),
            _ => 0,
        };
        Self { value: dice.within(1, 1_000), kind, side: dice.chance(250), duration_ms }
    }

    /// Whether every attempt ends in failure, or there is none.
    fn fails(&self) -> bool {
        !matches!(self.kind, Kind::Plain | Kind::Once | Kind::Flaky(_))
    }

    fn result(&self) -> u64 {
        match self.kind {
            Kind::Once => DONE,
            _ if self.fails() => FAILED,
            _ => mix(self.value, 31),
        }
    }

    /// What one attempt yields: the value, or whether the failure is final.
    pub(crate) fn attempt(&self, attempt: u32) -> Result<u64, bool> {
        match self.kind {
            Kind::Plain | Kind::Once => Ok(self.result()),
            Kind::Flaky(failures) if attempt > failures => Ok(self.result()),
            Kind::Fatal => Err(true),
            _ => Err(false),
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
        let maximum_attempts = self.attempts_max();
        let queue = match self.kind {
            Kind::Unheard => UNHEARD_QUEUE,
            Kind::Unreachable => MISSING_QUEUE,
            _ if self.side => SIDE_QUEUE,
            _ => MAIN_QUEUE,
        };
        ScheduleActivity {
            activity_id: id,
            activity_type: "Simulated".to_owned(),
            task_queue: Some(queue.to_owned()),
            input: Payload::new(self).ok(),
            // With the long one only its worker's silence tells in time that an attempt is gone.
            start_to_close_timeout_ms: Some(if self.value.is_multiple_of(3) { 120_000 } else { 2_500 }),
            schedule_to_start_timeout_ms: (self.kind == Kind::Unheard).then_some(800),
            heartbeat_timeout_ms: None,
            schedule_to_close_timeout_ms: (self.kind == Kind::Overdue).then_some(1_500),
            retry_policy: Some(RetryPolicy {
                initial_interval_ms: 10 + self.value % 200,
                maximum_interval_ms: Some(800),
                maximum_attempts,
                ..RetryPolicy::default()
            }),
            detached,
            ..ScheduleActivity::default()
        }
        .into()
    }
}

pub(crate) fn mix(a: u64, b: u64) -> u64 {
    (a.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(b)) % 1_000_000_007
}

impl Step {
    /// A program of about so many leaves.
    pub(crate) fn generate(dice: &mut Dice, leaves: usize) -> Self {
        if leaves <= 1 {
            return match dice.below(40) {
                0..=5 => Self::Timer { wait_ms: dice.within(0, 1_500) },
                6..=7 => Self::Detached(Activity::generate(dice)),
                8 => Self::Fail,
                10..=13 => Self::Signal { value: dice.within(1, 1_000) },
                9 => Self::Sequence(Vec::new()),
                _ => Self::Activity(Activity::generate(dice)),
            };
        }
        if dice.chance(200) {
            let body = Box::new(Self::generate(dice, leaves - 1));
            let wait_ms = if dice.chance(500) { dice.within(0, 300) } else { dice.within(1_000, 100_000) };
            return Self::Guarded { wait_ms, body };
        }
        let parts = dice.within(2, 4.min(leaves as u64)) as usize;
        let children = (0..parts).map(|_| Self::generate(dice, leaves / parts)).collect();
        if dice.chance(500) { Self::Sequence(children) } else { Self::Parallel(children) }
    }

    /// How many places in the numbering of steps it takes.
    pub(crate) fn size(&self) -> usize {
        1 + match self {
            Self::Sequence(children) | Self::Parallel(children) => children.iter().map(Self::size).sum(),
            Self::Guarded { body, .. } => body.size(),
            Self::Activity(_) | Self::Detached(_) | Self::Timer { .. } | Self::Signal { .. } | Self::Fail => 0,
        }
    }

    /// The signals that it waits for at some time: their names and values.
    pub(crate) fn signals(&self, at: usize) -> Vec<(String, u64)> {
        match self {
            Self::Signal { value } => vec![(format!("s{at}"), *value)],
            Self::Sequence(children) | Self::Parallel(children) => {
                let mut next = at + 1;
                let mut signals = Vec::new();
                for child in children {
                    signals.extend(child.signals(next));
                    next += child.size();
                }
                signals
            }
            Self::Guarded { body, .. } => body.signals(at + 1),
            Self::Activity(_) | Self::Detached(_) | Self::Timer { .. } | Self::Fail => Vec::new(),
        }
    }

    /// How the workflow must end: the reference run. None if it fails.
    pub(crate) fn reference(&self) -> Option<u64> {
        match self {
            Self::Activity(activity) => Some(activity.result()),
            Self::Detached(_) | Self::Timer { .. } => Some(DONE),
            Self::Signal { value } => Some(*value),
            Self::Sequence(children) => children.iter().try_fold(7, |sum, child| Some(mix(sum, child.reference()?))),
            Self::Parallel(children) => children.iter().try_fold(11, |sum, child| Some(sum + child.reference()?)),
            Self::Guarded { body, .. } => body.reference(),
            Self::Fail => None,
        }
    }

    pub(crate) fn failed() -> u64 {
        FAILED
    }

    pub(crate) fn done() -> u64 {
        DONE
    }
}
