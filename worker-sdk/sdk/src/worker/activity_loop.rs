//! The loop that takes activity tasks of a queue, runs them, and commits what is done.
//!
//! A task that was taken runs in a slot, or waits in hand for one. Before a partition goes to another worker, what runs
//! of it is announced, so that the other one finds that it runs (R25). Told to stop, the loop takes nothing more, hands
//! back what has not begun, and gives what runs time to end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tidewright_log::{GroupEvent, Received, TopicPartition};
use tidewright_schemas::{ActivityTask, TaskVerdict, headers};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempt::Attempts;
use super::confirm::Confirmations;
use super::hand::{Hand, Job};
use super::measure::Occupancy;
use super::membership::{Membership, Revocations, Revoking};
use super::offsets::{Offsets, Position};
use super::running::Running;
use super::text_header;

/// What the loop needs.
pub(crate) struct ActivityLoop {
    membership: Membership,
    revocations: Revocations,
    attempts: Arc<Attempts>,
    confirmations: Arc<Confirmations>,
    /// Tasks that came beside the group.
    offered: mpsc::Receiver<Received>,
    occupancy: Arc<Occupancy>,
    offsets: Offsets,
    /// The attempts that run here, as they hear and are heard.
    linked: Running,
    hand: Hand,
    /// How many partitions the topic has: who has all of them is alone, and has nobody to hand anything to.
    partitions: usize,
    /// What was taken and is not done, by token.
    taken: HashMap<Arc<str>, Taken>,
    slots: JoinSet<Ended>,
    /// Tasks that are being handed back: no more than may be in hand.
    handed_back: JoinSet<Ended>,
    /// Rebalances that wait until what runs is announced.
    revoking: Vec<Revoking>,
    /// One message for each attempt at most, so it is bounded by the slots.
    settled: (mpsc::UnboundedSender<Arc<str>>, mpsc::UnboundedReceiver<Arc<str>>),
    stop: CancellationToken,
}

/// A task that was taken and is not done.
#[derive(Default)]
struct Taken {
    /// The records that bring it: more than one after a rebalance.
    positions: Vec<Position>,
    /// Whether it runs, and nobody else knows.
    is_unannounced: bool,
    announce: Arc<Notify>,
}

impl Taken {
    fn is_in(&self, partitions: &[TopicPartition]) -> bool {
        self.positions.iter().any(|position| partitions.contains(&position.partition))
    }
}

/// A task is not this worker's any more.
struct Ended {
    token: Arc<str>,
    /// Whether its record needs no redelivery.
    is_settled: bool,
}

impl ActivityLoop {
    pub(crate) fn new(
        (membership, revocations): (Membership, Revocations),
        (attempts, confirmations, offered): (Arc<Attempts>, Arc<Confirmations>, mpsc::Receiver<Received>),
        occupancy: Arc<Occupancy>,
        (partitions, return_after): (usize, Duration),
        linked: Running,
    ) -> Self {
        Self {
            membership,
            revocations,
            linked,
            attempts,
            confirmations,
            offered,
            occupancy,
            offsets: Offsets::default(),
            hand: Hand::new(return_after),
            partitions,
            taken: HashMap::new(),
            slots: JoinSet::new(),
            handed_back: JoinSet::new(),
            revoking: Vec::new(),
            settled: mpsc::unbounded_channel(),
            stop: CancellationToken::new(),
        }
    }

    /// Runs until it is told to stop; then running attempts have `timeout` to end, and the group is left.
    pub(crate) async fn run(mut self, stop: CancellationToken, timeout: Duration) {
        self.stop = stop.clone();
        while !stop.is_cancelled() {
            self.fill_slots();
            let room = self.room();
            tokio::select! {
                () = stop.cancelled() => {}
                Some(token) = self.settled.1.recv() => self.settle(&token),
                Some(ended) = self.slots.join_next() => self.ended(ended),
                Some(ended) = self.handed_back.join_next() => self.ended(ended),
                Some(revoking) = self.revocations.recv() => self.announce(revoking),
                () = self.hand.overdue() => {
                    self.hand.take_overdue(Instant::now()).into_iter().for_each(|job| self.hand_back(job));
                }
                Some(record) = self.offered.recv() => self.accept_offered(&record),
                // Without room only rebalances are told.
                event = self.membership.next(room) => self.take(event),
            }
        }
        self.linked.stop();
        self.hand.take_all().into_iter().for_each(|job| self.hand_back(job));
        if tokio::time::timeout(timeout, self.drain()).await.is_err() {
            let count = self.slots.len();
            tracing::warn!(count, "activities still run after {timeout:?}; they are ended and will be tried again");
            self.slots.shutdown().await;
        }
        // A rebalance that waits for what has ended, or was ended, waits no longer.
        drop((self.revoking, self.revocations));
        self.membership.close().await;
    }

