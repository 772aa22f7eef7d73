//! After a takeover: is what history waits for still in its task topic (R27)?

use std::collections::{BTreeMap, BTreeSet};

use tidewright_core::{Store, is_wanted, pending_tasks};
use tidewright_schemas::{TaskId, TaskKind, TaskLost, WorkflowId};

use crate::io::{Action, BacklogKey, EffectId, Stop};
use crate::owner::Owner;

/// Rows read at a time.
const PAGE: usize = 1_000;

/// Which backlogs are still to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Backlogs {
    /// Set until what recovery sent again has arrived: then the topics hold all that they should.
    waits_for: Option<EffectId>,
    /// What the topics should hold.
    expected: BTreeMap<BacklogKey, Vec<(WorkflowId, TaskId)>>,
}

impl Backlogs {
    pub(crate) fn begin(&mut self, sent_before: EffectId) {
        self.waits_for = Some(sent_before);
    }
}

impl<S: Store> Owner<S> {
    /// Asks for the backlogs once everything that recovery sent again is out. A task that is being sent is not missed:
    /// it is on its way.
    pub(crate) fn ask_for_backlogs(&mut self, actions: &mut Vec<Action>) -> Result<(), Stop> {
        if !self.backlogs.waits_for.is_some_and(|id| self.in_flight.all_out_before(id)) {
            return Ok(());
        }
        self.backlogs.waits_for = None;
        let on_their_way = self.in_flight.tasks();
        for kind in [TaskKind::Workflow, TaskKind::Activity] {
            let mut from = Vec::new();
            loop {
                let (tasks, next) = pending_tasks(&self.store, kind, &from, PAGE)?;
                for (workflow_id, task_queue, task) in tasks {
                    if !on_their_way.contains(&task) {
                        let key = BacklogKey { kind, task_queue };
                        self.backlogs.expected.entry(key).or_default().push((workflow_id, task));
                    }
                }
                match next {
                    Some(next) => from = next,
                    None => break,
                }
            }
        }
        actions.extend(self.backlogs.expected.keys().cloned().map(Action::ScanBacklog));
        Ok(())
    }

    /// A task that should be there and is not, is lost; whether it was done meanwhile is for the core to say: its
    /// completion stands before `TaskLost` on the commands topic.
    pub(crate) fn backlog_scanned(
        &mut self,
        key: &BacklogKey,
        present: &BTreeSet<TaskId>,
        actions: &mut Vec<Action>,
    ) -> Result<(), Stop> {
        for (workflow_id, task) in self.backlogs.expected.remove(key).unwrap_or_default() {
            if !present.contains(&task) && is_wanted(&self.store, &workflow_id, &task)? {
                tracing::warn!(%workflow_id, task = %task, "[TW0304] a pending task is not in its topic any more; it is tried anew");
                self.send_internal(None, &workflow_id, &TaskLost { task }.into(), actions);
            }
        }
        Ok(())
    }
}
