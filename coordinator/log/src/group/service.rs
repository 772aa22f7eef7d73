//! The thread of a group member: joins, serves rebalances, commits, leaves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use tokio::sync::oneshot;

use super::commits;
use super::context::{Client, GroupContext, Shared};
use super::{AssignedPartition, GroupMode, GroupOptions, TopicPartition};
use crate::config::{KafkaConfig, property};
use crate::error::{GroupError, LogError, client_error};
use crate::record::{kafka_partition, unsigned_offset};

/// How long leaving a group is waited for.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);
/// How often the thread looks around when nothing wakes it.
const TICK: Duration = Duration::from_millis(50);
/// Own events that are served in one go; a poll does not tell an event that it handled from an empty queue.
const EVENTS_PER_ROUND: usize = 64;
/// How long looking up the ends of newly assigned partitions may hold up the group's thread.
const ENDS_TIMEOUT: Duration = Duration::from_secs(3);

/// What the thread is asked to do. The channel is unbounded but holds little: what a user orders by hand, and wake-ups,
/// of which one is on its way at any time.
pub(super) enum Order {
    Subscribe(Vec<String>),
    Leave(Option<oneshot::Sender<()>>),
    Wake,
}

/// Makes the client, subscribes, and starts the thread.
pub(super) fn start(
    config: &KafkaConfig,
    options: &GroupOptions,
) -> Result<(Arc<Shared>, mpsc::Sender<Order>), LogError> {
    let shared = Arc::new(Shared::new(&options.group, options.mode));
    shared.state().topics.clone_from(&options.topics);
    let context = GroupContext { shared: Arc::clone(&shared), before_revoke: options.before_revoke.clone() };
    let mut client: Client =
        client_config(config, options)?.create_with_context(context).map_err(|error| client_error(&error))?;
    let (orders, inbox) = mpsc::channel();
    let awake = Arc::new(AtomicBool::new(false));
    let (waker, woken) = (orders.clone(), Arc::clone(&awake));
    client.set_nonempty_callback(move || {
        if !woken.swap(true, Ordering::AcqRel) {
            // The thread is gone only when the client is.
            let _ = waker.send(Order::Wake);
        }
    });
    let client = Arc::new(client);
    shared.client.get_or_init(|| Arc::downgrade(&client));
    let topics: Vec<&str> = options.topics.iter().map(String::as_str).collect();
    client.subscribe(&topics).map_err(|error| client_error(&error))?;
    let member = Member { client, shared: Arc::clone(&shared), awake };
    std::thread::Builder::new()
        .name("tw-group".to_owned())
        .spawn(move || member.run(&inbox))
        .map_err(|error| LogError::Config(format!("no thread for a consumer group: {error}")))?;
    Ok((shared, orders))
}

fn client_config(config: &KafkaConfig, options: &GroupOptions) -> Result<rdkafka::ClientConfig, LogError> {
    let defaults = [
        // librdkafka has one fetch on its way to a broker: a partition that is assigned waits for it to come back.
        property("fetch.wait.max.ms", 200),
        property("fetch.error.backoff.ms", 50),
        property("fetch.message.max.bytes", 1024 * 1024),
        // A queue that was full is filled again this soon after it has room.
        property("fetch.queue.backoff.ms", 5),
        property("max.poll.interval.ms", 300_000.max(options.session_timeout.as_millis())),
    ];
    let required = [
        property("group.id", &options.group),
        property("group.protocol", "classic"),
        property("partition.assignment.strategy", "cooperative-sticky"),
        property("session.timeout.ms", options.session_timeout.as_millis()),
        property("heartbeat.interval.ms", options.heartbeat_interval.as_millis()),
        property("statistics.interval.ms", options.heartbeat_interval.as_millis()),
        property("enable.auto.commit", false),
        property("enable.auto.offset.store", false),
        property("auto.offset.reset", "earliest"),
        property("enable.partition.eof", false),
        property("isolation.level", "read_committed"),
        property("fetch.min.bytes", 1),
        property("allow.auto.create.topics", false),
        property("queued.min.messages", options.prefetch_records.max(1)),
        property("queued.max.messages.kbytes", (options.prefetch_bytes / 1024).max(1)),
    ];
    config.client(&defaults, &required)
}

