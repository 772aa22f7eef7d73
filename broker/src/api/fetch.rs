//! Fetch: reads, and waits for what is not there yet. A waiting fetch ends when enough was appended, when its time is up, or
//! as soon as its connection has another request, which must not wait behind it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use tokio::io::AsyncRead;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::lookup;
use crate::log::partition::{Partition, ReadPlan};
use crate::server::budget::{Budget, Reservation};
use crate::server::frame::FrameReader;
use crate::state::Shared;

/// The epoch with which a client asks for a session, or for none.
const SESSIONLESS: [i32; 2] = [0, -1];
/// What a fetch may answer when other requests and answers hold all memory that there is for them.
const UNRESERVED_BYTES: usize = 256 << 10;

struct Wanted {
    topic: FetchTopic,
    partitions: Vec<(FetchPartition, Result<Arc<Partition>, ResponseError>)>,
}

struct Gathered {
    topics: Vec<FetchableTopicResponse>,
    bytes: usize,
    failed: bool,
    reservation: Option<Reservation>,
}

struct Terms<'a> {
    bytes_min: usize,
    bytes_max: usize,
    version: i16,
    budget: &'a Arc<Budget>,
}

pub(crate) async fn handle<R: AsyncRead + Unpin>(
    shared: &Shared,
    request: FetchRequest,
    version: i16,
    input: &mut FrameReader<R>,
) -> (FetchResponse, Option<Reservation>) {
    // No session is ever opened (0 is answered), so no client has one to go on with.
    if request.session_id != 0 || !SESSIONLESS.contains(&request.session_epoch) {
        return (FetchResponse::default().with_error_code(ResponseError::FetchSessionIdNotFound.code()), None);
    }
    let terms = Terms {
        bytes_min: usize::try_from(request.min_bytes).unwrap_or(0),
        bytes_max: usize::try_from(request.max_bytes).unwrap_or(0).min(shared.config.limits.fetch_bytes_max),
        version,
        budget: &shared.budget,
    };
    let patience = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let wanted: Vec<Wanted> = request.topics.into_iter().map(|topic| resolve(shared, topic)).collect();
    let gathered = gather(&wanted, &terms).await;
    let enough = |gathered: &Gathered| gathered.failed || gathered.bytes >= terms.bytes_min;
    let gathered = if enough(&gathered) || patience.is_zero() || wanted.is_empty() || input.has_more() {
        gathered
    } else {
        wait(&wanted, &terms, Instant::now() + patience, enough, input).await
    };
    (FetchResponse::default().with_responses(gathered.topics), gathered.reservation)
}

async fn wait<R: AsyncRead + Unpin>(
    wanted: &[Wanted],
    terms: &Terms<'_>,
    deadline: Instant,
    enough: impl Fn(&Gathered) -> bool,
    input: &mut FrameReader<R>,
) -> Gathered {
    let waiting = Waiting::enter(wanted);
    loop {
        let gathered = gather(wanted, terms).await;
        if enough(&gathered) {
            return gathered;
        }
        tokio::select! {
            () = waiting.waiter.notified() => {}
            () = tokio::time::sleep_until(deadline) => return gathered,
            // Whatever came, or the end: the connection's loop finds out.
            _ = input.fill() => return gathered,
        }
    }
}

/// In the list of every wanted partition for as long as this lives.
struct Waiting<'a> {
    waiter: Arc<Notify>,
    wanted: &'a [Wanted],
}

impl<'a> Waiting<'a> {
    fn enter(wanted: &'a [Wanted]) -> Self {
        let waiter = Arc::new(Notify::new());
        partitions(wanted).for_each(|partition| partition.waiters.enter(&waiter));
        Self { waiter, wanted }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        partitions(self.wanted).for_each(|partition| partition.waiters.leave(&self.waiter));
    }
}

fn partitions(wanted: &[Wanted]) -> impl Iterator<Item = &Arc<Partition>> {
    wanted.iter().flat_map(|wanted| &wanted.partitions).filter_map(|(_, partition)| partition.as_ref().ok())
}