    async fn drain(&mut self) {
        while !self.slots.is_empty() || !self.handed_back.is_empty() {
            self.occupancy.set(self.slots.len());
            tokio::select! {
                Some(token) = self.settled.1.recv() => self.settle(&token),
                Some(ended) = self.slots.join_next() => self.ended(ended),
                Some(ended) = self.handed_back.join_next() => self.ended(ended),
                Some(revoking) = self.revocations.recv() => self.announce(revoking),
            }
        }
        while let Ok(token) = self.settled.1.try_recv() {
            self.settle(&token);
        }
    }

    fn fill_slots(&mut self) {
        while self.slots.len() < self.occupancy.slots
            && let Some(job) = self.hand.take()
        {
            self.start(job);
        }
        self.occupancy.set(self.slots.len());
    }

    /// How many tasks may be taken: as many as there are free slots, and as many again in hand, if there is somebody else
    /// who could take them instead.
    fn room(&self) -> usize {
        let slots = self.occupancy.slots;
        let is_alone = self.offsets.partitions().len() >= self.partitions;
        let in_hand = if is_alone { 0 } else { slots };
        (slots + in_hand).saturating_sub(self.slots.len() + self.hand.len() + self.handed_back.len())
    }

    fn take(&mut self, event: GroupEvent) {
        match event {
            GroupEvent::Assigned(partitions) => {
                for assigned in partitions {
                    self.offsets.assigned(assigned.partition, assigned.end_offset);
                }
                self.occupancy.takes_from(self.offsets.partitions());
            }
            GroupEvent::Revoked(partitions) | GroupEvent::Lost(partitions) => {
                self.let_go(&partitions);
                partitions.iter().for_each(|partition| self.offsets.gone(partition));
                self.occupancy.takes_from(self.offsets.partitions());
            }
            GroupEvent::Records(records) => records.into_iter().for_each(|record| self.accept(&record)),
        }
    }

    fn accept(&mut self, record: &Received) {
        let Some(taken) = self.offsets.take(record) else { return };
        let Some(task) = task(record) else {
            self.commit(&taken.position);
            return;
        };
        let token: Arc<str> = task.token.as_str().into();
        if let Some(known) = self.taken.get_mut(&token) {
            known.positions.push(taken.position);
            return;
        }
        let to_confirm = task.possible_repeat
            || taken.below_end
            || record.header(headers::POSSIBLE_REPEAT).is_some_and(|value| value == b"true");
        let traceparent = text_header(record, headers::TRACEPARENT);
        self.taken.insert(Arc::clone(&token), Taken { positions: vec![taken.position], ..Taken::default() });
        self.hand.put(Job { token, task, traceparent, to_confirm }, Instant::now());
        self.fill_slots();
    }

    /// A task that is offered is begun now, or comes through the group later. The record itself is not this worker's to
    /// commit.
    fn accept_offered(&mut self, record: &Received) {
        if self.slots.len() + self.hand.len() >= self.occupancy.slots {
            return;
        }
        let Some(task) = task(record) else { return };
        let token: Arc<str> = task.token.as_str().into();
        if self.taken.contains_key(&token) {
            return;
        }
        let traceparent = text_header(record, headers::TRACEPARENT);
        self.taken.insert(Arc::clone(&token), Taken::default());
        self.hand.put(Job { token, task, traceparent, to_confirm: true }, Instant::now());
        self.fill_slots();
    }

