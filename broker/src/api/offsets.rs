//! OffsetCommit and OffsetFetch.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse};

use super::{code, owned, text};
use crate::group::coordinator::{STORAGE_FAILED, Sender};
use crate::group::ledger::{CommittedOffset, Place};
use crate::state::{Shared, now_ms};

const METADATA_BYTES_MAX: usize = 4_096;
const NOTHING: CommittedOffset = CommittedOffset { offset: -1, leader_epoch: -1, metadata: String::new(), at_ms: -1 };

pub(crate) async fn commit(shared: &Shared, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let mut commits = Vec::new();
    let mut refused: BTreeMap<(usize, usize), ResponseError> = BTreeMap::new();
    for (t, topic) in request.topics.iter().enumerate() {
        for (p, partition) in topic.partitions.iter().enumerate() {
            match accept(shared, topic.name.as_str(), partition) {
                Ok(accepted) => commits.push(accepted),
                Err(error) => drop(refused.insert((t, p), error)),
            }
        }
    }
    let sender = Sender {
        member_id: request.member_id.as_str(),
        instance_id: request.group_instance_id.as_deref(),
        generation: request.generation_id_or_member_epoch,
    };
    let outcome = match shared.coordinator.commit(request.group_id.as_str(), sender, commits) {
        Ok(mark) => shared.coordinator.synced(mark).await.map_err(|_| STORAGE_FAILED),
        Err(error) => Err(error),
    };
    let topics = request.topics.iter().enumerate().map(|(t, topic)| {
        let partitions = topic.partitions.iter().enumerate().map(|(p, partition)| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code(outcome.err().or_else(|| refused.get(&(t, p)).copied())))
        });
        OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

fn accept(
    shared: &Shared,
    topic: &str,
    partition: &OffsetCommitRequestPartition,
) -> Result<(Place, CommittedOffset), ResponseError> {
    let metadata = partition.committed_metadata.as_ref().map(owned).unwrap_or_default();
    if metadata.len() > METADATA_BYTES_MAX {
        return Err(ResponseError::OffsetMetadataTooLarge);
    }
    let known = shared.topics.by_name(topic).is_some_and(|topic| topic.partition(partition.partition_index).is_some());
    if !known {
        return Err(ResponseError::UnknownTopicOrPartition);
    }
    let place = Place { topic: topic.to_owned(), partition: partition.partition_index };
    let (offset, leader_epoch) = (partition.committed_offset, partition.committed_leader_epoch);
    Ok((place, CommittedOffset { offset, leader_epoch, metadata, at_ms: now_ms() }))
}

/// What one group asks for: topics with their partitions, or everything it ever committed.
type Asked = Option<Vec<(String, Vec<i32>)>>;
type Answered = Vec<(String, Vec<(i32, CommittedOffset)>)>;

pub(crate) fn fetch(shared: &Shared, request: OffsetFetchRequest, version: i16) -> OffsetFetchResponse {
    if version >= 8 {
        let groups = request.groups.into_iter().map(|group| {
            let asked: Asked = group
                .topics
                .map(|topics| topics.into_iter().map(|topic| (owned(&topic.name), topic.partition_indexes)).collect());
            let topics = find(shared, group.group_id.as_str(), asked).into_iter().map(topic_of_group);
            OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_topics(topics.collect())
        });
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }
    let asked: Asked = request
        .topics
        .map(|topics| topics.into_iter().map(|topic| (owned(&topic.name), topic.partition_indexes)).collect());
    let topics = find(shared, request.group_id.as_str(), asked).into_iter().map(|(name, partitions)| {
        let partition = |(index, committed): (i32, CommittedOffset)| {
            let partition = OffsetFetchResponsePartition::default()
                .with_partition_index(index)
                .with_committed_offset(committed.offset)
                .with_metadata(Some(text(committed.metadata)));
            if version >= 5 { partition.with_committed_leader_epoch(committed.leader_epoch) } else { partition }
        };
        let partitions = partitions.into_iter().map(partition).collect();
        OffsetFetchResponseTopic::default().with_name(text(name).into()).with_partitions(partitions)
    });
    OffsetFetchResponse::default().with_topics(topics.collect())
}

fn topic_of_group((name, partitions): (String, Vec<(i32, CommittedOffset)>)) -> OffsetFetchResponseTopics {
    let partition = |(index, committed): (i32, CommittedOffset)| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(index)
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(text(committed.metadata)))
    };
    let partitions = partitions.into_iter().map(partition).collect();
    OffsetFetchResponseTopics::default().with_name(text(name).into()).with_partitions(partitions)
}

fn find(shared: &Shared, group: &str, asked: Asked) -> Answered {
    let committed = shared.coordinator.committed(group);
    let Some(asked) = asked else {
        let mut topics: BTreeMap<String, Vec<(i32, CommittedOffset)>> = BTreeMap::new();
        for (place, committed) in committed {
            topics.entry(place.topic).or_default().push((place.partition, committed));
        }
        return topics.into_iter().collect();
    };
    let of_topic = |(topic, partitions): (String, Vec<i32>)| {
        let of_partition = |partition| {
            let place = Place { topic: topic.clone(), partition };
            (partition, committed.get(&place).cloned().unwrap_or(NOTHING))
        };
        let found = partitions.into_iter().map(of_partition).collect();
        (topic, found)
    };
    asked.into_iter().map(of_topic).collect()
}
