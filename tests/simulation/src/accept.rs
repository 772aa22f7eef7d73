//! An operator accepts that commands are lost: the partition goes on, and whoever rebuilds it comes to the same (R15).

use tidewright_owner::{AcceptedLoss, Stop};
use tidewright_schemas::LostCommands;

use crate::disk::Disk;
use crate::log::{Parcel, Place};
use crate::loss::Served;
use crate::violation::{Checked, ensure};
use crate::world::World;

impl World {
    /// Accepts something else first, then what is lost; then looks whether it goes on, and rebuilds it.
    pub(crate) fn accept_loss(&mut self, node: usize, partition: u32, disk: &Disk, lost: LostCommands) -> Checked {
        let LostCommands { from_offset, to_offset } = lost;
        for other in [
            LostCommands { from_offset: from_offset + 1, to_offset },
            LostCommands { from_offset, to_offset: to_offset + 1 },
            LostCommands { from_offset, to_offset: to_offset - 1 },
        ] {
            let served = self.serve(node, partition, disk, Some(accepts(other)))?;
            let still = matches!(served, Served::Stopped(Stop::CommandsDeleted(found)) if found == lost);
            ensure!(still, "r15_an_acceptance_covers_what_it_names", "{other:?} was accepted, {lost:?} is lost");
        }
        self.goes_on(node, partition, disk, Some(accepts(lost)), to_offset)?;
        let to = Place::Commands(partition);
        let offset = self.land(Parcel { to, key: None, value: None, headers: Vec::new(), garbage: true })?;
        self.goes_on(node, partition, disk, None, offset + 1)?;
        let rebuilt = Disk::default();
        self.goes_on(node, partition, &rebuilt, None, offset + 1)?;
        self.stats.accepted += 1;
        Ok(())
    }

    fn goes_on(
        &mut self,
        node: usize,
        partition: u32,
        disk: &Disk,
        accepted: Option<AcceptedLoss>,
        at_least: u64,
    ) -> Checked {
        match self.serve(node, partition, disk, accepted)? {
            Served::Idle(applied) => {
                ensure!(applied >= at_least, "r15_what_is_skipped_is_decided", "{applied} is below {at_least}");
            }
            Served::Stopped(stop) => ensure!(false, "r15_an_accepted_loss_stops_nothing", "{stop}"),
        }
        self.check_store(partition, disk)
    }
}

fn accepts(lost: LostCommands) -> AcceptedLoss {
    AcceptedLoss { lost, by: "the simulated operator".to_owned(), reason: None }
}
