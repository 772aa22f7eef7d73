//! The watchdog: a thread, since an executor that is stuck cannot watch itself.

use std::io;
use std::sync::{Arc, PoisonError};

use tidewright_replay::RunInfo;

use super::Shared;
use super::watched::{Blocked, Standing};

/// Starts it; it ends with the threads that it watches.
pub(super) fn start(shared: Arc<Shared>) -> io::Result<()> {
    std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || shared.watch_until_closed()).map(drop)
}

/// What is to be told of one thread.
struct Finding {
    info: RunInfo,
    blocked: Blocked,
    standing: Standing,
}

impl Shared {
    fn watch_until_closed(self: &Arc<Self>) {
        let tick = self.limits.tick();
        while self.wait_for_a_tick(tick) {
            let findings = self.look();
            if findings.iter().any(|finding| finding.standing == Standing::GivenUp) {
                self.tell_given_up();
            }
            findings.iter().for_each(|finding| self.tell(finding));
        }
    }

    /// False if there is nothing left to watch for.
    fn wait_for_a_tick(&self, tick: std::time::Duration) -> bool {
        let mut state = self.lock();
        state.watchdog_sleeps = state.watched.is_empty() && state.queue.is_empty();
        let asleep = |state: &mut super::State| state.watchdog_sleeps && !state.is_closed;
        let mut state = self.watch.wait_while(state, asleep).unwrap_or_else(PoisonError::into_inner);
        state.watchdog_sleeps = false;
        let (state, _) = self
            .watch
            .wait_timeout_while(state, tick, |state| !state.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        !state.is_closed
    }

    fn look(self: &Arc<Self>) -> Vec<Finding> {
        let tick = self.limits.tick();
        let mut state = self.lock();
        let look = |watched: &mut super::Watched| {
            let blocked = watched.look(tick, &self.limits)?;
            Some(Finding { info: watched.info.clone(), blocked, standing: watched.standing })
        };
        let findings: Vec<_> = state.watched.values_mut().filter_map(look).collect();
        // Others take the place of those that are held.
        let unserved = self.add_threads(&mut state);
        drop(state);
        drop(unserved);
        findings
    }

    fn tell(&self, finding: &Finding) {
        let Finding { info, blocked, standing } = finding;
        let (namespace, workflow_id, run_id) = (&info.namespace, &info.workflow_id, &info.run_id);
        let (workflow_type, last_await) = (&info.workflow_type, blocked.last_await);
        if *standing == Standing::GivenUp {
            tracing::error!(
                code = "TW0904", namespace, %workflow_id, %run_id, workflow_type, %last_await,
                "a workflow task is given up: {blocked}"
            );
        } else {
            self.meters.blocked(workflow_type);
            tracing::warn!(
                code = "TW0904", namespace, %workflow_id, %run_id, workflow_type, %last_await, "TW0904: {blocked}"
            );
        }
    }
}
