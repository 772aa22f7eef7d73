//! What workers that are gone had begun is taken from them, workflow by workflow (R28): sent as commands, bounded in
//! flight, again at intervals until it is applied, as due timers are.

use std::collections::BTreeMap;

use tidewright_core::{Store, workflow_of_worker};
use tidewright_schemas::WorkerLost;

use crate::io::{Action, Stop};
use crate::owner::Owner;

/// How many workflows are looked at in one tick.
const WORKFLOWS_MAX: usize = 1_000;

/// How often it is looked for what arrived late: a notice that was on its way when its worker went.
const LOOK_INTERVAL_MS: u64 = 1_000;

/// Workers that are gone.
#[derive(Debug, Default)]
pub(crate) struct GoneWorkers {
    /// Incarnations, with the broker's time at which they were gone.
    gone: BTreeMap<String, u64>,
    /// What was sent, by the first row that it is about, with the time before which it is not sent again.
    not_before_ms: BTreeMap<Vec<u8>, u64>,
    look_at_ms: u64,
}

impl GoneWorkers {
    pub(crate) fn are(&mut self, gone: BTreeMap<String, u64>) {
        if !gone.keys().eq(self.gone.keys()) {
            self.look_at_ms = 0;
        }
        self.gone = gone;
    }
}

impl<S: Store> Owner<S> {
    pub(crate) fn take_from_gone(&mut self, mono_ms: u64, actions: &mut Vec<Action>) -> Result<(), Stop> {
        if self.gone_workers.gone.is_empty() || self.gone_workers.look_at_ms > mono_ms || !self.has_room() {
            return Ok(());
        }
        let mut not_before_ms = BTreeMap::new();
        for (incarnation, as_of_ms) in self.gone_workers.gone.clone() {
            let mut from = Vec::new();
            while not_before_ms.len() < WORKFLOWS_MAX {
                let Some(found) = workflow_of_worker(&self.store, &incarnation, &from)? else { break };
                from = found.next;
                // Once it is applied the first row is another one, so what is left follows at once.
                let again = match self.gone_workers.not_before_ms.get(&found.first) {
                    Some(not_before) if *not_before > mono_ms => *not_before,
                    _ => {
                        let command = WorkerLost { incarnation: incarnation.clone(), as_of_ms };
                        self.send_internal(None, &found.workflow_id, &command.into(), actions);
                        mono_ms.saturating_add(self.limits.timer_repeat_ms)
                    }
                };
                not_before_ms.insert(found.first, again);
            }
        }
        // While something is left, it goes on as fast as it is applied.
        let pause_ms = if not_before_ms.is_empty() { LOOK_INTERVAL_MS } else { 0 };
        self.gone_workers.look_at_ms = mono_ms.saturating_add(pause_ms);
        self.gone_workers.not_before_ms = not_before_ms;
        Ok(())
    }
}
