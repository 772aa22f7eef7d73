//! Committed offsets: many are noted, few are sent.
//!
//! A commit carries everything that was noted since the last one, and commits keep a distance, so that a busy worker
//! costs the coordinator a bounded number of requests. librdkafka tells of a commit's outcome only through a callback that
//! rdkafka does not set, so what was sent last is sent again once after a while: a commit that failed is made good by it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::TopicPartition;
use super::context::{Client, GroupContext, Shared};
use crate::error::GroupError;
use crate::record::{kafka_offset, kafka_partition};

/// How long the coordinator has for one step of a confirmation.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// The least time between two commits.
const DISTANCE: Duration = Duration::from_millis(20);
/// After this long what was sent is sent again, once.
const REPEAT_AFTER: Duration = Duration::from_secs(2);

/// What became of a noted offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    /// The partition belongs to somebody else.
    NotAssigned,
    /// It is the first one that waits.
    First,
    /// Others wait already, or it is nothing new.
    More,
}

/// Offsets of the assigned partitions.
#[derive(Default)]
pub(super) struct Commits {
    offsets: BTreeMap<TopicPartition, Progress>,
    sent_at: Option<Instant>,
    /// Whether the last thing sent was sent for the first time.
    unrepeated: bool,
}

#[derive(Default, Clone, Copy)]
struct Progress {
    noted: u64,
    sent: u64,
}

impl Commits {
    pub(super) fn assigned(&mut self, partition: &TopicPartition) {
        self.offsets.insert(partition.clone(), Progress::default());
    }

    pub(super) fn gone(&mut self, partition: &TopicPartition) {
        self.offsets.remove(partition);
    }

    pub(super) fn note(&mut self, partition: &TopicPartition, next_offset: u64) -> Noted {
        let idle = !self.is_waiting();
        let Some(progress) = self.offsets.get_mut(partition) else { return Noted::NotAssigned };
        if next_offset <= progress.noted {
            return Noted::More;
        }
        progress.noted = next_offset;
        if idle { Noted::First } else { Noted::More }
    }

    fn is_waiting(&self) -> bool {
        self.offsets.values().any(|progress| progress.noted > progress.sent)
    }

    /// What is to be sent, now counted as sent.
    fn take(&mut self) -> Vec<(TopicPartition, u64)> {
        let mut due = Vec::new();
        for (partition, progress) in &mut self.offsets {
            if progress.noted > progress.sent {
                progress.sent = progress.noted;
                due.push((partition.clone(), progress.noted));
            }
        }
        due
    }

    /// What is to be sent now: what is new, or once more what was sent a while ago.
    fn take_when_due(&mut self, now: Instant) -> Vec<(TopicPartition, u64)> {
        let since = self.sent_at.map(|at| now.saturating_duration_since(at));
        if since.is_some_and(|since| since < DISTANCE) {
            return Vec::new();
        }
        let mut due = self.take();
        if !due.is_empty() {
            self.unrepeated = true;
        } else if self.unrepeated && since.is_some_and(|since| since >= REPEAT_AFTER) {
            self.unrepeated = false;
            self.again();
            due = self.take();
        }
        if !due.is_empty() {
            self.sent_at = Some(now);
        }
        due
    }

    /// Sends again what was sent.
    fn again(&mut self) {
        for progress in self.offsets.values_mut() {
            progress.sent = 0;
        }
    }
}

/// Sends what is due, without waiting for the answer.
pub(super) fn send_when_due(shared: &Shared, client: &Client) {
    let due = shared.state().commits.take_when_due(Instant::now());
    send_these(shared, client, &due);
}

/// Sends what was noted, without waiting for the answer.
pub(super) fn send(shared: &Shared, client: &BaseConsumer<GroupContext>) {
    let due = shared.state().commits.take();
    send_these(shared, client, &due);
}

fn send_these(shared: &Shared, client: &BaseConsumer<GroupContext>, due: &[(TopicPartition, u64)]) {
    if due.is_empty() {
        return;
    }
    let sent = as_list(due).and_then(|list| client.commit(&list, CommitMode::Async));
    if let Err(error) = sent {
        shared.state().commits.again();
        tracing::debug!(group = shared.group, "a commit was not sent and will be: {error}");
    }
}

/// What the last commit carries: all that was noted, since what was sent last may have failed.
pub(super) fn take_last(shared: &Shared) -> Vec<(TopicPartition, u64)> {
    let mut state = shared.state();
    state.commits.again();
    state.commits.take()
}

