//! Workflows for the simulation: small trees of steps. What a workflow comes to does not depend on when anything happens,
//! but for its races; those a reference run takes from what history says was heard first.

use serde::{Deserialize, Serialize};

use crate::activity::Activity;
use crate::dice::Dice;
use crate::told::{Outcome, Told};

/// The queue that all workflows and most activities use.
pub(crate) const MAIN_QUEUE: &str = "main";
/// A queue of activities only.
pub(crate) const SIDE_QUEUE: &str = "side";
/// A queue that nobody listens to.
pub(crate) const UNHEARD_QUEUE: &str = "unheard";
/// A queue whose topic can never be written.
pub(crate) const MISSING_QUEUE: &str = "missing";

/// What a failed activity counts as.
pub(crate) const FAILED: u64 = 13;
/// What a timer, a fire-and-forget activity, or one that nobody waits for any more counts as.
pub(crate) const DONE: u64 = 17;
/// What a cancelled activity counts as.
pub(crate) const CANCELED: u64 = 19;

/// A week, in milliseconds: a timer that costs a row, and is cancelled long before.
const WEEK_MS: u64 = 7 * 24 * 3_600 * 1_000;

/// One step of a program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Step {
    Activity(Activity),
    Detached(Activity),
    /// An activity that is asked to end when a timer fires first.
    Limited {
        wait_ms: u64,
        cancellation: Cancellation,
        activity: Activity,
    },
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
    /// Waits for a signal, but no longer than this: a condition with a timeout.
    Condition {
        value: u64,
        wait_ms: u64,
    },
    /// Waits for signals of one name, which bring these values in this order.
    Channel {
        values: Vec<u64>,
    },
    /// The workflow fails here.
    Fail,
    /// Only at the top: when the run is asked to end, what is open is cancelled, the cleanup runs, and the run ends as
    /// cancelled.
    Heeding {
        body: Box<Step>,
        cleanup: Activity,
    },
}

/// What becomes of an activity that takes too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cancellation {
    /// It is asked to end, and not waited for.
    Try,
    /// It is asked to end, and waited for.
    Wait,
    /// It is left alone.
    Abandon,
}

/// How a run ended by its own decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Completed(u64),
    Failed,
    Canceled,
}

pub(crate) fn mix(a: u64, b: u64) -> u64 {
    (a.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(b)) % 1_000_000_007
}

/// What the values of a channel come to.
pub(crate) fn in_order(values: &[u64]) -> u64 {
    values.iter().fold(5, |sum, value| mix(sum, *value))
}

impl Step {
    /// A whole program.
    pub(crate) fn generate(dice: &mut Dice, leaves: usize) -> Self {
        let body = Self::part(dice, leaves);
        if !dice.chance(300) {
            return body;
        }
        Self::Heeding { body: Box::new(body), cleanup: Activity::generate(dice) }
    }

    /// A part of about so many leaves.
    fn part(dice: &mut Dice, leaves: usize) -> Self {
        if leaves <= 1 {
            return match dice.below(46) {
                0..=5 => Self::Timer { wait_ms: dice.within(0, 1_500) },
                6..=7 => Self::Detached(Activity::generate(dice)),
                8 => Self::Fail,
                9 => Self::Sequence(Vec::new()),
                10..=12 => Self::Signal { value: dice.within(1, 1_000) },
                13..=14 => Self::Condition { value: dice.within(1, 1_000), wait_ms: dice.within(0, 1_500) },
                15..=16 => Self::Channel { values: (0..dice.within(2, 4)).map(|_| dice.within(1, 1_000)).collect() },
                17..=21 => Self::limited(dice),
                _ => Self::Activity(Activity::generate(dice)),
            };
        }
        if dice.chance(200) {
            let body = Box::new(Self::part(dice, leaves - 1));
            let wait_ms = match dice.below(20) {
                0 => WEEK_MS,
                1..=10 => dice.within(0, 300),
                _ => dice.within(1_000, 100_000),
            };
            return Self::Guarded { wait_ms, body };
        }
        let parts = dice.within(2, 4.min(leaves as u64)) as usize;
        let children = (0..parts).map(|_| Self::part(dice, leaves / parts)).collect();
        if dice.chance(500) { Self::Sequence(children) } else { Self::Parallel(children) }
    }

