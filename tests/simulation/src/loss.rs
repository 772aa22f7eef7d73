//! Losses that no protocol survives: something that was acknowledged is gone. The partition must stop and say so, and
//! decide nothing (R15).

use tidewright_owner::Stop;

use crate::log::{Parcel, Place};
use crate::tenure::{End, Tenure};
use crate::violation::{Checked, ensure, violation};
use crate::world::World;

impl World {
    /// Plants a loss under a partition at rest, and takes the partition over.
    pub(crate) fn plant_loss(&mut self) -> Checked {
        let partition = self.dice.below(self.plan.partitions as usize) as u32;
        let node = self.assigned[partition as usize];
        let history_is_lost = match self.dice.below(5) {
            0 => self.truncate_commands(partition),
            1 => self.delete_undecided(partition),
            2 => self.replace_commands(partition),
            3 => self.truncate_history(partition),
            _ => self.replace_history(partition),
        };
        let Some(history_is_lost) = history_is_lost else { return Ok(()) };
        self.revoke(node, partition);
        let disk = self.nodes[node].stores[&partition].clone();
        let number = self.next_number();
        let mut tenure = Tenure::open(self, node, partition, number, disk)
            .map_err(|stop| violation("r16_a_store_opens_after_any_crash", stop.to_string()))?;
        for _ in 0..20_000 {
            self.step += 1;
            self.pass(1);
            match self.advance(node, partition, &mut tenure)? {
                None => {}
                Some(End::Trouble(_)) => {
                    let number = self.next_number();
                    let disk = self.nodes[node].stores[&partition].clone();
                    tenure = Tenure::open(self, node, partition, number, disk)
                        .map_err(|stop| violation("r16_a_store_opens_after_any_crash", stop.to_string()))?;
                }
                Some(End::Stop(stop)) => {
                    self.note(|_| format!("partition {partition} stopped: {stop}"));
                    let told = match stop {
                        Stop::HistoryLost(_) => history_is_lost,
                        Stop::CommandsLost(_) => !history_is_lost,
                        _ => false,
                    };
                    ensure!(told, "r15_a_loss_is_explained", "history lost: {history_is_lost}, told: {stop}");
                    self.stats.losses += 1;
                    return Ok(());
                }
            }
        }
        Err(violation("r15_a_loss_stops_the_partition", format!("history lost: {history_is_lost}")))
    }

    fn next_to_decide(&self, partition: u32) -> Option<u64> {
        let last = self.truth[partition as usize].position.as_ref().map(|(position, _)| position.applied_offset);
        let decided = self.truth[partition as usize].sources.last_key_value().map(|(source, _)| source + 1);
        last.max(decided)
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