/// Sends the last commit and waits for the answer: the last thing before the group is left.
pub(super) fn send_and_wait(shared: &Shared, client: &Client, last: &[(TopicPartition, u64)]) {
    if last.is_empty() {
        return;
    }
    let outcome = as_list(last).and_then(|list| client.commit(&list, CommitMode::Sync));
    if let Err(error) = outcome {
        tracing::warn!(group = shared.group, "the last commit failed, so some records will be read again: {error}");
    }
}

/// Asks the coordinator whether the member holds the partition, by committing what is committed.
pub(super) async fn confirm(
    shared: &Arc<Shared>,
    partition: &TopicPartition,
    timeout: Duration,
) -> Result<bool, GroupError> {
    if !shared.state().is_assigned(partition) {
        return Ok(false);
    }
    let group = shared.group.clone();
    let Some(client) = shared.client() else { return Err(GroupError::Closed { group }) };
    let asked = partition.clone();
    let answer = tokio::task::spawn_blocking(move || recommit(&client, &asked));
    let unavailable = |message: String| GroupError::Unavailable { group: group.clone(), message };
    let answer = tokio::time::timeout(timeout, answer)
        .await
        .map_err(|_| unavailable(format!("the coordinator did not confirm the membership within {timeout:?}")))?
        .map_err(|gone| unavailable(gone.to_string()))?;
    match answer {
        Ok(()) => Ok(shared.state().is_assigned(partition)),
        Err(error) if is_expelled(&error) => Ok(false),
        Err(error) => Err(unavailable(format!("the membership was not confirmed: {error}"))),
    }
}

fn recommit(client: &Client, partition: &TopicPartition) -> KafkaResult<()> {
    let number = kafka_partition(partition.partition);
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(&partition.topic, number);
    let committed = client.committed_offsets(list, STEP_TIMEOUT)?;
    let offset = committed.find_partition(&partition.topic, number).map(|element| element.offset());
    let offset = match offset {
        Some(Offset::Offset(offset)) => offset,
        // Nothing is committed: the beginning says the same.
        _ => 0,
    };
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition_offset(&partition.topic, number, Offset::Offset(offset))?;
    client.commit(&list, CommitMode::Sync)
}

fn is_expelled(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{FencedInstanceId, IllegalGeneration, UnknownMemberId};
    matches!(error.rdkafka_error_code(), Some(UnknownMemberId | IllegalGeneration | FencedInstanceId))
}

fn as_list(offsets: &[(TopicPartition, u64)]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (partition, offset) in offsets {
        let number = kafka_partition(partition.partition);
        list.add_partition_offset(&partition.topic, number, Offset::Offset(kafka_offset(*offset)))?;
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: u32) -> TopicPartition {
        TopicPartition { topic: "t".into(), partition: number }
    }

    #[test]
    fn offsets_never_go_back_and_are_sent_once() {
        let mut commits = Commits::default();
        commits.assigned(&partition(0));
        assert_eq!(commits.note(&partition(0), 5), Noted::First);
        assert_eq!(commits.note(&partition(0), 3), Noted::More);
        assert_eq!(commits.take(), [(partition(0), 5)]);
        assert_eq!(commits.take(), []);
    }

    #[test]
    fn a_partition_that_went_commits_nothing() {
        let mut commits = Commits::default();
        commits.assigned(&partition(0));
        commits.gone(&partition(0));
        assert_eq!(commits.note(&partition(0), 5), Noted::NotAssigned);
        assert_eq!(commits.take(), []);
    }

    #[test]
    fn what_failed_is_sent_again() {
        let mut commits = Commits::default();
        commits.assigned(&partition(0));
        commits.note(&partition(0), 5);
        commits.take();
        commits.again();
        assert_eq!(commits.take(), [(partition(0), 5)]);
    }

    #[test]
    fn commits_keep_their_distance_and_are_repeated_once() {
        let mut commits = Commits::default();
        commits.assigned(&partition(0));
        let start = Instant::now();
        commits.note(&partition(0), 5);
        assert_eq!(commits.take_when_due(start), [(partition(0), 5)]);
        commits.note(&partition(0), 6);
        assert_eq!(commits.take_when_due(start + DISTANCE / 2), []);
        assert_eq!(commits.take_when_due(start + DISTANCE), [(partition(0), 6)]);
        let later = start + DISTANCE + REPEAT_AFTER;
        assert_eq!(commits.take_when_due(later), [(partition(0), 6)]);
        assert_eq!(commits.take_when_due(later + REPEAT_AFTER), []);
    }
}
