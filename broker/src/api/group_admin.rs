//! ListGroups, DescribeGroups, DeleteGroups, OffsetDelete: what tools ask about groups and do to them.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
    ListGroupsRequest, ListGroupsResponse, OffsetDeleteRequest, OffsetDeleteResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::operations::{self, GROUP_OPERATIONS};
use super::{code, owned, text};
use crate::group::coordinator::STORAGE_FAILED;
use crate::group::description::{DescribedMember, Overview};
use crate::group::ledger::Place;
use crate::log::journal_sync::Mark;
use crate::state::Shared;

/// Kafka's name for groups of the protocol that is spoken here.
const CLASSIC: &str = "classic";
/// The state of groups that are not there.
const DEAD: &str = "Dead";

pub(crate) fn list(shared: &Shared, request: ListGroupsRequest, version: i16) -> ListGroupsResponse {
    let passes = |filter: &[StrBytes], value: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    let wanted = |overview: &Overview| {
        passes(&request.states_filter, overview.state.name()) && passes(&request.types_filter, CLASSIC)
    };
    let listed = |overview: Overview| {
        let group = ListedGroup::default()
            .with_group_id(GroupId(text(overview.group)))
            .with_protocol_type(text(overview.protocol_type));
        let group = if version >= 4 { group.with_group_state(text(overview.state.name())) } else { group };
        if version >= 5 { group.with_group_type(text(CLASSIC)) } else { group }
    };
    let groups = shared.coordinator.list().into_iter().filter(wanted).map(listed);
    ListGroupsResponse::default().with_groups(groups.collect())
}

pub(crate) fn describe(shared: &Shared, request: DescribeGroupsRequest, version: i16) -> DescribeGroupsResponse {
    let operations = operations::answered(request.include_authorized_operations, GROUP_OPERATIONS);
    let groups = request.groups.into_iter().map(|group| {
        let described = describe_one(shared, group, version);
        if version >= 3 { described.with_authorized_operations(operations) } else { described }
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn describe_one(shared: &Shared, group: GroupId, version: i16) -> DescribedGroup {
    let Some(description) = shared.coordinator.describe(group.as_str()) else {
        let fault = format!("Group {} not found.", group.as_str());
        let dead = DescribedGroup::default().with_group_id(group).with_group_state(text(DEAD));
        return match version {
            6.. => dead.with_error_code(ResponseError::GroupIdNotFound.code()).with_error_message(Some(text(fault))),
            _ => dead,
        };
    };
    let member = |member: DescribedMember| {
        let described = DescribedGroupMember::default()
            .with_member_id(text(member.member_id))
            .with_client_id(text(member.client_id))
            .with_client_host(text(member.client_host))
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment);
        if version >= 4 { described.with_group_instance_id(member.instance_id.map(text)) } else { described }
    };
    DescribedGroup::default()
        .with_group_id(group)
        .with_group_state(text(description.state.name()))
        .with_protocol_type(text(description.protocol_type))
        .with_protocol_data(text(description.protocol))
        .with_members(description.members.into_iter().map(member).collect())
}

pub(crate) async fn delete(shared: &Shared, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let delete = |group: GroupId| (shared.coordinator.delete(group.as_str()), group);
    let deleted: Vec<_> = request.groups_names.into_iter().map(delete).collect();
    // One wait for all of them.
    let last = deleted.iter().filter_map(|(outcome, _)| outcome.ok()).max().unwrap_or_default();
    let synced = shared.coordinator.synced(last).await.map_err(|_| STORAGE_FAILED);
    let results = deleted.into_iter().map(|(outcome, group)| {
        let outcome = outcome.and_then(|mark| if mark == Mark::default() { Ok(()) } else { synced });
        DeletableGroupResult::default().with_group_id(group).with_error_code(code(outcome.err()))
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}

pub(crate) async fn delete_offsets(shared: &Shared, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let place = |topic: &str, partition| Place { topic: topic.to_owned(), partition };
    let is_known = |place: &Place| {
        shared.topics.by_name(&place.topic).is_some_and(|topic| topic.partition(place.partition).is_some())
    };
    let asked = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| place(topic.name.as_str(), partition.partition_index))
    });
    let known = asked.filter(is_known).collect();
    let deleted = match shared.coordinator.delete_offsets(request.group_id.as_str(), known) {
        Ok((outcomes, mark)) => shared.coordinator.synced(mark).await.map(|()| outcomes).map_err(|_| STORAGE_FAILED),
        Err(error) => Err(error),
    };
    let outcomes: BTreeMap<Place, Option<ResponseError>> = match deleted {
        Ok(outcomes) => outcomes.into_iter().collect(),
        Err(error) => return OffsetDeleteResponse::default().with_error_code(error.code()),
    };
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let outcome = outcomes.get(&place(&owned(&topic.name), partition.partition_index));
            let error = outcome.copied().unwrap_or(Some(ResponseError::UnknownTopicOrPartition));
            OffsetDeleteResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code(error))
        });
        OffsetDeleteResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    OffsetDeleteResponse::default().with_topics(topics.collect())
}
