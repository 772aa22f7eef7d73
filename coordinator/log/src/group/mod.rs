//! Membership in a consumer group, with the partitions that come and go by it.
//!
//! A thread serves the group: it joins, answers rebalances, commits, and leaves. Records stay in librdkafka's queue of
//! their partition until [`GroupConsumer::next`] takes them, so that nothing stands between a rebalance and the records:
//! once a partition is revoked its queue is gone, and no later `next` yields a record of it.

mod commits;
mod contact;
mod context;
mod events;
mod service;

use std::collections::BTreeSet;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use crate::config::KafkaConfig;
use crate::error::{GroupError, LogError};
use crate::record::Received;
use context::Shared;
use service::Order;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: u32,
}

/// A partition that was assigned to this member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedPartition {
    /// Which one.
    pub partition: TopicPartition,
    /// Its end, looked up after the assignment: what lies below may be a repeat (R25). None if it could not be looked
    /// up, or in [`GroupMode::MembershipOnly`].
    pub end_offset: Option<u64>,
}

/// What happens to a member, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupEvent {
    /// These partitions are this member's from now on, besides those that it has.
    Assigned(Vec<AssignedPartition>),
    /// These partitions are given back; another member may have them already.
    Revoked(Vec<TopicPartition>),
    /// The group took these partitions away, since this member was not heard for a session timeout or was expelled.
    Lost(Vec<TopicPartition>),
    /// Records of partitions that are assigned, those of one partition in order.
    Records(Vec<Received>),
}

/// What a member wants of its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupMode {
    /// Their records, from the committed offset or else from the beginning.
    Records,
    /// Only to be told which are its own.
    MembershipOnly,
}

/// How to be a member.
#[derive(Debug, Clone)]
pub struct GroupOptions {
    /// The group's name.
    pub group: String,
    /// What is subscribed.
    pub topics: Vec<String>,
    /// Whether records are wanted.
    pub mode: GroupMode,
    /// How long a silent member keeps its partitions; brokers as shipped allow no less than 6 s.
    pub session_timeout: Duration,
    /// How often the member tells that it is there; it also sets how fast it joins and hands over.
    pub heartbeat_interval: Duration,
    /// How much is fetched ahead for each partition.
    pub prefetch_bytes: usize,
    /// How many records are fetched ahead for each partition, about.
    pub prefetch_records: usize,
    /// What is done before partitions are given back.
    pub before_revoke: Option<BeforeRevoke>,
}

/// Called before partitions are given back in good order, with which: no more of their records are yielded, nobody else
/// has them yet, and what is noted as done by its return is committed first. It runs on the member's thread and holds up
/// the whole group, so it must return soon.
#[derive(Clone)]
pub struct BeforeRevoke(Arc<Call>);

type Call = dyn Fn(&[TopicPartition]) + Send + Sync;

impl BeforeRevoke {
    /// Calls this.
    pub fn new(call: impl Fn(&[TopicPartition]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(call))
    }

    fn call(&self, partitions: &[TopicPartition]) {
        (self.0)(partitions);
    }
}

impl std::fmt::Debug for BeforeRevoke {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BeforeRevoke")
    }
}

impl GroupOptions {
    /// A member that reads `topics`.
    #[must_use]
    pub fn new(group: impl Into<String>, topics: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            group: group.into(),
            topics: topics.into_iter().map(Into::into).collect(),
            mode: GroupMode::Records,
            session_timeout: Duration::from_secs(6),
            heartbeat_interval: Duration::from_millis(300),
            prefetch_bytes: 2 * 1024 * 1024,
            prefetch_records: 1_000,
            before_revoke: None,
        }
    }

    /// The same, told only which partitions are its own.
    #[must_use]
    pub fn membership_only(mut self) -> Self {
        self.mode = GroupMode::MembershipOnly;
        self
    }
}

/// A member of a consumer group. Dropping it leaves the group, in the background; [`Self::close`] waits for it.
pub struct GroupConsumer {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    /// Partitions in the order in which they are asked for records next.
    turn: usize,
}

impl Drop for GroupConsumer {
    fn drop(&mut self) {
        // After `close` the thread is gone already.
        let _ = self.orders.send(Order::Leave(None));
    }
}

