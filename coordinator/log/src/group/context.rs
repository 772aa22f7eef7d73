//! What the member's thread, librdkafka's callbacks and the consumer's user share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Message as _, TopicPartitionList};

use super::commits::Commits;
use super::contact::Contact;
use super::events::Events;
use super::{BeforeRevoke, GroupMode, Ready, TopicPartition};
use crate::context::{trace_error, trace_line};
use crate::error::{Class, GroupError, classify};
use crate::record::{Received, kafka_partition, unsigned_partition};

pub(super) type Client = BaseConsumer<GroupContext>;

/// State of one member, in one place and behind one lock that is never held over I/O.
pub(super) struct Shared {
    pub(super) group: String,
    pub(super) mode: GroupMode,
    pub(super) ready: Arc<Ready>,
    /// Set once, right after the client was made.
    pub(super) client: OnceLock<Weak<Client>>,
    state: Mutex<State>,
}

impl Shared {
    pub(super) fn new(group: &str, mode: GroupMode) -> Self {
        Self {
            group: group.to_owned(),
            mode,
            ready: Arc::new(Ready::new()),
            client: OnceLock::new(),
            state: Mutex::new(State::default()),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn client(&self) -> Option<Arc<Client>> {
        self.client.get().and_then(Weak::upgrade)
    }
}

#[derive(Default)]
pub(super) struct State {
    pub(super) events: Events,
    pub(super) commits: Commits,
    pub(super) contact: Contact,
    pub(super) closed: bool,
    /// What is subscribed, for messages.
    pub(super) topics: Vec<String>,
    /// Assigned, but not told yet: the end is still to be looked up.
    pub(super) arrived: Vec<TopicPartition>,
    partitions: BTreeMap<TopicPartition, Slot>,
}

/// An assigned partition.
struct Slot {
    /// None in [`GroupMode::MembershipOnly`].
    queue: Option<PartitionQueue<GroupContext>>,
    paused: bool,
}

impl State {
    pub(super) fn assigned(&self) -> Vec<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    pub(super) fn is_assigned(&self, partition: &TopicPartition) -> bool {
        self.partitions.contains_key(partition)
    }

    pub(super) fn set_paused(&mut self, partition: &TopicPartition, paused: bool) {
        if let Some(slot) = self.partitions.get_mut(partition) {
            slot.paused = paused;
        }
    }

    /// Ends the membership. What is returned is dropped outside the lock.
    pub(super) fn clear(&mut self) -> impl Sized + use<> {
        self.closed = true;
        self.arrived.clear();
        self.commits = Commits::default();
        self.contact.lost();
        std::mem::take(&mut self.partitions)
    }

    /// Takes records from the partitions in turn, beginning where it stopped the last time.
    pub(super) fn take_records(
        &mut self,
        group: &str,
        turn: &mut usize,
        count_max: usize,
        bytes_max: usize,
    ) -> Vec<Received> {
        let mut records = Vec::new();
        let (mut bytes, mut errors) = (0, Vec::new());
        let slots: Vec<_> = self.partitions.iter().collect();
        let share = (count_max / slots.len().max(1)).max(1);
        for step in 0..slots.len() {
            let (partition, slot) = slots[(*turn + step) % slots.len()];
            let Some(queue) = slot.queue.as_ref().filter(|_| !slot.paused && !self.arrived.contains(partition)) else {
                continue;
            };
            let until = (records.len() + share).min(count_max);
            while records.len() < until && (bytes < bytes_max || records.is_empty()) {
                match queue.poll(Duration::ZERO) {
                    None => break,
                    Some(Ok(message)) => {
                        let record = Received::copy(&partition.topic, &message);
                        debug_assert_eq!(message.topic(), &*partition.topic);
                        bytes += record.size_bytes();
                        records.push(record);
                    }
                    Some(Err(error)) => errors.push(error),
                }
            }
        }
        *turn = turn.wrapping_add(1);
        for error in errors {
            self.note_error(group, &error);
        }
        records
    }

    /// Notes an error that is the user's business; what librdkafka retries is only logged.
    pub(super) fn note_error(&mut self, group: &str, error: &KafkaError) {
        let (group, topics) = (group.to_owned(), self.topics.clone());
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            return self.events.error(GroupError::Fatal { group, message: error.to_string() });
        }
        match error.rdkafka_error_code().map_or(Class::Passing, classify) {
            Class::Missing => self.events.error(GroupError::TopicMissing { group, topics }),
            Class::Denied => self.events.error(GroupError::Denied { group, topics, message: error.to_string() }),
            Class::TooLarge | Class::Refused | Class::Passing => {
                tracing::debug!(group, "the group goes on after: {error}")
            }
        }
    }
}

/// librdkafka's callbacks, all of which run on the member's thread.
pub(super) struct GroupContext {
    pub(super) shared: Arc<Shared>,
    pub(super) before_revoke: Option<BeforeRevoke>,
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        trace_line("group", level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        trace_error("group", &error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        if let Err(error) = self.shared.state().contact.report(Instant::now(), statistics) {
            tracing::warn!("librdkafka's statistics cannot be read, so contact with the group is unknown: {error}");
        }
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(&self, client: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = named(list);
        let outcome = match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(client, list, partitions),
            _ => self.revoke(client, list, partitions),
        };
        if let Err(error) = outcome {
            tracing::warn!(group = self.shared.group, "a rebalance was not taken over: {error}");
        }
        self.shared.ready.notify_one();
    }
}

impl GroupContext {
    fn assign(
        &self,
        client: &BaseConsumer<Self>,
        list: &TopicPartitionList,
        partitions: Vec<TopicPartition>,
    ) -> KafkaResult<()> {
        let mut slots = Vec::with_capacity(partitions.len());
        for partition in &partitions {
            // Split before it is assigned, so that no record goes to the common queue.
            slots.push(Slot { queue: self.queue(partition), paused: false });
        }
        client.incremental_assign(list)?;
        if self.shared.mode == GroupMode::MembershipOnly
            && let Err(error) = client.pause(list)
        {
            // Its records come to the common queue then, where they are dropped.
            tracing::debug!(group = self.shared.group, "assigned partitions were not paused: {error}");
        }
        let mut state = self.shared.state();
        for (partition, slot) in partitions.into_iter().zip(slots) {
            state.commits.assigned(&partition);
            state.arrived.push(partition.clone());
            state.partitions.insert(partition, slot);
        }
        Ok(())
    }

