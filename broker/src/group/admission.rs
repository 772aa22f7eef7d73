//! How members come in: strangers, those who were given an id, those who join again, and those who come back under their
//! instance id, who take their predecessor's place without disturbing the others.

use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::group::Group;
use super::machine::State;
use super::member::{JoinReply, JoinRequest, Member};

/// How much of what a client calls itself becomes part of its member id.
const NAME_CHARS: usize = 64;

enum Admission {
    /// This member waits for the round to close.
    Waits(String),
    Answered(Box<JoinReply>),
}

impl Admission {
    fn refused(member_id: String, error: ResponseError) -> Self {
        Self::Answered(Box::new(JoinReply::refusal(member_id, error)))
    }
}

impl Group {
    pub(crate) fn join(&mut self, request: JoinRequest, reply: oneshot::Sender<JoinReply>, now: Instant) {
        match self.admit(request, now) {
            Admission::Waits(member_id) => {
                if let Some(member) = self.members.get_mut(&member_id) {
                    member.joining = Some(reply);
                }
                self.membership_changed(now);
            }
            // Nobody listens if the connection is gone.
            Admission::Answered(answer) => drop(reply.send(*answer)),
        }
    }

    fn admit(&mut self, request: JoinRequest, now: Instant) -> Admission {
        if !self.can_agree_with(&request) {
            return Admission::refused(request.member_id, ResponseError::InconsistentGroupProtocol);
        }
        if request.member_id.is_empty() {
            let known = request.instance_id.as_ref().and_then(|instance_id| self.statics.get(instance_id)).cloned();
            return match known {
                Some(predecessor) => self.take_over(&predecessor, request, now),
                None => self.admit_stranger(request, now),
            };
        }
        if self.pending.remove(&request.member_id).is_some() {
            return self.insert(request.member_id.clone(), request, now);
        }
        if let Err(error) = self.check_identity(&request.member_id, request.instance_id.as_deref()) {
            return Admission::refused(request.member_id, error);
        }
        let Some(member) = self.members.get_mut(&request.member_id) else {
            return Admission::refused(request.member_id, ResponseError::UnknownMemberId);
        };
        let wants_the_same = member.protocols == request.protocols;
        let leads = self.leader.as_deref() == Some(&request.member_id);
        let goes_on = match self.state {
            State::Empty | State::PreparingRebalance => false,
            State::CompletingRebalance => wants_the_same,
            State::Stable => wants_the_same && !leads,
        };
        member.protocols = request.protocols;
        member.session_timeout = request.session_timeout;
        member.rebalance_timeout = request.rebalance_timeout;
        member.heard_of(now);
        match goes_on {
            true => Admission::Answered(Box::new(self.join_reply(&request.member_id))),
            false => Admission::Waits(request.member_id),
        }
    }

    fn admit_stranger(&mut self, request: JoinRequest, now: Instant) -> Admission {
        if self.members.len() + self.pending.len() >= self.members_max {
            return Admission::refused(request.member_id, ResponseError::GroupMaxSizeReached);
        }
        let member_id = new_member_id(request.instance_id.as_ref().unwrap_or(&request.client_id));
        if request.learns_id_first && request.instance_id.is_none() {
            self.pending.insert(member_id.clone(), now + request.session_timeout);
            return Admission::refused(member_id, ResponseError::MemberIdRequired);
        }
        self.insert(member_id, request, now)
    }

    /// The member that comes back has a new id, so that its predecessor, which may still live, is fenced. Its part of the
    /// assignment is its own at once, unless its return changes which protocol the group would use.
    fn take_over(&mut self, predecessor: &str, request: JoinRequest, now: Instant) -> Admission {
        let instance_id = request.instance_id.clone().unwrap_or_default();
        let member_id = new_member_id(&instance_id);
        let Some(mut member) = self.members.remove(predecessor) else {
            return Admission::refused(request.member_id, ResponseError::UnknownMemberId);
        };
        member.answer_join(JoinReply::refusal(predecessor, ResponseError::FencedInstanceId));
        member.answer_sync(Err(ResponseError::FencedInstanceId));
        member.client_id = request.client_id;
        member.client_host = request.client_host;
        member.protocols = request.protocols;
        member.session_timeout = request.session_timeout;
        member.rebalance_timeout = request.rebalance_timeout;
        member.heard_of(now);
        self.members.insert(member_id.clone(), member);
        self.statics.insert(instance_id, member_id.clone());
        let leader_before = self.leader.clone();
        let leads = leader_before.as_deref() == Some(predecessor);
        if leads {
            self.leader = Some(member_id.clone());
        }
        if self.state != State::Stable || self.vote() != self.protocol {
            return Admission::Waits(member_id);
        }
        let reply = self.join_reply(&member_id);
        Admission::Answered(Box::new(match request.may_skip_assignment {
            true => JoinReply { skip_assignment: leads, ..reply },
            // A client that would assign anew if it were told that it leads.
            false => JoinReply { members: Vec::new(), leader: leader_before.unwrap_or_default(), ..reply },
        }))
    }

    /// Whether all members, with this one, have a protocol in common.
    fn can_agree_with(&self, request: &JoinRequest) -> bool {
        if request.protocols.is_empty() || request.protocol_type.is_empty() {
            return false;
        }
        let others = self.members.iter().filter(|(id, _)| **id != request.member_id);
        let others: Vec<&Member> = others.map(|(_, member)| member).collect();
        let knows = |member: &Member, name: &str| member.protocols.iter().any(|(known, _)| known == name);
        let in_common = |name: &str| others.iter().all(|member| knows(member, name));
        others.is_empty()
            || self.protocol_type.as_deref() == Some(&request.protocol_type)
                && request.protocols.iter().any(|(name, _)| in_common(name))
    }

    fn insert(&mut self, member_id: String, request: JoinRequest, now: Instant) -> Admission {
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type);
        }
        if let Some(instance_id) = &request.instance_id {
            self.statics.insert(instance_id.clone(), member_id.clone());
        }
        self.came += 1;
        let member = Member {
            client_id: request.client_id,
            client_host: request.client_host,
            instance_id: request.instance_id,
            protocols: request.protocols,
            session_timeout: request.session_timeout,
            rebalance_timeout: request.rebalance_timeout,
            assignment: Bytes::new(),
            deadline: now + request.session_timeout,
            joining: None,
            syncing: None,
            has_synced: false,
            came: self.came,
        };
        self.members.insert(member_id.clone(), member);
        Admission::Waits(member_id)
    }
}

fn new_member_id(name: &str) -> String {
    let name: String = name.chars().take(NAME_CHARS).collect();
    format!("{name}-{}", Uuid::new_v4())
}
