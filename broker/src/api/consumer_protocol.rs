//! ConsumerGroupHeartbeat and ConsumerGroupDescribe: the newer protocol of groups (KIP-848) is not spoken here. Both are
//! answered as a Kafka node does that is configured without it, so that clients say so or go back to the classic protocol.

use kafka_protocol::error::ResponseError::UnsupportedVersion;
use kafka_protocol::messages::consumer_group_describe_response::DescribedGroup;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
};

pub(crate) fn heartbeat(_: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse::default().with_error_code(UnsupportedVersion.code())
}

pub(crate) fn describe(request: ConsumerGroupDescribeRequest) -> ConsumerGroupDescribeResponse {
    let group = |group| DescribedGroup::default().with_group_id(group).with_error_code(UnsupportedVersion.code());
    ConsumerGroupDescribeResponse::default().with_groups(request.group_ids.into_iter().map(group).collect())
}