impl GroupConsumer {
    /// Joins the group; what comes of it is told by [`Self::next`].
    pub fn join(config: &KafkaConfig, options: &GroupOptions) -> Result<Self, LogError> {
        let (shared, orders) = service::start(config, options)?;
        Ok(Self { shared, orders, turn: 0 })
    }

    /// Waits for the next event. Rebalances come before records, and records of at most `count_max` and about
    /// `bytes_max` bytes at once; with a `count_max` of 0 none, only rebalances. Partitions take turns. Cancelling it loses
    /// nothing; an error does not end the consumer, unless it is [`GroupError::Fatal`] or [`GroupError::Closed`].
    pub async fn next(&mut self, count_max: usize, bytes_max: usize) -> Result<GroupEvent, GroupError> {
        loop {
            if let Some(event) = self.try_next(count_max, bytes_max)? {
                return Ok(event);
            }
            self.shared.ready.notified().await;
        }
    }

    /// As [`Self::next`], but takes only what is there already.
    pub fn try_next(&mut self, count_max: usize, bytes_max: usize) -> Result<Option<GroupEvent>, GroupError> {
        let mut state = self.shared.state();
        if let Some(told) = state.events.pop() {
            return told.map(Some);
        }
        if state.closed {
            return Err(GroupError::Closed { group: self.shared.group.clone() });
        }
        let records = state.take_records(&self.shared.group, &mut self.turn, count_max, bytes_max);
        Ok((!records.is_empty()).then_some(GroupEvent::Records(records)))
    }

    /// Subscribes to these topics instead of those before; partitions of topics that stay are kept.
    pub fn subscribe(&self, topics: impl IntoIterator<Item = impl Into<String>>) -> Result<(), GroupError> {
        let topics: BTreeSet<String> = topics.into_iter().map(Into::into).collect();
        self.order(Order::Subscribe(topics.into_iter().collect()))
    }

    /// Yields no records of a partition until it is resumed or assigned anew; what was fetched ahead is kept.
    pub fn pause(&self, partition: &TopicPartition) {
        self.shared.state().set_paused(partition, true);
    }

    /// Ends a pause.
    pub fn resume(&self, partition: &TopicPartition) {
        self.shared.state().set_paused(partition, false);
        self.shared.ready.notify_one();
    }

    /// Notes that everything below `next_offset` is done. It is committed soon, together with others, and before the
    /// group is left; a smaller offset than one noted before is ignored. False if the partition is not this member's
    /// any more: then nothing is committed, since it would undo the new owner's progress.
    pub fn commit(&self, partition: &TopicPartition, next_offset: u64) -> bool {
        let noted = self.shared.state().commits.note(partition, next_offset);
        if noted == commits::Noted::First {
            // When the thread is gone, so is the membership.
            let _ = self.orders.send(Order::Wake);
        }
        noted != commits::Noted::NotAssigned
    }

    /// The partitions that are assigned right now.
    #[must_use]
    pub fn assigned(&self) -> Vec<TopicPartition> {
        self.shared.state().assigned()
    }

    /// When the group's coordinator was last heard with this member in good standing (R17). It lags behind by up to two
    /// heartbeat intervals, never ahead.
    #[must_use]
    pub fn last_contact(&self) -> Option<Instant> {
        self.shared.state().contact.last()
    }

    /// Asks the group's coordinator whether this member still holds the partition (R12): a commit of the offset that is
    /// committed already, which only a member of the current generation may make. False if it is not assigned any more.
    pub async fn confirm_assigned(&self, partition: &TopicPartition, timeout: Duration) -> Result<bool, GroupError> {
        commits::confirm(&self.shared, partition, timeout).await
    }

    /// Commits what was noted, leaves the group, and waits until both are done, so that others take over at once.
    pub async fn close(self) {
        let (done, left) = oneshot::channel();
        if self.order(Order::Leave(Some(done))).is_ok() {
            // An error means that the thread has ended, which is what is waited for.
            let _ = left.await;
        }
    }

    fn order(&self, order: Order) -> Result<(), GroupError> {
        self.orders.send(order).map_err(|_| GroupError::Closed { group: self.shared.group.clone() })
    }
}

/// Wakes whoever waits in `next`.
pub(crate) type Ready = Notify;
