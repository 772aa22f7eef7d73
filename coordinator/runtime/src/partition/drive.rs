//! The loop around one owner: what happens goes in, what must be done is carried out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use tidewright_log::{Append, HistoryProducer, PartitionReader, ReadError, Received, StartAt};
use tidewright_owner::{BacklogKey, Bounds, EffectId, Identity, Input, LogBounds, LogRecord, Owner, Stop};
use tidewright_schemas::TaskId;
use tidewright_store::PartitionStore;
use tokio::sync::watch;

use super::End;
use super::carry::Carrier;
use crate::node::Node;
use crate::outbox::Sent;
use crate::shutdown::told;

/// How often an owner looks at its timers.
const TICK: Duration = Duration::from_millis(20);
/// How long an owner may take to commit and send what it has begun when it is told to stop.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a store that is still held by a reader is waited for.
const STORE_WAIT: Duration = Duration::from_millis(100);
const STORE_TRIES: u32 = 50;
/// How much is read at once.
const READ_RECORDS: usize = 1_000;
const READ_BYTES: usize = 1024 * 1024;
/// How many deliveries are taken before the loop looks at anything else.
const DELIVERIES_PER_TURN: usize = 1_000;

/// Everything that is under way for one owner.
pub(super) struct UnderWay {
    pub(super) history: Option<PartitionReader>,
    pub(super) commands: Option<PartitionReader>,
    pub(super) appends: FuturesUnordered<Append>,
    pub(super) sends: FuturesUnordered<BoxFuture<'static, (EffectId, Sent)>>,
    pub(super) scans: FuturesUnordered<BoxFuture<'static, (BacklogKey, BTreeSet<TaskId>)>>,
    pub(super) chores: FuturesUnordered<BoxFuture<'static, ()>>,
}

impl UnderWay {
    fn new() -> Self {
        Self {
            history: None,
            commands: None,
            appends: FuturesUnordered::new(),
            sends: FuturesUnordered::new(),
            scans: FuturesUnordered::new(),
            chores: FuturesUnordered::new(),
        }
    }
}

pub(super) async fn drive(
    node: &Arc<Node>,
    partition: u32,
    shutdown: &mut watch::Receiver<bool>,
    was_owned: &mut bool,
) -> End {
    match drive_until_stopped(node, partition, shutdown, was_owned).await {
        Ok(()) => End::Shutdown,
        Err(end) => end,
    }
}

async fn drive_until_stopped(
    node: &Arc<Node>,
    partition: u32,
    shutdown: &mut watch::Receiver<bool>,
    was_owned: &mut bool,
) -> Result<(), End> {
    let producer = node.history().map_err(|e| End::Trouble(e.to_string()))?;
    let store = open_store(node, partition).await?;
    let mut owner = Owner::new(identity(node, partition), node.config.limits.clone(), store.clone())?;
    let bounds = bounds(node, partition, &owner).await?;
    let (meters, history_end) = (node.meters.partition(partition), bounds.history.end);
    let mut carrier = Carrier::new(Arc::clone(node), partition, Arc::clone(&producer), store.clone());
    let mut under_way = UnderWay::new();
    let actions = owner.handle(Input::Start(bounds))?;
    carrier.carry_out(actions, &mut under_way).await?;
    let started = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut gone = node.presence.gone();
    // What is known already is told with the first tick.
    gone.mark_changed();
    let mut draining: Option<Instant> = None;
    loop {
        if draining.is_some_and(|since| owner.is_idle() || since.elapsed() > DRAIN) {
            break;
        }
        let wants_commands = owner.wants_commands() && draining.is_none();
        let input = tokio::select! {
            biased;
            () = told(shutdown), if draining.is_none() => {
                draining = Some(Instant::now());
                continue;
            }
            error = producer.failed() => return Err(End::Trouble(format!("history cannot be appended: {error}"))),
            input = next_input(&mut under_way, wants_commands) => input?,
            _ = ticks.tick() => match gone.has_changed() {
                Ok(true) => Input::GoneWorkers((**gone.borrow_and_update()).clone()),
                _ => tick(started),
            },
        };
        carrier.handling();
        let actions = owner.handle(input)?;
        carrier.carry_out(actions, &mut under_way).await?;
        take_deliveries(&mut owner, &mut carrier, &mut under_way).await?;
        if owner.epoch().is_some() {
            *was_owned = true;
        } else {
            meters.recovering(history_end.saturating_sub(owner.history_offset()));
        }
        node.board.progress(partition, owner.applied_offset(), owner.effects_in_flight());
    }
    store.flush().map_err(|e| End::Stop(Stop::Rows(e)))?;
    Ok(())
}

/// Takes what is known to have been delivered: that is a lot, and a turn of the loop for each would cost more than it.
async fn take_deliveries(
    owner: &mut Owner<PartitionStore>,
    carrier: &mut Carrier,
    under_way: &mut UnderWay,
) -> Result<(), End> {
    for _ in 0..DELIVERIES_PER_TURN {
        let Some(Some((id, sent))) = under_way.sends.next().now_or_never() else { break };
        let actions = owner.handle(delivery(id, sent))?;
        carrier.carry_out(actions, under_way).await?;
    }
    Ok(())
}

