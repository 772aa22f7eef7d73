//! Due timers become commands: sent when they are due by the node's clock, again at intervals until they are applied,
//! and never trusted to be right about the time (R20).

use std::collections::BTreeMap;

use tidewright_core::{DueTimer, Store, due_timers};
use tidewright_schemas::{FireTimer, WorkflowId};

use crate::io::{Action, Stop};
use crate::owner::Owner;

/// How many due timers are looked at in one tick.
const DUE_MAX: usize = 1_000;

/// Timers that were sent, with the time before which they are not sent again.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    not_before_ms: BTreeMap<DueTimer, u64>,
    mono_ms: u64,
}

impl Timers {
    pub(crate) fn rearm(&mut self, workflow_id: &WorkflowId, command: &FireTimer, wait_ms: u64) {
        let timer = DueTimer {
            workflow_id: workflow_id.clone(),
            run_id: command.run_id.clone(),
            target: command.target,
            event_id: command.event_id,
            attempt: command.attempt,
            due_ms: command.due_ms,
        };
        self.not_before_ms.insert(timer, self.mono_ms.saturating_add(wait_ms));
    }
}

impl<S: Store> Owner<S> {
    pub(crate) fn fire_due(&mut self, now_ms: u64, mono_ms: u64, actions: &mut Vec<Action>) -> Result<(), Stop> {
        self.timers.mono_ms = self.timers.mono_ms.max(mono_ms);
        if !self.has_room() {
            return Ok(());
        }
        let (due, _) = due_timers(&self.store, now_ms, DUE_MAX)?;
        let mut not_before_ms = BTreeMap::new();
        for timer in due {
            let again = match self.timers.not_before_ms.get(&timer) {
                Some(not_before) if *not_before > mono_ms => *not_before,
                _ => {
                    self.send_internal(None, &timer.workflow_id, &timer.command().into(), actions);
                    mono_ms.saturating_add(self.limits.timer_repeat_ms)
                }
            };
            not_before_ms.insert(timer, again);
        }
        // What is not due any more was applied, or its row is gone.
        self.timers.not_before_ms = not_before_ms;
        Ok(())
    }
}
