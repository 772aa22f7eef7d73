//! Tasks that a full worker has taken and not begun: each waits for a slot for a while, and is handed back then, so that a
//! worker with room gets it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tidewright_schemas::ActivityTask;
use tokio::time::Instant;

/// The wait is doubled each time that a task was handed back, so that a queue whose workers are all full does not go
/// round in circles; but no more than so often.
const DOUBLED_MAX: u32 = 5;

/// A task that was taken.
pub(crate) struct Job {
    pub(crate) token: Arc<str>,
    pub(crate) task: ActivityTask,
    pub(crate) traceparent: Option<String>,
    /// Whether it may be a repeat.
    pub(crate) to_confirm: bool,
}

/// Tasks that wait for a slot, oldest first.
pub(crate) struct Hand {
    waiting: VecDeque<(Instant, Job)>,
    patience: Duration,
}

impl Hand {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { waiting: VecDeque::new(), patience }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn put(&mut self, job: Job, now: Instant) {
        let patience = self.patience.saturating_mul(1 << job.task.unstarted.min(DOUBLED_MAX));
        // A patience beyond what a clock can tell is one without end; a day is as good.
        let until = now.checked_add(patience).unwrap_or(now + Duration::from_secs(86_400));
        self.waiting.push_back((until, job));
    }

    /// The one that waits for longest.
    pub(crate) fn take(&mut self) -> Option<Job> {
        self.waiting.pop_front().map(|(_, job)| job)
    }

    /// Resolves when one has waited for long enough.
    pub(crate) async fn overdue(&self) {
        match self.waiting.iter().map(|(until, _)| *until).min() {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    /// Those that have waited for long enough.
    pub(crate) fn take_overdue(&mut self, now: Instant) -> Vec<Job> {
        let (overdue, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|(until, _)| *until <= now);
        let overdue: VecDeque<(Instant, Job)> = overdue;
        self.waiting = waiting;
        overdue.into_iter().map(|(_, job)| job).collect()
    }

    /// Lets those go for which this is false.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Job) -> bool) {
        self.waiting.retain(|(_, job)| keep(job));
    }

    /// All of them.
    pub(crate) fn take_all(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.waiting).into_iter().map(|(_, job)| job).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, unstarted: u32) -> Job {
        let task = serde_json::json!({
            "token": name, "namespace": "n", "workflow_id": "w", "run_id": "r", "workflow_type": "T", "activity_id": "1",
            "activity_type": "A", "scheduled_event_id": 5, "attempt": 1, "scheduled_time_ms": 1,
            "attempt_scheduled_time_ms": 1, "unstarted": unstarted,
        });
        let task = serde_json::from_value(task).unwrap();
        Job { token: name.into(), task, traceparent: None, to_confirm: false }
    }

    fn names(jobs: Vec<Job>) -> Vec<String> {
        jobs.into_iter().map(|job| job.token.to_string()).collect()
    }

    #[test]
    fn a_task_waits_longer_the_more_often_it_was_handed_back() {
        let mut hand = Hand::new(Duration::from_secs(2));
        let now = Instant::now();
        for (name, unstarted) in [("often", 2), ("once", 1), ("new", 0), ("always", 99)] {
            hand.put(job(name, unstarted), now);
        }
        let after = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(names(hand.take_overdue(after(1))), [""; 0]);
        assert_eq!(names(hand.take_overdue(after(2))), ["new"]);
        assert_eq!(names(hand.take_overdue(after(7))), ["once"]);
        assert_eq!(names(hand.take_overdue(after(8))), ["often"]);
        assert_eq!(names(hand.take_overdue(after(64))), ["always"]);
    }

    #[test]
    fn the_oldest_is_begun_first() {
        let mut hand = Hand::new(Duration::MAX);
        let now = Instant::now();
        hand.put(job("first", 0), now);
        hand.put(job("second", 0), now);
        assert_eq!(hand.take().unwrap().token.as_ref(), "first");
        assert_eq!((hand.len(), names(hand.take_all())), (1, vec!["second".to_owned()]));
        assert!(hand.take().is_none());
    }
}
