//! Randomness that is the same on every replay: ChaCha12, seeded with the SHA-256 of the run's id. Not for secrets.
//!
//! How a value is made of the generator's bytes is part of what a replay relies on, and never changes.

use std::ops::Range;

use rand_chacha::rand_core::RngCore;
use tidewright_replay::RunContext;
use uuid::Uuid;

use super::WorkflowContext;

/// What [`WorkflowContext::random`] makes: integers from their little-endian bytes, `bool` from the lowest bit of a byte,
/// `f64` in `[0, 1)` from the upper 53 bits of a `u64`, arrays of bytes, UUIDs of version 4.
pub trait Random: Sized {
    /// Makes a value of random bytes.
    fn of(fill: &mut dyn FnMut(&mut [u8])) -> Self;
}

macro_rules! random_integers {
    ($($integer:ty),+) => {
        $(
            impl Random for $integer {
                fn of(fill: &mut dyn FnMut(&mut [u8])) -> Self {
                    Self::from_le_bytes(Random::of(fill))
                }
            }
        )+
    };
}

random_integers!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128);

impl<const N: usize> Random for [u8; N] {
    fn of(fill: &mut dyn FnMut(&mut [u8])) -> Self {
        let mut bytes = [0; N];
        fill(&mut bytes);
        bytes
    }
}

impl Random for bool {
    fn of(fill: &mut dyn FnMut(&mut [u8])) -> Self {
        u8::of(fill) & 1 == 1
    }
}

impl Random for f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
    fn of(fill: &mut dyn FnMut(&mut [u8])) -> Self {
        (u64::of(fill) >> 11) as Self / (1_u64 << 53) as Self
    }
}

impl Random for Uuid {
    fn of(fill: &mut dyn FnMut(&mut [u8])) -> Self {
        uuid::Builder::from_random_bytes(Random::of(fill)).into_uuid()
    }
}

/// A generator for code that takes one, for instance of the crate `rand`. What such code makes of it may change with its
/// version, and runs that are open then stop being replayable: prefer [`WorkflowContext::random`].
#[derive(Debug, Clone)]
pub struct WorkflowRng {
    run: RunContext,
}

impl RngCore for WorkflowRng {
    fn next_u32(&mut self) -> u32 {
        u32::of(&mut |bytes| self.run.fill_random(bytes))
    }

    fn next_u64(&mut self) -> u64 {
        u64::of(&mut |bytes| self.run.fill_random(bytes))
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.run.fill_random(bytes);
    }
}

impl<S> WorkflowContext<S> {
    /// A random value, the same on every replay. It derives from the run's id: not for secrets.
    ///
    /// ```
    /// # use tidewright::prelude::*;
    /// #[workflow]
    /// async fn lottery(ctx: &WorkflowContext) -> WorkflowResult<u64> {
    ///     let is_lucky = ctx.random::<f64>() < 0.1;
    ///     Ok(if is_lucky { ctx.random_range(1..1_000) } else { 0 })
    /// }
    /// # let _ = lottery;
    /// ```
    #[must_use]
    pub fn random<T: Random>(&self) -> T {
        T::of(&mut |bytes| self.world.run.fill_random(bytes))
    }

    /// A random number of a range, each equally likely; the start of the range if it is empty.
    #[must_use]
    pub fn random_range(&self, range: Range<u64>) -> u64 {
        let width = range.end.saturating_sub(range.start);
        if width == 0 {
            return range.start;
        }
        // Numbers above the last whole multiple would make small ones likelier.
        let beyond = u64::MAX - u64::MAX % width;
        loop {
            let number: u64 = self.random();
            if number < beyond {
                return range.start + number % width;
            }
        }
    }

    /// A random UUID of version 4, the same on every replay. It derives from the run's id: not for secrets.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.random()
    }

    /// A random number generator, the same on every replay. It derives from the run's id: not for secrets.
    #[must_use]
    pub fn rng(&self) -> WorkflowRng {
        WorkflowRng { run: self.world.run.clone() }
    }
}
