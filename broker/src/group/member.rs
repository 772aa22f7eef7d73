//! One member of a group, and the requests and answers of joining and syncing.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use tokio::sync::oneshot;

use super::coordinator::Sender;

#[derive(Debug, Clone)]
pub(crate) struct JoinRequest {
    /// Empty for a member that has no id yet.
    pub member_id: String,
    pub client_id: String,
    /// Where the client connects from.
    pub client_host: String,
    pub instance_id: Option<String>,
    pub protocol_type: String,
    /// In the order of the member's preference.
    pub protocols: Vec<(String, Bytes)>,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    /// Whether the client knows to join a second time with the id that it is given.
    pub learns_id_first: bool,
    /// Whether the client knows that a leader may be told to leave the assignment as it is.
    pub may_skip_assignment: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinReply {
    pub error: Option<ResponseError>,
    pub member_id: String,
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub leader: String,
    /// Everyone, for the leader; nobody for the others.
    pub members: Vec<JoinedMember>,
    /// The leader came back under its instance id: what was assigned holds on.
    pub skip_assignment: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinedMember {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub metadata: Bytes,
}

impl JoinReply {
    pub(crate) fn refusal(member_id: impl Into<String>, error: ResponseError) -> Self {
        Self {
            error: Some(error),
            member_id: member_id.into(),
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: String::new(),
            members: Vec::new(),
            skip_assignment: false,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct SyncRequest {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub assignments: Vec<(String, Bytes)>,
}

impl SyncRequest {
    pub(crate) fn sender(&self) -> Sender<'_> {
        Sender { member_id: &self.member_id, instance_id: self.instance_id.as_deref(), generation: self.generation }
    }
}

pub(crate) type SyncReply = Result<Synced, ResponseError>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Synced {
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub assignment: Bytes,
}

pub(crate) struct Member {
    pub client_id: String,
    pub client_host: String,
    pub instance_id: Option<String>,
    pub protocols: Vec<(String, Bytes)>,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    pub assignment: Bytes,
    /// When it is given up unless it is heard of.
    pub deadline: Instant,
    pub joining: Option<oneshot::Sender<JoinReply>>,
    pub syncing: Option<oneshot::Sender<SyncReply>>,
    /// Whether it has asked for its assignment in this generation.
    pub has_synced: bool,
    /// The order in which members came, which decides who leads.
    pub came: u64,
}

impl Member {
    pub(crate) fn is_joining(&self) -> bool {
        self.joining.as_ref().is_some_and(|joining| !joining.is_closed())
    }

    /// A member whose request waits for an answer here is alive as long as its connection is.
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_joining() || self.syncing.as_ref().is_some_and(|syncing| !syncing.is_closed())
    }

    pub(crate) fn heard_of(&mut self, now: Instant) {
        self.deadline = now + self.session_timeout;
    }

    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    pub(crate) fn answer_join(&mut self, reply: JoinReply) {
        if let Some(joining) = self.joining.take() {
            // Nobody listens if the connection is gone; the session timeout deals with the member.
            let _ = joining.send(reply);
        }
    }

    pub(crate) fn answer_sync(&mut self, reply: SyncReply) {
        if let Some(syncing) = self.syncing.take() {
            let _ = syncing.send(reply);
        }
    }
}