    fn start(&mut self, job: Job) {
        let Some(taken) = self.taken.get_mut(&job.token) else { return };
        taken.is_unannounced = !job.to_confirm;
        let announce = Arc::clone(&taken.announce);
        let (attempts, confirmations) = (Arc::clone(&self.attempts), Arc::clone(&self.confirmations));
        let linked = self.linked.clone();
        let (settled, stop) = (self.settled.0.clone(), self.stop.clone());
        self.slots.spawn(async move {
            let Job { token, task, traceparent, to_confirm } = job;
            let traceparent = traceparent.as_deref();
            // It hears what is said from now on; what was said before is looked up.
            let entered = linked.enter(&task);
            // The loop outlives its attempts; if it is gone, so is the membership.
            let settle = || drop(settled.send(Arc::clone(&token)));
            if to_confirm || linked.is_to_end(&task) {
                let verdict = tokio::select! {
                    verdict = confirmations.ask_for_activity(&task, traceparent) => Some(verdict),
                    () = stop.cancelled() => None,
                };
                match verdict {
                    // The grant is bound to this process, as a notice is.
                    Some(TaskVerdict::Run) => settle(),
                    Some(TaskVerdict::Drop) => return Ended { token, is_settled: true },
                    None => {
                        let is_settled = attempts.hand_back(&task, traceparent).await;
                        return Ended { token, is_settled };
                    }
                }
            }
            attempts.run(task, (&entered.link, &announce), traceparent.map(str::to_owned), settle).await;
            Ended { token, is_settled: true }
        });
    }

    fn hand_back(&mut self, job: Job) {
        let attempts = Arc::clone(&self.attempts);
        self.handed_back.spawn(async move {
            let is_settled = attempts.hand_back(&job.task, job.traceparent.as_deref()).await;
            Ended { token: job.token, is_settled }
        });
    }

    fn ended(&mut self, ended: Result<Ended, JoinError>) {
        match ended {
            Ok(ended) => {
                if ended.is_settled {
                    self.settle(&ended.token);
                }
                self.taken.remove(&ended.token);
                self.release_revocations();
            }
            // Only a shutdown ends attempts from outside; their own panics are values.
            Err(error) => tracing::error!("an attempt ended unexpectedly: {error}"),
        }
    }

    fn settle(&mut self, token: &Arc<str>) {
        let Some(taken) = self.taken.get_mut(token) else { return };
        taken.is_unannounced = false;
        for position in std::mem::take(&mut taken.positions) {
            self.commit(&position);
        }
        self.release_revocations();
    }

    fn commit(&mut self, position: &Position) {
        if let Some(offset) = self.offsets.settle(position) {
            self.membership.commit(&position.partition, offset);
        }
    }

    /// Before partitions go: what runs of them is announced, and the rest is let go.
    fn announce(&mut self, revoking: Revoking) {
        self.let_go(&revoking.partitions);
        for taken in self.taken.values().filter(|taken| taken.is_in(&revoking.partitions)) {
            taken.announce.notify_one();
        }
        self.revoking.push(revoking);
        self.release_revocations();
    }

    fn release_revocations(&mut self) {
        let taken = &self.taken;
        self.revoking
            .retain(|revoking| taken.values().any(|taken| taken.is_unannounced && taken.is_in(&revoking.partitions)));
    }

    /// What is in hand of these partitions is delivered to whoever gets them.
    fn let_go(&mut self, partitions: &[TopicPartition]) {
        let taken = &mut self.taken;
        self.hand.retain(|job| {
            let goes = taken.get(&job.token).is_none_or(|taken| taken.is_in(partitions));
            if goes {
                taken.remove(&job.token);
            }
            !goes
        });
    }
}

/// The task in a record. One that is none is passed over.
fn task(record: &Received) -> Option<ActivityTask> {
    let read = serde_json::from_slice(record.value.as_deref().unwrap_or_default());
    let (topic, partition, offset) = (&record.topic, record.partition, record.offset);
    read.inspect_err(|error| {
        tracing::error!(%topic, partition, offset, "a record is no activity task and is passed over: {error}");
    })
    .ok()
}