    fn limited(dice: &mut Dice) -> Self {
        let cancellation = match dice.below(3) {
            0 => Cancellation::Try,
            1 => Cancellation::Wait,
            _ => Cancellation::Abandon,
        };
        Self::Limited { wait_ms: dice.within(0, 1_500), cancellation, activity: Activity::generate_long(dice) }
    }

    /// The steps below it, each with its place in the numbering of steps.
    fn children(&self, at: usize) -> Vec<(usize, &Self)> {
        match self {
            Self::Sequence(children) | Self::Parallel(children) => {
                let places = children.iter().scan(at + 1, |next, child| {
                    let place = *next;
                    *next += child.size();
                    Some((place, child))
                });
                places.collect()
            }
            Self::Guarded { body, .. } | Self::Heeding { body, .. } => vec![(at + 1, body.as_ref())],
            _ => Vec::new(),
        }
    }

    /// How many places in the numbering of steps it takes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Sequence(children) | Self::Parallel(children) => 1 + children.iter().map(Self::size).sum::<usize>(),
            Self::Guarded { body, .. } => 1 + body.size(),
            Self::Heeding { body, .. } => 2 + body.size(),
            _ => 1,
        }
    }

    /// The signals that it may listen to at some time: their names and the values that they bring, in order.
    pub(crate) fn signals(&self, at: usize) -> Vec<(String, Vec<u64>)> {
        match self {
            Self::Signal { value } | Self::Condition { value, .. } => vec![(format!("s{at}"), vec![*value])],
            Self::Channel { values } => vec![(format!("c{at}"), values.clone())],
            _ => self.children(at).into_iter().flat_map(|(at, child)| child.signals(at)).collect(),
        }
    }

    /// Its conditions: whether each was met, and not timed out.
    pub(crate) fn conditions(&self, at: usize, told: &Told) -> Vec<bool> {
        match self {
            Self::Condition { .. } => vec![told.is_first(&format!("s{at}"), at)],
            _ => self.children(at).into_iter().flat_map(|(at, child)| child.conditions(at, told)).collect(),
        }
    }

    /// How the workflow must end: the reference run.
    pub(crate) fn reference(&self, told: &Told) -> Ending {
        match self {
            // It ends as cancelled whenever it hears of it: one that had ended before would not have heard.
            Self::Heeding { .. } if told.cancel_requested => Ending::Canceled,
            _ => self.value(0, told).map_or(Ending::Failed, Ending::Completed),
        }
    }

    /// What a step comes to; none if the workflow fails there.
    fn value(&self, at: usize, told: &Told) -> Option<u64> {
        let mut values = self.children(at).into_iter().map(|(at, child)| child.value(at, told));
        match self {
            Self::Activity(activity) => Some(activity.result()),
            Self::Detached(_) | Self::Timer { .. } => Some(DONE),
            Self::Limited { cancellation, .. } => Some(told.limited(at, *cancellation)),
            Self::Signal { value } => Some(*value),
            Self::Condition { value, .. } => Some(if told.is_first(&format!("s{at}"), at) { *value } else { DONE }),
            Self::Channel { values } => Some(in_order(values)),
            Self::Sequence(_) => values.try_fold(7, |sum, value| Some(mix(sum, value?))),
            Self::Parallel(_) => values.try_fold(11, |sum, value| Some(sum + value?)),
            Self::Guarded { .. } | Self::Heeding { .. } => values.next().flatten(),
            Self::Fail => None,
        }
    }
}

impl Told {
    /// Whether something was heard before the timer of the same step fired.
    fn is_first(&self, what: &str, at: usize) -> bool {
        let fired = self.fired.get(&format!("t{at}")).copied().unwrap_or(u64::MAX);
        self.heard.get(what).is_some_and(|heard| *heard < fired)
    }

    fn limited(&self, at: usize, cancellation: Cancellation) -> u64 {
        let id = format!("a{at}.0");
        let not_waited_for = match cancellation {
            Cancellation::Try => self.asked.contains(&id),
            Cancellation::Wait => false,
            Cancellation::Abandon => !self.is_first(&id, at),
        };
        if not_waited_for {
            return DONE;
        }
        match self.outcomes.get(&id) {
            Some(Outcome::Completed(value)) => *value,
            Some(Outcome::Canceled) => CANCELED,
            Some(Outcome::Failed) | None => FAILED,
        }
    }
}