fn resolve(shared: &Shared, topic: FetchTopic) -> Wanted {
    let found = lookup::topic(shared, topic.topic.as_str(), topic.topic_id);
    let resolve = |wanted: &FetchPartition| {
        let topic = found.as_ref().map_err(|error| *error)?;
        lookup::check_epoch(wanted.current_leader_epoch)?;
        lookup::partition(topic, wanted.partition)
    };
    let partitions = topic.partitions.iter().map(|wanted| (wanted.clone(), resolve(wanted))).collect();
    Wanted { topic, partitions }
}

/// Reads what is there, within the limits; a first batch comes even if it is larger.
async fn gather(wanted: &[Wanted], terms: &Terms<'_>) -> Gathered {
    let mut reservation = terms.budget.reserve(terms.bytes_max);
    let bytes_max = if reservation.is_some() { terms.bytes_max } else { terms.bytes_max.min(UNRESERVED_BYTES) };
    let topics = Vec::with_capacity(wanted.len());
    let mut gathered = Gathered { topics, bytes: 0, failed: false, reservation: None };
    for Wanted { topic, partitions } in wanted {
        let mut responses = Vec::with_capacity(partitions.len());
        for (wanted, partition) in partitions {
            let read = match partition {
                Ok(partition) => read(partition, wanted, bytes_max, gathered.bytes).await,
                Err(error) => Err(*error),
            };
            gathered.failed |= read.is_err();
            gathered.bytes += read.as_ref().map_or(0, |(records, _)| records.len());
            responses.push(respond(wanted.partition, read));
        }
        let response = FetchableTopicResponse::default().with_partitions(responses);
        gathered.topics.push(match terms.version {
            13.. => response.with_topic_id(topic.topic_id),
            _ => response.with_topic(topic.topic.clone()),
        });
    }
    if let Some(reservation) = &mut reservation {
        reservation.shrink_to(gathered.bytes);
    }
    Gathered { reservation, ..gathered }
}

/// The log's ends as they were after a read, so that they never lie behind what was read.
struct Ends {
    start: i64,
    end: i64,
}

fn respond(index: i32, read: Result<(Bytes, Ends), ResponseError>) -> PartitionData {
    let response = PartitionData::default().with_partition_index(index).with_aborted_transactions(None);
    let (records, ends, error) = match read {
        Ok((records, ends)) => (records, ends, None),
        Err(error) => (Bytes::new(), Ends { start: -1, end: -1 }, Some(error)),
    };
    response
        .with_error_code(super::code(error))
        .with_high_watermark(ends.end)
        .with_last_stable_offset(ends.end)
        .with_log_start_offset(ends.start)
        .with_records(Some(records))
}

async fn read(
    partition: &Partition,
    wanted: &FetchPartition,
    bytes_max: usize,
    bytes_so_far: usize,
) -> Result<(Bytes, Ends), ResponseError> {
    let records = read_records(partition, wanted, bytes_max, bytes_so_far).await?;
    Ok((records, Ends { start: partition.start(), end: partition.end() }))
}

async fn read_records(
    partition: &Partition,
    wanted: &FetchPartition,
    bytes_max: usize,
    bytes_so_far: usize,
) -> Result<Bytes, ResponseError> {
    lookup::check_status(partition)?;
    let of_partition = usize::try_from(wanted.partition_max_bytes).unwrap_or(0);
    let limit = of_partition.min(bytes_max.saturating_sub(bytes_so_far));
    let plan = match partition.plan_read(wanted.fetch_offset, limit, bytes_so_far == 0) {
        ReadPlan::OutOfRange => return Err(ResponseError::OffsetOutOfRange),
        ReadPlan::AtEnd => return Ok(Bytes::new()),
        ReadPlan::Ready(_) if limit == 0 && bytes_so_far > 0 => return Ok(Bytes::new()),
        ReadPlan::Ready(plan) => plan,
    };
    let read = match plan.may_block() {
        true => tokio::task::spawn_blocking(move || plan.run()).await.map_err(std::io::Error::other).flatten(),
        false => plan.run(),
    };
    read.map_err(|error| {
        tracing::error!(partition = wanted.partition, offset = wanted.fetch_offset, %error, "cannot read");
        ResponseError::KafkaStorageError
    })
}
