//! Losses that no protocol survives: something that was acknowledged is gone. The partition must stop and say so, and
//! decide nothing (R15).

use tidewright_owner::{AcceptedLoss, Stop};

use crate::disk::Disk;
use crate::log::{Parcel, Place};
use crate::tenure::{End, Tenure};
use crate::violation::{Checked, ensure, violation};
use crate::world::World;

/// What becomes of a partition that is served.
pub(crate) enum Served {
    Stopped(Stop),
    /// It has nothing left to do; every command below this offset is decided.
    Idle(u64),
}

impl Served {
    fn stopped(self) -> Option<Stop> {
        match self {
            Self::Stopped(stop) => Some(stop),
            Self::Idle(_) => None,
        }
    }
}

impl World {
    /// Plants a loss under a partition at rest, and takes the partition over.
    pub(crate) fn plant_loss(&mut self) -> Checked {
        let partition = self.dice.below(self.plan.partitions as usize) as u32;
        let node = self.assigned[partition as usize];
        let history_is_lost = match self.dice.below(6) {
            0 => self.truncate_commands(partition),
            1 | 2 => self.delete_undecided(partition),
            3 => self.replace_commands(partition),
            4 => self.truncate_history(partition),
            _ => self.replace_history(partition),
        };
        let Some(history_is_lost) = history_is_lost else { return Ok(()) };
        self.revoke(node, partition);
        let disk = self.nodes[node].stores[&partition].clone();
        let Some(stop) = self.serve(node, partition, &disk, None)?.stopped() else {
            return Err(violation("r15_a_loss_stops_the_partition", format!("history lost: {history_is_lost}")));
        };
        let told = match stop {
            Stop::HistoryLost(_) => history_is_lost,
            Stop::CommandsLost(_) | Stop::CommandsDeleted(_) => !history_is_lost,
            _ => false,
        };
        ensure!(told, "r15_a_loss_is_explained", "history lost: {history_is_lost}, told: {stop}");
        self.stats.losses += 1;
        match stop {
            Stop::CommandsDeleted(lost) => self.accept_loss(node, partition, &disk, lost),
            _ => Ok(()),
        }
    }

    /// Drives owners of a partition, one after the other, until one stops for good or has nothing left to do.
    pub(crate) fn serve(
        &mut self,
        node: usize,
        partition: u32,
        disk: &Disk,
        accepted: Option<AcceptedLoss>,
    ) -> Checked<Served> {
        let mut current: Option<Tenure> = None;
        for _ in 0..50_000 {
            self.step += 1;
            self.pass(1);
            let mut tenure = match current.take() {
                Some(tenure) => tenure,
                None => {
                    let number = self.next_number();
                    let mut tenure = Tenure::open(self, node, partition, number, disk.clone())
                        .map_err(|stop| violation("r16_a_store_opens_after_any_crash", stop.to_string()))?;
                    tenure.accepted.clone_from(&accepted);
                    tenure
                }
            };
            match self.advance(node, partition, &mut tenure)? {
                Some(End::Trouble(_)) => {}
                Some(End::Stop(stop)) => {
                    self.note(|_| format!("partition {partition} stopped: {stop}"));
                    return Ok(Served::Stopped(stop));
                }
                None => {
                    let history_end = self.log(&Place::History(partition)).end;
                    let commands_end = self.log(&Place::Commands(partition)).end;
                    if tenure.is_idle() && tenure.has_read(history_end, commands_end) {
                        return Ok(Served::Idle(tenure.owner.applied_offset()));
                    }
                    current = Some(tenure);
                }
            }
        }
        Err(violation("r15_a_partition_goes_on_or_stops", format!("partition {partition}")))
    }

    fn next_to_decide(&self, partition: u32) -> Option<u64> {
        let truth = &self.truth[partition as usize];
        (truth.position.is_some() || !truth.sources.is_empty()).then(|| truth.next_to_decide())
    }

    /// The commands end before what was decided.
    fn truncate_commands(&mut self, partition: u32) -> Option<bool> {
        let next = self.next_to_decide(partition).filter(|next| *next > 0)?;
        self.note(|_| format!("PLANTED: commands {partition} end before {next}"));
        self.log(&Place::Commands(partition)).truncate(next - 1);
        Some(false)
    }

    /// Commands that nobody has decided are deleted.
    fn delete_undecided(&mut self, partition: u32) -> Option<bool> {
        let next = self.next_to_decide(partition)?;
        self.note(|_| format!("PLANTED: commands {partition} begin after {next}"));
        let log = self.log(&Place::Commands(partition));
        log.skip(2);
        let end = log.end;
        log.delete_below(end.max(next + 1));
        Some(false)
    }

    /// Another topic of the same name and length.
    fn replace_commands(&mut self, partition: u32) -> Option<bool> {
        let position = self.truth[partition as usize].position.clone()?.0;
        let known_id = position.topic_id.is_some() && self.plan.tells_topic_id;
        let (start, end) = (self.log(&Place::Commands(partition)).start, self.log(&Place::Commands(partition)).end);
        // Without an id, only the last command tells.
        let recognisable = position.last_command.is_some_and(|mark| mark.offset >= start);
        if !known_id && !recognisable {
            return None;
        }
        self.note(|_| format!("PLANTED: commands {partition} are others"));
        self.topic_id += 1;
        let timestamp_ms = self.broker_ms();
        let log = self.log(&Place::Commands(partition));
        log.truncate(start);
        while log.end < end {
            let (to, value) = (Place::Commands(partition), Some(b"other".to_vec()));
            log.append(timestamp_ms, Parcel { to, key: None, value, headers: Vec::new(), garbage: true });
        }
        Some(false)
    }

    /// The history ends before what the store holds.
    fn truncate_history(&mut self, partition: u32) -> Option<bool> {
        let node = self.assigned[partition as usize];
        let (held, _) = crate::node::meta(&self.nodes[node].stores[&partition]).ok()??;
        let end = held.checked_sub(1)?;
        self.note(|_| format!("PLANTED: history {partition} ends before {held}"));
        self.log(&Place::History(partition)).truncate(end);
        Some(true)
    }

    /// Another topic of the same name and length.
    fn replace_history(&mut self, partition: u32) -> Option<bool> {
        self.note(|_| format!("PLANTED: history {partition} is another"));
        let timestamp_ms = self.broker_ms();
        let log = self.log(&Place::History(partition));
        let end = log.end;
        log.truncate(0);
        while log.end < end {
            let (to, key) = (Place::History(partition), Some(b"other".to_vec()));
            log.append(timestamp_ms, Parcel { to, key, value: None, headers: Vec::new(), garbage: true });
        }
        Some(true)
    }
}
