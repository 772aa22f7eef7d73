//! What the code of an attempt and its worker tell each other while it runs: heartbeats one way, cancellation the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidewright_schemas::Payload;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::error::ActivityError;

/// Why an activity should end before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelReason {
    /// Its workflow has asked it to: answer with [`ActivityError::canceled`](crate::ActivityError::canceled), or complete.
    Requested,
    /// Its workflow has closed: whatever it returns is told to nobody.
    WorkflowClosed,
    /// It has ended elsewhere, or timed out: whatever it returns is told to nobody.
    NotWanted,
    /// The worker stops: what does not end in time is tried again elsewhere.
    WorkerShutdown,
}

/// How code ends that does what it is told: `return Err(ctx.cancelled().await.into())`. It is cancelled if its workflow has
/// asked for that; for any other reason the attempt fails, and another one may go on.
impl From<CancelReason> for ActivityError {
    fn from(reason: CancelReason) -> Self {
        let why = match reason {
            CancelReason::Requested => return Self::canceled(&()),
            CancelReason::WorkflowClosed => "its workflow has closed",
            CancelReason::NotWanted => "it is not wanted any more",
            CancelReason::WorkerShutdown => "its worker stops",
        };
        Self::new("Interrupted", format!("the attempt was interrupted: {why}"))
    }
}

/// The link of one attempt.
pub(crate) struct AttemptLink {
    cancel: watch::Sender<Option<CancelReason>>,
    beat: Mutex<Beat>,
    /// Wakes whoever sends heartbeats.
    pulse: Arc<Notify>,
}

/// The latest heartbeat, by numbers: those that the code made, those that were taken to be sent, those that are in the log.
#[derive(Default)]
struct Beat {
    details: Option<Payload>,
    made: u64,
    taken: u64,
    logged: u64,
    not_before: Option<Instant>,
}

/// What is to be done about an attempt's heartbeat.
#[derive(Debug, PartialEq)]
pub(crate) enum Due {
    Nothing,
    At(Instant),
    Now(Option<Payload>, u64),
}

impl AttemptLink {
    pub(crate) fn new(pulse: Arc<Notify>) -> Self {
        Self { cancel: watch::Sender::new(None), beat: Mutex::default(), pulse }
    }

    fn beat(&self) -> MutexGuard<'_, Beat> {
        self.beat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first reason counts.
    pub(crate) fn cancel(&self, reason: CancelReason) {
        self.cancel.send_if_modified(|told| told.is_none() && told.replace(reason).is_none());
    }

    pub(crate) fn cancel_reason(&self) -> Option<CancelReason> {
        *self.cancel.borrow()
    }

    pub(crate) async fn cancelled(&self) -> CancelReason {
        let mut told = self.cancel.subscribe();
        loop {
            if let Some(reason) = *told.borrow_and_update() {
                return reason;
            }
            if told.changed().await.is_err() {
                // The link itself holds the sender.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The code is alive; only its latest details are sent.
    pub(crate) fn heartbeat(&self, details: Payload) {
        let mut beat = self.beat();
        let is_first = beat.made == beat.taken;
        beat.details = Some(details);
        beat.made += 1;
        drop(beat);
        if is_first {
            self.pulse.notify_one();
        }
    }

    /// Takes the heartbeat if it is time to send it; the next one is at least `interval` later.
    pub(crate) fn take_due(&self, now: Instant, interval: std::time::Duration) -> Due {
        let mut beat = self.beat();
        if beat.made == beat.taken {
            return Due::Nothing;
        }
        if let Some(not_before) = beat.not_before.filter(|not_before| *not_before > now) {
            return Due::At(not_before);
        }
        beat.taken = beat.made;
        beat.not_before = Some(now + interval);
        Due::Now(beat.details.clone(), beat.taken)
    }

    /// What was taken is in the log.
    pub(crate) fn logged(&self, number: u64) {
        let mut beat = self.beat();
        beat.logged = beat.logged.max(number);
    }

    /// What was taken did not get there: it is due again after a while.
    pub(crate) fn not_logged(&self, number: u64, again: Instant) {
        let mut beat = self.beat();
        if beat.taken == number && beat.logged < number {
            beat.taken = number - 1;
            beat.not_before = Some(again);
        }
    }

    /// Details that are not known to be in the log, for whoever is about to tell how the attempt ended.
    pub(crate) fn take_unlogged(&self) -> Option<Payload> {
        let mut beat = self.beat();
        let unlogged = beat.made > beat.logged;
        (beat.taken, beat.logged) = (beat.made, beat.made);
        beat.details.clone().filter(|_| unlogged)
    }

    /// What the last heartbeat said.
    pub(crate) fn last_details(&self) -> Option<Payload> {
        self.beat().details.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidewright_schemas::FailureInfo;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(8);

    fn payload(number: u64) -> Payload {
        Payload::new(&number).unwrap()
    }

    #[test]
    fn only_what_the_workflow_asked_for_is_a_cancellation() {
        let asked = ActivityError::from(CancelReason::Requested).into_failure();
        assert!(matches!(asked.info, FailureInfo::Canceled(_)), "{asked:?}");
        let stopped = ActivityError::from(CancelReason::WorkerShutdown).into_failure();
        assert_eq!((stopped.error_type(), stopped.non_retryable()), ("Interrupted", false));
    }

    #[test]
    fn only_the_latest_details_are_sent_and_not_too_often() {
        let link = AttemptLink::new(Arc::default());
        let now = Instant::now();
        assert_eq!(link.take_due(now, INTERVAL), Due::Nothing);
        (1..=3).for_each(|number| link.heartbeat(payload(number)));
        assert_eq!(link.take_due(now, INTERVAL), Due::Now(Some(payload(3)), 3));
        link.logged(3);
        assert_eq!(link.take_due(now, INTERVAL), Due::Nothing);
        link.heartbeat(payload(4));
        assert_eq!(link.take_due(now, INTERVAL), Due::At(now + INTERVAL));
        assert_eq!(link.take_due(now + INTERVAL, INTERVAL), Due::Now(Some(payload(4)), 4));
    }

    #[test]
    fn what_did_not_get_there_is_sent_again_and_with_the_end_at_the_latest() {
        let link = AttemptLink::new(Arc::default());
        let now = Instant::now();
        link.heartbeat(payload(1));
        assert_eq!(link.take_due(now, INTERVAL), Due::Now(Some(payload(1)), 1));
        assert_eq!(link.take_due(now, INTERVAL), Due::Nothing, "it is on its way");
        link.not_logged(1, now + Duration::from_secs(1));
        assert_eq!(link.take_due(now, INTERVAL), Due::At(now + Duration::from_secs(1)));
        assert_eq!(link.take_unlogged(), Some(payload(1)));
        assert_eq!(link.take_unlogged(), None);
        assert_eq!(link.take_due(now + INTERVAL, INTERVAL), Due::Nothing);
    }

    #[tokio::test]
    async fn the_first_reason_to_end_counts() {
        let link = AttemptLink::new(Arc::default());
        assert_eq!(link.cancel_reason(), None);
        let (reason, ()) = tokio::join!(link.cancelled(), async {
            link.cancel(CancelReason::Requested);
            link.cancel(CancelReason::WorkerShutdown);
        });
        assert_eq!((reason, link.cancelled().await), (CancelReason::Requested, CancelReason::Requested));
    }
}
