//! Why an activity ended: each end follows from a command that may bring it about, and says what that said.

use tidewright_schemas::{Command, EventAttributes};

use crate::log::Place;
use crate::violation::{Checked, ensure};
use crate::world::World;

impl World {
    /// Ends of activities that a command brought about are such as it can bring about.
    pub(crate) fn check_causes(&mut self, partition: u32, source: u64) -> Checked {
        let ends = self.truth[partition as usize].attempts.take_ends();
        if ends.is_empty() {
            return Ok(());
        }
        let record = self.log(&Place::Commands(partition)).at(source);
        // A position of another owner may have let it be deleted, but then it was decided before.
        let Some(record) = record else { return Err(self.broken(format!("command {source} is gone too early"))) };
        let command = Command::from_value(record.value.as_deref()).map_err(|e| self.broken(e.to_string()))?;
        for end in &ends {
            ensure!(follows(end, &command), "an_activity_ends_as_it_was_told_to", "{end:?} follows from {command:?}");
        }
        Ok(())
    }
}

/// ```text
/// completed  a worker says so, with the same result
/// cancelled  a worker says so, with the same details; or nobody had begun it: it is asked for, handed back, lost
/// failed     a worker says so; it cannot be sent, its worker is gone, or it may be what takes workers down
/// timed out  its timer is due
/// ```
fn follows(end: &EventAttributes, command: &Command) -> bool {
    match (end, command) {
        (EventAttributes::ActivityTaskCompleted(end), Command::CompleteActivity(told)) => end.result == told.result,
        (EventAttributes::ActivityTaskCanceled(end), Command::CancelActivity(told)) => end.details == told.details,
        (
            EventAttributes::ActivityTaskCanceled(end),
            Command::CompleteWorkflowTask(_) | Command::ConfirmTask(_) | Command::ReturnTask(_) | Command::TaskLost(_),
        ) => end.details.is_none() && end.started_event_id == 0,
        (EventAttributes::ActivityTaskFailed(end), Command::FailActivity(told)) => end.failure == told.failure,
        (
            EventAttributes::ActivityTaskFailed(_),
            Command::WorkerLost(_) | Command::EffectFailed(_) | Command::ConfirmTask(_) | Command::TaskLost(_),
        ) => true,
        (EventAttributes::ActivityTaskTimedOut(_), Command::FireTimer(_)) => true,
        _ => false,
    }
}
