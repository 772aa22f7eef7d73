//! Whole clusters of owners on a simulated log and clock. One seed is one history of a cluster: its size, its workflows,
//! its faults and the order of every step follow from it, and the same seed does the same everywhere.
//!
//! What runs is the owner's own crate ([`tidewright_owner::Owner`]); what is simulated is everything around it: partitions
//! that compact and delete, producers that duplicate and delay, stores that lose what was not synced, nodes that crash
//! or live on as zombies, workers, clients, and the clocks. Every record is held against the rules as it lands; each
//! invariant's name begins with its rule's (PROTOCOL.md).
//!
//! [`run_seed`] is the whole interface.
//!
//! # What of the workflow model it covers
//!
//! Programs are random trees of steps and a reference run says how each must end. [`Stats`] counts
//! what was met; a test asserts that a few hundred seeds meet each of it.
//!
//! | of the model | in programs, or as a fault | held against |
//! |---|---|---|
//! | start-to-close, schedule-to-start, schedule-to-close, heartbeat timeouts | paused workers; `Kind::Unheard`, `Overdue`, `Hanging` | the reference run; an end follows from a due timer, and tells the last heartbeat |
//! | retry policy, non-retryable types, next retry delay | `Flaky`, `Exhausted`, `Fatal`, `Hopeless`, `Deferred` | the reference run; no attempt is sent before its time |
//! | heartbeats and their details | `beat_ms` | an attempt reads the last one recorded, or a later one |
//! | cancellation: try, wait, abandon | `Step::Limited`; hints that are lost or not heeded | an activity ends as a command told it to; workers are told only what history says |
//! | another queue, fire and forget | `side`, `Step::Detached` | the reference run |
//! | grants, offers, lost workers, suspects | `Once`, `Deadly`, fault `offer_task`, killed workers, beacons | never begun twice; nothing stays with the dead |
//! | withheld workflow tasks, `ReturnTask`, `TaskLost` | faults `poison`, `return_task`, `lose_backlog` | everything comes to its end |
//! | deletion | fault `delete_run` | gone for readers, from rows, from a compacted history |
//! | timers, cancelled and long ones | `Step::Timer`, `Guarded` (up to a week) | the grammar: never early, never after the end |
//! | conditions with a timeout | `Step::Condition` | what was heard first |
//! | signals: buffered, in order, once | `Step::Signal`, `Channel`; duplicates | the reference run |
//! | queries | clients ask owners, workers answer | history stands by what is told; no record follows |
//! | reuse and conflict policies, request ids, signal-with-start | all of them in starts | a table of its own: what each start comes to |
//! | start delay, run and execution timeouts | in starts | never before their time |
//! | endings: complete, fail, cancel, terminate, time out, delete | `Step::Fail`, `Heeding`; whoever speaks to runs | the reference run |
//! | a night without workers, clocks that jump | `night_at`, fault `jump_clocks` | no record follows; the backlog drains |
//!
//! Not here: what only the SDK knows (time, randomness, scopes, the watchdog), and what only a real broker shows.

mod accept;
mod activity;
mod advance;
mod attempt;
mod attempts;
mod beacons;
mod causes;
mod client;
mod deleter;
mod dice;
mod disk;
mod faults;
mod finish;
mod forgotten;
mod hints;
mod identity;
mod job;
mod ledger;
mod log;
mod loss;
mod night;
mod node;
mod plan;
mod program;
mod querier;
mod query_answer;
mod run;
mod schedule;
mod signaller;
mod stats;
mod tally;
mod tenure;
mod told;
mod truth;
mod violation;
mod worker;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use plan::Focus;
pub use stats::Stats;
pub use violation::Violation;

/// A seed that broke a rule.
#[derive(Debug)]
pub struct Failed {
    /// The seed.
    pub seed: u64,
    /// What it broke.
    pub violation: Violation,
    /// What happened, if it was asked for.
    pub trace: Vec<String>,
}

/// Runs a seed. A trace is kept only where it is asked for.
pub fn run_seed(seed: u64, focus: Focus, traced: bool) -> Result<Stats, Box<Failed>> {
    let mut world = world::World::new(seed, focus, traced);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let violation = match outcome {
        Ok(Ok(())) => return Ok(world.stats),
        Ok(Err(violation)) => violation,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message");
            violation::violation("nothing_panics", text)
        }
    };
    Err(Box::new(Failed { seed, violation, trace: world.take_trace() }))
}