struct Member {
    client: Arc<Client>,
    shared: Arc<Shared>,
    awake: Arc<AtomicBool>,
}

impl Member {
    fn run(self, inbox: &mpsc::Receiver<Order>) {
        loop {
            match inbox.recv_timeout(TICK) {
                Ok(Order::Subscribe(topics)) => self.subscribe(topics),
                Ok(Order::Leave(done)) => return self.leave(done),
                Err(mpsc::RecvTimeoutError::Disconnected) => return self.leave(None),
                Ok(Order::Wake) | Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            self.awake.store(false, Ordering::Release);
            self.serve_own_events();
            self.tell_assigned();
            commits::send_when_due(&self.shared, &self.client);
        }
    }

    fn serve_own_events(&self) {
        for _ in 0..EVENTS_PER_ROUND {
            // A record on the common queue belongs to a member that wants none.
            if let Some(Err(error)) = self.client.poll(Duration::ZERO) {
                self.shared.state().note_error(&self.shared.group, &error);
                self.shared.ready.notify_one();
            }
        }
    }

    /// Tells of new partitions, with their ends. No record of theirs goes out before.
    fn tell_assigned(&self) {
        let arrived = self.shared.state().arrived.clone();
        if arrived.is_empty() {
            return;
        }
        let deadline = Instant::now() + ENDS_TIMEOUT;
        let assigned = arrived.into_iter().map(|partition| {
            let end_offset = self.end_of(&partition, deadline);
            AssignedPartition { partition, end_offset }
        });
        let assigned: Vec<_> = assigned.collect();
        let mut state = self.shared.state();
        state.arrived.clear();
        state.events.assigned(assigned);
        drop(state);
        self.shared.ready.notify_one();
    }

    fn end_of(&self, partition: &TopicPartition, deadline: Instant) -> Option<u64> {
        if self.shared.mode == GroupMode::MembershipOnly {
            return None;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let (topic, number) = (&*partition.topic, kafka_partition(partition.partition));
        match self.client.fetch_watermarks(topic, number, left) {
            Ok((_, high)) => Some(unsigned_offset(high)),
            Err(error) => {
                tracing::warn!(topic, partition = partition.partition, "the end at assignment is unknown: {error}");
                None
            }
        }
    }

    fn subscribe(&self, topics: Vec<String>) {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        let outcome = self.client.subscribe(&names);
        let mut state = self.shared.state();
        state.topics.clone_from(&topics);
        if let Err(error) = outcome {
            let message = format!("subscribing to {topics:?} failed: {error}");
            state.events.error(GroupError::Unavailable { group: self.shared.group.clone(), message });
            self.shared.ready.notify_one();
        }
    }

    /// Commits, leaves the group, and destroys the client. Without a broker librdkafka waits for one, so that is done on a
    /// thread of its own, and waited for only as long as it helps: then others take over a session timeout later.
    fn leave(self, done: Option<oneshot::Sender<()>>) {
        let Self { client, shared, .. } = self;
        let last = commits::take_last(&shared);
        let queues = shared.state().clear();
        // Queues hold the client, so they go first.
        drop(queues);
        shared.ready.notify_one();
        let (left, has_left) = mpsc::channel();
        let group = shared.group.clone();
        let leaving = move || {
            commits::send_and_wait(&shared, &client, &last);
            drop(client);
            // Whoever waited may have stopped waiting.
            let _ = left.send(());
        };
        match std::thread::Builder::new().name("tw-group-leave".to_owned()).spawn(leaving) {
            Ok(_) if has_left.recv_timeout(LEAVE_TIMEOUT).is_ok() => {}
            Ok(_) => tracing::warn!(group, "the group was not left within {LEAVE_TIMEOUT:?}: is Kafka there?"),
            Err(error) => tracing::warn!(group, %error, "the group cannot be left: no thread for it"),
        }
        if let Some(done) = done {
            // Whoever waited may have stopped waiting.
            let _ = done.send(());
        }
    }
}
