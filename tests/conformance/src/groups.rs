//! Raw requests of one member of a group.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::calls::{error, is_warming_up};
use crate::cluster::Cluster;
use crate::wire::{Wire, text};

const JOIN_VERSION: i16 = 9;
const SYNC_VERSION: i16 = 5;

/// One member with a connection of its own, as a waiting request holds its connection.
pub struct Member {
    pub wire: Wire,
    pub group: String,
    pub id: String,
    pub instance_id: Option<String>,
    pub generation: i32,
    pub session_timeout_ms: i32,
    pub protocols: Vec<&'static str>,
}

impl Member {
    /// Not joined yet. Waits until the group's coordinator is there, which the first group of a Kafka cluster takes.
    pub async fn of(cluster: &Cluster, group: &str) -> Result<Self> {
        let mut wire = Wire::connect(cluster).await?;
        let find = FindCoordinatorRequest::default().with_coordinator_keys(vec![text(group)]);
        while error(wire.call(&find, 4).await?.coordinators[0].error_code).is_some() {
            tokio::task::yield_now().await;
        }
        let mut member = Self {
            wire,
            group: group.to_owned(),
            id: String::new(),
            instance_id: None,
            generation: -1,
            session_timeout_ms: 10_000,
            protocols: vec!["range"],
        };
        // A broker that has just started names itself before it takes the office over.
        while member.heartbeat().await?.is_some_and(is_warming_up) {
            tokio::task::yield_now().await;
        }
        Ok(member)
    }

    fn instance(&self) -> Option<StrBytes> {
        self.instance_id.as_deref().map(text)
    }

    pub fn join_request(&self) -> JoinGroupRequest {
        let protocol = |name: &&str| {
            JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(Bytes::from_static(b"metadata"))
        };
        JoinGroupRequest::default()
            .with_group_id(text(&self.group).into())
            .with_session_timeout_ms(self.session_timeout_ms)
            .with_rebalance_timeout_ms(30_000)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance())
            .with_protocol_type(text("consumer"))
            .with_protocols(self.protocols.iter().map(protocol).collect())
    }

    pub async fn send_join(&mut self) -> Result<()> {
        self.wire.send(&self.join_request(), JOIN_VERSION).await
    }

    /// The answer to a join that was sent before; takes over its member id and generation.
    pub async fn joined(&mut self) -> Result<JoinGroupResponse> {
        let response = self.wire.receive::<JoinGroupRequest>(JOIN_VERSION).await?;
        self.id = response.member_id.to_string();
        self.generation = response.generation_id;
        Ok(response)
    }

    pub async fn join(&mut self) -> Result<JoinGroupResponse> {
        self.send_join().await?;
        self.joined().await
    }

    /// Asks for a member id, which is what a first join is answered with.
    pub async fn learn_id(&mut self) -> Result<()> {
        let response = self.join().await?;
        anyhow::ensure!(error(response.error_code) == Some(ResponseError::MemberIdRequired), "{response:?}");
        Ok(())
    }

    pub async fn send_sync(&mut self, plan: &[(&str, &'static str)]) -> Result<()> {
        let assign = |(id, what): &(&str, &'static str)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(text(id))
                .with_assignment(Bytes::from_static(what.as_bytes()))
        };
        let request = SyncGroupRequest::default()
            .with_group_id(text(&self.group).into())
            .with_generation_id(self.generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance())
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text(self.protocols[0])))
            .with_assignments(plan.iter().map(assign).collect());
        self.wire.send(&request, SYNC_VERSION).await
    }

    pub async fn synced(&mut self) -> Result<SyncGroupResponse> {
        self.wire.receive::<SyncGroupRequest>(SYNC_VERSION).await
    }

    pub async fn sync(&mut self, plan: &[(&str, &'static str)]) -> Result<SyncGroupResponse> {
        self.send_sync(plan).await?;
        self.synced().await
    }

    pub async fn heartbeat(&mut self) -> Result<Option<ResponseError>> {
        let request = HeartbeatRequest::default()
            .with_group_id(text(&self.group).into())
            .with_generation_id(self.generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance());
        Ok(error(self.wire.call(&request, 4).await?.error_code))
    }

    pub async fn leave(&mut self) -> Result<Option<ResponseError>> {
        let member = MemberIdentity::default().with_member_id(text(&self.id)).with_group_instance_id(self.instance());
        let request = LeaveGroupRequest::default().with_group_id(text(&self.group).into()).with_members(vec![member]);
        let response = self.wire.call(&request, 5).await?;
        Ok(error(response.error_code).or(response.members.first().and_then(|member| error(member.error_code))))
    }

    pub async fn commit(&mut self, topic: &str, offset: i64, metadata: &str) -> Result<Option<ResponseError>> {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(0)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text(metadata)));
        let topic = OffsetCommitRequestTopic::default().with_name(text(topic).into()).with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(text(&self.group).into())
            .with_generation_id_or_member_epoch(self.generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance())
            .with_topics(vec![topic]);
        let response = self.wire.call(&request, 8).await?;
        let topic = response.topics.first().context("no topic in the response")?;
        Ok(error(topic.partitions.first().context("no partition in the response")?.error_code))
    }

    /// What is committed for partition 0 of these topics, or for all topics of the group.
    pub async fn committed(&mut self, topics: Option<&[&str]>) -> Result<BTreeMap<String, (i64, String)>> {
        let wanted = |topic: &&str| {
            OffsetFetchRequestTopics::default().with_name(text(topic).into()).with_partition_indexes(vec![0])
        };
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(text(&self.group).into())
            .with_topics(topics.map(|topics| topics.iter().map(wanted).collect()));
        let response = self.wire.call(&OffsetFetchRequest::default().with_groups(vec![group]), 8).await?;
        let group = response.groups.into_iter().next().context("no group in the response")?;
        let mut committed = BTreeMap::new();
        for topic in group.topics {
            let partition = topic.partitions.first().context("no partition in the response")?;
            let metadata = partition.metadata.as_ref().map(ToString::to_string).unwrap_or_default();
            committed.insert(topic.name.to_string(), (partition.committed_offset, metadata));
        }
        Ok(committed)
    }
}

/// Members that have all joined and synced, the leader first. They join one by one, each in a round of its own.
pub async fn stable(cluster: &Cluster, group: &str, count: usize) -> Result<Vec<Member>> {
    let mut members: Vec<Member> = Vec::new();
    for _ in 0..count {
        let mut newcomer = Member::of(cluster, group).await?;
        newcomer.learn_id().await?;
        join_all(&mut members, newcomer).await?;
        for member in &mut members {
            member.send_sync(&[]).await?;
        }
        for member in &mut members {
            let response = member.synced().await?;
            anyhow::ensure!(error(response.error_code).is_none(), "{response:?}");
        }
    }
    Ok(members)
}

/// Lets a newcomer that knows its id open a round and everyone join it; the leader is the first afterwards.
pub async fn join_all(members: &mut Vec<Member>, mut newcomer: Member) -> Result<()> {
    newcomer.send_join().await?;
    for member in members.iter_mut() {
        while member.heartbeat().await? != Some(ResponseError::RebalanceInProgress) {
            tokio::task::yield_now().await;
        }
        member.send_join().await?;
    }
    members.push(newcomer);
    let mut leader = String::new();
    for member in members.iter_mut() {
        let response = member.joined().await?;
        anyhow::ensure!(error(response.error_code).is_none(), "{response:?}");
        leader = response.leader.to_string();
    }
    members.sort_by_key(|member| member.id != leader);
    Ok(())
}
