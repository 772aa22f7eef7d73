//! What a run waits for, as people are told: each operation with the place in the code that asked for it.

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};

/// A place in workflow code.
pub type Origin = &'static Location<'static>;

/// What kind of thing workflow code waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum OperationKind {
    /// An activity's outcome.
    Activity,
    /// A timer.
    Timer,
    /// A signal that the code takes itself.
    Signal,
    /// A condition on the workflow's state.
    Condition,
    /// The request to cancel.
    Cancellation,
}

impl OperationKind {
    /// Its name, in small letters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Activity => "activity",
            Self::Timer => "timer",
            Self::Signal => "signal",
            Self::Condition => "condition",
            Self::Cancellation => "cancellation",
        }
    }
}

/// Something that workflow code waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingOperation {
    /// What kind of thing.
    pub kind: OperationKind,
    /// The activity's type, the signal's name, the timer's duration; may be empty.
    pub name: String,
    /// The run's time when the code asked for it, in milliseconds since 1970.
    pub since_ms: u64,
    /// The place that asked for it.
    pub at: Origin,
}

impl fmt::Display for PendingOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        if !self.name.is_empty() {
            write!(f, " `{}`", self.name)?;
        }
        write!(f, " at {}", self.at)
    }
}

/// Where workflow code last awaited something of the workflow's: where to look when it blocks, spins or panics.
///
/// A cheap handle that any thread may read while the run is advanced.
#[derive(Debug, Clone, Default)]
pub struct LastAwait {
    origin: Arc<Mutex<Option<Origin>>>,
}

impl LastAwait {
    /// The place; none before the first await.
    #[must_use]
    pub fn location(&self) -> Option<Origin> {
        *self.origin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, origin: Origin) {
        *self.origin.lock().unwrap_or_else(PoisonError::into_inner) = Some(origin);
    }

    pub(crate) fn place(&self) -> Place {
        Place(self.location())
    }
}

/// A place for messages, which may be unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(pub Option<Origin>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(origin) => write!(f, "{origin}"),
            None => f.write_str("none yet"),
        }
    }
}
