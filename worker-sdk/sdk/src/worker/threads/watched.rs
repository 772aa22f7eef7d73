//! What the watchdog knows of code that has a thread, and what it makes of it from one look to the next.

use std::time::Duration;

use tidewright_replay::{LastAwait, Place, Pulse, Run, RunInfo};
use tokio::sync::oneshot;

/// When code that does not give its thread back is told of, and when it is given up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) warning_after: Duration,
    pub(crate) detection_timeout: Duration,
}

impl Limits {
    /// How long the watchdog sleeps between two looks.
    pub(super) fn tick(&self) -> Duration {
        let shortest = self.warning_after.min(self.detection_timeout);
        (shortest / 4).clamp(Duration::from_millis(1), Duration::from_millis(250))
    }
}

/// Code that has kept its thread for too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the workflow's code has kept its thread for {still_for:?} without an await: it waits for a lock, a channel, I/O or a sleep of \
     the thread, or computes; do such work in an activity. Its last await: {last_await}"
)]
pub(crate) struct Blocked {
    pub(crate) still_for: Duration,
    pub(crate) last_await: Place,
}

/// How the watchdog sees code that has a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It gets on.
    Runs,
    /// It has kept its thread for longer than a warning takes.
    Blocks,
    /// Nobody waits for it any more; its thread is lost until it returns.
    GivenUp,
}

/// Code that has a thread.
pub(super) struct Watched {
    pub(super) info: RunInfo,
    last_await: LastAwait,
    pulse: Pulse,
    /// What the pulse was when it was last looked at.
    seen: Option<u64>,
    still_for: Duration,
    pub(super) standing: Standing,
    give_up: Option<oneshot::Sender<Blocked>>,
}

impl Watched {
    pub(super) fn new(run: &Run, give_up: oneshot::Sender<Blocked>) -> Self {
        Self {
            info: run.info().clone(),
            last_await: run.last_await(),
            pulse: run.pulse(),
            seen: None,
            still_for: Duration::ZERO,
            standing: Standing::Runs,
            give_up: Some(give_up),
        }
    }

    /// Looks, `tick` after the last look. Time counts by looks, not by the clock: a process that gets no processor time blocks
    /// nothing. Returns what is to be told, if the standing is worse than before.
    pub(super) fn look(&mut self, tick: Duration, limits: &Limits) -> Option<Blocked> {
        let count = self.pulse.count();
        if self.seen.replace(count) != Some(count) {
            self.still_for = Duration::ZERO;
            if self.standing == Standing::Blocks {
                self.standing = Standing::Runs;
            }
            return None;
        }
        self.still_for += tick;
        let standing = match self.standing {
            Standing::GivenUp => return None,
            _ if self.still_for >= limits.detection_timeout => Standing::GivenUp,
            Standing::Runs if self.still_for >= limits.warning_after => Standing::Blocks,
            Standing::Runs | Standing::Blocks => return None,
        };
        self.standing = standing;
        let blocked = Blocked { still_for: self.still_for, last_await: self.last_await() };
        if standing == Standing::GivenUp
            && let Some(give_up) = self.give_up.take()
        {
            // Whoever waited may have gone.
            drop(give_up.send(blocked.clone()));
        }
        Some(blocked)
    }

    /// Nobody waits for it any more. Says where it awaited something last.
    pub(super) fn give_up(&mut self) -> Place {
        self.standing = Standing::GivenUp;
        self.last_await()
    }

    fn last_await(&self) -> Place {
        Place(self.last_await.location())
    }

    /// Whether it had not got on when it was last looked at: others need a thread in its place.
    pub(super) fn is_held(&self) -> bool {
        !self.still_for.is_zero()
    }

    /// For how long it has stood still when it was last looked at.
    pub(super) fn still_for(&self) -> Duration {
        self.still_for
    }
}

#[cfg(test)]
mod tests {
    use tidewright_replay::WorkflowFuture;
    use tidewright_schemas::{RunId, WorkflowId};

    use super::*;

    const LIMITS: Limits = Limits { warning_after: Duration::from_secs(1), detection_timeout: Duration::from_secs(10) };

    fn watched() -> (Watched, oneshot::Receiver<Blocked>) {
        let info = RunInfo {
            namespace: "default".to_owned(),
            workflow_id: WorkflowId::new("w").unwrap(),
            run_id: RunId::from_text("r"),
            workflow_type: "T".to_owned(),
        };
        let run = Run::new(info, Box::new(|_, _| (Box::pin(std::future::pending()) as WorkflowFuture).into()));
        let (give_up, given_up) = oneshot::channel();
        (Watched::new(&run, give_up), given_up)
    }

    #[test]
    fn code_that_stands_still_is_told_of_and_then_given_up() {
        let (mut watched, mut given_up) = watched();
        let tick = LIMITS.tick();
        assert_eq!(tick, Duration::from_millis(250));
        // The first look only finds out where it is.
        let told: Vec<_> = (0..60).filter_map(|_| watched.look(tick, &LIMITS).map(|b| b.still_for)).collect();
        assert_eq!(told, [LIMITS.warning_after, LIMITS.detection_timeout]);
        assert_eq!(watched.standing, Standing::GivenUp);
        assert_eq!(given_up.try_recv().unwrap().still_for, LIMITS.detection_timeout);
    }

    #[test]
    fn a_warning_may_be_left_out() {
        let limits = Limits { warning_after: Duration::MAX, detection_timeout: Duration::from_millis(2) };
        let (mut watched, _given_up) = watched();
        let tick = limits.tick();
        let told = (0..9).filter_map(|_| watched.look(tick, &limits)).count();
        assert_eq!((told, watched.standing), (1, Standing::GivenUp));
    }
}
