//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup: translation to and from the group coordinator.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    SyncGroupRequest, SyncGroupResponse,
};
use tokio::io::AsyncRead;
use tokio::sync::oneshot;

use super::{code, owned, text};
use crate::group::coordinator::Sender;
use crate::group::member::{JoinReply, JoinRequest, JoinedMember, SyncRequest};
use crate::server::dispatch::Call;
use crate::server::frame::FrameReader;
use crate::state::Shared;

/// The first version in which a member learns its id before it joins.
const LEARNS_ID_FIRST: i16 = 4;
/// The first version in which a leader can be told to leave the assignment as it is.
const MAY_SKIP_ASSIGNMENT: i16 = 9;
/// As many bytes of further requests as are taken in while a member waits.
const READ_AHEAD_BYTES: usize = 64 << 10;

fn milliseconds(value: i32) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}

/// A copy that does not keep the whole frame alive.
fn copied(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// Waits for an answer for as long as the connection lives. `None` if it ended.
async fn await_answer<T, R: AsyncRead + Unpin>(
    mut answer: oneshot::Receiver<T>,
    input: &mut FrameReader<R>,
) -> Option<Result<T, ResponseError>> {
    loop {
        tokio::select! {
            biased;
            // A later request of the same member took this one's place.
            answer = &mut answer => return Some(answer.map_err(|_| ResponseError::RebalanceInProgress)),
            more = input.fill(), if input.buffered() < READ_AHEAD_BYTES => match more {
                Ok(true) => {}
                Ok(false) | Err(_) => return None,
            },
        }
    }
}

pub(crate) async fn join<R: AsyncRead + Unpin>(
    shared: &Shared,
    request: JoinGroupRequest,
    call: &Call,
    input: &mut FrameReader<R>,
) -> Option<JoinGroupResponse> {
    let session_timeout = milliseconds(request.session_timeout_ms);
    let member_id = owned(&request.member_id);
    let protocols = request.protocols.iter().map(|protocol| (owned(&protocol.name), copied(&protocol.metadata)));
    let join = JoinRequest {
        member_id: member_id.clone(),
        client_id: call.client_id.clone(),
        client_host: call.client_host.clone(),
        instance_id: request.group_instance_id.as_ref().map(owned),
        protocol_type: owned(&request.protocol_type),
        protocols: protocols.collect(),
        session_timeout,
        // The first version has one timeout for both.
        rebalance_timeout: if call.version >= 1 { milliseconds(request.rebalance_timeout_ms) } else { session_timeout },
        learns_id_first: call.version >= LEARNS_ID_FIRST,
        may_skip_assignment: call.version >= MAY_SKIP_ASSIGNMENT,
    };
    let (answer, noted) = shared.coordinator.join(request.group_id.as_str(), join);
    let reply = await_answer(answer, input).await?;
    // Without the note the group lacks time to come back after a restart; its members can work.
    if let Err(error) = shared.coordinator.synced(noted).await {
        tracing::warn!(group = request.group_id.as_str(), %error, "cannot record who uses a group");
    }
    Some(join_response(reply.unwrap_or_else(|error| JoinReply::refusal(member_id, error)), call.version))
}

fn join_response(reply: JoinReply, version: i16) -> JoinGroupResponse {
    let member = |member: JoinedMember| {
        let joined = JoinGroupResponseMember::default().with_member_id(text(member.member_id));
        let joined = joined.with_metadata(member.metadata);
        if version >= 5 { joined.with_group_instance_id(member.instance_id.map(text)) } else { joined }
    };
    // From version 7 on a protocol may be missing; before, it is empty.
    let protocol = if version >= 7 { reply.protocol } else { Some(reply.protocol.unwrap_or_default()) };
    let response = JoinGroupResponse::default()
        .with_error_code(code(reply.error))
        .with_generation_id(reply.generation)
        .with_protocol_name(protocol.map(text))
        .with_leader(text(reply.leader))
        .with_skip_assignment(reply.skip_assignment)
        .with_member_id(text(reply.member_id))
        .with_members(reply.members.into_iter().map(member).collect());
    if version >= 7 { response.with_protocol_type(reply.protocol_type.map(text)) } else { response }
}

pub(crate) async fn sync<R: AsyncRead + Unpin>(
    shared: &Shared,
    request: SyncGroupRequest,
    input: &mut FrameReader<R>,
) -> Option<SyncGroupResponse> {
    let assignments = request.assignments.iter().map(|one| (owned(&one.member_id), copied(&one.assignment)));
    let sync = SyncRequest {
        member_id: owned(&request.member_id),
        instance_id: request.group_instance_id.as_ref().map(owned),
        generation: request.generation_id,
        protocol_type: request.protocol_type.as_ref().map(owned),
        protocol: request.protocol_name.as_ref().map(owned),
        assignments: assignments.collect(),
    };
    let answer = shared.coordinator.sync(request.group_id.as_str(), sync);
    let response = SyncGroupResponse::default();
    Some(match await_answer(answer, input).await?.flatten() {
        Ok(synced) => response
            .with_protocol_type(synced.protocol_type.map(text))
            .with_protocol_name(synced.protocol.map(text))
            .with_assignment(synced.assignment),
        Err(error) => response.with_error_code(error.code()),
    })
}

pub(crate) fn heartbeat(shared: &Shared, request: HeartbeatRequest) -> HeartbeatResponse {
    let sender = Sender {
        member_id: request.member_id.as_str(),
        instance_id: request.group_instance_id.as_deref(),
        generation: request.generation_id,
    };
    let outcome = shared.coordinator.heartbeat(request.group_id.as_str(), sender);
    HeartbeatResponse::default().with_error_code(code(outcome.err()))
}

pub(crate) fn leave(shared: &Shared, request: LeaveGroupRequest, version: i16) -> LeaveGroupResponse {
    let group = request.group_id.as_str();
    if version < 3 {
        let outcome = shared.coordinator.leave(group, request.member_id.as_str(), None);
        return LeaveGroupResponse::default().with_error_code(code(outcome.err()));
    }
    let members = request.members.iter().map(|member| {
        let instance_id = member.group_instance_id.as_deref();
        let outcome = shared.coordinator.leave(group, member.member_id.as_str(), instance_id);
        MemberResponse::default()
            .with_member_id(member.member_id.clone())
            .with_group_instance_id(member.group_instance_id.clone())
            .with_error_code(code(outcome.err()))
    });
    LeaveGroupResponse::default().with_members(members.collect())
}
