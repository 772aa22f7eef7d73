//! What owners tell the workers of a queue (R30), as workers hear it: from when they begin to listen, and perhaps not all.

use std::collections::{BTreeMap, BTreeSet};

use tidewright_schemas::{ControlMessage, EventId, RunId};

use crate::attempt::Ended;
use crate::job::{Stage, Task};
use crate::log::{Parcel, Place};
use crate::program::{MAIN_QUEUE, SIDE_QUEUE};
use crate::violation::{Checked, ensure, violation};
use crate::world::World;

/// How often code heeds what it is told, in a thousand.
const HEEDS: u64 = 700;

/// What a worker has heard.
#[derive(Default)]
pub(crate) struct Hints {
    /// How far it has read each queue's.
    next: BTreeMap<String, u64>,
    /// Activities, and whole runs, that are to end.
    remembered: BTreeSet<(RunId, Option<EventId>)>,
}

impl Hints {
    /// Whether it was said lately that the task's activity or run is to end: then it is confirmed before it runs.
    pub(crate) fn concern(&self, task: &Task) -> bool {
        let Task::Activity(task) = task else { return false };
        self.remembered.contains(&(task.run_id.clone(), Some(task.scheduled_event_id)))
            || (!task.detached && self.remembered.contains(&(task.run_id.clone(), None)))
    }
}

/// Whom a message is about, and what it says of them.
fn meant(message: &ControlMessage) -> Checked<(&RunId, Option<EventId>, Ended)> {
    match message {
        ControlMessage::ActivityCancelRequested(it) => Ok((&it.run_id, Some(it.scheduled_event_id), Ended::Asked)),
        ControlMessage::ActivityClosed(it) => Ok((&it.run_id, Some(it.scheduled_event_id), Ended::Closed)),
        ControlMessage::RunClosed(it) => Ok((&it.run_id, None, Ended::Closed)),
        // Nodes offer, as they know where a record landed; an owner does not.
        ControlMessage::ActivityTaskOffered(it) => Err(violation("adr11_owners_offer_nothing", format!("{it:?}"))),
    }
}

impl World {
    /// From now on the worker listens.
    pub(crate) fn listen(&mut self, at: usize) {
        for task_queue in [MAIN_QUEUE, SIDE_QUEUE] {
            let end = self.log(&Place::Control(task_queue.to_owned())).end;
            self.workers[at].hints.next.insert(task_queue.to_owned(), end);
        }
    }

    /// The worker hears the next of what its queues are told.
    pub(crate) fn hear_hint(&mut self, at: usize) -> Checked {
        let task_queue = if self.dice.chance(500) { MAIN_QUEUE } else { SIDE_QUEUE };
        let from = self.workers[at].hints.next.get(task_queue).copied().unwrap_or(0);
        let read = self.log(&Place::Control(task_queue.to_owned())).read(from, 1);
        let Ok((records, next)) = read else { return Ok(()) };
        self.workers[at].hints.next.insert(task_queue.to_owned(), next);
        let Some(record) = records.into_iter().next() else { return Ok(()) };
        self.progress += 1;
        if self.goes_wrong(self.plan.faults.lose_hint) {
            return Ok(());
        }
        let message = read_message(record.value.as_deref())?;
        let (run_id, activity, ended) = meant(&message)?;
        self.workers[at].hints.remembered.insert((run_id.clone(), activity));
        for place in 0..self.workers[at].jobs.len() {
            let is_meant = self.workers[at].jobs[place].task.is_activity(run_id, activity);
            if is_meant
                && self.dice.chance(HEEDS)
                && let Stage::Running(attempt) = &mut self.workers[at].jobs[place].stage
            {
                attempt.tell(ended);
                self.stats.hints_heeded += 1;
            }
        }
        Ok(())
    }

    /// Workers are told only what history says.
    pub(crate) fn check_hint(&mut self, parcel: &Parcel) -> Checked {
        let message = read_message(parcel.value.as_deref())?;
        let (run_id, activity, ended) = meant(&message)?;
        let said = self.truth.iter().any(|truth| match (activity, ended) {
            (Some(event_id), Ended::Asked) => truth.attempts.is_asked(run_id, event_id),
            (Some(event_id), Ended::Closed) => {
                // Whoever has a run's history and not its rows is told the same of all its activities.
                truth.attempts.is_closed(run_id, event_id) || truth.attempts.run_is_closed(run_id)
            }
            (None, _) => truth.attempts.run_is_closed(run_id),
        });
        ensure!(said, "r30_workers_are_told_what_history_says", "{message:?}");
        self.stats.hints += 1;
        Ok(())
    }
}

fn read_message(value: Option<&[u8]>) -> Checked<ControlMessage> {
    let read = serde_json::from_slice(value.unwrap_or_default());
    read.map_err(|e| violation("r5_control_messages_are_readable", e.to_string()))
}
