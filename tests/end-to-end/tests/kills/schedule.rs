//! When what happens: drawn from one seed.

use std::ops::Range;
use std::time::Duration;

use rand::Rng as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The engine.
    Engine,
    /// A worker.
    Worker(usize),
}

/// One step of a run.
#[derive(Debug)]
pub struct Step {
    /// Wait first.
    pub pause: Duration,
    /// Then publish these orders.
    pub publish: Range<usize>,
    /// Then kill.
    pub kill: Option<Victim>,
    /// Whether the engine's state directory goes with it.
    pub lose_state: bool,
}

/// A run.
pub struct Schedule {
    random: ChaCha8Rng,
    kills: usize,
    killed: usize,
    orders: usize,
    published: usize,
}

impl Schedule {
    /// A run with so many kills while so many orders are published.
    pub fn new(seed: u64, kills: usize, orders: usize) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), kills, killed: 0, orders, published: 0 }
    }

    /// What comes next.
    pub fn next(&mut self) -> Option<Step> {
        if self.killed == self.kills {
            return None;
        }
        self.killed += 1;
        let until = self.orders * self.killed / self.kills;
        let publish = self.published..until;
        self.published = until;
        // The engine dies less often: a session timeout passes before its partitions are given away.
        let victim = match self.random.random_range(0..8) {
            0 | 1 => Victim::Engine,
            n => Victim::Worker(n % 2),
        };
        let pause = Duration::from_millis(self.random.random_range(0..700));
        let lose_state = victim == Victim::Engine && self.random.random_bool(0.3);
        Some(Step { pause, publish, kill: Some(victim), lose_state })
    }
}
