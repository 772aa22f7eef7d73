//! The loop that takes activity tasks of a queue, runs them, and commits what is done.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tidewright_log::{GroupEvent, Received};
use tidewright_schemas::{ActivityTask, TaskVerdict, headers};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::attempt::Attempts;
use super::confirm::Confirmations;
use super::measure::Occupancy;
use super::membership::Membership;
use super::offsets::{Offsets, Position};
use super::running::Running;
use super::text_header;

/// What the loop needs.
pub(crate) struct ActivityLoop {
    membership: Membership,
    attempts: Arc<Attempts>,
    confirmations: Arc<Confirmations>,
    occupancy: Arc<Occupancy>,
    offsets: Offsets,
    /// Tokens of the attempts that run here, with the records that bring them: more than one after a rebalance.
    running: HashMap<Arc<str>, Vec<Position>>,
    /// The same attempts, as they hear and are heard while they run.
    linked: Running,
    attempts_running: JoinSet<Arc<str>>,
    /// One message for each attempt at most, so it is bounded by the slots.
    settled: (mpsc::UnboundedSender<Arc<str>>, mpsc::UnboundedReceiver<Arc<str>>),
}

impl ActivityLoop {
    pub(crate) fn new(
        membership: Membership,
        attempts: Arc<Attempts>,
        confirmations: Arc<Confirmations>,
        occupancy: Arc<Occupancy>,
        linked: Running,
    ) -> Self {
        Self {
            membership,
            linked,
            attempts,
            confirmations,
            occupancy,
            offsets: Offsets::default(),
            running: HashMap::new(),
            attempts_running: JoinSet::new(),
            settled: mpsc::unbounded_channel(),
        }
    }

    /// Runs until it is told to stop; then running attempts have `grace` to end, and the group is left.
    pub(crate) async fn run(mut self, stop: CancellationToken, grace: Duration) {
        while !stop.is_cancelled() {
            let free = self.occupancy.slots.saturating_sub(self.attempts_running.len());
            self.occupancy.set(self.attempts_running.len());
            tokio::select! {
                () = stop.cancelled() => {}
                Some(token) = self.settled.1.recv() => self.settle(&token),
                Some(ended) = self.attempts_running.join_next() => self.ended(ended),
                event = self.membership.next(free), if free > 0 => self.take(event),
            }
        }
        self.linked.stop();
        if tokio::time::timeout(grace, self.drain()).await.is_err() {
            let count = self.attempts_running.len();
            tracing::warn!(count, "activities still run after {grace:?}; they are ended and will be tried again");
            self.attempts_running.shutdown().await;
        }
        self.membership.close().await;
    }

    async fn drain(&mut self) {
        while let Some(ended) = self.attempts_running.join_next().await {
            self.ended(ended);
        }
        while let Ok(token) = self.settled.1.try_recv() {
            self.settle(&token);
        }
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
                partitions.iter().for_each(|partition| self.offsets.gone(partition));
                self.occupancy.takes_from(self.offsets.partitions());
            }
            GroupEvent::Records(records) => records.into_iter().for_each(|record| self.start(&record)),
        }
    }

    fn start(&mut self, record: &Received) {
        let Some(taken) = self.offsets.take(record) else { return };
        let task: ActivityTask = match serde_json::from_slice(record.value.as_deref().unwrap_or_default()) {
            Ok(task) => task,
            Err(error) => {
                let (topic, partition, offset) = (&record.topic, record.partition, record.offset);
                tracing::error!(%topic, partition, offset, "a record is no activity task and is passed over: {error}");
                self.commit(&taken.position);
                return;
            }
        };
        let token: Arc<str> = task.token.as_str().into();
        if let Some(positions) = self.running.get_mut(&token) {
            positions.push(taken.position);
            return;
        }
        self.running.insert(Arc::clone(&token), vec![taken.position]);
        let to_confirm = task.possible_repeat
            || taken.below_end
            || record.header(headers::POSSIBLE_REPEAT).is_some_and(|value| value == b"true");
        let traceparent = text_header(record, headers::TRACEPARENT);
        let (attempts, confirmations) = (Arc::clone(&self.attempts), Arc::clone(&self.confirmations));
        let settled = self.settled.0.clone();
        let linked = self.linked.clone();
        self.attempts_running.spawn(async move {
            // It hears what is said from now on; what was said before is looked up.
            let entered = linked.enter(&task);
            let to_confirm = to_confirm || linked.is_to_end(&task);
            let wanted = !to_confirm || confirmations.ask(&task, traceparent.as_deref()).await == TaskVerdict::Run;
            if wanted {
                // The loop outlives its attempts; if it is gone, so is the membership.
                attempts.run(task, &entered.link, traceparent, || drop(settled.send(Arc::clone(&token)))).await;
            }
            token
        });
    }

    fn ended(&mut self, ended: Result<Arc<str>, tokio::task::JoinError>) {
        match ended {
            Ok(token) => {
                self.settle(&token);
                self.running.remove(&token);
            }
            // Only a shutdown ends attempts from outside; their own panics are values.
            Err(error) => tracing::error!("an attempt ended unexpectedly: {error}"),
        }
    }

    fn settle(&mut self, token: &Arc<str>) {
        for position in self.running.get_mut(token).map(std::mem::take).unwrap_or_default() {
            self.commit(&position);
        }
    }

    fn commit(&mut self, position: &Position) {
        if let Some(offset) = self.offsets.settle(position) {
            self.membership.commit(&position.partition, offset);
        }
    }
}