    fn queue(&self, partition: &TopicPartition) -> Option<PartitionQueue<Self>> {
        if self.shared.mode == GroupMode::MembershipOnly {
            return None;
        }
        let client = self.shared.client()?;
        let mut queue = client.split_partition_queue(&partition.topic, kafka_partition(partition.partition))?;
        // Errors have no version: those of an earlier assignment go before anything of this one can come.
        while queue.poll(Duration::ZERO).is_some() {}
        let ready = Arc::clone(&self.shared.ready);
        queue.set_nonempty_callback(move || ready.notify_one());
        Some(queue)
    }

    fn revoke(
        &self,
        client: &BaseConsumer<Self>,
        list: &TopicPartitionList,
        partitions: Vec<TopicPartition>,
    ) -> KafkaResult<()> {
        let lost = client.assignment_lost();
        if !lost {
            {
                let mut state = self.shared.state();
                partitions.iter().for_each(|partition| state.set_paused(partition, true));
            }
            if let Some(before) = &self.before_revoke {
                before.call(&partitions);
            }
            // What is done already is committed before the partition goes, so that nobody repeats it.
            super::commits::send(&self.shared, client);
        }
        let mut gone = Vec::with_capacity(partitions.len());
        {
            let mut state = self.shared.state();
            for partition in &partitions {
                gone.extend(state.partitions.remove(partition));
                state.commits.gone(partition);
            }
            let (untold, told) = partitions.into_iter().partition(|p| state.arrived.contains(p));
            let untold: Vec<TopicPartition> = untold;
            state.arrived.retain(|p| !untold.contains(p));
            state.events.gone(told, lost);
            if lost {
                state.contact.lost();
            }
        }
        // A queue must be gone before one of the same partition is made: both are one inside librdkafka.
        drop(gone);
        client.incremental_unassign(list)
    }
}

fn named(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements()
        .into_iter()
        .map(|element| TopicPartition {
            topic: Arc::from(element.topic()),
            partition: unsigned_partition(element.partition()),
        })
        .collect()
}