fn delivery(id: EffectId, sent: Sent) -> Input {
    match sent {
        Ok(()) => Input::Delivered(id),
        Err((failure, message)) => Input::NotDelivered(id, failure, message),
    }
}

/// What happens next. Cancelling it loses nothing.
async fn next_input(under_way: &mut UnderWay, wants_commands: bool) -> Result<Input, End> {
    let UnderWay { history, commands, appends, sends, scans, chores } = under_way;
    loop {
        return tokio::select! {
            biased;
            batch = read(history.as_mut()), if history.is_some() => {
                let batch = batch.map_err(|e| End::Trouble(e.to_string()))?;
                Ok(Input::History(batch.records.into_iter().map(log_record).collect()))
            }
            Some((id, sent)) = sends.next(), if !sends.is_empty() => Ok(delivery(id, sent)),
            Some((key, present)) = scans.next(), if !scans.is_empty() => Ok(Input::Backlog(key, present)),
            batch = read(commands.as_mut()), if wants_commands && commands.is_some() => {
                let batch = batch.map_err(|e| End::Trouble(e.to_string()))?;
                Ok(Input::Commands(batch.records.into_iter().map(log_record).collect(), batch.next_offset))
            }
            // The offsets are read back anyway; a failure ends the producer, which is watched.
            Some(_) = appends.next(), if !appends.is_empty() => continue,
            Some(()) = chores.next(), if !chores.is_empty() => continue,
            else => std::future::pending().await,
        };
    }
}

async fn read(reader: Option<&mut PartitionReader>) -> Result<tidewright_log::Batch, ReadError> {
    match reader {
        Some(reader) => reader.next_batch(READ_RECORDS, READ_BYTES).await,
        None => std::future::pending().await,
    }
}

pub(crate) fn log_record(record: Received) -> LogRecord {
    let Received { offset, timestamp_ms, key, value, headers, .. } = record;
    LogRecord { offset, timestamp_ms, key, value, headers }
}

fn tick(started: Instant) -> Input {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    // A clock before 1970 means that no timer is due yet.
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis);
    Input::Tick { now_ms, mono_ms: millis(started.elapsed()) }
}

/// Opens the store. A reader of the last ownership may hold it for a moment longer.
async fn open_store(node: &Node, partition: u32) -> Result<PartitionStore, End> {
    let path = super::store_path(node, partition);
    let mut tries = 0;
    loop {
        match PartitionStore::open(&path, &node.memory) {
            Ok(store) => return Ok(store),
            Err(error) if tries >= STORE_TRIES => return Err(End::Trouble(error.to_string())),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(STORE_WAIT).await;
    }
}

fn identity(node: &Node, partition: u32) -> Identity {
    Identity {
        namespace: node.topics.namespace().to_owned(),
        incarnation: node.incarnation.clone(),
        commands_topic: node.topics.commands(),
        partition,
        partitions: node.partitions,
        node: node.config.node.clone(),
        http_url: node.config.http_url.clone(),
        claim_key: format!("{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>()),
        authority: node.authority.clone(),
        new_traces: node.config.new_traces,
    }
}

async fn bounds(node: &Node, partition: u32, owner: &Owner<PartitionStore>) -> Result<Bounds, End> {
    let trouble = |e: String| End::Trouble(e);
    let bounds_of = async |topic: String| {
        let found = node.admin.watermarks(&topic, partition).await.map_err(|e| trouble(e.to_string()))?;
        Ok::<_, End>(LogBounds { start: found.low, end: found.high })
    };
    let history = bounds_of(node.topics.history()).await?;
    let commands = bounds_of(node.topics.commands()).await?;
    let topic_id = node.admin.topic_id(&node.topics.commands()).await.map_err(|e| trouble(e.to_string()))?;
    let known_claim = match owner.known_claim() {
        Some(claim) => record_at(node, partition, claim.offset).await?,
        None => None,
    };
    let accepted = node.board.accepted(partition);
    Ok(Bounds { history, commands, topic_id, known_claim, accepted })
}

/// The history record at an offset, if there is one at that very offset.
async fn record_at(node: &Node, partition: u32, offset: u64) -> Result<Option<LogRecord>, End> {
    let mut reader = match node.reader.open(&node.topics.history(), partition, StartAt::Offset(offset)).await {
        Ok(reader) => reader,
        Err(ReadError::OutOfRange { .. }) => return Ok(None),
        Err(error) => return Err(End::Trouble(error.to_string())),
    };
    let batch = reader.next_batch(1, 1).await.map_err(|e| End::Trouble(e.to_string()))?;
    Ok(batch.records.into_iter().next().map(log_record).filter(|record| record.offset == offset))
}

/// Keeps the producer's name in one place: a partition's appends are made by one task, in order.
pub(super) type History = Arc<HistoryProducer>;
