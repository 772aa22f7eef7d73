//! DescribeCluster, DescribeLogDirs, ListPartitionReassignments: the one node and where it keeps what.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeClusterRequest, DescribeClusterResponse, DescribeLogDirsRequest, DescribeLogDirsResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::operations::{self, CLUSTER_OPERATIONS};
use super::text;
use crate::config::Storage;
use crate::state::{NODE_ID, Shared};
use crate::topics::registry::Topic;

/// Endpoints of brokers; the others are controllers', of which a client of a broker has no use.
const BROKERS: i8 = 1;
/// The size of a volume is not known.
const UNKNOWN_BYTES: i64 = -1;

pub(crate) fn describe(shared: &Shared, request: DescribeClusterRequest, version: i16) -> DescribeClusterResponse {
    if version >= 1 && request.endpoint_type != BROKERS {
        let fault = "this node answers for brokers only, and not for controllers";
        return DescribeClusterResponse::default()
            .with_error_code(ResponseError::MismatchedEndpointType.code())
            .with_error_message(Some(text(fault)));
    }
    let broker = DescribeClusterBroker::default()
        .with_broker_id(BrokerId(NODE_ID))
        .with_host(text(shared.host.as_str()))
        .with_port(shared.address.port().into());
    let operations = operations::answered(request.include_cluster_authorized_operations, CLUSTER_OPERATIONS);
    DescribeClusterResponse::default()
        .with_cluster_id(text(shared.cluster.id.as_str()))
        .with_controller_id(BrokerId(NODE_ID))
        .with_brokers(vec![broker])
        .with_cluster_authorized_operations(operations)
}

pub(crate) fn describe_log_dirs(
    shared: &Shared,
    request: DescribeLogDirsRequest,
    version: i16,
) -> DescribeLogDirsResponse {
    let topics = match &request.topics {
        None => shared.topics.all().iter().map(|topic| sizes(topic, |_| true)).collect(),
        Some(wanted) => wanted.iter().filter_map(|wanted| wanted_sizes(shared, wanted)).collect(),
    };
    let directory = match &shared.config.storage {
        Storage::Memory => "memory".to_owned(),
        Storage::Directory(root) => std::path::absolute(root).unwrap_or_else(|_| root.clone()).display().to_string(),
    };
    let result = DescribeLogDirsResult::default().with_log_dir(text(directory)).with_topics(topics);
    let result = match version {
        4.. => result.with_total_bytes(UNKNOWN_BYTES).with_usable_bytes(UNKNOWN_BYTES),
        _ => result,
    };
    DescribeLogDirsResponse::default().with_results(vec![result])
}

fn wanted_sizes(shared: &Shared, wanted: &DescribableLogDirTopic) -> Option<DescribeLogDirsTopic> {
    let topic = shared.topics.by_name(wanted.topic.as_str())?;
    Some(sizes(&topic, |index| wanted.partitions.contains(&index)))
}

fn sizes(topic: &Arc<Topic>, is_wanted: impl Fn(i32) -> bool) -> DescribeLogDirsTopic {
    let partitions = (0i32..).zip(&topic.partitions).filter(|(index, _)| is_wanted(*index));
    let partition = |(index, partition): (i32, &Arc<crate::log::partition::Partition>)| {
        DescribeLogDirsPartition::default()
            .with_partition_index(index)
            .with_partition_size(i64::try_from(partition.size()).unwrap_or(i64::MAX))
    };
    let name = text(topic.name.as_str()).into();
    DescribeLogDirsTopic::default().with_name(name).with_partitions(partitions.map(partition).collect())
}

/// Nothing moves, as there is nowhere to move to.
pub(crate) fn list_reassignments(_: ListPartitionReassignmentsRequest) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default()
}
