//! Commands that were deleted before anybody decided them, and that an operator accepts as lost (R15): a record of the
//! history says so, and it counts as every other one does. It is written before anything is decided under the claim, so
//! that whoever rebuilds the partition passes over the same commands.

use tidewright_core::Store;
use tidewright_schemas::{CommandsSkipped, LostCommands};

use crate::io::{Action, Stop};
use crate::owner::{Owner, Phase};
use crate::recovery::entry;

impl<S: Store> Owner<S> {
    /// Passes over what is lost if that is exactly what was accepted: an acceptance never covers a later loss.
    pub(crate) fn skip_if_accepted(&mut self, lost: LostCommands, actions: &mut Vec<Action>) -> Result<(), Stop> {
        let accepted = self.recovery.accepted.take().filter(|accepted| accepted.lost == lost);
        let (Some(accepted), Some(epoch)) = (accepted, self.epoch.clone()) else {
            return Err(Stop::CommandsDeleted(lost));
        };
        let LostCommands { from_offset, to_offset } = lost;
        let skipped = CommandsSkipped { epoch, from_offset, to_offset, by: accepted.by, reason: accepted.reason };
        self.phase = Phase::Skipping;
        actions.push(Action::Append(vec![entry(&skipped.into())]));
        Ok(())
    }

    /// The record was read back with no newer claim before it: the commands are accounted for.
    pub(crate) fn skip_read_back(&mut self, skipped: &CommandsSkipped, actions: &mut Vec<Action>) -> Result<(), Stop> {
        if self.phase != Phase::Skipping {
            return Ok(());
        }
        tracing::warn!(
            from = skipped.from_offset,
            to = skipped.to_offset,
            by = skipped.by,
            reason = skipped.reason,
            "commands that were deleted are passed over, as an operator accepted"
        );
        self.meta.cover(skipped.to_offset);
        self.meta.history_offset = self.history_next;
        self.flush_recovered()?;
        let from = self.find_commands()?;
        self.begin_to_decide(from, actions)
    }
}
