//! Whole clusters of owners on a simulated log and clock. One seed is one history of a cluster: its size, its workflows,
//! its faults and the order of every step follow from it, and the same seed does the same everywhere.
//!
//! What runs is the owner's own crate ([`tidewright_owner::Owner`]); what is simulated is everything around it: partitions
//! that compact and delete, producers that duplicate and delay, stores that lose what was not synced, nodes that crash
//! or live on as zombies, workers, clients, and the clocks. Every record is held against the rules as it lands; each
//! invariant's name begins with its rule's (PROTOCOL.md).
//!
//! [`run_seed`] is the whole interface.

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
mod tenure;
mod told;
mod truth;
mod violation;
mod worker;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

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
pub fn run_seed(seed: u64, traced: bool) -> Result<Stats, Box<Failed>> {
    let mut world = world::World::new(seed, traced);
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
